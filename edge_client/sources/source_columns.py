"""The columns of a source for an editor of views: their names and types. No value is shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, assert_never

import pyarrow as pa

from ..events import plain_type
from .declared_column import AsBoolean, AsNumber, AsText, AsTime, AsWhole, Kind
from .files.csv_file import csv_names
from .files.file_sample import json_types
from .files.parquet_file import parquet_names, parquet_schema
from .files.paths import event_files, file_kind
from .files.reading import opened
from .mapping import NO_COLUMNS
from .source import FilesSource, Source

SourceType = Literal["number", "text", "boolean", "time", "other"]
"""`other`: a type that no condition takes, or none at all: of a CSV file, each use of a column demands its own type."""

MOST: Final = 10_000
"""Columns that are listed; the first of the file."""


@dataclass(frozen=True)
class SourceColumn:
    """A column that views may use."""

    name: str
    type: SourceType


def columns_of_files(path: Path) -> tuple[SourceColumn, ...]:
    """The columns of the first file of a path, as `paths.event_files` takes it. Only CSV has no types; JSON has those of its first
    records.

    Raises:
        EventsError: the file cannot be read. EventFilesAway: there is none.
    """
    file = event_files(path)[0]
    return opened(file, _columns)[:MOST]


def columns_of_source(source: Source) -> tuple[SourceColumn, ...]:
    """The columns of a site's source: its declared columns, and of files those that no declared one hides.

    Raises:
        EventsError, EventFilesAway: as `columns_of_files`.
    """
    own = columns_of_files(source.path) if isinstance(source, FilesSource) else ()
    types = {one.name: one.type for one in own}
    found: dict[str, SourceType] = {}
    for column in source.columns.columns:
        origin = types.get(source.columns.origin(column.name), "other")
        found[column.name] = origin if column.kind is None else _declared_type(column.kind)
    found |= {one.name: one.type for one in own if not source.columns.hides(one.name)}
    found.setdefault(source.client, "text")
    found.setdefault(source.time, "time")
    return tuple(SourceColumn(name, kind) for name, kind in found.items())[:MOST]


def _columns(file: Path) -> tuple[SourceColumn, ...]:
    match file_kind(file):
        case "CSV":
            return tuple(SourceColumn(name, "other") for name in csv_names(file))
        case "JSON":
            return tuple(SourceColumn(name, _type_of(kind)) for name, kind in json_types([file], NO_COLUMNS).items())
    schema = parquet_schema(file, parquet_names(file)).schema
    return tuple(SourceColumn(one.name, _type_of(one.type)) for one in schema)


def _type_of(kind: pa.DataType) -> SourceType:
    plain = plain_type(kind)
    if pa.types.is_boolean(plain):
        return "boolean"
    if pa.types.is_integer(plain) or pa.types.is_floating(plain) or pa.types.is_decimal(plain):
        return "number"
    if pa.types.is_large_string(plain):
        return "text"
    return "time" if pa.types.is_timestamp(plain) or pa.types.is_date(plain) else "other"


def _declared_type(kind: Kind) -> SourceType:
    match kind:
        case AsText():
            return "text"
        case AsNumber() | AsWhole():
            return "number"
        case AsBoolean():
            return "boolean"
        case AsTime():
            return "time"
        case _:
            assert_never(kind)
