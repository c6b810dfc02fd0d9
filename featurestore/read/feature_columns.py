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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.define.decoded import Floats
from featurestore.define.interval import Interval, rules_of
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


class PartLoops(Protocol):
    """The loops that fill the parts: `part_loops`, or `part_loops_numpy`."""

    @property
    def fill_scalars(self) -> Callable[..., None]:
        """Fills the parts of features."""
        ...

    @property
    def fill_list(self) -> Callable[..., None]:
        """Fills the parts of a list."""
        ...


class FeatureColumns:
    """The columns of some features of one view: of each its value, `__se`, `__lo`, `__hi`, `__n` (Mean, Rate) and `__status`.

    All references spell the view alike, with or without its version; the times are named after that.

    Args:
        loops: numba's are quicker to run and slower to import.

    Attributes:
        places: the columns of each feature.
        times: the columns of the view's two times; null where a key has no row.
        parts_made, masks_made: how many parts and masks there are.
    """

    def __init__(self, view: ViewRows, features: Sequence[RequestedColumn], loops: PartLoops) -> None:
        self._view, self._loops, header = view, loops, view.header
        columns = [one.column for one in features]
        scalars = [(i, one) for i, one in enumerate(columns) if not one.is_list]
        counts = [(i, n) for i, one in enumerate(columns) if (n := view.columns.get(f"{one.name}__n")) is not None]
        self._features = _table([(one.status or 0, self._companion(one, "se").start) for one in columns], 2)
        self._scalars = _table([(i, one.start) for i, one in scalars], 2)
        self._counted = _table([(i, n.start) for i, n in counts], 2)
        self._whole = np.array([at for at, (_, one) in enumerate(scalars) if one.integer], np.int64)
        self._rules = rules_of([self._interval(one) for _, one in scalars])
        self._limits = np.array([_limits(one) for _, one in scalars]).reshape(-1, 2)
        self._lists = [
            _List(i, one, self._companion(one, "se").start, self._interval(one))
            for i, one in enumerate(columns)
            if one.is_list
        ]
        self._moments = np.array([header.pane_end or 0, header.released_at or 0])
        self.places = self._placed(features)
        self.parts_made, self.masks_made = _LISTS + 3 * len(self._lists), len(columns) + len(counts) + 1
        last_mask, times_at = self.masks_made - 1, len(self._whole) + len(counts)
        self.times = [
            ColumnPlace(f"{features[0].view}__{name}", TIMESTAMP, last_mask, _INTS, times_at + i)
            for i, name in enumerate(("pane_end", "released_at"))
        ]

    def _interval(self, column: ViewColumn) -> Interval:
        end = self._companion(column, "lo").end
        assert end is not None  # every feature has an interval
        return end.interval

    def _companion(self, column: ViewColumn, kind: str) -> ViewColumn:
        return self._view.columns[f"{column.name}__{kind}"]

    def _placed(self, features: Sequence[RequestedColumn]) -> list[list[ColumnPlace]]:
        scalars, whole, counted = self._scalars[:, 0].tolist(), self._whole.tolist(), self._counted[:, 0].tolist()
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
        stored, count, made = found.rows, found.count, len(self._features)
        masks = np.empty((self.masks_made, count), np.bool_)
        floats = np.empty((3 * len(self._scalars) + made, count))
        ints = np.empty((len(self._whole) + len(self._counted) + 2, count), np.int64)
        codes = np.empty((made, count), np.uint8)
        self._loops.fill_scalars(
            stored.place, stored.numbers, stored.status, found.expired, self._features, self._scalars, self._counted, self._whole,
            self._rules, self._limits, clamp, self._moments,
            masks, floats, ints, codes,
        )  # fmt: skip
        lists = [part for one in self._lists for part in one.parts(found, masks[one.mask], self._loops, clamp=clamp)]
        return [masks, floats, ints, codes, *lists]

    def arrays(self, found: RequestedRows, *, clamp: bool) -> tuple[list[Columns], Columns]:
        """(the columns of each feature, the times), with their names in the answer; `clamp` as for `parts`."""
        parts = self.parts(found, clamp=clamp)
        bitmaps = _Bitmaps(parts[MASKS])
        made = [[(one.name, _array(one, parts, bitmaps)) for one in places] for places in (*self.places, self.times)]
        return made[:-1], made[-1]


class _List:
    """A feature that is a list.

    Attributes:
        mask: its row of the masks.
    """

    def __init__(self, mask: int, column: ViewColumn, se_at: int, interval: Interval) -> None:
        self.mask, self._column, self._se_at = mask, column, se_at
        self._rule, self._limits = rules_of([interval])[0], np.array(_limits(column))

    def parts(
        self, found: RequestedRows, there: Bools, loops: PartLoops, *, clamp: bool
    ) -> tuple[Ints, Floats, Floats]:
        """The values, and the ends of their intervals; `there`: which rows have them."""
        stored, shape = found.rows, (found.count, self._column.width)
        values, low, high = np.empty(shape, np.int64), np.empty(shape), np.empty(shape)
        loops.fill_list(
            stored.place, stored.numbers, found.expired, self._column.start, self._se_at, self._rule, self._limits, clamp, there,
            values, low, high,
        )  # fmt: skip
        return values, low, high


def _limits(column: ViewColumn) -> tuple[float, float]:
    return -np.inf if column.low is None else column.low, np.inf if column.high is None else column.high


def _table(rows: Sequence[tuple[int, ...]], width: int) -> Ints:
    return np.array(rows, np.int64).reshape(-1, width)


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
