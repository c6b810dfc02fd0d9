"""Reads in process: a model's vector for some keys as numpy arrays, in microseconds. It copies only the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from base.extras import COMPILED
from featurestore.define.decoded import Bytes, Floats, value_is_there
from featurestore.define.interval import Interval
from featurestore.define.on_demand import OnDemand, OnDemandView
from featurestore.errors import BadReference
from featurestore.online.blocks import Snapshot
from featurestore.online.view_rows import Ints, Rows, ViewRows

from .request import Entities, Reading, RequestedColumn, find_columns, views_of

if COMPILED:
    from .gather import gather
else:
    from .gather_numpy import gather


class Vectors(NamedTuple):
    """The vectors of N keys, of one epoch.

    Attributes:
        names: the names of the columns; the cells of a histogram are `name[0]`, `name[1]`, …
        values: float64[N, W], NaN where there is no value.
        mask: bool[N, W], where there is a value.
        se: float64[N, W], standard errors due to noise; NaN where there is no value, and for on-demand features.
        status: uint8[N, W] of `Status`.
        intervals: `__lo` and `__hi`, float64[N, W] each, NaN where `se` is; None: the reader was not asked for them.
    """

    names: tuple[str, ...]
    values: Floats
    mask: npt.NDArray[np.bool_]
    se: Floats
    status: Bytes
    epoch: int
    intervals: tuple[Floats, Floats] | None = None


class Reader:
    """Reads one feature vector, always from the newest epoch; `Store.reader` makes it.

    Args:
        snapshot: gives the newest snapshot.
        refs: `view:feature`, in the order of the vector.
        clock: wall clock, µs since the epoch, for ttl.
        intervals: whether the vectors have intervals.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        refs: Sequence[str],
        on_demand: OnDemand,
        clock: Callable[[], int],
        *,
        intervals: bool,
    ) -> None:
        self._newest, self._refs, self._on_demand, self._clock = snapshot, tuple(refs), on_demand, clock
        self._intervals = intervals
        self._plan = VectorPlan(snapshot(), self._refs, on_demand)

    @property
    def names(self) -> tuple[str, ...]:
        """See `Vectors`."""
        return self._plan.names

    def read(self, keys: Mapping[str, Sequence[Any]] | None = None) -> Vectors:
        """The newest values for some keys.

        Args:
            keys: a list of values for each join key and each input of an on-demand view, all of one length; None where all
                entities are constant.

        Raises:
            BadReference: a join key or an input is missing, or has another type. OnDemandFailed.
        """
        snapshot = self._newest()
        plan = self._plan
        if plan.snapshot is not snapshot:
            plan = self._plan = VectorPlan(snapshot, self._refs, self._on_demand)
        return plan.read(*as_lists(keys), self._clock(), {}, intervals=self._intervals)


class VectorPlan:
    """The place of each column of the vector in one snapshot.

    Attributes:
        names: see `Vectors`.
        views: all views that are read, directly or through an on-demand view.
        parts: the columns of each stored view.
        computed: the outputs of on-demand views, with their places in the vector.
    """

    def __init__(self, snapshot: Snapshot, refs: Sequence[str], on_demand: OnDemand) -> None:
        requested = find_columns(refs, snapshot, on_demand, full_names=True)
        self.snapshot, self._on_demand = snapshot, on_demand
        self.names = tuple(name for one in requested for name in _names(one))
        self.views = views_of(requested, snapshot)
        self.computed: list[tuple[RequestedColumn, int]] = []
        self._intervals: list[tuple[slice, Interval]] = []
        by_view: dict[int, tuple[ViewRows, list[tuple[RequestedColumn, int]]]] = {}
        at = 0
        for one in requested:
            if isinstance(one.source, OnDemandView):
                self.computed.append((one, at))
            else:
                by_view.setdefault(id(one.source), (one.source, []))[1].append((one, at))
                end = one.source.columns[f"{one.column.name}__lo"].end
                if end is not None:
                    self._intervals.append((slice(at, at + one.column.width), end.interval))
            at += one.column.width
        self.parts = [VectorPart(view, columns) for view, columns in by_view.values()]
        self._only = self.parts[0] if len(self.parts) == 1 and not self.computed else None

    def read(
        self, entities: Entities, count: int, now_us: int, placed: Mapping[ViewRows, Rows], *, intervals: bool
    ) -> Vectors:
        """The vectors of `count` keys.

        Args:
            placed: rows of views that were read for these keys already.

        Raises:
            BadReference: a join key or an input is missing, or has another type. OnDemandFailed.
        """
        values, se, status = self._arrays(entities, count, now_us, placed)
        there, ends = value_is_there(status), self._ends(values, se) if intervals else None
        return Vectors(self.names, values, there, se, status, self.snapshot.epoch, ends)

    def _ends(self, values: Floats, se: Floats) -> tuple[Floats, Floats]:
        low, high = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
        for at, interval in self._intervals:
            low[:, at], high[:, at] = interval.bounds(values[:, at], se[:, at.start])
        return low, high

    def _arrays(
        self, entities: Entities, count: int, now_us: int, placed: Mapping[ViewRows, Rows]
    ) -> tuple[Floats, Floats, Bytes]:
        """Values, standard errors and statuses of `count` keys, see `Vectors`."""
        if self._only is not None:
            return self._only.read(entities, count, now_us, placed)
        values, se = np.full((count, len(self.names)), np.nan), np.full((count, len(self.names)), np.nan)
        status = np.empty((count, len(self.names)), np.uint8)
        for part in self.parts:
            values[:, part.to], se[:, part.to], status[:, part.to] = part.read(entities, count, now_us, placed)
        reading = Reading(self.snapshot, self._on_demand, entities, count, now_us, placed)
        for one, to in self.computed:
            values[:, to], status[:, to] = reading.values(one)
        return values, se, status


def _names(requested: RequestedColumn) -> list[str]:
    if requested.column.kind == "list":
        return [f"{requested.name}[{cell}]" for cell in range(requested.column.width)]
    return [requested.name]


class VectorPart:
    """The columns of one view.

    Attributes:
        values_at, se_at: int64[V], places in a row of its numbers; status_at: in a row of its statuses.
        to: int64[V], places in the vector.
    """

    def __init__(self, view: ViewRows, columns: Sequence[tuple[RequestedColumn, int]]) -> None:
        self.view = view
        values: list[int] = []
        errors: list[int] = []
        status: list[int] = []
        to: list[int] = []
        for one, at in columns:
            column = one.column
            values += range(column.start, column.start + column.width)
            errors += [view.columns[f"{column.name}__se"].start] * column.width
            status += [column.status or 0] * column.width
            to += range(at, at + column.width)
        self.values_at, self.se_at, self.status_at, self.to = map(_indices, (values, errors, status, to))

    def read(
        self, entities: Entities, count: int, now_us: int, placed: Mapping[ViewRows, Rows]
    ) -> tuple[Floats, Floats, Bytes]:
        """Values, standard errors, statuses: each [count, columns of the part]."""
        rows = placed.get(self.view) if placed else None
        header, numbers, statuses, place = rows or self.view.rows(entities, count)
        shape = (count, len(self.to))
        values, se, status = np.empty(shape), np.empty(shape), np.empty(shape, np.uint8)
        gather(
            place, numbers, statuses, self.values_at, self.se_at, self.status_at, header.expired(now_us), values, se, status
        )  # fmt: skip
        return values, se, status


def _indices(places: list[int]) -> Ints:
    return np.array(places, dtype=np.int64)


def as_lists(keys: Mapping[str, Sequence[Any]] | None) -> tuple[Entities, int]:
    """The keys as lists of one length, and the length."""
    if not keys:
        return {}, 1
    count = -1
    for name, values in keys.items():
        if type(values) is not list:
            return as_lists({name: _list(name, values) for name, values in keys.items()})
        if count < 0:
            count = len(values)
        elif len(values) != count:
            raise BadReference(f"the key {name!r} has {len(values)} values, the first one {count}")
    return keys, count


def _list(name: str, values: Any) -> list[Any]:
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise BadReference(f"the key {name!r} takes a list of values; write {{{name!r}: [{values!r}]}}")
    for convert in ("to_pylist", "tolist"):  # Arrow, numpy
        if hasattr(values, convert):
            return list(getattr(values, convert)())
    return list(values)
