"""Read the files of a site's events as one table.

All files are of one kind, and each needed column has one type in all of them. Files are read in order of their
paths, so that events of one time keep one order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

import pyarrow as pa

from featurestore.define.definitions import FeatureView

from ...errors import EventsError
from ...events import plain_type, plain_values
from ..needed import needed_columns
from .cache import EventCache
from .csv_file import csv_schema, read_csv
from .json_file import json_schema, read_json
from .parquet_file import parquet_schema, read_parquet
from .paths import event_files, file_kind


def read_events(
    path: Path,
    views: Iterable[FeatureView],
    client_column: str,
    time_column: str,
    site_column: str | None,
    *,
    strict: bool = True,
    cache: EventCache | None = None,
) -> pa.Table:
    """Read the columns that the views need.

    Args:
        path: see `paths.event_files`.
        strict: no event at all raises an error, and so does a CSV column of a file without a readable value. False on a site,
            whose answer must not reveal what its events hold. In both cases an odd value of a CSV file is missing, and an
            odd row is an event without a client: see `csv_file`.
        cache: has the files that were read before.

    Raises:
        EventsError: as `paths.event_files`; a file is unreadable, lacks a needed column, or has another type for it than the files
            before; see also `strict`.
    """
    needed = needed_columns(views, client_column, time_column, site_column)

    def read(file: Path) -> pa.Table:
        match file_kind(file):
            case "CSV":
                return read_csv(file, needed, strict=strict)
            case "JSON":
                return read_json(file, needed, strict=strict)
        return read_parquet(file, list(needed))

    table = _one_table(_listed(path, cache), _through(cache, ("rows", strict, *needed.items()), read))
    if table.num_rows == 0 and strict:
        raise EventsError(f"{path} holds no events")
    return table


def read_schema(
    path: Path, views: Iterable[FeatureView], client_column: str, time_column: str, *, cache: EventCache | None = None
) -> pa.Table:
    """The columns that the views need, without a row. No value is read. Raises EventsError as `read_events`."""
    needed = needed_columns(views, client_column, time_column)

    def read(file: Path) -> pa.Table:
        match file_kind(file):
            case "CSV":
                return csv_schema(file, needed)
            case "JSON":
                return json_schema(needed).empty_table()
        return parquet_schema(file, list(needed))

    return _one_table(_listed(path, cache), _through(cache, ("schema", *needed.items()), read))


def _listed(path: Path, cache: EventCache | None) -> list[Path]:
    files: list[Path] = []
    try:
        files = event_files(path)
    finally:
        if cache is not None:
            cache.forget_all_but(files)
    return files


def _through(
    cache: EventCache | None, columns: Hashable, read: Callable[[Path], pa.Table]
) -> Callable[[Path], pa.Table]:
    return read if cache is None else lambda file: cache.read(file, columns, read)


def _one_table(files: list[Path], read: Callable[[Path], pa.Table]) -> pa.Table:
    """The rows of all files. Raises EventsError: a column has two types; text of any encoding is one, a column of nulls is any."""
    if len(files) == 1:
        return _read(files[0], read)
    types: dict[str, tuple[pa.DataType, Path]] = {}
    tables = []
    for file in files:
        table = _read(file, read)
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
        fields = [field.with_type(plain_type(field.type)) for field in table.schema]
        tables.append(pa.table([plain_values(column) for column in table.columns], pa.schema(fields)))
    return pa.concat_tables(tables, promote_options="default")


def _read(file: Path, read: Callable[[Path], pa.Table]) -> pa.Table:
    try:
        return read(file)
    except FileNotFoundError:
        raise EventsError(f"{file} vanished before it was read") from None
    except OSError as error:
        raise EventsError(f"{file} cannot be read: {error.strerror or error}") from None
