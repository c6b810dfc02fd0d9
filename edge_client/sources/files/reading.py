"""Read the files of a site's events, one by one or as one table.

All files are of one kind, and each needed column has one type in all of them. Files are read in order of their paths, so that
events of one time keep one order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from featurestore.define.definitions import FeatureView

from ...errors import EventFilesAway, EventsError
from ...events import plain_type, plain_values
from ..needed import needed_columns
from .csv_file import csv_batches, csv_schema, read_csv
from .json_file import json_batches, json_schema, read_json
from .parquet_file import parquet_batches, parquet_schema, read_parquet
from .paths import event_files, file_kind

_Found = TypeVar("_Found")

Columns = Mapping[str, pa.DataType]
"""Columns of a file, each with its type where the file has none."""


def read_events(
    path: Path, views: Iterable[FeatureView], client_column: str, time_column: str, site_column: str | None
) -> pa.Table:
    """Read the columns that the views need as one table, for a person at the events, who is told what is odd. A site must not
    reveal this by its answer, and reads by `file_batches`.

    Args:
        path: see `paths.event_files`.

    Raises:
        EventsError: as `paths.event_files`; a file is unreadable, lacks a needed column, or has another type for it than the files
            before; there is no event at all, or a column of a CSV file has no readable value.
    """
    needed = needed_columns(views, client_column, time_column, site_column)

    def read(file: Path) -> pa.Table:
        match file_kind(file):
            case "CSV":
                return read_csv(file, needed)
            case "JSON":
                return read_json(file, needed)
        return read_parquet(file, list(needed))

    files = event_files(path)
    table = one_table(files, [opened(file, read) for file in files])
    if table.num_rows == 0:
        raise EventsError(f"{path} holds no events")
    return table


def file_batches(file: Path, columns: Columns) -> Iterator[pa.Table]:
    """The columns of a file, many rows at a time; at least one batch. An odd value of a file without types is missing, and an odd
    row is an event without a client: see `csv_file` and `json_file`.

    Raises:
        EventsError: the file is unreadable, or lacks a column.
    """
    match file_kind(file):
        case "CSV":
            return csv_batches(file, columns)
        case "JSON":
            return json_batches(file, columns)
    return parquet_batches(file, list(columns))


def file_schema(file: Path, columns: Columns) -> pa.Table:
    """The columns of a file without a row. No value is read. Raises EventsError as `file_batches`."""
    match file_kind(file):
        case "CSV":
            return csv_schema(file, columns)
        case "JSON":
            return json_schema(columns).empty_table()
    return parquet_schema(file, list(columns))


def one_table(files: Sequence[Path], tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of the tables of these files. Text of any encoding is one type, and a column of nulls fits any.

    Raises:
        EventsError: a column has two types.
    """
    if len(tables) == 1:
        return tables[0]
    types: dict[str, tuple[pa.DataType, Path]] = {}
    plain = []
    for file, table in zip(files, tables, strict=True):
        for field in table.schema:
            kind = plain_type(field.type)
            if pa.types.is_null(kind):
                continue
            first, where = types.setdefault(field.name, (kind, file))
            if kind != first:
                raise EventsError(
                    f"{file}, column {field.name!r}: its type is {kind}, but in {where} it is {first}. Write all files with one "
                    "type for each column"
                )
        plain.append(plain_table(table))
    return pa.concat_tables(plain, promote_options="default")


def plain_table(table: pa.Table) -> pa.Table:
    """The same rows, with one type for text of any encoding."""
    fields = [field.with_type(plain_type(field.type)) for field in table.schema]
    return pa.table([plain_values(column) for column in table.columns], pa.schema(fields))


def opened(file: Path, read: Callable[[Path], _Found]) -> _Found:
    """What `read` finds in a file. Raises EventFilesAway: it cannot be opened."""
    try:
        return read(file)
    except FileNotFoundError:
        raise EventFilesAway(f"{file} vanished before it was read") from None
    except OSError as error:
        raise EventFilesAway(f"{file} cannot be read: {error.strerror or error}") from None
