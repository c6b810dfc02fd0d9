"""What the upkeep of a store changes in its registry: rows that leave, files that are merged, and unused space."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from base.times import DAY_US
from featurestore.define.records import FIRST_MOMENT, FileRecord


class Upkeep:
    """Reads and writes the list of files, and from when on each name has rows. Every method that writes is inside a transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def expired_before(self, name: str) -> int:
        """The UTC midnight (µs) before which the rows of a name have left; FIRST_MOMENT: none have."""
        row = self._db.execute("SELECT before_us FROM expiries WHERE name = ?", (name,)).fetchone()
        return FIRST_MOMENT if row is None else int(row[0])

    def last_day(self, view_id: int) -> int | None:
        """The newest day (since the epoch) of which a version has a file; None: it has none."""
        (last,) = self._db.execute("SELECT max(day) FROM files WHERE view_id = ?", (view_id,)).fetchone()
        return None if last is None else int(last)

    def expire(self, name: str, before_us: int) -> list[str]:
        """Let the rows of all versions of a name leave that are older than a UTC midnight (µs); returns the files to delete.

        The files of the last day of each version stay.
        """
        old = (
            "SELECT path FROM files JOIN versions ON versions.id = view_id WHERE name = ? AND day < ? "
            "AND day < (SELECT max(day) FROM files AS every WHERE every.view_id = files.view_id)"
        )
        paths = [path for (path,) in self._db.execute(old, (name, before_us // DAY_US)).fetchall()]
        self._db.executemany("DELETE FROM files WHERE path = ?", ((path,) for path in paths))
        self._db.execute("INSERT OR REPLACE INTO expiries (name, before_us) VALUES (?, ?)", (name, before_us))
        return paths

    def last_seq(self, view_id: int, day: int) -> int:
        """The last publication that wrote a file of this day."""
        (seq,) = self._db.execute("SELECT max(seq) FROM files WHERE view_id = ? AND day = ?", (view_id, day)).fetchone()
        return int(seq)

    def merge(self, view_id: int, merged: FileRecord, seq: int, replaced: Sequence[str]) -> None:
        """List one file instead of several files of its day."""
        self._db.executemany("DELETE FROM files WHERE path = ?", ((path,) for path in replaced))
        self._db.execute(
            "INSERT INTO files (path, view_id, day, rows, bytes, seq) VALUES (?, ?, ?, ?, ?, ?)",
            (merged.path, view_id, merged.day, merged.rows, merged.bytes, seq),
        )

    def vacuum(self) -> None:
        """Give unused pages back to the disk, outside of any transaction. Readers go on."""
        self._db.execute("VACUUM")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
