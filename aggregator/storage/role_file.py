"""A role's SQLite file. It is created on first use. A file of another program, version or role is refused."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeAlias

from aggregator.errors import StorageUnusable
from base.errors import NotPrivate
from base.sqlite import BUSY_S, Format, Identity, Migration, Synchronous, connect, prepare, transaction
from federation.parties import Aggregator

StoringRole: TypeAlias = Aggregator | Literal["keyholder"]
"""The role that owns the file. Key holder and helper have separate files, even under one operator."""

_APPLICATION: Final = 0x436F7665  # "Cove"


class RoleFile:
    """One role's file. Threads may share it: statements and transactions take a lock.

    Raises:
        StorageUnusable: the file is not a storage, or belongs to another role.
        OfOlderVersion, OfNewerVersion: another version of Covey wrote it.
    """

    synchronous: ClassVar[Synchronous] = "FULL"
    """OFF is for tests that crash the process, not the machine."""

    schema: ClassVar[str]
    version: ClassVar[int]
    migrations: ClassVar[Mapping[int, Migration]] = {}

    @classmethod
    def format(cls) -> Format:
        """How the file is recognised and migrated."""
        return Format(_APPLICATION, cls.version, cls.schema, cls.migrations)

    def __init__(self, path: Path, role: StoringRole) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            self._connection = connect(path, private=True)
        except (OSError, NotPrivate, sqlite3.OperationalError) as error:
            raise StorageUnusable(f"{path} cannot be opened: {error}") from None
        try:
            self._open(role)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise StorageUnusable(f"{path} cannot be read as the storage of an aggregator: {error}") from None
        except BaseException:
            self._connection.close()
            raise

    def _open(self, role: StoringRole) -> None:
        form = self.format()
        if form.recognised(self._connection, self.path) is Identity.FOREIGN:
            raise StorageUnusable(f"{self.path} is not the storage of an aggregator")
        prepare(
            self._connection,
            self.synchronous,
            "foreign_keys=ON",
            "secure_delete=ON",
            "temp_store=MEMORY",  # on disk, the journal of a long statement would leave shares in /var/tmp
            "wal_autocheckpoint=4000",
        )
        with self.transaction():
            match form.identify(self._connection):
                case Identity.OURS:
                    pass
                case Identity.EMPTY:
                    form.create(self.run)
                    self.run("INSERT INTO role VALUES (?)", role)
                case _:
                    raise StorageUnusable(
                        f"{self.path} was written by another version of Covey. Collect its plans with that version, then "
                        "move the file away. Keep the ledger"
                    )
        if (found := self.one("SELECT name FROM role")) != (role,):
            raise StorageUnusable(
                f"{self.path} belongs to {f'the {found[0]}' if found else 'no role'}, not to the {role}"
            )

    def close(self) -> None:
        """Close the file; committed data stays."""
        with self._lock:
            self._connection.close()

    def erase(self, table: str, where: str, *values: Any) -> None:
        """Delete rows for good, inside a transaction. The remaining rows of the table are written again.

        secure_delete overwrites a row in its place, but not the copies that SQLite leaves in the gaps of pages when it
        moves rows between pages. Emptying the table overwrites all of its pages.
        """
        if self.run(f"DELETE FROM {table} WHERE {where}", *values):
            self.run(f"CREATE TABLE kept AS SELECT * FROM {table}")
            self.run(f"DELETE FROM {table}")
            self.run(f"INSERT INTO {table} SELECT * FROM kept")
            self.run("DROP TABLE kept")

    def empty_log(self) -> None:
        """Move the write-ahead log into the file and empty it; erased data would stay in the log otherwise.

        It does not wait. While another process reads the file (to copy it), the log stays until the next call.
        """
        with self._lock:
            self.rows("PRAGMA busy_timeout=0")
            try:
                self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                self.rows(f"PRAGMA busy_timeout={int(BUSY_S * 1_000)}")

    # statements: all of them go through these methods, where tests kill the process

    def run(self, sql: str, *values: Any) -> int:
        """Run one statement. Returns the number of changed rows."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def run_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run one statement for each row."""
        with self._lock:
            self._connection.executemany(sql, rows)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def stream(self, sql: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, one at a time; the file is locked until the last one."""
        with self._lock:
            yield from self._connection.execute(sql, values)

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row of a query."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction: all of it is on disk afterwards, or nothing. Not nested."""
        with self._lock, transaction(self._connection, self.run):
            yield
