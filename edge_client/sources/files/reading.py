"""Read the files of a site's events as one table.

All files are of one kind, .parquet or .csv, and each needed column has one type in all of them. Files are read in order of their
paths, so that events of one time keep one order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa

from featurestore.define.definitions import FeatureView

from ...errors import EventsError
from ...events import column_types, plain_type, plain_values
from .cache import EventCache
from .csv_file import csv_schema, read_csv, require_columns
from .paths import event_files, is_csv

_CSV_TYPES: Final = {
    "number": pa.float64(),
    "text": pa.string(),
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
}


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
    needed = _needed(views, client_column, time_column, site_column)

    def read(file: Path) -> pa.Table:
        return read_csv(file, needed, strict=strict) if is_csv(file) else _read_parquet(file, list(needed))

    table = _one_table(event_files(path), _through(cache, ("rows", strict, *needed.items()), read))
    if table.num_rows == 0 and strict:
        raise EventsError(f"{path} holds no events")
    return table


def read_schema(
    path: Path, views: Iterable[FeatureView], client_column: str, time_column: str, *, cache: EventCache | None = None
) -> pa.Table:
    """The columns that the views need, without a row. No value is read. Raises EventsError as `read_events`."""
    needed = _needed(views, client_column, time_column, None)

    def read(file: Path) -> pa.Table:
        return csv_schema(file, needed) if is_csv(file) else _parquet_schema(file, list(needed))

    return _one_table(event_files(path), _through(cache, ("schema", *needed.items()), read))


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


def _needed(
    views: Iterable[FeatureView], client_column: str, time_column: str, site_column: str | None
) -> dict[str, pa.DataType]:
    """Every column to read, with its type for the CSV reader: text if its uses demand several types."""
    uses: dict[str, set[pa.DataType]] = {client_column: {pa.string()}}
    if site_column is not None:
        uses.setdefault(site_column, set()).add(pa.string())
    for view in views:
        if not view.entity.constant:
            for column, key_type in zip(view.entity.columns, view.entity.types, strict=True):
                uses.setdefault(column, set()).add(_CSV_TYPES[key_type])
        for column, used_as in column_types(view).items():
            uses.setdefault(column, set()).update([_CSV_TYPES[used_as]] if used_as != "any" else [])
        uses.setdefault(view.time or time_column, set()).add(pa.string())
    uses.setdefault(time_column, set()).add(pa.string())
    return {column: _csv_type(kinds) for column, kinds in uses.items()}


def _csv_type(uses: set[pa.DataType]) -> pa.DataType:
    if uses == {pa.int64(), pa.float64()}:
        return pa.int64()
    return next(iter(uses)) if len(uses) == 1 else pa.string()


def _read_parquet(path: Path, columns: list[str]) -> pa.Table:
    import pyarrow.parquet as pq

    with _parquet_errors(path), pq.ParquetFile(path) as file:
        require_columns(path, columns, file.schema_arrow.names)
        return file.read(columns=columns)


def _parquet_schema(path: Path, columns: list[str]) -> pa.Table:
    import pyarrow.parquet as pq

    with _parquet_errors(path):
        schema = pq.read_schema(path)
    require_columns(path, columns, schema.names)
    return schema.empty_table().select(columns)


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        quoted = str(error).splitlines()[0]
        raise EventsError(f"{path} cannot be read as Parquet: {quoted}", quoted) from None
