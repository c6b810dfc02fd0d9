"""The metadata of Arrow's record batch messages, of which a schema needs one: for each answer only its numbers are replaced.

A message is the mark ff ff ff ff, the size of its metadata as int32, the metadata (a FlatBuffer, Message.fbs of Arrow), and the
body. Of the FlatBuffer only four places change: the number of rows; a node for each array, with its length and its nulls; a pair
for each buffer, with its offset in the body and its length; and the body's length. pyarrow writes it once, from one row of nulls.
"""

from __future__ import annotations

import io
import struct
from typing import Final

import numpy as np
import pyarrow as pa

from featurestore.define.schema import STATUS, STATUS_NAMES
from featurestore.online.view_rows import Ints

END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""The end of a stream."""
_PREFIX: Final = 8
_HEADER, _BODY_LENGTH = 2, 3
"""Fields of Message.fbs."""
_LENGTH, _NODES, _BUFFERS = 0, 1, 2
"""Fields of RecordBatch."""


class BatchMetadata:
    """The opening of a stream, and the metadata of its batch.

    Args:
        schema: its dictionaries are all those of statuses.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._opening = _opening(schema)
        row = pa.RecordBatch.from_arrays([pa.nulls(1, one.type) for one in schema], schema=schema).serialize()
        message = row.to_pybytes()
        data = bytearray(message[: _PREFIX + struct.unpack_from("<i", message, 4)[0]])
        table = _Table(data, _PREFIX + _offset(data, _PREFIX))
        self._body_at = table.field(_BODY_LENGTH)
        batch = table.table(_HEADER)
        self._rows_at = batch.field(_LENGTH)
        self._nodes, self._buffers = batch.pairs(_NODES), batch.pairs(_BUFFERS)
        self._data = data

    def write(self, rows: int, nodes: tuple[Ints, Ints], buffers: tuple[Ints, Ints], size: int) -> bytes:
        """The bytes of a stream before the body of its batch.

        Args:
            nodes: the length and the nulls of each array.
            buffers: the offset and the length of each buffer.
            size: of the body.
        """
        struct.pack_into("<q", self._data, self._rows_at, rows)
        struct.pack_into("<q", self._data, self._body_at, size)
        self._nodes[:, 0], self._nodes[:, 1] = nodes
        self._buffers[:, 0], self._buffers[:, 1] = buffers
        return self._opening + self._data


class _Table:
    """A table of a FlatBuffer. Its fields are there, because none has its default."""

    def __init__(self, data: bytearray, at: int) -> None:
        self._data, self._at = data, at
        (back,) = struct.unpack_from("<i", data, at)
        self._fields = at - back + 4

    def field(self, number: int) -> int:
        """Where a field is."""
        (at,) = struct.unpack_from("<H", self._data, self._fields + 2 * number)
        return self._at + int(at)

    def table(self, number: int) -> _Table:
        """The table that a field refers to."""
        at = self.field(number)
        return _Table(self._data, at + _offset(self._data, at))

    def pairs(self, number: int) -> Ints:
        """The vector of pairs that a field refers to, int64[N, 2]; writing to it changes the FlatBuffer."""
        at = self.field(number)
        at += _offset(self._data, at)
        count = _offset(self._data, at)
        return np.frombuffer(self._data, "<i8", 2 * count, at + 4).reshape(count, 2)


def _offset(data: bytearray, at: int) -> int:
    (offset,) = struct.unpack_from("<I", data, at)
    return int(offset)


def _opening(schema: pa.Schema) -> bytes:
    """The bytes of a stream before its first batch: the schema and the dictionaries."""
    empty = pa.RecordBatch.from_arrays([_empty(one.type) for one in schema], schema=schema)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(empty)
    return sink.getvalue().removesuffix(empty.serialize().to_pybytes() + END)


def _empty(kind: pa.DataType) -> pa.Array:
    if kind == STATUS:
        return pa.DictionaryArray.from_arrays(pa.array([], pa.int8()), STATUS_NAMES)
    return pa.array([], kind)
