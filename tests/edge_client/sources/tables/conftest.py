"""One PostgreSQL server for the tests of tables, and a database of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import PostgreSqlServer, postgresql_server

from .making import Made, duckdb_made, postgresql_made, sqlite_made


@pytest.fixture(scope="session")
def server() -> Iterator[PostgreSqlServer]:
    with postgresql_server() as made:
        yield made


@pytest.fixture(params=["duckdb", "sqlite", "postgresql"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Made]:
    """A database without a table."""
    match request.param:
        case "duckdb":
            yield duckdb_made(tmp_path)
        case "sqlite":
            pytest.importorskip("adbc_driver_sqlite")
            yield sqlite_made(tmp_path)
        case _:
            pytest.importorskip("adbc_driver_postgresql")
            server: PostgreSqlServer = request.getfixturevalue("server")
            server.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
            yield postgresql_made(server)
