"""The batches in a log's file: appended, merged, read in order, and erased from the oldest on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import LogBroken
from .batches import conformed, decoded, encoded, grown
from .merging import HOUR_US, TAIL, Size, left_over, mergeable
from .sealing import Sealing

_TABLE: Final = b"batches"
_INSERT: Final = "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_TAIL: Final = "SELECT first, last, bytes, appended_us, form FROM batches ORDER BY last DESC LIMIT ?"


@dataclass(frozen=True)
class StoredBatch:
    """One batch: the numbers of its first and last event, and its rows."""

    first: int
    last: int
    table: pa.Table


class StoredBatches:
    """The batches of one log. Statements that change something belong to the caller's transaction.

    Args:
        path: of the log, for errors. time: the column of times.
    """

    def __init__(self, database: sqlite3.Connection, sealing: Sealing, path: str, time: str) -> None:
        self._db, self._sealing, self._path, self._time = database, sealing, path, time

    def seal(self, table: pa.Table, first: int) -> bytes:
        """The stored form of a batch whose first event has this number."""
        return self._sealing.seal(_TABLE, first, encoded(table))

    def insert(self, table: pa.Table, data: bytes, first: int, appended_us: int, form: int) -> None:
        """Store a batch at the end.

        Args:
            data: its stored form.
        """
        times = times_of(table, self._time)
        row = first + table.num_rows - 1, first, appended_us, int(times.min()), int(times.max())
        self._db.execute(_INSERT, (*row, table.nbytes, form, data))

    def merge(self, now_us: int, *, over: bool) -> None:
        """Merge small batches at the end of the log.

        Args:
            over: only if their hour is over; before an append.
        """
        tail = self._db.execute(_TAIL, (TAIL,)).fetchall()
        sizes = [Size(last - first + 1, size, appended // HOUR_US, form) for first, last, size, appended, form in tail]
        count = left_over(sizes, now_us // HOUR_US) if over else mergeable(sizes)
        if not count:
            return
        first, (_, last, _, appended_us, form) = tail[count - 1][0], tail[0]
        tables = [one.table for one in self._read("last >= ? AND last <= ?", (first, last))]
        schema = pa.schema([])
        for table in tables:
            schema, _ = grown(schema, table)
        merged = pa.concat_tables([conformed(table, schema) for table in tables])
        self._db.execute("DELETE FROM batches WHERE last >= ? AND last <= ?", (first, last))
        self.insert(merged, self.seal(merged, first), first, appended_us, form)

    def next_after(
        self, number: int, between: tuple[int, int] | None, columns: Sequence[str] | None
    ) -> StoredBatch | None:
        """The first batch with events after this number, and perhaps with times between these (µs); None: there is none."""
        where, values = "last > ?", [number]
        if between is not None:
            where, values = f"{where} AND last_us >= ? AND first_us < ?", [number, *between]
        return next(self._read(f"{where} ORDER BY last LIMIT 1", values, columns), None)

    def oldest(self) -> StoredBatch | None:
        """The batch that is erased next."""
        return next(self._read("1 ORDER BY last LIMIT 1"), None)

    def oldest_us(self) -> int | None:
        """The log's time when the batch that is erased next was appended, or later in that hour."""
        found = self._db.execute("SELECT appended_us FROM batches ORDER BY last LIMIT 1").fetchall()
        return int(found[0][0]) if found else None

    def erase(self, last: int) -> None:
        """Erase the batch whose last event has this number."""
        self._db.execute("DELETE FROM batches WHERE last = ?", (last,))

    def _read(
        self, where: str, values: Sequence[int] = (), columns: Sequence[str] | None = None
    ) -> Iterator[StoredBatch]:
        select = f"SELECT first, last, data FROM batches WHERE {where}"
        for first, last, data in self._db.execute(select, values).fetchall():
            try:
                table = decoded(self._sealing.open(_TABLE, first, data), columns)
            except (ValueError, OSError) as error:  # Arrow's errors are ValueErrors
                why = f"the events from number {first:,} on cannot be read ({type(error).__name__})"
                raise LogBroken(self._path, why) from None
            if table.num_rows != last - first + 1 and (columns is None or table.num_columns):
                raise LogBroken(self._path, f"events from number {first:,} on are missing")
            yield StoredBatch(first, last, table)


def times_of(table: pa.Table, time: str) -> npt.NDArray[np.int64]:
    """int64[N], the times of stored events, µs since the epoch."""
    times: npt.NDArray[np.int64] = table.column(time).cast(pa.int64()).to_numpy()
    return times
