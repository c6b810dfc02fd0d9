"""The first rows of a table or query, with all of its columns."""

from __future__ import annotations

from typing import assert_never

import pyarrow as pa

from ..sample import Sample
from ..selection import Selection
from ..source import DuckDbFile, PostgreSql, Query, SqliteFile, TableName, TableSource
from .database import relation_sql
from .open_table import open_database
from .sqlite import SqliteTable


def sample_table(source: TableSource, most: int) -> Sample:
    """The first rows, in no special order. Raises EventsError, SourceAway, ExtraMissing."""
    first = Query(f"SELECT * FROM {relation_sql(source.relation)} LIMIT {most}")
    with open_database(source.url, source.database, first) as database:
        columns: dict[str, pa.DataType] = dict.fromkeys(database.names(), pa.string())
        if isinstance(database, SqliteTable):
            found = database.found_types()
            typed = {
                one.name: found.get(source.columns.origin(one.name), pa.string()) for one in source.columns.columns
            }
            declared = Selection.of(typed, source.columns).columns
            columns = found | {name: kind for name, kind in declared.items() if name in found}
        rows = pa.concat_tables(database.rows(columns))
    return Sample((f"{_relation(source)} of {_place(source)}, {len(columns)} column(s)",), rows)


def _relation(source: TableSource) -> str:
    match source.relation:
        case TableName(parts):
            return f"the table {'.'.join(parts)}"
        case Query():
            return "the query"
        case relation:
            assert_never(relation)


def _place(source: TableSource) -> str:
    match source.database:
        case DuckDbFile(path) | SqliteFile(path):
            return str(path)
        case PostgreSql(host=host, port=port, database=database):
            return f"the database {database} at {host or 'the local socket'}{'' if port is None else f':{port}'}"
        case place:
            assert_never(place)
