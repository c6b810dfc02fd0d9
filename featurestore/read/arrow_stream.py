"""Tables as the bytes of an Arrow IPC stream, written as they are read; and published panes as such a table."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Final

import pyarrow as pa

from featurestore.registry.watch import Published

CHUNK: Final = 2**18
"""The size of a part of the stream, in bytes; a part may hold a batch more."""

MAX_SCHEMAS: Final = 16
"""Schemas that a writer remembers: they differ only in the types of columns that are no join keys."""
_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"

_PUBLISHED: Final = pa.schema(
    [
        ("view", pa.string()),
        ("version", pa.int64()),
        ("seq", pa.int64()),
        ("release_id", pa.binary()),
        ("pane_start", pa.int64()),
        ("pane_end", pa.int64()),
        ("released_at", pa.int64()),
        ("published_at", pa.int64()),
        ("state", pa.string()),
        ("reason", pa.string()),
    ]
)


def ipc_bytes(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """The bytes of an IPC stream in parts of `CHUNK` bytes or a batch more."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            if sink.tell() >= CHUNK:
                yield sink.getvalue()
                sink.seek(0)
                sink.truncate()
    yield sink.getvalue()


class BatchWriter:
    """Writes tables of few rows, each as a stream of one batch. Their common schema and dictionaries are made once."""

    def __init__(self) -> None:
        self._written: dict[tuple[tuple[str, pa.DataType], ...], tuple[pa.Schema, bytes]] = {}

    def write(self, columns: Mapping[str, pa.Array]) -> bytes:
        """The bytes of an IPC stream.

        Args:
            columns: dictionaries are those of the first table with the same names and types.
        """
        names = tuple((name, array.type) for name, array in columns.items())
        known = self._written.get(names)
        if known is None:
            if len(self._written) >= MAX_SCHEMAS:
                self._written.clear()
            known = self._written[names] = _opening(columns)
        schema, opening = known
        return b"".join((opening, pa.RecordBatch.from_arrays(list(columns.values()), schema=schema).serialize(), _END))


def _opening(columns: Mapping[str, pa.Array]) -> tuple[pa.Schema, bytes]:
    """The schema, and the bytes of a stream before its first batch."""
    empty = pa.RecordBatch.from_pydict({name: array.slice(0, 0) for name, array in columns.items()})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, empty.schema) as writer:
        writer.write_batch(empty)
    return empty.schema, sink.getvalue().removesuffix(empty.serialize().to_pybytes() + _END)


def published_table(rows: Iterable[Published]) -> pa.Table:
    """Published panes as a table."""
    return pa.Table.from_pylist([asdict(one) for one in rows], _PUBLISHED)


def published_of(table: pa.Table) -> list[Published]:
    """The inverse of `published_table`. Raises TypeError or ValueError: it is another table."""
    if table.schema != _PUBLISHED:
        raise ValueError("not a table of published panes")
    return [Published(**row) for row in table.to_pylist()]
