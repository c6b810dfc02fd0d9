"""How Covey opens its own SQLite databases, recognises and migrates them, and ends a transaction.

Every database is in WAL mode. Its application id and user version identify it. The tables are made in the transaction
that sets both, so a file has all of them or none. A migration is one transaction, too: after a crash at any point the file
has the old version or the new one. So it needs no copy of the file.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias
from urllib.parse import quote

from .errors import FileInUse, OfNewerVersion, OfOlderVersion
from .private_files import private_file

Synchronous: TypeAlias = Literal["FULL", "OFF"]
"""FULL: a committed transaction is on disk. OFF: it survives a crash of the process, but not of the machine."""

BUSY_S: Final = 30.0
"""How long a statement waits for another process that writes."""
_AGAIN_S: Final = 0.005
"""How long to wait before the journal mode is set again."""


class Identity(Enum):
    """What an opened file is."""

    EMPTY = auto()
    OURS = auto()
    OLDER = auto()
    """Of an earlier version, from which migrations lead to this one."""
    TOO_OLD = auto()
    """Of an earlier version, from which no migration leads to this one."""
    NEWER = auto()
    FOREIGN = auto()


Migration: TypeAlias = Callable[[sqlite3.Connection], None]
"""Changes tables and rows of one version to those of the next, inside a transaction. It executes single statements only."""


@dataclass(frozen=True)
class Format:
    """One kind of database: how it is recognised, its tables, and how those of earlier versions become them.

    Attributes:
        application_id: identifies the kind; version: of the tables.
        schema: the statements that make the tables, separated by semicolons.
        migrations: by the version from which each leads to the next.
    """

    application_id: int
    version: int
    schema: str
    migrations: Mapping[int, Migration] = field(default_factory=dict)

    def identify(self, database: sqlite3.Connection) -> Identity:
        """Compare a database with this format.

        Raises:
            sqlite3.DatabaseError: the file is damaged.
        """
        try:
            (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except UnicodeDecodeError:  # SQLite's error quotes a damaged definition, which Python cannot read
            raise sqlite3.DatabaseError("the definitions of its tables are damaged") from None
        if not tables:
            return Identity.EMPTY
        if database.execute("PRAGMA application_id").fetchone()[0] != self.application_id:
            return Identity.FOREIGN
        found = version_of(database)
        if found >= self.version:
            return Identity.OURS if found == self.version else Identity.NEWER
        return (
            Identity.OLDER if all(each in self.migrations for each in range(found, self.version)) else Identity.TOO_OLD
        )

    def recognised(self, database: sqlite3.Connection, path: Path) -> Identity:
        """Compare a database with this format: it is EMPTY, OURS, TOO_OLD or FOREIGN.

        Args:
            path: of the database, for the errors.

        Raises:
            OfOlderVersion: it must be migrated first. OfNewerVersion: only a newer program can use it.
        """
        match self.identify(database):
            case Identity.OLDER:
                raise OfOlderVersion(str(path), version_of(database), self.version)
            case Identity.NEWER:
                raise OfNewerVersion(str(path), version_of(database), self.version)
            case identity:
                return identity

    def migrate(self, path: Path, *, private: bool) -> None:
        """Bring a file of an earlier version to this one, in one transaction. A file of this version stays as it is.

        Raises:
            FileInUse: another connection has it open; it must end first, because its program knows the old tables only.
            sqlite3.OperationalError: for example, the disk is full. The file is unchanged.
        """
        try:
            with closing(connect(path, private=private, busy_s=0)) as database:
                database.execute("PRAGMA locking_mode=EXCLUSIVE")
                prepare(database, "FULL", "secure_delete=ON", "temp_store=MEMORY")  # as the files with secrets need it
                with transaction(database):
                    if self.identify(database) is Identity.OLDER:
                        for version in range(version_of(database), self.version):
                            self.migrations[version](database)
                        database.execute(f"PRAGMA user_version={self.version}")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise FileInUse(str(path)) from None
            raise

    def create(self, run: Callable[[str], object]) -> None:
        """Make the tables, inside a transaction.

        Args:
            run: executes a statement.
        """
        for statement in filter(str.strip, self.schema.split(";")):
            run(statement)
        run(f"PRAGMA application_id={self.application_id}")
        run(f"PRAGMA user_version={self.version}")


def connect(
    path: Path,
    *,
    private: bool,
    read_only: bool = False,
    busy_s: float = BUSY_S,
    factory: type[sqlite3.Connection] = sqlite3.Connection,
) -> sqlite3.Connection:
    """Open a connection that threads may share. It starts no transaction by itself.

    Args:
        private: the file gets mode 0600; SQLite gives its other files the same mode.
        read_only: the file must exist, and is not changed.

    Raises:
        NotPrivate, OSError, sqlite3.OperationalError: the file cannot be opened.
    """
    if private:
        private_file(path)
    uri = f"file:{quote(str(path.absolute()))}?mode={'ro' if read_only else 'rwc'}"
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=busy_s, check_same_thread=False, factory=factory
    )


def prepare(database: sqlite3.Connection, synchronous: Synchronous, *pragmas: str) -> None:
    """Set up a connection that writes: WAL, when a commit is on disk, and more pragmas.

    Raises:
        sqlite3.OperationalError: for example, another connection has locked the file for longer than the busy timeout.
    """
    _use_wal(database)
    for pragma in (f"synchronous={synchronous}", *pragmas):
        database.execute(f"PRAGMA {pragma}")


def _use_wal(database: sqlite3.Connection) -> None:
    """Set the journal mode. SQLite does not wait if two connections set that of a new file at once: one of them is refused."""
    (busy_ms,) = database.execute("PRAGMA busy_timeout").fetchone()
    end = time.monotonic() + busy_ms / 1000
    while True:
        try:
            database.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                raise
        time.sleep(_AGAIN_S)


def version_of(database: sqlite3.Connection) -> int:
    """The version of a database's tables."""
    return int(database.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def transaction(database: sqlite3.Connection, run: Callable[[str], object] | None = None) -> Iterator[None]:
    """Commit all of the statements inside, or none. Transactions do not nest.

    Args:
        run: executes BEGIN and COMMIT; default: the connection.
    """
    execute = run or database.execute
    execute("BEGIN IMMEDIATE")
    try:
        yield
        execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # on a full disk SQLite may have rolled back by itself
            database.rollback()
        raise


@contextmanager
def snapshot(database: sqlite3.Connection, lock: AbstractContextManager[object]) -> Iterator[None]:
    """Let all of the statements inside read one state of the file, also while another process writes.

    Inside a transaction they read that of the transaction.

    Args:
        lock: reentrant; threads that share the connection take turns by it. A transaction of theirs must hold it, too.
    """
    with lock:
        if database.in_transaction:
            yield
            return
        database.execute("BEGIN")
        try:
            yield
        finally:
            if database.in_transaction:  # COMMIT, because a rollback would end what other threads still read
                database.execute("COMMIT")


def reporting_damage(error_of: Callable[[sqlite3.DatabaseError], Exception]) -> type[sqlite3.Connection]:
    """A class of connections that raise the caller's error whenever SQLite finds a damaged page."""

    @contextmanager
    def whole() -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:  # locked, full, a constraint: not damage
                raise
            raise error_of(error) from None

    class Cursor(sqlite3.Cursor):
        def execute(self, *given: Any) -> Self:
            with whole():
                return super().execute(*given)

        def fetchone(self) -> Any:
            with whole():
                return super().fetchone()

        def fetchall(self) -> list[Any]:
            with whole():
                return super().fetchall()

        def __next__(self) -> Any:
            with whole():
                return super().__next__()

    class Connection(sqlite3.Connection):
        def execute(self, *given: Any) -> Cursor:
            return self.cursor(Cursor).execute(*given)

    return Connection
