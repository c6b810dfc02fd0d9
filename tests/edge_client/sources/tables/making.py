"""Tables for tests, in each kind of database."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from edge_client.sources.mapping import NO_COLUMNS, Mapping
from edge_client.sources.source import (
    Database,
    DuckDbFile,
    Login,
    PostgreSql,
    Query,
    SqliteFile,
    TableName,
    TableSource,
)
from edge_client.sources.tables.open_table import OpenTable
from tests.postgresql import USER, PostgreSqlServer

COLUMNS = "c TEXT, t TIMESTAMP, u TIMESTAMP, k TEXT, x DOUBLE PRECISION"
EVENTS = TableName(("e",))


@dataclass
class Made:
    """A database, of which tests make tables."""

    database: Database
    server: PostgreSqlServer | None = None

    def run(self, *statements: str) -> None:
        match self.database:
            case DuckDbFile(path):
                with duckdb.connect(str(path)) as db:
                    for statement in statements:
                        db.execute(statement)
            case SqliteFile(path):
                with closing(sqlite3.connect(path)) as file, file:
                    for statement in statements:
                        file.execute(statement)
            case PostgreSql():
                assert self.server is not None
                self.server.run(*statements)

    def insert(self, table: str, *rows: Sequence[Any]) -> None:
        """Insert rows of Python's values."""
        for first in range(0, len(rows), 500):
            values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows[first : first + 500])
            self.run(f"INSERT INTO {table} VALUES {values}")

    def table(self, *rows: dict[str, Any], columns: str = COLUMNS, name: str = "e") -> None:
        """Make a table of events."""
        self.run(f"DROP TABLE IF EXISTS {name}", f"CREATE TABLE {name} ({columns})")
        self.insert(name, *(tuple(row.values()) for row in rows))

    def source(
        self, relation: TableName | Query = EVENTS, columns: Mapping = NO_COLUMNS, time: str = "t"
    ) -> TableSource:
        url = f"{type(self.database).__name__.lower()}://here"
        return TableSource(url=url, client="c", time=time, columns=columns, database=self.database, relation=relation)

    def opened(
        self, relation: TableName | Query = EVENTS, columns: Mapping = NO_COLUMNS, seconds: float = 30
    ) -> OpenTable:
        return OpenTable(self.source(relation, columns), seconds)


def literal(value: object) -> str:
    """A value of Python in SQL."""
    match value:
        case None:
            return "NULL"
        case bytes():
            return f"X'{value.hex()}'"
        case bool() | int() | float():
            return str(value)
        case dt.datetime():
            return f"'{value.isoformat(' ')}'"
    return "'" + str(value).replace("'", "''") + "'"


def duckdb_made(folder: Path) -> Made:
    return Made(DuckDbFile(folder / "events.duckdb"))


def sqlite_made(folder: Path) -> Made:
    return Made(SqliteFile(folder / "events.db"))


def postgresql_made(server: PostgreSqlServer) -> Made:
    return Made(PostgreSql(str(server.folder), server.port, "postgres", Login(USER), None), server)
