"""The life of a pane that is not settled yet, as a pure state machine: the clock and what happened are arguments.

    Due ──planned──► Planned ──its plan is kept──► Collecting
     ▲                  │ the plan ends               │ the plan ends
     └──── not opened ──┴─────────────────────────────┘
                        └── attempted too often ──► Exhausted

A pane leaves the machine when the registry has a release or a void of it. That is the only end, and the registry decides it.
All times are µs since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from base.times import DAY_US, SECOND_US

FIRST_PAUSE_US: Final = 30 * SECOND_US
LONGEST_PAUSE_US: Final = 900 * SECOND_US
"""The pauses after plans that were not announced. They cost nothing, so a site that returns is asked soon."""
_DOUBLINGS: Final = 20


@dataclass(frozen=True)
class Due:
    """The pane can be planned.

    Attributes:
        since_us: the first moment at which a coordinator ran and could have collected it.
        next_try_us: it is planned from then on.
        tries: how many plans with it ended without it.
        asked_us: when the sites were last asked for it; None: never.
    """

    since_us: int
    next_try_us: int
    tries: int = 0
    asked_us: int | None = None

    @classmethod
    def first(cls, now_us: int) -> Due:
        """A pane that has just closed, or that a coordinator sees for the first time."""
        return cls(now_us, now_us)

    def is_ready(self, now_us: int) -> bool:
        """Whether it can be planned now. No pause is longer than a day, unless the clock was set back."""
        return self.next_try_us <= now_us or self.next_try_us - now_us > DAY_US

    def planned(self, now_us: int) -> Planned:
        """It is part of the next plan."""
        return Planned(self, now_us)

    def is_overdue(self, give_up_after_us: int | None) -> bool:
        """Whether the project waits no longer: the sites were asked once more when it had waited for so long.

        So a clock that jumps ahead, or a coordinator that was away, voids no pane before its sites could answer.
        """
        return (
            give_up_after_us is not None
            and self.asked_us is not None
            and self.asked_us >= self.since_us + give_up_after_us
        )


@dataclass(frozen=True)
class Planned:
    """The pane is in the plan that is being made. If the process ends now, nobody has seen the plan."""

    before: Due
    planned_us: int

    def kept(self) -> Collecting:
        """The plan is on disk, and sites may have been asked."""
        return Collecting(self.before, self.planned_us)

    def lost(self) -> Due:
        """The process ended before the plan was kept."""
        return self.before

    def refused(self, now_us: int, *, asked: bool) -> Due:
        """The plan was not announced: it cost nothing.

        Args:
            asked: whether the sites have said so.
        """
        return self._again(now_us, FIRST_PAUSE_US, LONGEST_PAUSE_US, asked=asked)

    def not_opened(self, now_us: int, pane_us: int) -> Due:
        """The plan was announced and has ended without it. A pane has few attempts, so they are spread over its width."""
        first = max(FIRST_PAUSE_US, pane_us // 8)
        return self._again(now_us, first, max(first, pane_us), asked=True)

    def exhausted(self) -> Exhausted:
        """It was attempted as often as is allowed."""
        return Exhausted(self.before.since_us)

    def _again(self, now_us: int, first_us: int, longest_us: int, *, asked: bool) -> Due:
        pause = min(longest_us, first_us << min(self.before.tries, _DOUBLINGS))
        asked_us = self.planned_us if asked else self.before.asked_us
        return replace(self.before, next_try_us=now_us + pause, tries=self.before.tries + 1, asked_us=asked_us)


@dataclass(frozen=True)
class Collecting(Planned):
    """The pane is in the kept plan, which is continued until it ends."""


@dataclass(frozen=True)
class Exhausted:
    """The pane is not planned again. An operator decides about it, or the time after which the project gives up."""

    since_us: int


PaneState: TypeAlias = Due | Planned | Collecting | Exhausted
