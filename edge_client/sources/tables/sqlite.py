"""A table of a SQLite file.

SQLite's columns have no types: each value has its own. So a column gets the type that its use demands, and a value that has another
type is null. Whole numbers are text where text is demanded, as for clients 7 and "7".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Final

import pyarrow as pa

from ...errors import EventsError, SourceAway
from ..files.csv_file import UNTYPED
from ..source import Query, SqliteFile, TableName
from ..text import utf8
from .adbc import AdbcConnection, AdbcFailed, sqlite_connection
from .database import READ_S, Deadline, identifier, relation_sql

_AS_TYPE: Final = {
    pa.string(): (
        "x''",
        "CASE typeof({0}) WHEN 'text' THEN CAST({0} AS BLOB) WHEN 'integer' THEN CAST(CAST({0} AS TEXT) AS BLOB) END",
    ),
    pa.float64(): ("0.0", "CASE WHEN typeof({0}) IN ('integer', 'real') THEN CAST({0} AS REAL) END"),
    pa.int64(): ("0", "CASE typeof({0}) WHEN 'integer' THEN {0} END"),
    pa.bool_(): ("0", "CASE WHEN typeof({0}) = 'integer' AND {0} IN (0, 1) THEN {0} END"),
}
"""By type: a value, and the SQL of a column {0} in that type."""
_AWAY: Final = (
    "locked",
    "busy",
    "no such table",
    "failed to open",
    "unable to open",
    "disk i/o error",
    "schema has changed",
)
"""Parts of the messages of failures that may pass."""


class SqliteTable:
    """See `Database`: SQLite has no type of times. The driver cannot stop a query, so the deadline is checked between batches."""

    def __init__(self, url: str, connection: AdbcConnection, relation: TableName | Query, deadline: Deadline) -> None:
        self._url, self._connection, self._deadline = url, connection, deadline
        self._from = relation_sql(relation)

    @cached_property
    def _columns(self) -> Sequence[str]:
        with _failures(self._url):
            return list(self._connection.schema_of_none(f"SELECT * FROM {self._from} LIMIT 0").names)

    def names(self) -> Sequence[str]:
        """See `Database`."""
        return self._columns

    def found_types(self) -> dict[str, pa.DataType]:
        """The type that holds the values that each column has. All rows are read."""
        kinds = ", ".join(
            f"group_concat(DISTINCT typeof({identifier(name)})) AS {identifier(name)}" for name in self.names()
        )
        with _failures(self._url):
            found = self._connection.table(f"SELECT {kinds} FROM {self._from}").to_pylist()[0]
        return {name: _holds(set((kinds or "").split(",")) - {"null"}) for name, kinds in found.items()}

    def schema(self, columns: Mapping[str, pa.DataType]) -> pa.Schema:
        """See `Database`."""
        return pa.schema(
            [
                pa.field(name, kind, metadata=UNTYPED if pa.types.is_string(kind) else None)
                for name, kind in columns.items()
            ]
        )

    def rows(self, columns: Mapping[str, pa.DataType]) -> Iterator[pa.Table]:
        """See `Database`."""
        # The driver takes the type of a column from its first values. So the first row is one of known types, which is dropped.
        first = ", ".join(f"{_AS_TYPE[kind][0]} AS {identifier(name)}" for name, kind in columns.items())
        rest = ", ".join(_AS_TYPE[kind][1].format(identifier(name)) for name, kind in columns.items())
        schema = self.schema(columns)
        with _failures(self._url):
            for number, batch in enumerate(
                self._connection.batches(f"SELECT {first} UNION ALL SELECT {rest} FROM {self._from}")
            ):
                self._deadline.check()
                values = [_typed(column, kind) for column, kind in zip(batch.columns, columns.values(), strict=True)]
                yield pa.table(values, schema).slice(0 if number else 1)


@contextmanager
def open_sqlite(
    url: str, file: SqliteFile, relation: TableName | Query, seconds: float = READ_S
) -> Iterator[SqliteTable]:
    """Open a table for one read. Raises ExtraMissing, SourceAway."""
    if not file.path.is_file():
        raise SourceAway(url, f"there is no file {file.path}")
    with _failures(url), sqlite_connection(file.path) as connection:
        yield SqliteTable(url, connection, relation, Deadline(url, seconds))


@contextmanager
def _failures(url: str) -> Iterator[None]:
    try:
        yield
    except AdbcFailed as error:
        message = str(error).splitlines()[0]
        if any(part in message.lower() for part in _AWAY):
            raise SourceAway(url, message) from None
        raise EventsError(f"the source {url} cannot be read: {message}", message) from None


def _holds(kinds: set[str]) -> pa.DataType:
    if kinds and kinds <= {"integer", "real"}:
        return pa.float64() if "real" in kinds else pa.int64()
    return pa.string()


def _typed(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return utf8(column) if pa.types.is_string(kind) else column.cast(kind)
