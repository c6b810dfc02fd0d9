"""Answers as Arrow IPC streams of one batch, with the columns of `AnswerTable`, made without an Arrow array for each column.

An answer of ten features has 60 columns and over 100 buffers. pyarrow takes microseconds for each of them, but their numbers are
rows of a few numpy arrays (`featurestore.read.feature_columns`). So each of these arrays is a section of the message's body as it
is, and offsets and lengths of all buffers are computed together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.online.view_rows import Ints

from .answer import AnswerTable
from .batch_metadata import END, BatchMetadata
from .feature_columns import CODES, MASKS, ColumnPlace, nulls_of
from .request import Reading

MAX_LAYOUTS: Final = 16
"""The most layouts that are remembered: they differ only in the types of columns that are no join keys."""
_ALIGNED: Final = 8
_ABSENT: Final = 0
"""The section of a buffer that is never there."""
_PADDING: Final = tuple(bytes(size) for size in range(_ALIGNED))

Arrays = Mapping[str, pa.Array]


class AnswerStream:
    """Writes the answers of one plan."""

    def __init__(self, table: AnswerTable) -> None:
        self._table = table
        self._layouts: dict[tuple[tuple[str, pa.DataType], ...], _Layout] = {}

    def write(self, given: Arrays, reading: Reading) -> bytes:
        """The answer's bytes, not clamped.

        Args:
            given: join keys and inputs.

        Raises:
            BadReference: a missing or wrongly typed input, or two columns of one name. OnDemandFailed.
        """
        loose = self._table.loose(given, reading)
        key = tuple((name, array.type) for name, array in given.items())
        layout = self._layouts.get(key)
        if layout is None:
            layout = _Layout(self._table, loose, self._table.columns(given, reading, clamp=False))
            if len(self._layouts) >= MAX_LAYOUTS:
                self._layouts.clear()
            self._layouts[key] = layout
        body = _Body()
        for array in loose.values():
            body.add_array(array)
        for view, _, features in self._table.views:
            body.add_parts(features.parts(reading.rows(view), clamp=False))
        return layout.write(body, reading.count)


class _Body:
    """The sections of a body, and the nulls of arrays and masks. A section is one buffer, or one of each of its rows."""

    def __init__(self) -> None:
        self.pieces: list[Any] = []
        self.size = 0
        self.starts, self.strides, self.lengths, self.nulls = [0], [0], [0], [0]

    def add_array(self, array: pa.Array) -> None:
        """Add the buffers of an array that is not nested."""
        self.nulls.append(array.null_count)
        for buffer in _buffers(array):
            data = b"" if buffer is None else buffer
            self._add(data, len(data), len(data))

    def add_parts(self, parts: Sequence[npt.NDArray[Any]]) -> None:
        """Add the parts of a view."""
        for at, part in enumerate(parts):
            if at == MASKS:
                self.nulls += nulls_of(part).tolist()
                self._add_rows(np.packbits(part, axis=1, bitorder="little"))
            elif at == CODES:
                self._add_rows(part)
            else:
                row = part.nbytes if at > CODES else part.shape[1] * part.itemsize
                self._add(part, part.nbytes, row)

    def _add_rows(self, rows: npt.NDArray[np.uint8]) -> None:
        """Add a section whose rows are padded."""
        count, length = rows.shape
        stride = -(-length // _ALIGNED) * _ALIGNED
        if stride != length:
            padded = np.zeros((count, stride), np.uint8)
            padded[:, :length] = rows
            rows = padded
        self._add(rows, rows.nbytes, length, stride)

    def _add(self, data: Any, size: int, length: int, stride: int | None = None) -> None:
        self.starts.append(self.size)
        self.lengths.append(length)
        self.strides.append(length if stride is None else stride)
        padding = -size % _ALIGNED
        self.pieces += (data, _PADDING[padding])
        self.size += size + padding


class _Layout:
    """Where the columns of answers are in their bodies.

    Args:
        loose: the columns of one answer that are no stored features.
        columns: all columns of that answer.
    """

    def __init__(self, table: AnswerTable, loose: Arrays, columns: Arrays) -> None:
        self._nodes: list[tuple[int, int]] = []
        """Of each array the place of its nulls, and its cells a row."""
        self._buffers: list[tuple[int, int]] = []
        """Of each buffer its section and row. A bitmap is there without nulls, too, which Arrow permits."""
        section, nulls = _ABSENT + 1, 1
        arrays: dict[str, tuple[int, int]] = {}
        for name, array in loose.items():
            arrays[name] = section, nulls
            section, nulls = section + len(_buffers(array)), nulls + 1
        places: dict[str, tuple[ColumnPlace, int, int]] = {}
        for _, _, features in table.views:
            for some in (*features.places, features.times):
                places |= {one.name: (one, section, nulls) for one in some}
            section, nulls = section + features.parts_made, nulls + features.masks_made
        for name, array in columns.items():
            if name in places:
                self._add_place(*places[name])
            else:
                self._add_array(array, *arrays[name])
        self._metadata = BatchMetadata(pa.schema([(name, array.type) for name, array in columns.items()]))
        self._nulls_at, self._cells = _columns_of(self._nodes)
        self._section, self._row = _columns_of(self._buffers)

    def _add_array(self, array: pa.Array, section: int, nulls: int) -> None:
        self._nodes.append((nulls, 1))
        self._buffers += [(section + i, 0) for i in range(len(_buffers(array)))]

    def _add_place(self, place: ColumnPlace, section: int, nulls: int) -> None:
        """Add a column of a view, whose sections and nulls begin there."""
        if place.mask is None:
            self._nodes.append((0, 1))
            self._buffers.append((_ABSENT, 0))
        else:
            self._nodes.append((nulls + place.mask, 1))
            self._buffers.append((section + MASKS, place.mask))
        if place.width:
            self._nodes.append((0, place.width))
            self._buffers.append((_ABSENT, 0))
        self._buffers.append((section + place.part, place.row))

    def write(self, body: _Body, rows: int) -> bytes:
        """The bytes of the stream."""
        starts, strides, lengths, nulls = (
            np.array(one, np.int64) for one in (body.starts, body.strides, body.lengths, body.nulls)
        )
        opening = self._metadata.write(
            rows,
            (rows * self._cells, nulls[self._nulls_at]),
            (starts[self._section] + self._row * strides[self._section], lengths[self._section]),
            body.size,
        )
        return b"".join((opening, *body.pieces, END))


def _columns_of(rows: Sequence[tuple[int, ...]]) -> Ints:
    return np.array(rows, np.int64).T.copy()


def _buffers(array: pa.Array) -> list[pa.Buffer | None]:
    """The buffers that a message has of an array that is not nested; of nulls there are none."""
    return [] if pa.types.is_null(array.type) else array.buffers()
