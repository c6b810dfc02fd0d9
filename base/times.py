"""Durations, panes and UTC days. All times in Covey are int64 microseconds since 1970-01-01 UTC, negative before."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SECOND_US: Final = 1_000_000
DAY_US: Final = 86_400 * SECOND_US
MAX_DURATION_US: Final = 36_525 * DAY_US
_UNITS: Final = {"s": SECOND_US, "m": 60 * SECOND_US, "h": 3_600 * SECOND_US, "d": DAY_US}
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd])")

PANES: Final = ("5s", "15s", "1m", "5m", "15m", "1h", "1d")
"""The widths that a pane can have; each divides the UTC day."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_duration(text: object) -> int:
    """Microseconds of a duration such as `30s`, `5m`, `24h` or `7d`; ValueError otherwise."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"not a duration: {text!r}; write a whole number and s, m, h or d, such as '30m' or '7d'")
    duration = int(match[1]) * _UNITS[match[2]]
    if duration > MAX_DURATION_US:
        raise ValueError(f"the duration {text!r} is longer than a hundred years")
    return duration


def to_us(moment: datetime) -> int:
    """Microseconds since the epoch of a datetime; a naive one is UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)


def from_us(moment_us: int) -> datetime:
    """The UTC datetime of microseconds since the epoch."""
    return EPOCH + timedelta(microseconds=int(moment_us))


def utc_text(moment_us: int) -> str:
    """A moment (µs since the epoch) as ISO 8601 text in UTC; whole seconds have no decimals."""
    try:
        return from_us(moment_us).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return f"{moment_us} µs"


Moment = TypeVar("Moment", int, "npt.NDArray[np.int64]")


def day_of(moment_us: Moment) -> Moment:
    """The UTC day (days since the epoch, rounded down) that holds this moment."""
    return moment_us // DAY_US


def day_of_date(day: date) -> int:
    """The number of a UTC day since the epoch."""
    return (day - EPOCH.date()).days


def runs_of(starts: Sequence[int], step: int) -> list[tuple[int, int]]:
    """The first and the last start of each run of sorted starts that follow one another at a step."""
    runs: list[tuple[int, int]] = []
    for start in starts:
        if runs and start - runs[-1][1] == step:
            runs[-1] = runs[-1][0], start
        else:
            runs.append((start, start))
    return runs


def span_of(days: tuple[int, int]) -> tuple[int, int]:
    """[from, to) in µs since the epoch, of [first, last + 1) in UTC days since the epoch."""
    return days[0] * DAY_US, days[1] * DAY_US


def wall_clock() -> int:
    """The wall clock, µs since the epoch."""
    return time.time_ns() // 1_000
