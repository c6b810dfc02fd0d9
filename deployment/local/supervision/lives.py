"""The life of a supervised role, as a pure state machine: the clock and what happened are arguments.

    Waiting ──► Running ──died──► BackingOff ──due──► Running …
                   │
                   └──died, a task that is done──► Ended

A service is always started again, after a pause of at most `LONGEST_PAUSE_S`. A task (the coordinator of one collection) ends:
its exit code says whether another attempt can help.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, assert_never

from base.errors import DONE, NOT_FOUND, NOTHING_RELEASED, REFUSED, USAGE

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
STEADY_S: Final = 60.0
"""A process that ran for this long was healthy: the pause before its next start is short again."""
FAILING: Final = 3
"""A role with this many deaths in a row keeps dying."""
TASK_ATTEMPTS: Final = 8
_OVER: Final = frozenset({DONE, USAGE, NOTHING_RELEASED, REFUSED, NOT_FOUND})
"""The exit codes of a task for which another attempt would have the same result."""


@dataclass(frozen=True)
class Waiting:
    """The role is not started yet.

    Attributes:
        for_what: what must be there first, such as another role.
    """

    for_what: str


@dataclass(frozen=True)
class Running:
    """The role's process runs.

    Attributes:
        since: seconds of the supervisor's clock.
        waits_for: what the process needs before it works; None: it is ready.
    """

    pid: int
    since: float
    waits_for: str | None


@dataclass(frozen=True)
class BackingOff:
    """The role's process died, and is started again at `until`."""

    until: float
    why: str


@dataclass(frozen=True)
class Ended:
    """A task that is not started again.

    Attributes:
        why: the last line of its log.
    """

    code: int
    why: str


State = Waiting | Running | BackingOff | Ended


@dataclass(frozen=True)
class Life:
    """The state of a role, and how often its process died.

    Attributes:
        is_task: it ends when its work is done; otherwise it is a service.
        starts: how often its process was started.
        deaths_in_row: deaths since the last process that ran for `STEADY_S`.
    """

    is_task: bool
    state: State = Waiting("the supervisor")
    starts: int = 0
    deaths_in_row: int = 0

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return max(0, self.starts - 1)

    @property
    def is_ready(self) -> bool:
        """Whether its process runs and works."""
        return isinstance(self.state, Running) and self.state.waits_for is None

    @property
    def is_failing(self) -> bool:
        """Whether it keeps dying."""
        return self.deaths_in_row >= FAILING and not self.is_ready

    def is_due(self, now: float) -> bool:
        """Whether its process may be started now, if what it needs is there."""
        match self.state:
            case Waiting():
                return True
            case BackingOff(until):
                return now >= until
            case Running() | Ended():
                return False
            case state:
                assert_never(state)

    def waiting(self, for_what: str) -> Life:
        """The role is due, and something that it needs is missing."""
        match self.state:
            case BackingOff():
                return self  # why it died is the better reason
            case _:
                return replace(self, state=Waiting(for_what))

    def started(self, pid: int, now: float) -> Life:
        """Its process was started."""
        return replace(self, state=Running(pid, now, "its start"), starts=self.starts + 1)

    def looked_at(self, waits_for: str | None) -> Life:
        """Its running process was asked what it waits for."""
        match self.state:
            case Running():
                return replace(self, state=replace(self.state, waits_for=waits_for))
            case _:
                return self

    def died(self, code: int, why: str, now: float) -> Life:
        """Its process ended by itself.

        Args:
            code: its exit code; negative: the signal that killed it.
            why: the last line of its log.
        """
        lived = now - self.state.since if isinstance(self.state, Running) else 0.0
        deaths = 1 if lived >= STEADY_S else self.deaths_in_row + 1
        if self.is_task and (code in _OVER or deaths >= TASK_ATTEMPTS):
            return replace(self, state=Ended(code, why), deaths_in_row=0)
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (deaths - 1))
        return replace(self, state=BackingOff(now + pause, f"{ended_with(code)}: {why}"), deaths_in_row=deaths)


def ended_with(code: int) -> str:
    """How a process ended, in words."""
    return f"killed by signal {-code}" if code < 0 else f"ended with status {code}"
