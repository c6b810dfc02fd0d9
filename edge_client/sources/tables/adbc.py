"""ADBC: Arrow's own interface to databases. Here a query becomes batches of Arrow; no other module imports a driver.

Each connection is one read-only transaction. The drivers are libraries in C and are imported when a table is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from base.extras import require_extra

from .database import BATCH_ROWS, LOCK_S

_CONNECT_S: Final = 10
_BATCH_BYTES: Final = 2**22
_SILENT_MS: Final = 30_000
"""How long a server may not confirm what was sent, until the connection counts as broken."""


class AdbcFailed(Exception):
    """A driver reports an error.

    Attributes:
        state: SQLSTATE, five characters; empty: the driver gives none.
    """

    def __init__(self, error: Exception) -> None:
        self.state: str = getattr(error, "sqlstate", None) or ""
        super().__init__(str(error).strip())


class AdbcConnection:
    """An open connection, in a transaction that cannot write.

    Args:
        options: of each statement.
    """

    def __init__(self, connection: Any, options: Mapping[str, str]) -> None:
        self._connection, self._options = connection, options

    def run(self, *statements: str) -> None:
        """Execute statements that return nothing of interest."""
        with _failures(), self._connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def schema(self, query: str) -> pa.Schema:
        """The columns of a query. It is not executed."""
        with _failures(), self._connection.cursor() as cursor:
            return cursor.adbc_execute_schema(query)

    def schema_of_none(self, query: str) -> pa.Schema:
        """The columns of a query that returns no row, for a driver that cannot describe a query. It is executed."""
        with _failures(), self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetch_record_batch().schema

    def table(self, query: str) -> pa.Table:
        """All rows of a query that has few."""
        with _failures(), self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetch_arrow_table()

    def batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query; only one batch of them is in memory."""
        with _failures(), self._connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**self._options)
            cursor.execute(query)
            yield from cursor.fetch_record_batch()


@contextmanager
def sqlite_connection(path: Path) -> Iterator[AdbcConnection]:
    """Open a file of SQLite that exists. Raises AdbcFailed."""
    require_extra("sql", "a table of SQLite")
    import adbc_driver_sqlite
    import adbc_driver_sqlite.dbapi as driver

    uri = f"{path.absolute().as_uri()}?mode=ro"
    options = {adbc_driver_sqlite.StatementOptions.BATCH_ROWS.value: str(BATCH_ROWS)}
    with _open(lambda: driver.connect(uri), options) as connection:
        connection.run(f"PRAGMA busy_timeout = {int(LOCK_S * 1_000)}", "PRAGMA query_only = 1")
        yield connection


@contextmanager
def postgresql_connection(settings: Mapping[str, str], seconds: float) -> Iterator[AdbcConnection]:
    """Connect to a PostgreSQL server.

    Args:
        settings: of libpq, such as `host`. One of them may be a password. **Secret.**
        seconds: how long a statement may take at the server.

    Raises:
        AdbcFailed.
    """
    require_extra("sql", "a table of PostgreSQL")
    import adbc_driver_postgresql
    import adbc_driver_postgresql.dbapi as driver

    every = {
        **settings,
        "application_name": "covey",
        "client_encoding": "UTF8",
        "connect_timeout": str(_CONNECT_S),
        "tcp_user_timeout": str(_SILENT_MS),
        "keepalives_idle": "30",
    }
    text = " ".join(f"{name}='{_escaped(value)}'" for name, value in every.items())
    options = {adbc_driver_postgresql.StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)}
    with _open(lambda: driver.connect(text), options) as connection:
        connection.run(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            f"SET LOCAL statement_timeout = {int(seconds * 1_000)}",
            f"SET LOCAL lock_timeout = {int(LOCK_S * 1_000)}",
            "SET LOCAL TimeZone = 'UTC'",
        )
        yield connection


@contextmanager
def _open(connect: Any, options: Mapping[str, str]) -> Iterator[AdbcConnection]:
    with _failures():
        connection = connect()
    try:
        yield AdbcConnection(connection, options)
    finally:
        with _failures():
            connection.close()


@contextmanager
def _failures() -> Iterator[None]:
    import adbc_driver_manager

    try:
        yield
    except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
        raise AdbcFailed(error) from None


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
