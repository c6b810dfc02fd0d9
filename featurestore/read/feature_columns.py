"""The Arrow columns of the requested features of one view, made together.

A feature has about six columns, and numpy and Arrow take some microseconds for each of their calls. So numbers, statuses and
intervals of all features are computed by one call each. Every column is a row of one of a few arrays, the parts:

    masks   bool: which rows of a column are not null; last the rows that exist
    floats  float64: values, lower ends and upper ends of the scalar features, then all standard errors
    ints    int64: whole values, each n, and the two times
    codes   uint8: statuses
    …       one array for each list and for each end of its interval: int64[N, cells] or float64[N, cells]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.define.decoded import Floats, n_is_there, value_is_there
from featurestore.define.interval import Intervals
from featurestore.define.schema import STATUS, STATUS_NAMES, TIMESTAMP
from featurestore.online.view_rows import Ints, ViewColumn, ViewRows

from .request import Bools, RequestedColumn, RequestedRows

MASKS: Final = 0
CODES: Final = 3
_FLOATS: Final = 1
_INTS: Final = 2
_LISTS: Final = 4

_FLOAT: Final = pa.float64()
_WHOLE: Final = pa.int64()

Columns: TypeAlias = list[tuple[str, pa.Array]]
"""Columns with their names, in order."""
Parts: TypeAlias = list[npt.NDArray[Any]]
"""See the module. All of them are contiguous."""


@dataclass(frozen=True)
class ColumnPlace:
    """Where a column of an answer is in the parts.

    Attributes:
        mask: its row of the masks; None: it is never null.
        part, row: where its numbers are. A list has a part of its own.
        width: the cells of a list; 0 for a scalar.
    """

    name: str
    type: pa.DataType
    mask: int | None
    part: int
    row: int = 0
    width: int = 0


class FeatureColumns:
    """The columns of some features of one view: of each its value, `__se`, `__lo`, `__hi`, `__n` (Mean, Rate) and `__status`.

    Attributes:
        places: the columns of each feature.
        times: the columns of the view's two times; null where a key has no row.
        parts_made, masks_made: how many parts and masks there are.
    """

    def __init__(self, view: ViewRows, features: Sequence[RequestedColumn]) -> None:
        self._view, header = view, view.header
        columns = [one.column for one in features]
        scalars = [one for one in columns if not one.is_list]
        self._lists = [(i, one) for i, one in enumerate(columns) if one.is_list]
        self._status = _places(one.status or 0 for one in columns)
        self._se = _places(self._companion(one, "se").start for one in columns)
        self._scalars = _places(i for i, one in enumerate(columns) if not one.is_list)
        self._values = _places(one.start for one in scalars)
        self._low = np.array([[-np.inf if one.low is None else one.low] for one in scalars]).reshape(-1, 1)
        self._high = np.array([[np.inf if one.high is None else one.high] for one in scalars]).reshape(-1, 1)
        ends = [self._companion(one, "lo").end for one in scalars]
        self._intervals = Intervals([end.interval for end in ends if end is not None])
        self._whole = _places(at for at, one in enumerate(scalars) if one.integer)
        counts = [(i, n) for i, one in enumerate(columns) if (n := view.columns.get(f"{one.name}__n")) is not None]
        self._counted = _places(i for i, _ in counts)
        self._counts = _places(n.start for _, n in counts)
        self._moments = np.array([[header.pane_end or 0], [header.released_at or 0]])
        self.places = self._placed(features)
        self.parts_made, self.masks_made = _LISTS + 3 * len(self._lists), len(columns) + len(counts) + 1
        last_mask, times_at = self.masks_made - 1, len(self._whole) + len(counts)
        self.times = [
            ColumnPlace(f"{header.view}__{name}", TIMESTAMP, last_mask, _INTS, times_at + i)
            for i, name in enumerate(("pane_end", "released_at"))
        ]

    def _companion(self, column: ViewColumn, kind: str) -> ViewColumn:
        return self._view.columns[f"{column.name}__{kind}"]

    def _placed(self, features: Sequence[RequestedColumn]) -> list[list[ColumnPlace]]:
        scalars, whole, counted = self._scalars.tolist(), self._whole.tolist(), self._counted.tolist()
        se_at, found, part = 3 * len(scalars), [], _LISTS
        for i, one in enumerate(features):
            name, column = one.name, one.column
            if column.is_list:
                kinds = (pa.list_(kind, column.width) for kind in (_WHOLE, _FLOAT, _FLOAT))
                value, *ends = (
                    ColumnPlace(f"{name}{end}", kind, i, part + at, 0, column.width)
                    for at, (end, kind) in enumerate(zip(("", "__lo", "__hi"), kinds, strict=True))
                )
                part += 3
            else:
                at = scalars.index(i)
                value = (
                    ColumnPlace(name, _WHOLE, i, _INTS, whole.index(at))
                    if column.integer
                    else ColumnPlace(name, _FLOAT, i, _FLOATS, at)
                )
                ends = [
                    ColumnPlace(f"{name}__{end}", _FLOAT, i, _FLOATS, times * len(scalars) + at)
                    for times, end in ((1, "lo"), (2, "hi"))
                ]
            columns = [value, ColumnPlace(f"{name}__se", _FLOAT, i, _FLOATS, se_at + i), *ends]
            if i in counted:
                at = counted.index(i)
                columns.append(ColumnPlace(f"{name}__n", _WHOLE, len(features) + at, _INTS, len(whole) + at))
            found.append([*columns, ColumnPlace(f"{name}__status", STATUS, None, CODES, i)])
        return found

    def parts(self, found: RequestedRows, *, clamp: bool) -> Parts:
        """The parts of these rows.

        Args:
            clamp: whether values and intervals are limited to the range that they can have.
        """
        features, count = len(self._status), found.count
        counted, scalars, whole = len(self._counted), len(self._scalars), len(self._whole)
        rows = found.rows.numbers.take(found.rows.place, axis=0).T
        codes = found.codes.T.take(self._status, axis=0)
        masks = np.empty((features + counted + 1, count), np.bool_)
        masks[:features] = there = value_is_there(codes)
        masks[features:-1] = n_there = n_is_there(codes[self._counted])
        masks[-1] = found.has_row
        floats = np.empty((3 * scalars + features, count))
        floats[:scalars] = values = rows[self._values]
        floats[3 * scalars :] = se = rows[self._se]
        low, high = self._intervals.bounds(values, se[self._scalars])
        floats[scalars : 2 * scalars], floats[2 * scalars : 3 * scalars] = low, high
        if clamp:
            for at in range(0, 3 * scalars, scalars):
                some = floats[at : at + scalars]
                np.clip(some, self._low, self._high, out=some)
        ints = np.empty((whole + counted + 2, count), np.int64)
        ints[:whole] = np.where(there[self._scalars[self._whole]], floats[self._whole], 0.0)
        ints[whole:-2] = np.where(n_there, rows[self._counts], 0.0)
        if clamp:
            np.maximum(ints[whole:-2], 0, out=ints[whole:-2])
        ints[-2:] = self._moments
        lists = [part for i, one in self._lists for part in self._list(one, found, there[i], clamp=clamp)]
        return [masks, floats, ints, codes, *lists]

    def arrays(self, found: RequestedRows, *, clamp: bool) -> tuple[list[Columns], Columns]:
        """(the columns of each feature, the times), with their names in the answer; `clamp` as for `parts`."""
        parts = self.parts(found, clamp=clamp)
        bitmaps = _Bitmaps(parts[MASKS])
        made = [[(one.name, _array(one, parts, bitmaps)) for one in places] for places in (*self.places, self.times)]
        return made[:-1], made[-1]

    def _list(
        self, column: ViewColumn, found: RequestedRows, there: Bools, *, clamp: bool
    ) -> tuple[Ints, Floats, Floats]:
        """The value of a list, and the ends of its interval."""
        end = self._companion(column, "lo").end
        assert end is not None  # every list has an interval
        values = found.numbers(column)
        low, high = found.bounds(column, end)
        if clamp:
            values, low, high = (np.clip(one, column.low, column.high) for one in (values, low, high))
        whole = np.ascontiguousarray(np.where(there[:, None], values, 0.0), np.int64)
        return whole, np.ascontiguousarray(low), np.ascontiguousarray(high)


class _Bitmaps:
    """Arrow's bitmaps of masks."""

    def __init__(self, masks: Bools) -> None:
        self._nulls = nulls_of(masks).tolist()
        self._bits = np.packbits(masks, axis=1, bitorder="little")

    def __getitem__(self, at: int) -> tuple[pa.Buffer | None, int]:
        """The bitmap of a mask, None if no row is null, and how many rows are null."""
        nulls = self._nulls[at]
        return (pa.py_buffer(self._bits[at]) if nulls else None), nulls


def nulls_of(masks: Bools) -> Ints:
    """How many rows of each mask are null."""
    nulls: Ints = masks.shape[1] - np.add.reduce(masks, axis=1, dtype=np.int64)
    return nulls


def _array(place: ColumnPlace, parts: Parts, bitmaps: _Bitmaps) -> pa.Array:
    bits, nulls = (None, 0) if place.mask is None else bitmaps[place.mask]
    if place.width:
        cells = parts[place.part]
        return pa.FixedSizeListArray.from_buffers(
            place.type, len(cells), [bits], nulls, children=[pa.array(cells.reshape(-1))]
        )
    numbers = parts[place.part][place.row]
    if place.part == CODES:
        return pa.DictionaryArray.from_buffers(
            STATUS, len(numbers), [None, pa.py_buffer(numbers)], STATUS_NAMES, null_count=0
        )
    return pa.Array.from_buffers(place.type, len(numbers), [bits, pa.py_buffer(numbers)], nulls)


def _places(places: Iterable[int]) -> Ints:
    return np.array(list(places), dtype=np.int64)
