"""Read a Parquet file of events as a table: the columns that the views need, with the types that they have in the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa

from ...errors import EventsError
from .csv_file import require_columns

BATCH_ROWS: Final = 2**18
"""Rows of a batch: enough for vectorised work, and a few megabytes a column."""


def read_parquet(path: Path, columns: list[str]) -> pa.Table:
    """The columns of all rows. Raises EventsError."""
    import pyarrow.parquet as pq

    with _parquet_errors(path), pq.ParquetFile(path) as file:
        require_columns(path, columns, file.schema_arrow.names)
        return file.read(columns=columns)


def parquet_batches(path: Path, columns: list[str]) -> Iterator[pa.Table]:
    """The columns, many rows at a time; at least one batch. Raises EventsError."""
    import pyarrow.parquet as pq

    with _parquet_errors(path), pq.ParquetFile(path) as file:
        require_columns(path, columns, file.schema_arrow.names)
        yield file.schema_arrow.empty_table().select(columns)
        for batch in file.iter_batches(BATCH_ROWS, columns=columns):
            yield pa.Table.from_batches([batch])


def parquet_schema(path: Path, columns: list[str]) -> pa.Table:
    """The columns without a row. Raises EventsError."""
    import pyarrow.parquet as pq

    with _parquet_errors(path):
        schema = pq.read_schema(path)
    require_columns(path, columns, schema.names)
    return schema.empty_table().select(columns)


def parquet_names(path: Path) -> list[str]:
    """The names of the columns. Raises EventsError."""
    import pyarrow.parquet as pq

    with _parquet_errors(path):
        return list(pq.read_schema(path).names)


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        quoted = str(error).splitlines()[0]
        raise EventsError(f"{path} cannot be read as Parquet: {quoted}", quoted) from None
