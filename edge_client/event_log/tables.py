"""The file of an event log: its tables, and how it is opened."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Final

from base.sqlite import Format, Identity, connect, prepare

from ..errors import LogBroken

FORMAT: Final = Format(
    application_id=0x434F5645,  # "COVE"
    version=1,
    schema="""
CREATE TABLE log (
    id BLOB NOT NULL, client TEXT NOT NULL, time TEXT NOT NULL, event_id TEXT,
    days INTEGER NOT NULL, size INTEGER NOT NULL, when_full TEXT NOT NULL,
    key_check BLOB, id_key BLOB, schema BLOB NOT NULL, form INTEGER NOT NULL,
    time_us INTEGER NOT NULL, wall_us INTEGER NOT NULL,
    kept INTEGER NOT NULL, duplicates INTEGER NOT NULL, bad INTEGER NOT NULL, future INTEGER NOT NULL, expired INTEGER NOT NULL,
    lost INTEGER NOT NULL
);
CREATE TABLE batches (
    last INTEGER PRIMARY KEY, first INTEGER NOT NULL, appended_us INTEGER NOT NULL, first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL, bytes INTEGER NOT NULL, form INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE TABLE positions (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE ids (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE bad (number INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, reason TEXT NOT NULL, data BLOB NOT NULL);
""",
)
"""`log` has one row: settings, the types of the columns, the log's time, and the counts of its whole life.
Events have numbers from 1 on, without gaps; `kept` is the number of the last one. A batch has those from `first` to `last`, was
appended when the log's time was `appended_us` or before (in the same hour), has events of the times `first_us` to `last_us`, and
takes `bytes` in memory, and has a form of the schema (batches.py).
`id_key` is null where the log has a key file, `key_check` where it has none.
"""

_TRIES: Final = 300
_BETWEEN_S: Final = 0.02
"""SQLite does not wait for another process that makes the file, or closes it as the last one, at this moment."""
_WAL_BYTES: Final = 2**23
"""SQLite cuts its write-ahead log to this size after a large transaction."""


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file of a log, which may be new, for reading and writing.

    Erased content is overwritten by zeros. Temporary tables stay in memory.
    """
    tries = _TRIES
    while True:
        database = connect(path, private=True)
        try:
            prepare(database, "FULL", "secure_delete=ON", "temp_store=MEMORY", f"journal_size_limit={_WAL_BYTES}")
            return database
        except sqlite3.Error as error:
            database.close()
            tries -= 1
            if not tries or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        time.sleep(_BETWEEN_S)


def is_new(database: sqlite3.Connection, path: Path) -> bool:
    """Whether the file has no tables yet.

    Raises:
        LogBroken: it is another program's database. OfOlderVersion, OfNewerVersion.
    """
    match FORMAT.recognised(database, path):
        case Identity.EMPTY:
            return True
        case Identity.OURS:
            return False
        case _:
            raise LogBroken(str(path), "it is not an event log, but another database")


def page_bytes(database: sqlite3.Connection) -> int:
    """The bytes of the file's pages that are used. Inside a transaction, as it leaves them."""
    pages, free, size = (
        int(database.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def wal_bytes(path: Path) -> int:
    """The bytes of SQLite's write-ahead log, which is a file beside the log's."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0


def empty_wal(database: sqlite3.Connection) -> bool:
    """Write what is in the write-ahead log into the file, and cut it to nothing, so that no erased content remains in it.

    Returns False if another process reads, or the disk is full: the content is safe where it is, and a later call empties it.
    """
    try:
        return not database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError:
        return False
