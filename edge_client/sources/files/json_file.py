"""Read a file of JSON records as a table: one object a line (.jsonl, .ndjson, .json), or one array of objects (.json).

As in CSV, no type comes from the data. A value that is not of its column's type is missing, and so is a name that an object lacks:
see `records`. A whole number is text where text is demanded, as for clients 7 and "7". A line that is no object becomes a row of
nulls, which counts as an event without a client. So one client's bytes change the events of this client only. An array is one JSON
value: if it is broken anywhere, its records cannot be separated, and the file is refused.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import EventsError
from ...sandbox import locked_duckdb
from ..records import JsonColumn, JsonKind, RecordReader
from ..streams.stream import MAX_RECORD
from .csv_file import UNTYPED

CHUNK: Final = 2**22
"""Bytes read at a time: enough for vectorised work, although each line is an object of Python."""
MAX_ARRAY: Final = 2**26
"""Most bytes of a file with one array, which is parsed at once."""
_KINDS: Final = {
    pa.string(): JsonKind.TEXT,
    pa.float64(): JsonKind.NUMBER,
    pa.int64(): JsonKind.WHOLE,
    pa.bool_(): JsonKind.BOOLEAN,
}


def json_batches(path: Path, needed: Mapping[str, pa.DataType]) -> Iterator[pa.Table]:
    """The needed columns, many records at a time; at least one batch. Raises EventsError: the array of a file is broken."""
    yield json_schema(needed).empty_table()
    with path.open("rb") as file, locked_duckdb() as db:
        columns = [JsonColumn(name, _KINDS[kind]) for name, kind in needed.items()]
        texts = [JsonColumn(name, JsonKind.WHOLE) for name, kind in needed.items() if pa.types.is_string(kind)]
        reader, numbers = RecordReader(db, columns), RecordReader(db, texts)
        for records in _records(path, file):
            yield _table(records, reader, numbers, needed)


def read_json(path: Path, needed: Mapping[str, pa.DataType]) -> pa.Table:
    """All records of a file, for a person, who is told if there is nothing to read.

    Raises:
        EventsError: as `json_batches`; the file has records, and no value of them can be read.
    """
    table = pa.concat_tables(json_batches(path, needed))
    if table.num_rows and all(column.null_count == table.num_rows for column in table.columns):
        raise EventsError(
            f"{path} holds no events: none of its {table.num_rows:,} records is a JSON object with a value that can be read as one "
            f"of {', '.join(needed)}"
        )
    return table


def first_records(path: Path, most: int) -> list[bytes]:
    """The first records of a file, as bytes. Raises EventsError as `json_batches`."""
    with path.open("rb") as file:
        return list(islice(chain.from_iterable(_records(path, file)), most))


def json_schema(needed: Mapping[str, pa.DataType]) -> pa.Schema:
    """The columns as they are read: JSON has no list of columns, so that all of them are there."""
    return pa.schema(
        [pa.field(name, kind, metadata=UNTYPED if pa.types.is_string(kind) else None) for name, kind in needed.items()]
    )


def _table(
    records: Sequence[bytes], reader: RecordReader, numbers: RecordReader, needed: Mapping[str, pa.DataType]
) -> pa.Table:
    """A row for each record, in their order; a bad one is a row of nulls."""
    found = reader.read(records)
    table = found.table
    if any(pa.types.is_string(kind) and table[name].null_count for name, kind in needed.items()):
        whole = numbers.read(records).table  # the same rows
        for name in whole.column_names:
            texts = pc.coalesce(table[name], whole[name].cast(pa.string()))
            table = table.set_column(table.column_names.index(name), name, texts)
    if found.bad:
        place = np.full(len(records), -1)
        place[found.rows.to_numpy()] = np.arange(table.num_rows)
        table = table.take(pa.array(place, mask=place < 0))
    return table.cast(json_schema(needed))


def _records(path: Path, file: BinaryIO) -> Iterator[list[bytes]]:
    """The records of a file, many at a time. The name .jsonl or .ndjson promises lines, so a first line that is an array is one bad
    record there, and cannot stop the others."""
    return _array(path, file) if path.suffix.lower() == ".json" and _is_array(file) else _lines(file)


def _is_array(file: BinaryIO) -> bool:
    """Whether the first character that is no space is `[`. The file is at its start afterwards."""
    start = file.read(MAX_RECORD).removeprefix(BOM_UTF8).lstrip(b" \t\r\n")
    file.seek(0)
    return start.startswith(b"[")


def _array(path: Path, file: BinaryIO) -> Iterator[list[bytes]]:
    """The elements of an array, many at a time."""
    data = file.read(MAX_ARRAY + 1)
    if len(data) > MAX_ARRAY:
        raise EventsError(f"{path} is one JSON array of more than {MAX_ARRAY:,} bytes; write one object a line instead")
    try:
        text = data.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError:
        raise EventsError(f"{path} cannot be read as JSON: it is not UTF-8") from None
    with locked_duckdb() as db:
        db.register("files", pa.table({"text": [text]}))
        if not db.sql("SELECT json_valid(text) FROM files").fetchall()[0][0]:
            raise EventsError(
                f"{path} cannot be read as JSON: its array is broken. Write one object a line, so that a broken one is left "
                "out alone"
            )
        elements = db.sql("SELECT unnest(json_extract(text, '$[*]')) AS element FROM files").to_arrow_table()
    for batch in elements.to_batches(max_chunksize=65_536):
        yield batch.column(0).cast(pa.string()).cast(pa.binary()).to_pylist()


def _lines(file: BinaryIO) -> Iterator[list[bytes]]:
    """The lines that are not empty, many at a time. Of a line that is too long only its beginning is kept: a bad record."""
    rest = file.read(len(BOM_UTF8)).removeprefix(BOM_UTF8)
    while data := file.read(CHUNK):
        *lines, rest = (rest[: MAX_RECORD + 1] + data).split(b"\n")
        yield _not_empty(lines)
    yield _not_empty(rest.split(b"\n"))


def _not_empty(lines: Sequence[bytes]) -> list[bytes]:
    return [line for line in lines if line and not line.isspace()]
