"""The Arrow columns of the requested features of one view, made together.

A feature has about six columns, and numpy and Arrow take some microseconds for each of their calls. So numbers, statuses and
intervals of all features are computed by one call each, and every column is a part of one buffer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.define.decoded import n_is_there, value_is_there
from featurestore.define.interval import Intervals
from featurestore.define.schema import STATUS, STATUS_NAMES, TIMESTAMP, masked_floats
from featurestore.online.view_rows import ViewColumn, ViewRows

from .request import RequestedColumn, RequestedRows

_FLOAT: Final = pa.float64()
_WHOLE: Final = pa.int64()

Bools = npt.NDArray[np.bool_]
Columns: TypeAlias = list[tuple[str, pa.Array]]
"""Columns with their names, in order."""


class FeatureColumns:
    """The columns of some features of one view: of each its value, `__se`, `__lo`, `__hi`, `__n` (Mean, Rate) and `__status`."""

    def __init__(self, view: ViewRows, features: Sequence[RequestedColumn]) -> None:
        self._view, self._features = view, features
        columns = [one.column for one in features]
        self._status = _places(one.status or 0 for one in columns)
        self._se = _places(self._companion(one, "se").start for one in columns)
        self._scalars = [i for i, one in enumerate(columns) if not one.is_list]
        scalars = [columns[i] for i in self._scalars]
        self._values = _places(one.start for one in scalars)
        self._low = np.array([[-np.inf if one.low is None else one.low] for one in scalars])
        self._high = np.array([[np.inf if one.high is None else one.high] for one in scalars])
        self._scalar_at = {i: at for at, i in enumerate(self._scalars)}
        ends = [self._companion(one, "lo").end for one in scalars]
        self._intervals = Intervals([end.interval for end in ends if end is not None])
        counts = [view.columns.get(f"{one.name}__n") for one in columns]
        self._counted = [i for i, n in enumerate(counts) if n is not None]
        self._counted_at = {i: at for at, i in enumerate(self._counted)}
        self._counts = _places(n.start for n in counts if n is not None)

    def _companion(self, column: ViewColumn, kind: str) -> ViewColumn:
        return self._view.columns[f"{column.name}__{kind}"]

    def arrays(self, found: RequestedRows, *, clamp: bool) -> list[Columns]:
        """The columns of each feature, with their names in the answer.

        Args:
            clamp: whether values and intervals are limited to the range that they can have.
        """
        count, place = len(found.has_row), found.rows.place
        codes = np.ascontiguousarray(found.codes.T[self._status])
        there = value_is_there(codes)
        bitmaps = _Bitmaps(there)
        rows = found.rows.numbers.take(place, axis=0).T
        se = rows[self._se]
        values = rows[self._values]
        low, high = self._intervals.bounds(values, se[self._scalars])
        if clamp:
            values, low, high = (np.clip(one, self._low, self._high) for one in (values, low, high))
        counted = n_is_there(codes[self._counted])
        counts_there = _Bitmaps(counted)
        counts = np.where(counted, rows[self._counts], 0.0).astype(np.int64)
        if clamp:
            counts = np.maximum(counts, 0)
        whole = np.where(there[self._scalars], values, 0.0).astype(np.int64)
        statuses = codes.view(np.int8)
        made = []
        for i, one in enumerate(self._features):
            name, column, bitmap = one.name, one.column, bitmaps[i]
            at = self._scalar_at.get(i)
            if at is None:
                value, ends = self._list(column, found, there[i], clamp=clamp)
            else:
                value = _array(_WHOLE, whole[at], bitmap) if column.integer else _array(_FLOAT, values[at], bitmap)
                ends = [_array(_FLOAT, low[at], bitmap), _array(_FLOAT, high[at], bitmap)]
            columns = [(name, value), (f"{name}__se", _array(_FLOAT, se[i], bitmap))]
            columns += zip((f"{name}__lo", f"{name}__hi"), ends, strict=True)
            if (n := self._counted_at.get(i)) is not None:
                columns.append((f"{name}__n", _array(_WHOLE, counts[n], counts_there[n])))
            status = pa.DictionaryArray.from_buffers(
                STATUS, count, [None, pa.py_buffer(statuses[i])], STATUS_NAMES, null_count=0
            )
            made.append([*columns, (f"{name}__status", status)])
        return made

    def times(self, found: RequestedRows) -> Columns:
        """The times of the view's rows; null where a key has no row."""
        header, bitmap = self._view.header, _Bitmaps(found.has_row[None, :])[0]
        moments = {"pane_end": header.pane_end, "released_at": header.released_at}
        return [
            (f"{header.view}__{name}", _array(TIMESTAMP, np.full(len(found.has_row), moment or 0), bitmap))
            for name, moment in moments.items()
        ]

    def _list(
        self, column: ViewColumn, found: RequestedRows, there: Bools, *, clamp: bool
    ) -> tuple[pa.Array, list[pa.Array]]:
        """The value of a list, and the ends of its interval."""
        low = self._companion(column, "lo")
        values = found.numbers(column)
        ends = [] if low.end is None else list(found.bounds(low, low.end))
        if clamp:
            values, *ends = (np.clip(one, column.low, column.high) for one in (values, *ends))
        whole = np.where(there[:, None], values, 0.0).astype(np.int64)
        hidden = ~there
        shown = pa.FixedSizeListArray.from_arrays(pa.array(whole.reshape(-1)), column.width, mask=pa.array(hidden))
        return shown, [masked_floats(one, hidden) for one in ends]


class _Bitmaps:
    """Arrow's bitmaps of the rows that are there: bool[columns, N]."""

    def __init__(self, there: Bools) -> None:
        count = there.shape[1]
        self._nulls = (count - np.count_nonzero(there, axis=1)).tolist()
        self._bits = np.packbits(there, axis=1, bitorder="little")

    def __getitem__(self, at: int) -> tuple[pa.Buffer | None, int]:
        """The bitmap of a column, None if no row is null, and how many rows are null."""
        nulls = self._nulls[at]
        return (pa.py_buffer(self._bits[at]) if nulls else None), nulls


def _array(
    kind: pa.DataType, numbers: npt.NDArray[np.float64] | npt.NDArray[np.int64], bitmap: tuple[pa.Buffer | None, int]
) -> pa.Array:
    bits, nulls = bitmap
    return pa.Array.from_buffers(kind, len(numbers), [bits, pa.py_buffer(numbers)], nulls)


def _places(places: Iterable[int]) -> npt.NDArray[np.int64]:
    return np.array(list(places), dtype=np.int64)
