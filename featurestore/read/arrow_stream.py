"""Tables as the bytes of an Arrow IPC stream, written as they are read; and published panes as such a table."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Final

import pyarrow as pa

from featurestore.registry.watch import Published

CHUNK: Final = 2**18
"""The size of a part of the stream, in bytes; a part may hold a batch more."""

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


def published_table(rows: Iterable[Published]) -> pa.Table:
    """Published panes as a table."""
    return pa.Table.from_pylist([asdict(one) for one in rows], _PUBLISHED)


def published_of(table: pa.Table) -> list[Published]:
    """The inverse of `published_table`. Raises TypeError or ValueError: it is another table."""
    if table.schema != _PUBLISHED:
        raise ValueError("not a table of published panes")
    return [Published(**row) for row in table.to_pylist()]
