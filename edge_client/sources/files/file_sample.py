"""The first rows of a site's oldest and newest file, with all of their columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ...errors import EventsError
from ..mapping import Mapping
from ..sample import Sample
from ..selection import Selection
from ..source import FilesSource
from .csv_file import csv_names
from .json_file import first_records
from .parquet_file import parquet_names
from .paths import event_files, file_kind
from .reading import file_batches, one_table, opened

_NAMED_BY: Final = 1_000
"""Records of a JSON file that name its columns."""
_NUMBERS: Final = {pa.int64(), pa.float64()}


def sample_files(source: FilesSource, most: int) -> Sample:
    """The first rows of the first and the last file. Raises EventsError."""
    files = event_files(source.path)
    chosen = list(dict.fromkeys([files[0], files[-1]]))
    share = -(-most // len(chosen))
    tables = [opened(file, lambda path: _first(path, chosen, source.columns, share)) for file in chosen]
    names = f"{files[0]}" if len(files) == 1 else f"{len(files):,} files from {files[0]} to {files[-1]}"
    size = sum(file.stat().st_size for file in files if file.exists())
    return Sample((f"{names}, {size:,} bytes",), one_table(chosen, tables))


def _first(file: Path, chosen: Sequence[Path], mapping: Mapping, most: int) -> pa.Table:
    kind = file_kind(file)
    match kind:
        case "CSV":
            columns = dict.fromkeys(csv_names(file), pa.string())
        case "JSON":
            columns = json_types(chosen, mapping)
        case _:
            columns = dict.fromkeys(parquet_names(file), pa.null())
    table = pa.concat_tables(_until(file_batches(file, columns), most)).slice(0, most)
    return table.cast(pa.schema(columns)) if kind == "JSON" else table


def _until(batches: Iterable[pa.Table], most: int) -> Iterator[pa.Table]:
    have = 0
    for batch in batches:
        yield batch
        have += batch.num_rows
        if have >= most:
            return


def json_types(files: Sequence[Path], mapping: Mapping) -> dict[str, pa.DataType]:
    """The names of the first records of all files: declared ones with the type that they are read as, others with that of their
    first value. Whole and other numbers in one column are numbers.
    """
    types: dict[str, pa.DataType] = {}
    for record in chain.from_iterable(first_records(file, _NAMED_BY) for file in files):
        try:
            found = json.loads(record)
        except (ValueError, RecursionError):
            continue
        for name, value in found.items() if isinstance(found, dict) else ():
            if (kind := _type(value)) is not None:
                before = types.setdefault(name, kind)
                types[name] = pa.float64() if {before, kind} == _NUMBERS else before
    if not types:
        raise EventsError(f"{files[0]} has no JSON object with a text, a number or a boolean among its first records")
    typed = {one.name: types.get(mapping.origin(one.name), pa.string()) for one in mapping.columns}
    return types | Selection.of(typed, mapping).columns


def _type(value: Any) -> pa.DataType | None:
    match value:
        case bool():
            return pa.bool_()
        case int():
            return pa.int64()
        case float():
            return pa.float64()
        case str():
            return pa.string()
    return None
