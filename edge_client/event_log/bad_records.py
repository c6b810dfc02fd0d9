"""Records that cannot be understood. They are counted and kept aside, and stop nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .sealing import Sealing


class BadReason(StrEnum):
    """What is wrong with a record. The values are stored in event logs."""

    EMPTY = "empty"
    """It has no bytes, such as a tombstone of Kafka."""
    TOO_LARGE = "too large"
    NOT_JSON = "not JSON"
    """It is not one whole JSON value in UTF-8."""
    NO_OBJECT = "no object"
    """It is JSON, but no object with named values."""
    NO_CLIENT = "no client"
    """The column of the client is missing, null, or of another type than the site's file says."""
    NO_TIME = "no time"
    """The column of the time is missing, null, of another type, or not a time."""


@dataclass(frozen=True)
class BadRecord:
    """One of them.

    Attributes:
        raw: its bytes, or the first of them. As private as an event.
        where: where the source had it, such as `topic[2]@1707`.
    """

    reason: BadReason
    raw: bytes
    where: str


MOST_ASIDE: Final = 1_000
"""How many bad records a log keeps aside: the newest."""
_MOST_RAW: Final = 1_024
_MOST_PLACE: Final = 256
_TABLE: Final = b"bad"


def put_aside(
    database: sqlite3.Connection, sealing: Sealing, number: int, at_us: int, records: Sequence[BadRecord]
) -> None:
    """Store the newest of these records, and erase the oldest of those that are stored. Inside a transaction.

    Args:
        number: of the last of them, counted over the log's life. at_us: the log's time.
    """
    first = number - len(records) + 1
    rows = []
    for at, record in list(enumerate(records, first))[-MOST_ASIDE:]:
        place = record.where.encode(errors="replace")[:_MOST_PLACE]
        data = sealing.seal(_TABLE, at, len(place).to_bytes(2, "big") + place + record.raw[:_MOST_RAW])
        rows.append((at, at_us, record.reason.value, data))
    database.executemany("INSERT INTO bad VALUES (?, ?, ?, ?)", rows)
    database.execute("DELETE FROM bad WHERE number <= ?", (number - MOST_ASIDE,))


def read_aside(database: sqlite3.Connection, sealing: Sealing, limit: int) -> list[BadRecord]:
    """The newest of the stored records, newest first. Raises ValueError: one is damaged."""
    select = "SELECT number, reason, data FROM bad ORDER BY number DESC LIMIT ?"
    found = []
    for number, reason, data in database.execute(select, (limit,)).fetchall():
        content = sealing.open(_TABLE, number, data)
        end = 2 + int.from_bytes(content[:2], "big")
        found.append(BadRecord(BadReason(reason), content[end:], content[2:end].decode(errors="replace")))
    return found


def erase_aside(database: sqlite3.Connection, before_us: int) -> bool:
    """Erase the records that were put aside before this moment of the log's time. Returns whether there were some."""
    oldest = database.execute("SELECT at_us FROM bad ORDER BY number LIMIT 1").fetchall()
    if not oldest or oldest[0][0] > before_us:
        return False
    database.execute("DELETE FROM bad WHERE at_us <= ?", (before_us,))
    return True
