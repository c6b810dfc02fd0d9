"""How the inputs of a model are read in one epoch: one gather for each view, straight into the model's arrays.

The rows of several requests become one batch. A row has the same bits in each batch that has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from deployment.errors import ModelOutdated
from featurestore.define.decoded import Bytes, Floats, Status, value_is_there
from featurestore.define.on_demand import OnDemand
from featurestore.online.blocks import Snapshot
from featurestore.read.gather import gather, gather_inputs
from featurestore.read.request import Entities, Reading
from featurestore.read.vectors import VectorPart, VectorPlan
from training.serving.arrays import Arrays, Bools, Floats32
from training.serving.ask import Ask, Keyed, Used, UsedRelease
from training.serving.signature import ModelSignature

_STALE: Final = np.uint8(Status.STALE_BUDGET)


class FeatureCounts(NamedTuple):
    """How many features of a batch there are, and how many of them are null or stale."""

    all: int
    null: int
    stale: int


class InputPlan:
    """The place of each input in one snapshot.

    Attributes:
        names: of the F columns.
        epoch: of the snapshot.
        blocking: whether a read waits for a disk or a network.
        releases: the newest one of each view that is read.
    """

    def __init__(
        self,
        model: str,
        signature: ModelSignature,
        constants: Mapping[str, Any],
        snapshot: Snapshot,
        on_demand: OnDemand,
    ) -> None:
        self._vector = VectorPlan(snapshot, signature.features, on_demand)
        self._snapshot, self._on_demand, self._constants = snapshot, on_demand, constants
        self._columns, self.names = signature.columns, signature.names
        self._stored = len(self._vector.names)
        self._width = self._stored + len(self._columns)
        if len(self.names) != self._width:
            raise ModelOutdated(model, f"its {len(self.names)} inputs are {self._width} columns now")
        self._floats = {
            name
            for one, _ in self._vector.computed
            for name, kind in on_demand[one.view].inputs.items()
            if kind == "float64"
        }
        self.epoch = snapshot.epoch
        self.blocking = any(view.blocking for view in self._vector.views)
        self.releases = tuple(
            UsedRelease(one.view, one.version, snapshot.releases.get(one.name, ""), one.pane_end)
            for one in (view.header for view in self._vector.views)
        )

    def fill(self, asks: Sequence[Ask], now_us: int, clock: Callable[[], float] = time.perf_counter) -> Filled:
        """The inputs of all rows of some requests, in their order. It reads disk or network for views that need them.

        Args:
            asks: requests that `ModelInputs.require` has accepted.
            now_us: wall clock, µs since the epoch, for ttl.
            clock: seconds, of on-demand functions.

        Raises:
            OnDemandFailed. StoreCorrupt, OnlineUnavailable: a view outside of memory cannot be read.
        """
        places = _places(asks)
        keyed = [ask.given.entities for ask in asks if isinstance(ask.given, Keyed)]
        if len(keyed) == len(asks):
            read = self._read(keyed, places[-1].stop, now_us, clock)
            return Filled(self, read.arrays, read, places, places)
        count, read_places = 0, list[slice | None]()
        for ask in asks:
            read_places.append(slice(count, count + ask.rows) if isinstance(ask.given, Keyed) else None)
            count += ask.rows if isinstance(ask.given, Keyed) else 0
        read = self._read(keyed, count, now_us, clock) if keyed else _NO_READ
        arrays = _empty(places[-1].stop, self._width)
        for ask, place, at in zip(asks, places, read_places, strict=True):
            if isinstance(ask.given, Keyed):
                for into, of in zip(arrays, read.arrays, strict=True):
                    into[place] = of[at]
            else:
                x, mask, se = ask.given.arrays
                arrays.x[place], arrays.mask[place], arrays.se[place] = (
                    np.where(mask, x, 0),
                    mask,
                    np.where(mask, se, 0),
                )
        return Filled(self, arrays, read, places, read_places)

    def _read(self, keyed: Sequence[Entities], count: int, now_us: int, clock: Callable[[], float]) -> _Read:
        given = self._given(keyed, count)
        arrays = _empty(count, self._width)
        x, mask, se = arrays
        codes = np.empty((count, self._stored), np.uint8)
        reading = Reading(self._snapshot, self._on_demand, given, count, now_us)
        for part in self._vector.parts:
            found = reading.rows(part.view)
            gather_inputs(
                found.rows.place, found.rows.numbers, found.rows.status, part.values_at, part.se_at, part.status_at, part.to,
                found.expired, x, mask, se, codes,
            )  # fmt: skip
        if self._vector.computed:  # also the views that only on-demand functions read
            for view in self._vector.views:
                reading.rows(view)
        computed: list[tuple[int, Floats]] = []
        computed_s = -clock()
        with np.errstate(over="ignore"):
            for one, at in self._vector.computed:
                values, codes[:, at] = reading.values(one)
                computed.append((at, values))
                mask[:, at] = there = value_is_there(codes[:, at])
                x[:, at], se[:, at] = np.where(there, values, 0), np.where(there, np.nan, 0)
            computed_s += clock()
            columns = np.empty((count, len(self._columns)))
            for j, name in enumerate(self._columns):
                columns[:, j] = np.array(given[name], np.float64)
            if len(self._columns):
                mask[:, self._stored :] = there = ~np.isnan(columns)
                x[:, self._stored :], se[:, self._stored :] = np.where(there, columns, 0), 0
        return _Read(arrays, codes, reading, tuple(self._vector.parts), tuple(computed), computed_s, columns)

    def _given(self, keyed: Sequence[Entities], count: int) -> dict[str, Sequence[Any]]:
        """The columns of all requests, and constants."""
        if len(keyed) == 1:
            given = dict(keyed[0])
        else:
            given = {name: list(chain.from_iterable(one[name] for one in keyed)) for name in keyed[0]}
        for name, value in self._constants.items():
            given[name] = [value] * count
        for name in self._floats:  # of one type in all batches: Arrow refuses large integers beside floats
            given[name] = pa.array(
                np.array(given[name], np.float64), mask=np.array([one is None for one in given[name]])
            )
        return given


@dataclass(frozen=True, eq=False)
class _Read:
    """What was read for the requests by key.

    Attributes:
        codes: uint8[K, V] of `Status`.
        computed: the place of each output of an on-demand view, and its values, float64[K].
        computed_s: how long the on-demand functions took, seconds.
        columns: float64[K, C], the plain columns.
    """

    arrays: Arrays
    codes: Bytes
    reading: Reading | None
    parts: tuple[VectorPart, ...]
    computed: tuple[tuple[int, Floats], ...]
    computed_s: float
    columns: Floats

    def values(self, rows: slice) -> tuple[Floats, Floats]:
        """Values and standard errors of some rows, float64[N, V + C] each, NaN where there is none."""
        codes, columns = self.codes[rows], self.columns[rows]
        stored = codes.shape[1]
        values, se = (np.full((len(codes), stored + columns.shape[1]), np.nan) for _ in range(2))
        for part in self.parts:
            assert self.reading is not None
            found = self.reading.rows(part.view)
            _, numbers, status, place = found.rows
            shape = (len(codes), len(part.to))
            made, errors, unused = np.empty(shape), np.empty(shape), np.empty(shape, np.uint8)
            gather(
                place[rows], numbers, status, part.values_at, part.se_at, part.status_at, found.expired, made, errors, unused
            )  # fmt: skip
            values[:, part.to], se[:, part.to] = made, errors
        for at, outputs in self.computed:
            values[:, at] = outputs[rows]
        values[:, stored:] = columns
        return values, se


_NO_READ: Final = _Read(
    Arrays(np.empty((0, 0), np.float32), np.empty((0, 0), np.bool_), np.empty((0, 0), np.float32)),
    np.empty((0, 0), np.uint8),
    None,
    (),
    (),
    0.0,
    np.empty((0, 0)),
)


class Filled:
    """The inputs of a batch.

    Attributes:
        arrays: of all rows, in the order of the requests.
        places: the rows of each request.
        epoch: of the store.
        computed_s: how long on-demand functions took, seconds.
    """

    def __init__(
        self, plan: InputPlan, arrays: Arrays, read: _Read, places: Sequence[slice], read_places: Sequence[slice | None]
    ) -> None:
        self._plan, self.arrays, self._read = plan, arrays, read
        self.places, self._read_places, self.epoch, self.computed_s = places, read_places, plan.epoch, read.computed_s

    def used(self, at: int) -> Used:
        """The features of request `at`."""
        names, rows = self._plan.names, self._read_places[at]
        if rows is None:
            x, mask, se, place = *self.arrays, self.places[at]
            x, mask, se = x[place], mask[place], se[place]
            return Used(names, _known(x, mask), _known(se, mask), np.empty((len(x), 0), np.uint8), ())
        return Used(names, *self._read.values(rows), self._read.codes[rows], self._plan.releases)

    def counts(self) -> FeatureCounts:
        """The null and stale features of the batch."""
        mask = self.arrays.mask
        stale = int(np.count_nonzero(self._read.codes == _STALE))
        return FeatureCounts(mask.size, mask.size - int(np.count_nonzero(mask)), stale)


def _known(array: Floats32, mask: Bools) -> Floats:
    """float64[N, F], NaN where the mask is not set."""
    found: Floats = np.where(mask, array, np.nan).astype(np.float64)
    return found


def _places(asks: Sequence[Ask]) -> list[slice]:
    places, at = list[slice](), 0
    for ask in asks:
        places.append(slice(at, at + ask.rows))
        at += ask.rows
    return places


def _empty(rows: int, width: int) -> Arrays:
    shape = (rows, width)
    return Arrays(np.empty(shape, np.float32), np.empty(shape, np.bool_), np.empty(shape, np.float32))
