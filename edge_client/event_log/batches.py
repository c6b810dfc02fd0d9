"""Batches of events as a log stores them: Arrow tables with one schema for the whole log, in compressed IPC streams.

The schema grows: a batch may bring new columns, and columns of wider types. Batches of earlier schemas are read as the newest one:
a column that they lack is null. If a batch brings a type to which the older one cannot be widened, such as text after numbers, the
schema has a new *form*: the column is null for events of earlier forms, whose batches stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import EventColumnError, EventsError
from ..events import event_times, plain_values, require_column
from .bad_records import BadReason, BadRecord
from .merging import MOST_BYTES, MOST_ROWS

if TYPE_CHECKING:
    import pandas as pd

TIME_TYPE: Final = pa.timestamp("us", "UTC")
MOST_COLUMNS: Final = 1_000
_SHOWN: Final = 100
"""Rows of one batch without client or time that are kept aside. All of them are counted."""
_COMPRESSED: Final = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
_PLAIN: Final = pa.ipc.IpcWriteOptions(use_threads=False)
_SMALL: Final = 2**13
"""Bytes below which a batch is not compressed: that takes longer than all else, and it will be merged with others."""

BatchLike: TypeAlias = "pa.Table | pa.RecordBatch | pd.DataFrame | list[dict[str, Any]]"
"""What a program can append."""


@dataclass(frozen=True)
class Usable:
    """The events of a batch that can be used, and the records that are kept aside.

    Attributes:
        table: with each column plain, and the time as `TIME_TYPE`; neither clients nor times are null.
        bad: those of the first records without a client or a time; refused: how many there are.
    """

    table: pa.Table
    bad: tuple[BadRecord, ...]
    refused: int


def as_table(batch: BatchLike) -> pa.Table:
    """A table from what a program appends: a Table, RecordBatch or DataFrame, or a list of dicts.

    Raises:
        EventsError: it is something else, its values fit no common type, or it has too many columns.
    """
    if isinstance(batch, pa.RecordBatch):
        batch = pa.Table.from_batches([batch])
    elif not isinstance(batch, pa.Table):
        batch = _converted(batch)
    if batch.num_columns > MOST_COLUMNS:
        raise EventsError(f"a batch has {batch.num_columns:,} columns; an event log takes {MOST_COLUMNS:,}")
    for name in batch.column_names:
        require_column(batch, name)
    return batch


def usable(table: pa.Table, client: str, time: str) -> Usable:
    """The events of a table that have a client and a time.

    Raises:
        EventsError: a column is missing. EventColumnError: ids of clients or times have another type.
    """
    for name in (client, time):
        require_column(table, name)
    columns = {name: plain_values(table.column(name)) for name in table.column_names}
    _require_ids(client, columns[client].type)
    times = _times(table, time, columns[time])
    columns[time] = times
    plain = pa.table(columns)
    if times.null_count == 0 and columns[client].null_count == 0:
        return Usable(plain, (), 0)
    has_client = columns[client].is_valid()
    good = pc.and_(has_client, times.is_valid())
    refused = np.flatnonzero(~good.to_numpy(zero_copy_only=False))
    without_client = ~has_client.to_numpy(zero_copy_only=False)
    shown = refused[:_SHOWN]
    bad = tuple(
        BadRecord(BadReason.NO_CLIENT if without_client[at] else BadReason.NO_TIME, _as_bytes(row), "append")
        for at, row in zip(shown.tolist(), table.take(pa.array(shown)).to_pylist(), strict=True)
    )
    return Usable(plain.filter(good), bad, len(refused))


def grown(schema: pa.Schema, table: pa.Table) -> tuple[pa.Schema, bool]:
    """The schema of a log after this batch, and whether it has another form.

    Raises:
        EventsError: the log would have too many columns.
    """
    fields, reformed = {field.name: field for field in schema}, False
    for name, column in zip(table.column_names, table.columns, strict=True):
        known = fields[name].type if name in fields else pa.null()
        wider = _wider(known, column.type)
        reformed |= wider is None
        fields[name] = pa.field(name, column.type if wider is None else wider)
    if len(fields) > MOST_COLUMNS:
        raise EventsError(f"the event log would have {len(fields):,} columns; it takes {MOST_COLUMNS:,}")
    return pa.schema(list(fields.values())), reformed


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The same rows with these columns and types; null where a column is missing or a value does not fit."""
    if table.schema.equals(schema):
        return table
    columns = [
        _cast(table.column(field.name), field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def pieces(table: pa.Table) -> Iterator[pa.Table]:
    """The rows in pieces that fit into one batch each."""
    fitting = max(1, int(table.num_rows * MOST_BYTES / max(table.nbytes, 1)))
    rows = min(MOST_ROWS, fitting)
    return (table.slice(start, rows) for start in range(0, table.num_rows, rows))


def encoded(table: pa.Table) -> bytes:
    """The stored form of a batch."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=_COMPRESSED if table.nbytes >= _SMALL else _PLAIN) as writer:
        writer.write_table(table.combine_chunks())
    data: bytes = sink.getvalue().to_pybytes()
    return data


def decoded(data: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """The batch of a stored form.

    Args:
        columns: those to read; None: all.

    Raises:
        pa.ArrowInvalid, OSError: it is damaged.
    """
    options = pa.ipc.IpcReadOptions(use_threads=False)
    if columns is not None:
        wanted = set(columns)
        names = pa.ipc.open_stream(data).schema.names
        included = [at for at, name in enumerate(names) if name in wanted]
        options = pa.ipc.IpcReadOptions(included_fields=included, use_threads=False)
    with pa.ipc.open_stream(data, options=options) as reader:
        return reader.read_all()


def stored_schema(schema: pa.Schema) -> bytes:
    """The stored form of a schema."""
    data: bytes = schema.serialize().to_pybytes()
    return data


def read_schema(data: bytes) -> pa.Schema:
    """The schema of its stored form. Raises pa.ArrowInvalid, OSError: it is damaged."""
    return pa.ipc.read_schema(pa.py_buffer(data))


def _converted(batch: Any) -> pa.Table:
    try:
        if hasattr(batch, "columns") and hasattr(batch, "iloc"):  # a DataFrame, without an import of pandas
            return pa.Table.from_pandas(batch, preserve_index=False)
        if isinstance(batch, list):
            names = dict.fromkeys(name for row in batch for name in row)
            if not all(isinstance(name, str) for name in names):
                raise EventsError("the names of columns are text")
            return pa.table({name: pa.array([row.get(name) for row in batch]) for name in names})
    except (
        pa.ArrowInvalid,
        pa.ArrowTypeError,
        pa.ArrowNotImplementedError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:
        quoted = (str(error).splitlines() or [""])[0]
        raise EventsError(f"a batch cannot be read as columns: {quoted}", quoted) from None
    raise EventsError(f"a batch is a Table, RecordBatch or DataFrame, or a list of dicts, not {type(batch).__name__}")


def _require_ids(client: str, kind: pa.DataType) -> None:
    if not (
        pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_null(kind)
    ):
        raise EventColumnError(client, f"ids must be text or whole numbers, not {kind}")


def _times(table: pa.Table, name: str, values: pa.Array) -> pa.Array:
    if pa.types.is_null(values.type):
        return values.cast(TIME_TYPE)
    times = event_times(table, name, strict=False)
    return pa.array(times.us, pa.int64(), mask=~times.valid).cast(TIME_TYPE)


def _wider(old: pa.DataType, new: pa.DataType) -> pa.DataType | None:
    """A type that holds the values of both; None: there is none. Ids keep their kind: text does not become bytes."""
    if old == new or pa.types.is_null(new):
        return old
    if pa.types.is_null(old):
        return new
    if not _alike(old, new):
        return None
    try:
        merged = pa.unify_schemas(
            [pa.schema([pa.field("c", old)]), pa.schema([pa.field("c", new)])], promote_options="permissive"
        )
    except (pa.ArrowTypeError, pa.ArrowInvalid):  # the second one: no decimal has so many digits
        return None
    return merged.field(0).type


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    try:
        if _alike(column.type, kind):
            return column.cast(kind, safe=not pa.types.is_floating(kind))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    return pa.chunked_array([pa.nulls(len(column), kind)])


def _alike(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether values of one type may be read as the other."""
    if pa.types.is_string(one) or pa.types.is_large_string(one):
        return bool(pa.types.is_string(other) or pa.types.is_large_string(other))
    if pa.types.is_integer(one) and pa.types.is_integer(other):
        return bool(pa.types.is_signed_integer(one) == pa.types.is_signed_integer(other))
    return (_is_number(one) and _is_number(other)) or bool(pa.types.is_temporal(one) and pa.types.is_temporal(other))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _as_bytes(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, default=str, ensure_ascii=False).encode(errors="replace")
