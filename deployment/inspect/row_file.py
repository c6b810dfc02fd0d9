"""Files of rows: Parquet, or CSV with lists as JSON text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from base.atomic_files import replaced_file
from deployment.errors import UsageError

if TYPE_CHECKING:
    from deployment.in_process.progress import Progress


def require_writable(out: Path, *inputs: Path) -> None:
    """Return if the file can be written and is none of the inputs; called before anything is read. Raises UsageError."""
    if out.suffix.lower() not in (".parquet", ".csv"):
        raise UsageError(f"{out}: rows are written as .parquet or .csv; give the file one of these endings")
    if out.is_dir():
        raise UsageError(f"{out} is a directory; name a file in it")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"{out}: there is no directory {out.absolute().parent}; make it first")
    for path in inputs:
        if out.exists() and path.exists() and out.samefile(path):
            raise UsageError(f"{out} is the input file {path}, which would be replaced; name another file")


def write_rows(batches: Any, schema: pa.Schema, out: Path) -> int:
    """Write tables or record batches to a new file, which appears when it is complete; returns the number of rows."""
    is_parquet = out.suffix.lower() == ".parquet"
    flat = schema if is_parquet else flat_schema(schema)
    rows = 0
    with (
        replaced_file(out, private=False, durable=False) as file,
        (pq.ParquetWriter if is_parquet else csv.CSVWriter)(file, flat) as writer,
    ):
        for batch in batches:
            rows += batch.num_rows
            table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
            # a table becomes a row group at once, so no batch is kept in memory
            writer.write_table(table if flat is schema else flat_rows(table, flat))
    return rows


def flat_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of a CSV file, which has JSON text for lists."""
    return pa.schema([pa.field(f.name, pa.string() if pa.types.is_nested(f.type) else _plain(f.type)) for f in schema])


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def flat_rows(batch: Any, schema: pa.Schema) -> Any:
    """The rows of a table or a batch in the schema of a CSV file."""
    columns = [
        pa.array([None if v is None else json.dumps(v) for v in column.to_pylist()], pa.string())
        if pa.types.is_nested(column.type)
        else column.cast(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return type(batch).from_arrays(columns, schema=schema)


def stored_rows(labels: Path) -> int:
    """The number of rows in a Parquet file's metadata; 0 for other files."""
    return pq.read_metadata(labels).num_rows if labels.suffix.lower() == ".parquet" else 0


def counted(
    batches: Iterable[pa.RecordBatch], total: int, progress: Progress, step: str = "join"
) -> Iterator[pa.RecordBatch]:
    """The batches; a bar counts them after they are written. An unknown total is the number so far."""
    done = 0
    for batch in batches:
        yield batch
        done += batch.num_rows
        progress("labels", step, done, max(total, done))
