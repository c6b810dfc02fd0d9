"""A table of a PostgreSQL server, or the result of a query, by COPY: batches of Arrow from one snapshot.

A type without a counterpart in Arrow is converted by the server: `numeric` to a number of 64 bits, `uuid` and `json` to text. Other
types, such as `interval`, are refused where a view uses them; a query can cast them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa

from base.times import DAY_US

from ...errors import EventsError, SourceAway
from ...events import PaneCounts
from ..password import read_password
from ..source import PostgreSql, Query, TableName
from ..text import utf8
from .adbc import AdbcConnection, AdbcFailed, postgresql_connection
from .database import LAST, READ_S, YEAR_1, Within, conditions, identifier, relation_sql

_LITERAL: Final = "TIMESTAMP '{time}'"
"""Also for columns with a zone: the session's zone is UTC."""
_CASTS: Final = {"numeric": "float8", "uuid": "text", "json": "text", "jsonb": "text", "bpchar": "text"}
_TIMES: Final = ("timestamp", "timestamptz", "date")
_SAID: Final = re.compile(r"(?:ERROR|FATAL|PANIC): +(.+)")
"""What the server says; the driver adds the query, and how it was sent."""
_AWAY: Final = ("08", "25", "28", "3D", "40", "42501", "42P01", "53", "55", "57", "58")
"""Beginnings of SQLSTATE of failures that may pass: no connection, a wrong password, a missing database or table, no permission, a
lock, a timeout, a full or stopping server. See PostgreSQL's appendix A.
"""


class PostgreSqlTable:
    """See `TimedDatabase`."""

    def __init__(self, url: str, connection: AdbcConnection, relation: TableName | Query) -> None:
        self._url, self._connection = url, connection
        self._from = relation_sql(relation)

    @cached_property
    def _types(self) -> Mapping[str, str]:
        """The name of each column's type. Two columns of one name are refused."""
        with _failures(self._url):
            schema = self._connection.schema(f"SELECT * FROM {self._from}")
        if len(set(schema.names)) != len(schema.names):
            raise EventsError(f"{self._url} has two columns of one name; it has: {', '.join(schema.names)}")
        return {field.name: _type_name(field) for field in schema}

    def names(self) -> Sequence[str]:
        """See `TimedDatabase`."""
        return list(self._types)

    def schema(self, columns: Mapping[str, pa.DataType]) -> pa.Schema:
        """See `TimedDatabase`."""
        with _failures(self._url):
            return _plain(self._connection.schema(self._select(columns)))

    def rows(self, columns: Mapping[str, pa.DataType], within: Sequence[Within] = ()) -> Iterator[pa.Table]:
        """See `TimedDatabase`."""
        with _failures(self._url):
            schema = self.schema(columns)
            yield schema.empty_table()
            for batch in self._connection.batches(self._select(columns) + conditions(within, _LITERAL)):
                yield pa.table([_checked(column) for column in batch.columns], schema)

    def exact_times(self, column: str) -> bool:
        """See `TimedDatabase`."""
        return self._types[column] in _TIMES

    def counts(self, client: str, time: str, pane_us: int) -> PaneCounts:
        """See `TimedDatabase`."""
        kind, column = self._types[time], identifier(time)
        epoch = f"{'TIMESTAMPTZ' if kind == 'timestamptz' else 'TIMESTAMP'} 'epoch'"
        pane = f"date_bin(interval '{pane_us} microseconds', {column}, {epoch})" if kind != "date" else column
        within = conditions([Within(time, YEAR_1, LAST)], _LITERAL)
        query = (
            f"SELECT {pane} AS pane, count(*) AS events FROM {self._from}{within} AND {identifier(client)} IS NOT NULL "
            "GROUP BY 1 ORDER BY 1"
        )
        with _failures(self._url):
            found = self._connection.table(query)
        ticks = found["pane"].cast(pa.int32()).cast(pa.int64()) if kind == "date" else found["pane"].cast(pa.int64())
        start = ticks.to_numpy() * (DAY_US if kind == "date" else 1)
        panes, row = np.unique(start - start % pane_us, return_inverse=True)
        counts = np.zeros(len(panes), np.int64)
        np.add.at(counts, row, found["events"].to_numpy())
        return panes, counts

    def _select(self, columns: Mapping[str, pa.DataType]) -> str:
        return f"SELECT {', '.join(map(self._column, columns))} FROM {self._from}"

    def _column(self, name: str) -> str:
        quoted = identifier(name)
        cast = _CASTS.get(self._types[name])
        return quoted if cast is None else f"{quoted}::{cast} AS {quoted}"


@contextmanager
def open_postgresql(
    url: str, server: PostgreSql, relation: TableName | Query, seconds: float = READ_S
) -> Iterator[PostgreSqlTable]:
    """Connect for one read. Raises ExtraMissing, SourceAway."""
    with _failures(url), postgresql_connection(_settings(url, server), seconds) as connection:
        yield PostgreSqlTable(url, connection, relation)


def _settings(url: str, server: PostgreSql) -> dict[str, str]:
    """The settings of libpq. They may hold a password. **Secret.**"""
    found = {"dbname": server.database}
    if server.host is not None:
        found["host"] = server.host
    if server.port is not None:
        found["port"] = str(server.port)
    if server.login is not None:
        found["user"] = server.login.user
        if server.login.password_file is not None:
            found["password"] = read_password(url, server.login.password_file)
    if server.tls is not None:
        files = {
            "sslrootcert": server.tls.ca or "system",
            "sslcert": server.tls.certificate,
            "sslkey": server.tls.private_key,
        }
        found |= {"sslmode": "verify-full", **{name: str(file) for name, file in files.items() if file is not None}}
    return found


@contextmanager
def _failures(url: str) -> Iterator[None]:
    try:
        yield
    except AdbcFailed as error:
        said = _SAID.search(str(error))
        message = str(error).splitlines()[0] if said is None else said[1]
        if not error.state or error.state.startswith(_AWAY):
            raise SourceAway(url, message) from None
        raise EventsError(f"the source {url} cannot be read: {message}", message) from None


def _type_name(field: pa.Field) -> str:
    metadata = field.metadata or {}
    return (metadata.get(b"POSTGRESQL:type") or metadata.get(b"ADBC:postgresql:typname") or b"").decode()


def _plain(schema: pa.Schema) -> pa.Schema:
    """Without the driver's metadata."""
    return pa.schema([pa.field(field.name, field.type) for field in schema])


def _checked(column: pa.Array) -> pa.Array:
    """A server whose encoding is SQL_ASCII sends any bytes as text."""
    return utf8(column) if pa.types.is_string(column.type) else column
