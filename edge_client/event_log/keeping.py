"""The time of an event log, by which it erases old events. A clock that jumps must not erase any.

The log's time counts the time that has passed, beginning at the wall clock's time when the log was made. While a process has the
log open, its time follows the monotonic clock, whatever the wall clock does. It learns of the time in between, and of a machine
that slept, from the wall clock only, and does not trust it at once:

- At a start it takes over what has passed by the wall clock since the log was last used, but at most a day.
- If it is still behind the wall clock, it takes over at most a day for each hour in which the wall clock was *steady*: it moved as
  the monotonic clock did, within a minute.

So a clock that is years ahead erases at most one day's events too early at the first start, none at more starts, and then
those of a day an hour. The log's time never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from base.times import DAY_US, SECOND_US

STEADY_US: Final = 3_600 * SECOND_US
JUMP_US: Final = 60 * SECOND_US
MOST_US: Final = DAY_US
"""The most that is taken over from the wall clock at once."""


@dataclass(frozen=True)
class LogTime:
    """The time of a log at one moment, µs.

    Attributes:
        us: the log's time.
        wall_us, monotonic_us: both clocks at that moment.
        steady_since_us: since when, by the monotonic clock, the wall clock is steady.
    """

    us: int
    wall_us: int
    monotonic_us: int
    steady_since_us: int

    @classmethod
    def new(cls, wall_us: int, monotonic_us: int) -> Self:
        """The time of a log that is made now."""
        return cls(wall_us, wall_us, monotonic_us, monotonic_us)

    @classmethod
    def at_start(cls, us: int, last_wall_us: int, wall_us: int, monotonic_us: int) -> Self:
        """The time of a log that a process opens.

        Args:
            us, last_wall_us: the log's time, and the wall clock, when the log was last used.
        """
        away = min(max(0, wall_us - last_wall_us), max(0, wall_us - us), MOST_US)
        return cls(us + away, wall_us, monotonic_us, monotonic_us)

    def at(self, wall_us: int, monotonic_us: int) -> LogTime:
        """The time at a later moment of the same process."""
        passed = max(0, monotonic_us - self.monotonic_us)
        jumped = abs(wall_us - self.wall_us - passed) > JUMP_US
        since = monotonic_us if jumped else self.steady_since_us
        us = self.us + passed
        if monotonic_us - since >= STEADY_US:
            us += min(max(0, wall_us - us), MOST_US)
            since = monotonic_us
        return LogTime(us, wall_us, monotonic_us, since)
