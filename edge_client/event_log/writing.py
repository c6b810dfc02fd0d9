"""What the transactions of an event log change: events, their ids, positions; and what they erase, for age or size."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa

from base.times import DAY_US, SECOND_US

from ..errors import LogFull
from ..events import plain_values
from .bad_records import erase_aside
from .batches import conformed, grown, pieces, read_schema, stored_schema
from .ids import forget, id_hashes, take_new
from .log_row import LogRow, Tally
from .sealing import Sealing
from .stored_batches import StoredBatch, StoredBatches, times_of
from .tables import page_bytes

FUTURE_US: Final = 60 * SECOND_US
"""How far an event may be ahead of the site's clock before it counts as a future one: two clocks are never equal."""
_ID_BYTES: Final = 40
"""About what the hash of an id takes on disk."""
_ROOM_BYTES: Final = 2**14
"""For everything else that an append changes."""
_WAL_PART: Final = 4
"""The write-ahead log counts as at most this part of the size: while others read, it cannot be emptied, and erasing events would
only make it longer.
"""
_AT_ONCE: Final = 16
"""Batches that one transaction erases for their age. The next ones erase more, so none takes long."""
_FREED: Final = 2**24
"""Bytes that an append to a full log frees at most beyond its own, so that not each one erases something."""
_POSITIONS: Final = b"positions"


@dataclass(frozen=True, eq=False)
class Incoming:
    """Events that an append stores, if they are new.

    Attributes:
        table: clients and times are not null. hashes: of the ids of its events; None: the log has no column of ids.
        wal_bytes: of the write-ahead log before the transaction.
    """

    table: pa.Table
    hashes: Sequence[bytes | None] | None
    wal_bytes: int


class Writer:
    """Changes one log, inside transactions of the caller. Each method that returns a row leaves it to the caller to store it.

    Attributes:
        erased: whether something was erased since the caller last set it to False.
    """

    def __init__(
        self, database: sqlite3.Connection, sealing: Sealing, path: str, batches: StoredBatches, event_id: str | None
    ) -> None:
        self._db, self._sealing, self._path, self._batches, self._event_id = database, sealing, path, batches, event_id
        self.erased = False

    def hashes(self, table: pa.Table) -> list[bytes | None] | None:
        """The hashes of the ids of a table's events. Raises EventColumnError: ids of another type."""
        if self._event_id is None:
            return None
        if self._event_id not in table.column_names:
            return [None] * table.num_rows
        return id_hashes(self._event_id, plain_values(table.column(self._event_id)), self._sealing.id_key)

    def store(self, row: LogRow, incoming: Incoming, time: str) -> LogRow:
        """Store the new ones of these events. Raises LogFull."""
        table, hashes = incoming.table, incoming.hashes
        new = None if hashes is None else take_new(self._db, hashes)
        if new is not None:
            table = table.filter(pa.array(new))
        duplicates = incoming.table.num_rows - table.num_rows
        if table.num_rows == 0:
            return replace(row, tally=row.tally.plus(Tally(duplicates=duplicates)))
        known = read_schema(row.schema)
        schema, reformed = grown(known, table)
        if schema != known:
            row = replace(row, schema=stored_schema(schema), form=row.form + reformed)
        self._batches.merge(row.time_us, over=True)
        sealed, first = [], row.tally.kept + 1
        for piece in pieces(conformed(table, schema)):
            sealed.append((piece, self._batches.seal(piece, first), first))
            first += piece.num_rows
        need = sum(len(data) for _, data, _ in sealed) + _ROOM_BYTES
        need += 0 if hashes is None else _ID_BYTES * table.num_rows
        row = self._make_room(row, need + min(incoming.wal_bytes, row.bounds.size // _WAL_PART))
        for piece, data, first in sealed:
            self._batches.insert(piece, data, first, row.time_us, row.form)
        self._batches.merge(row.time_us, over=False)
        future = int(np.count_nonzero(times_of(table, time) > row.wall_us + FUTURE_US))
        return replace(row, tally=row.tally.plus(Tally(table.num_rows, duplicates, future=future)))

    def note(self, positions: Mapping[str, bytes | None]) -> None:
        """Store positions, and delete those without a value."""
        for name, value in positions.items():
            if value is None:
                self._db.execute("DELETE FROM positions WHERE name = ?", (name,))
            else:
                data = self._sealing.seal(_POSITIONS + name.encode(), 0, value)
                self._db.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", (name, data))

    def positions(self) -> dict[str, bytes]:
        """The stored positions. Raises ValueError: one is damaged."""
        return {
            name: self._sealing.open(_POSITIONS + name.encode(), 0, data)
            for name, data in self._db.execute("SELECT name, value FROM positions").fetchall()
        }

    def erase_old(self, row: LogRow) -> LogRow:
        """Erase the oldest of what has been in the log for its days."""
        before_us = row.time_us - row.bounds.days * DAY_US
        self.erased |= erase_aside(self._db, before_us)
        expired = 0
        for _ in range(_AT_ONCE):
            oldest_us = self._batches.oldest_us()
            if oldest_us is None or oldest_us > before_us:
                break
            expired += self._erase_oldest()
        return replace(row, tally=row.tally.plus(Tally(expired=expired)))

    def _make_room(self, row: LogRow, need: int) -> LogRow:
        """Erase the oldest events, if there is no room for so many bytes and the log's owner wants that. Raises LogFull."""
        have, size = page_bytes(self._db), row.bounds.size
        if have + need <= size:
            return row
        if row.bounds.when_full == "wait" or _ROOM_BYTES + need > size:
            raise LogFull(self._path, have, have + need, size)
        expired, free = 0, min(size // 20, _FREED)
        while page_bytes(self._db) + need + free > size and self._batches.oldest_us() is not None:
            expired += self._erase_oldest()
        if page_bytes(self._db) + need > size:
            raise LogFull(self._path, have, have + need, size)
        return replace(row, tally=row.tally.plus(Tally(expired=expired)))

    def _erase_oldest(self) -> int:
        batch: StoredBatch | None = self._batches.oldest()
        if batch is None:
            return 0
        if (hashes := self.hashes(batch.table)) is not None:
            forget(self._db, hashes)
        self._batches.erase(batch.last)
        self.erased = True
        return batch.last - batch.first + 1
