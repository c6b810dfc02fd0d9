"""A role's SQLite file: made on first use, refused where it is another program's, version's or role's."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeAlias

from aggregator.errors import StorageUnusable
from base.errors import NotPrivate
from base.private_files import private_file
from federation.parties import Aggregator

StoringRole: TypeAlias = Aggregator | Literal["keyholder"]
"""Whose file it is. The key holder's is not the helper's, though both have one operator."""

_APPLICATION: Final = 0x436F7665  # "Cove"
_BUSY_S: Final = 30.0


class RoleFile:
    """One role's file. Threads may share it: statements and transactions take a lock.

    Raises:
        StorageUnusable: the file is something else, or the other role's.
    """

    synchronous: ClassVar[Literal["FULL", "OFF"]] = "FULL"
    """OFF is for tests that crash the process and not the machine."""

    schema: ClassVar[str]
    version: ClassVar[int]

    def __init__(self, path: Path, role: StoringRole) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            private_file(path)  # it holds shares; SQLite gives its other files the same mode
            self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
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
        empty = not self.one("SELECT 1 FROM sqlite_master")
        if not empty and self.one("PRAGMA application_id") != (_APPLICATION,):
            raise StorageUnusable(f"{self.path} is no storage of an aggregator")
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={self.synchronous}",
            "foreign_keys=ON",
            "secure_delete=ON",
            "temp_store=MEMORY",  # else a long statement's journal, with shares in it, is left on the disk of /var/tmp
            "wal_autocheckpoint=4000",
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        with self.transaction():
            if empty and not self.one("SELECT 1 FROM sqlite_master"):
                for statement in self.schema.split(";"):
                    self.run(statement)
                self.run("INSERT INTO role VALUES (?)", role)
                self.run(f"PRAGMA application_id={_APPLICATION}")
                self.run(f"PRAGMA user_version={self.version}")
            elif self.one("PRAGMA user_version") != (self.version,):
                raise StorageUnusable(
                    f"{self.path} was written by another version of Covey: collect its plans with that version, then "
                    "move the file away; the ledger stays"
                )
        if (found := self.one("SELECT name FROM role")) != (role,):
            raise StorageUnusable(
                f"{self.path} belongs to {f'the {found[0]}' if found else 'no role'}, not to the {role}"
            )

    def close(self) -> None:
        """Close the file; what was committed stays."""
        with self._lock:
            self._connection.close()

    def erase(self, table: str, where: str, *values: Any) -> None:
        """Delete rows for good; inside a transaction. What stays of the table is written anew.

        secure_delete overwrites a row where it lies, but not the copies that SQLite leaves in the gaps of pages when it
        moves rows between them. Those go with the pages of a table that is emptied.
        """
        if self.run(f"DELETE FROM {table} WHERE {where}", *values):
            self.run(f"CREATE TABLE kept AS SELECT * FROM {table}")
            self.run(f"DELETE FROM {table}")
            self.run(f"INSERT INTO {table} SELECT * FROM kept")
            self.run("DROP TABLE kept")

    def empty_log(self) -> None:
        """Move what was written ahead into the file and empty the log, where what was erased since would stay.

        It waits for nobody: while another process reads the file (a copy is made), the log stays until the next time.
        """
        with self._lock:
            self.rows("PRAGMA busy_timeout=0")
            try:
                self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                self.rows(f"PRAGMA busy_timeout={int(_BUSY_S * 1_000)}")

    # statements: everything goes through these three, which is where tests kill the process

    def run(self, sql: str, *values: Any) -> int:
        """One statement; the number of rows that it changed."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def run_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """One statement for each of the rows."""
        with self._lock:
            self._connection.executemany(sql, rows)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row of a query."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it on disk, or nothing. Not nested."""
        with self._lock:
            self.run("BEGIN IMMEDIATE")
            try:
                yield
                self.run("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.rollback()
                raise
