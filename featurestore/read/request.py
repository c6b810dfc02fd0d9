"""The reads of one request. Each view's rows and each on-demand view are read once, from one snapshot and at one time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from featurestore.define.decoded import Bytes, Floats, Status
from featurestore.define.entities import ColumnType
from featurestore.define.on_demand import Computed, OnDemand, OnDemandView, input_array
from featurestore.errors import BadReference, NameCollision, UnknownFeature
from featurestore.online.blocks import Snapshot
from featurestore.online.view_rows import IntervalEnd, Rows, ViewColumn, ViewRows

Bools = npt.NDArray[np.bool_]
Entities: TypeAlias = Mapping[str, Sequence[Any]]
"""Join keys and inputs: a list for each name, all of one length."""
_EXPIRED: Final = np.uint8(Status.OUTSIDE_MAX_AGE)
_NOT_FOUND: Final = np.uint8(Status.NOT_FOUND)


@dataclass(frozen=True)
class RequestedColumn:
    """One column of an answer.

    Attributes:
        name: its name in the answer.
        view: the name of its view as the reference spells it, with `@v<n>` if it pins a version.
        source: the stored view that has it, or the on-demand view that computes it.
        column: the column of the source. For an on-demand view it is an output, and its position is unused.
    """

    name: str
    view: str
    source: ViewRows | OnDemandView
    column: ViewColumn


def find_columns(
    refs: Sequence[str],
    snapshot: Snapshot,
    on_demand: OnDemand,
    *,
    full_names: bool,
    given: Sequence[str] = (),
    companions: bool = False,
) -> list[RequestedColumn]:
    """Resolve references to columns, in their order.

    Args:
        full_names: columns are `view__feature` instead of `feature`, and `view@v1__feature` for `view@v1:feature`.
        companions: whether `view:feature__se` and other companions may be requested alone.
        given: names of the other columns of the answer.

    Raises:
        BadReference, UnknownView, UnknownFeature. NameCollision: two columns have one name.
    """
    if isinstance(refs, str):
        raise BadReference(f"references are a list; write [{refs!r}]")
    if not refs:
        raise BadReference("the request names no feature; write one as view:feature")
    requested = [_find_column(ref, snapshot, on_demand, full_names) for ref in refs]
    for one in requested:
        if not companions and one.column.kind not in ("value", "list"):
            raise BadReference(f"{one.column.name!r} comes with its feature; request only the feature")
    names = [*given, *(one.name for one in requested)]
    if len(set(names)) < len(names):
        raise NameCollision(next(name for i, name in enumerate(names) if name in names[:i])[:80])
    return requested


def _find_column(ref: str, snapshot: Snapshot, on_demand: OnDemand, full_names: bool) -> RequestedColumn:
    view, _, name = ref.partition(":")
    transformation = on_demand.get(view)
    full_name = f"{view}__{name}" if full_names else name
    if transformation is None:
        rows, column = snapshot.column(ref)
        return RequestedColumn(full_name, view, rows, column)
    if name not in transformation.outputs:
        raise UnknownFeature(view, name[:80], list(transformation.outputs))
    return RequestedColumn(full_name, view, transformation, ViewColumn(name, "value", 0, 1, None))


class RequestedRows:
    """The rows of one view for the keys of a request, at the request's time.

    Attributes:
        rows: the stored rows.
        count: the number of keys.
        expired: whether the rows are older than the view's ttl.
    """

    def __init__(self, rows: Rows, now_us: int) -> None:
        self.rows, self.header, self.count = rows, rows.header, len(rows.place)
        self.expired = rows.header.expired(now_us)

    @cached_property
    def has_row(self) -> Bools:
        """bool[N], whether each key has a row."""
        there: Bools = self.rows.place >= 0
        return there

    @cached_property
    def codes(self) -> Bytes:
        """uint8[N, F] of `Status`."""
        codes: Bytes = self.rows.status.take(self.rows.place, axis=0)
        if self.expired:
            codes[self.has_row] = _EXPIRED
        return codes

    def numbers(self, column: ViewColumn) -> Floats:
        """float64[N], for a list [N, cells]; NaN where there is no number, and in expired rows."""
        if column.end is not None:
            low, high = self.bounds(column, column.end)
            return low if column.kind == "lo" else high
        return self._stored(column)

    def bounds(self, column: ViewColumn, end: IntervalEnd) -> tuple[Floats, Floats]:
        """The interval of a feature; `column` is its `__lo` or its `__hi`."""
        se = np.full(self.count, np.nan) if self.expired else self.rows.numbers[self.rows.place, end.se_at]
        return end.interval.bounds(self._stored(column), se)

    def _stored(self, column: ViewColumn) -> Floats:
        if self.expired:
            return np.full((self.count, column.width) if column.is_list else self.count, np.nan)
        numbers, place = self.rows.numbers, self.rows.place
        at = slice(column.start, column.start + column.width) if column.is_list else column.start
        found: Floats = numbers[place, at]
        return found

    def status(self, column: ViewColumn) -> Bytes:
        """uint8[N] of `Status`."""
        if column.status is not None:
            return self.codes[:, column.status]
        return np.where(self.has_row, _EXPIRED if self.expired else np.uint8(Status.OK), _NOT_FOUND)


class Reading:
    """The reads of one request.

    Args:
        entities: join keys and inputs, each of the length `count`.
        count: the number of rows.
        now_us: wall clock, µs since the epoch, for ttl.
        placed: the rows of views that were already read for these keys.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        on_demand: OnDemand,
        entities: Entities,
        count: int,
        now_us: int,
        placed: Mapping[ViewRows, Rows] = MappingProxyType({}),
    ) -> None:
        self._snapshot, self._on_demand = snapshot, on_demand
        self._entities, self.count, self._now_us = entities, count, now_us
        self._found = {view: RequestedRows(rows, now_us) for view, rows in placed.items()}
        self._computed: dict[str, Computed] = {}

    def rows(self, view: ViewRows) -> RequestedRows:
        """The rows of a view. Raises BadReference: a join key is missing or has another type."""
        known = self._found.get(view)
        if known is None:
            known = self._found[view] = RequestedRows(view.rows(self._entities, self.count), self._now_us)
        return known

    def values(self, requested: RequestedColumn) -> tuple[Floats, Bytes]:
        """float64[N] (a list: [N, cells]) and uint8[N] of `Status` of one column.

        Raises:
            BadReference: a join key or an input is missing, or has another type. OnDemandFailed.
        """
        if isinstance(requested.source, OnDemandView):
            return self.computed(requested.source).output(requested.column.name)
        found = self.rows(requested.source)
        return found.numbers(requested.column), found.status(requested.column)

    def computed(self, view: OnDemandView) -> Computed:
        """The outputs of an on-demand view. Raises BadReference, UnknownView, UnknownFeature, OnDemandFailed."""
        if view.name not in self._computed:
            self._computed[view.name] = view.evaluate(
                {ref: self._stored(ref) for ref in view.features.values()},
                {name: input_array(name, kind, self._input(view, name)) for name, kind in view.inputs.items()},
                self.count,
            )
        return self._computed[view.name]

    def _stored(self, ref: str) -> tuple[Floats, Bytes]:
        rows, column = self._snapshot.column(ref)
        found = self.rows(rows)
        return found.numbers(column), found.status(column)

    def _input(self, view: OnDemandView, name: str) -> Sequence[Any]:
        if name not in self._entities:
            given = ", ".join(one[:80] for one in list(self._entities)[:20]) or "none"
            raise BadReference(f"on-demand view {view.name!r} needs the input {name!r}; given: {given}")
        return self._entities[name]


def views_of(requested: Sequence[RequestedColumn], snapshot: Snapshot) -> list[ViewRows]:
    """The stored views that the columns need, directly or through an on-demand view, each once, in order of first use."""
    found: dict[int, ViewRows] = {}
    for one in requested:
        if isinstance(one.source, OnDemandView):
            sources = [snapshot.column(ref)[0] for ref in one.source.features.values()]
        else:
            sources = [one.source]
        found |= {id(rows): rows for rows in sources}
    return list(found.values())


def inputs_of(requested: Sequence[RequestedColumn]) -> dict[str, ColumnType]:
    """The inputs that the requested on-demand views need, with their types."""
    views = [one.source for one in requested if isinstance(one.source, OnDemandView)]
    return {name: kind for view in views for name, kind in view.inputs.items()}
