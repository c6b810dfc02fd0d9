"""An event log: a private, crash-safe, bounded file of events at a site, filled by a device's program or the consumer of a stream.

An append is one transaction: its events, their ids, the bad records, and the positions of the stream are in the log, or nothing of
it is. So a consumer that starts again at the log's positions loses and doubles nothing. One process appends at a time, and others
may read meanwhile. Events are erased for their age (keeping.py) or the log's size, oldest first, and their bytes are overwritten.

Privacy-sensitive: the file never leaves the site.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time as time_module
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from base.disk import reason_of
from base.sqlite import transaction
from base.times import wall_clock

from ..errors import LogBroken, LogFull, LogMissing, LogSettingsDiffer, LogWriteFailed
from .bad_records import BadRecord, put_aside, read_aside
from .batches import BatchLike, Usable, as_table, conformed, read_schema, stored_schema, usable
from .keeping import LogTime
from .log_row import LogRow, Tally
from .sealing import KEY_BYTES, LOG_ID_BYTES, Encrypted, read_log_key, sealing_of
from .settings import DAYS, SIZE, Bounds, Columns, WhenFull, bounds
from .stored_batches import StoredBatches
from .tables import FORMAT, empty_wal, is_new, open_file, page_bytes, wal_bytes
from .writing import Incoming, Writer

_EMPTY_SCHEMA = stored_schema(pa.schema([]))


def _monotonic() -> int:
    return time_module.monotonic_ns() // 1_000


@dataclass(frozen=True)
class Appended:
    """What became of a batch: events that were stored, dropped as duplicates, stored with a time after the site's clock, and
    put aside without a client or a time.
    """

    kept: int
    duplicates: int
    future: int
    bad: int = 0


@dataclass(frozen=True)
class LogCounts:
    """The counts of a log's life, and what it holds now. Privacy-sensitive.

    Attributes:
        held: events that it holds. bytes: what it takes on disk. bounds: what it may hold.
        oldest_us: the log's time about when the oldest of them was appended; None: it holds none.
    """

    life: Tally
    held: int
    bytes: int
    bounds: Bounds
    oldest_us: int | None


class EventLog:
    """An open event log. Threads may share it. Use it as a context manager.

        with EventLog("events.log", client="device", time="at") as log:
            log.append([{"device": "a7", "at": datetime.now(UTC), "temperature": 21.5}])

    Args:
        path: the file. It is made if it is missing, with mode 0600.
        client, time, event_id: the columns of an event's client, its time, and perhaps the id by which it is recognised when it is
            sent twice. They are set when the log is made.
        days: an event is erased when it has been in the log for this long, in the hour after.
        size: most bytes on disk, also as text such as `2GB`.
        when_full: `wait`: an append to a full log raises LogFull; `drop-oldest`: it erases the oldest events.
        key: a private file with the key that encrypts the events; None: they are not encrypted.
        clock: the wall clock; monotonic: a clock that never jumps; both µs.

    Raises:
        LogSettingsDiffer: it was made with other columns. LogKeyWrong: it was made with another key, with one, or without.
        LogBroken: the file is damaged, or no event log. LogWriteFailed: it cannot be opened or made. NotPrivate.
        OfOlderVersion, OfNewerVersion. ValueError: a setting is wrong.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        client: str,
        time: str,
        event_id: str | None = None,
        days: int = DAYS,
        size: int | str = SIZE,
        when_full: WhenFull = "wait",
        key: Path | str | None = None,
        clock: Callable[[], int] = wall_clock,
        monotonic: Callable[[], int] = _monotonic,
    ) -> None:
        settings = Columns(client, time, event_id), bounds(days, size, when_full)
        self._open(Path(path), settings, None if key is None else Path(key), (clock, monotonic))

    @classmethod
    def existing(
        cls,
        path: Path | str,
        *,
        key: Path | str | None = None,
        clock: Callable[[], int] = wall_clock,
        monotonic: Callable[[], int] = _monotonic,
    ) -> Self:
        """Open a log that exists, with the settings that it has. Raises LogMissing, and as `EventLog`."""
        if not Path(path).exists():
            raise LogMissing(str(path))
        log = cls.__new__(cls)
        log._open(Path(path), None, None if key is None else Path(key), (clock, monotonic))
        return log

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"EventLog({str(self.path)!r}: redacted)"

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # writing

    def append(
        self,
        batch: BatchLike | None = None,
        *,
        positions: Mapping[str, bytes | None] | None = None,
        bad: Sequence[BadRecord] = (),
        lost: int = 0,
    ) -> Appended:
        """Store events, and what belongs to them, in one transaction. When this returns, they are on disk.

        Events whose id the log has are dropped, and those without a client or a time are put aside.

        Args:
            batch: a Table, RecordBatch or DataFrame, or a list of dicts; its columns may differ from those of other batches;
                None: no events.
            positions: how far a stream was read with this batch, by name; None as a value deletes the name.
            bad: records of the stream that could not be understood.
            lost: number of records that the stream had deleted before they were read.

        Raises:
            LogFull: there is no room. LogWriteFailed: for example, the disk is full. In both cases nothing was stored.
            EventsError, EventColumnError: the batch has not the columns of events. LogBroken.
        """
        table = pa.table({}) if batch is None else as_table(batch)
        found = usable(table, self.columns.client, self.columns.time) if table.num_rows else None
        try:
            return self._append(table.nbytes, found, positions or {}, bad, lost)
        except LogFull:
            if not self.trim():  # an append erases 16 batches at most, and none if there is no room afterwards
                raise
        return self._append(table.nbytes, found, positions or {}, bad, lost)

    def trim(self, most: int = 1_000_000) -> int:
        """Erase the events whose time in the log is over, also while nothing is appended. Returns how many. Raises as `append`.

        Args:
            most: transactions, each of which erases up to 16 batches. So a call may end early, and another one goes on.
        """
        erased = 0
        for _ in range(most):
            with self._transaction() as row:
                before = row.tally.expired
                row = self._writer.erase_old(row)
                row.update(self._db)
            if row.tally.expired == before:
                break
            erased += row.tally.expired - before
        return erased

    # reading

    @property
    def schema(self) -> pa.Schema:
        """The columns of the log's events, with the types that `batches` gives them."""
        with self._reading():
            return read_schema(LogRow.read(self._db).schema)

    def batches(
        self, between: tuple[int, int] | None = None, after: int = 0, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[int, pa.Table]]:
        """The events in the order in which they were appended, batch by batch, each with the number of its last event.

        Only one batch is in memory at a time. Events that are appended meanwhile are among them.

        Args:
            between: [from, to) µs; batches without any event of these times are left out. Other events must be filtered.
            after: the number of an event; those after it are read.
            columns: those to read; a name that the log has not is left out. None: all.

        Raises:
            LogBroken, LogWriteFailed.
        """
        while True:
            with self._reading():
                batch = self._batches.next_after(after, between, columns)
                schema = read_schema(LogRow.read(self._db).schema)
            if batch is None:
                return
            table = batch.table.slice(max(0, after + 1 - batch.first))
            after = batch.last
            wanted = schema if columns is None else pa.schema([one for one in schema if one.name in columns])
            yield after, conformed(table, wanted)

    def positions(self) -> dict[str, bytes]:
        """How far a stream was read, by name."""
        with self._reading():
            return self._writer.positions()

    def bad(self, limit: int = 100) -> list[BadRecord]:
        """The newest records that could not be understood, newest first. The log keeps the last 1,000."""
        with self._reading():
            return read_aside(self._db, self._sealing, limit)

    def counts(self) -> LogCounts:
        """The counts of the log."""
        with self._reading():
            row = LogRow.read(self._db)
            held = row.tally.kept - row.tally.expired
            size = page_bytes(self._db) + wal_bytes(self.path)
            return LogCounts(row.tally, held, size, row.bounds, self._batches.oldest_us())

    # the file

    def _open(
        self,
        path: Path,
        settings: tuple[Columns, Bounds] | None,
        key_file: Path | None,
        clocks: tuple[Callable[[], int], Callable[[], int]],
    ) -> None:
        self.path, self._clocks = path, clocks
        self._lock = threading.RLock()
        self._time: LogTime | None = None
        self._wipe = False
        key = None if key_file is None else read_log_key(key_file)
        with self._reported():
            self._db = open_file(path)
        try:
            with self._reported():
                row = self._made(settings, key)
            self._sealing = sealing_of(str(path), row.id, key, row.key_check, row.id_key)
        except BaseException:
            self._db.close()
            raise
        self.columns = row.columns
        self._batches = StoredBatches(self._db, self._sealing, str(path), row.columns.time)
        self._writer = Writer(self._db, self._sealing, str(path), self._batches, row.columns.event_id)
        if wal_bytes(path):
            self._wipe = not empty_wal(self._db)  # a process that was killed may have left erased content

    def _made(self, settings: tuple[Columns, Bounds] | None, key: bytes | None) -> LogRow:
        """The row of the log, which is made if it is new, or gets its new bounds."""
        if not is_new(self._db, self.path) and settings is None:
            return LogRow.read(self._db)
        with transaction(self._db):
            if is_new(self._db, self.path):  # it was another process's turn
                if settings is None:
                    raise LogBroken(str(self.path), "it is empty")
                FORMAT.create(self._db.execute)
                row = self._new_row(*settings, key)
                row.insert(self._db)
                return row
            row = LogRow.read(self._db)
            if settings is None:
                return row
            for name in ("client", "time", "event_id"):
                have, given = getattr(row.columns, name), getattr(settings[0], name)
                if have != given:
                    raise LogSettingsDiffer(str(self.path), name, have, given)
            sealing_of(str(self.path), row.id, key, row.key_check, row.id_key)
            if row.bounds != settings[1]:
                row = replace(row, bounds=settings[1])
                row.update(self._db)
            return row

    def _new_row(self, columns: Columns, bounds: Bounds, key: bytes | None) -> LogRow:
        log_id, now = os.urandom(LOG_ID_BYTES), self._clocks[0]()
        check = None if key is None else Encrypted(key, log_id).check
        id_key = os.urandom(KEY_BYTES) if key is None else None
        return LogRow(log_id, columns, bounds, check, id_key, _EMPTY_SCHEMA, 0, now, now, Tally())

    def _append(
        self,
        incoming: int,
        found: Usable | None,
        positions: Mapping[str, bytes | None],
        bad: Sequence[BadRecord],
        lost: int,
    ) -> Appended:
        """See `append`. `incoming`: bytes of the batch in memory."""
        hashes = None if found is None else self._writer.hashes(found.table)
        records = bad if found is None else (*bad, *found.bad)
        refused = 0 if found is None else found.refused
        with self._transaction(incoming) as row:
            before = row.tally
            row = self._writer.erase_old(row)
            if found is not None and found.table.num_rows:
                row = self._writer.store(row, Incoming(found.table, hashes, wal_bytes(self.path)), self.columns.time)
            if records or lost or refused:
                row = replace(row, tally=row.tally.plus(Tally(bad=len(bad) + refused, lost=lost)))
                put_aside(self._db, self._sealing, row.tally.bad, row.time_us, records)
            self._writer.note(positions)
            row.update(self._db)
        now = row.tally
        return Appended(now.kept - before.kept, now.duplicates - before.duplicates, now.future - before.future, refused)

    @contextmanager
    def _transaction(self, incoming: int = 0) -> Iterator[LogRow]:
        """A transaction that begins with the row of the log, at the log's time now.

        Args:
            incoming: bytes that may be stored. If they may not fit, the write-ahead log is emptied first, which makes room.
        """
        with self._lock, self._reported():
            if wal_bytes(self.path) and (self._wipe or self._is_tight(incoming)):
                self._wipe = not empty_wal(self._db)
            self._writer.erased = False
            with transaction(self._db):
                row = LogRow.read(self._db)
                wall, monotonic = (clock() for clock in self._clocks)
                if self._time is None:
                    self._time = LogTime.at_start(row.time_us, row.wall_us, wall, monotonic)
                else:
                    self._time = self._time.at(wall, monotonic)
                yield replace(row, time_us=max(row.time_us, self._time.us), wall_us=wall)
            if (
                self._writer.erased or self._is_tight()
            ):  # what was stored is in both files until the first one has it alone
                self._wipe = not empty_wal(self._db)

    def _is_tight(self, incoming: int = 0) -> bool:
        used = page_bytes(self._db) + wal_bytes(self.path)
        return used + incoming > LogRow.read(self._db).bounds.size

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, self._reported():
            yield

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Give the errors of SQLite and of the operating system their names."""
        try:
            yield
        except sqlite3.ProgrammingError:  # a closed log
            raise
        except (sqlite3.OperationalError, OSError) as error:
            raise LogWriteFailed(str(self.path), reason_of(error)) from None
        except (sqlite3.DatabaseError, ValueError) as error:
            raise LogBroken(str(self.path), f"it cannot be read ({error})") from None
