"""The one row of a log's file that says what the log is, and the counts of its life."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Self

from .settings import Bounds, Columns


@dataclass(frozen=True)
class Tally:
    """The counts of a log's whole life. They never go down. Privacy-sensitive: exact counts of events.

    Attributes:
        kept: events that were stored; the number of the last one.
        duplicates: events that were dropped because the log had their id.
        bad: records that could not be understood.
        future: stored events whose time was after the site's clock.
        expired: stored events that were erased for their age or the log's size.
        lost: records that the source had deleted before they were read.
    """

    kept: int = 0
    duplicates: int = 0
    bad: int = 0
    future: int = 0
    expired: int = 0
    lost: int = 0

    def plus(self, other: Tally) -> Tally:
        """The sums of both."""
        return Tally(*(one + another for one, another in zip(_COUNTS(self), _COUNTS(other), strict=True)))


_COUNTS: Final = attrgetter(*Tally.__dataclass_fields__)
_COLUMNS: Final = attrgetter(*Columns.__dataclass_fields__)
_BOUNDS: Final = attrgetter(*Bounds.__dataclass_fields__)


_CHANGING: Final = (*Bounds.__dataclass_fields__, "schema", "form", "time_us", "wall_us", *Tally.__dataclass_fields__)
_UPDATE: Final = f"UPDATE log SET {', '.join(f'{name} = ?' for name in _CHANGING)}"


@dataclass(frozen=True)
class LogRow:
    """What a log is.

    Attributes:
        id: random, of this log alone.
        key_check, id_key: see sealing.py; **secret**.
        schema: stored form of the types of the columns; form: how often one was replaced.
        time_us: the log's time when it was last used; wall_us: the wall clock at that moment.
    """

    id: bytes
    columns: Columns
    bounds: Bounds
    key_check: bytes | None
    id_key: bytes | None
    schema: bytes
    form: int
    time_us: int
    wall_us: int
    tally: Tally

    def __repr__(self) -> str:
        return "LogRow(redacted)"

    @classmethod
    def read(cls, database: sqlite3.Connection) -> Self:
        """The row. Raises ValueError: it is missing, or holds what a log cannot have."""
        rows = database.execute("SELECT * FROM log").fetchall()
        if len(rows) != 1:
            raise ValueError(f"it has {len(rows)} rows of settings")
        (
            log_id,
            client,
            time,
            event_id,
            days,
            size,
            when_full,
            key_check,
            id_key,
            schema,
            form,
            time_us,
            wall_us,
            *tally,
        ) = rows[0]
        columns, bounds = Columns(client, time, event_id), Bounds(days, size, when_full)
        return cls(log_id, columns, bounds, key_check, id_key, schema, form, time_us, wall_us, Tally(*tally))

    def insert(self, database: sqlite3.Connection) -> None:
        """Store the row of a new log."""
        values = self._values()
        database.execute(f"INSERT INTO log VALUES ({','.join('?' * len(values))})", values)

    def update(self, database: sqlite3.Connection) -> None:
        """Store what may change: bounds, schema, time and counts."""
        values = *_BOUNDS(self.bounds), self.schema, self.form, self.time_us, self.wall_us, *_COUNTS(self.tally)
        database.execute(_UPDATE, values)

    def _values(self) -> tuple[object, ...]:
        return (
            self.id,
            *_COLUMNS(self.columns),
            *_BOUNDS(self.bounds),
            self.key_check,
            self.id_key,
            self.schema,
            self.form,
            self.time_us,
            self.wall_us,
            *_COUNTS(self.tally),
        )
