"""When small batches become one, so that a log of a million appends of one event reads as fast as one of few large appends.

Batches have levels by their number of rows: below 16, below 256, below 4,096. When enough batches of a level and of lower ones are
at the end of the log, they become one. So each event is rewritten about once a level, and all but the last few batches of an hour
have thousands of rows. Batches of different hours stay apart, because a batch is erased as a whole; and those of different forms of
the schema, because their values may fit no common type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from base.times import SECOND_US

FAN: Final = 16
LEVELS: Final = 3
MOST_ROWS: Final = FAN ** (LEVELS + 1)
MOST_BYTES: Final = 2**24
"""In memory, of a batch with several rows."""
HOUR_US: Final = 3_600 * SECOND_US
TAIL: Final = FAN * LEVELS + 1
"""How many batches at the end of a log are looked at."""


@dataclass(frozen=True)
class Size:
    """How large a batch is, the hour of the log's time in which it was appended, and its form."""

    rows: int
    bytes: int
    hour: int
    form: int


def mergeable(tail: Sequence[Size]) -> int:
    """How many batches at the end of a log become one now; 0: none.

    Args:
        tail: the last `TAIL` batches, the newest first.
    """
    merged = 0
    for level in range(1, LEVELS + 1):
        count, is_full = _run(tail, FAN**level)
        if count > 1 and (is_full or count >= FAN * level):
            merged = count
    return merged


def left_over(tail: Sequence[Size], hour: int) -> int:
    """How many batches at the end of a log become one, because the hour in which they were appended is over; 0: none."""
    if not tail or tail[0].hour == hour:
        return 0
    count, _ = _run(tail, FAN**LEVELS)
    return count if count > 1 else 0


def _run(tail: Sequence[Size], below: int) -> tuple[int, bool]:
    """How many of the newest batches have fewer rows each, are of one hour and form, and fit into one batch; and whether another
    one does not fit.
    """
    rows = size = 0
    for count, one in enumerate(tail):
        if one.rows >= below or (one.hour, one.form) != (tail[0].hour, tail[0].form):
            return count, False
        rows, size = rows + one.rows, size + one.bytes
        if rows > MOST_ROWS or size > MOST_BYTES:
            return count, True
    return len(tail), False
