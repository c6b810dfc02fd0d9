"""The coordinator that stays: step after step, until it is told to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .lease import Lease
from .scheduler import Scheduler
from .steps import Busy, Ended, Failed, Idle, NothingRegistered, Step

LOOK_US: Final = 1_000_000
"""How often it looks at clock and registry: a view may be applied, and a machine may wake up."""


def collect_for_ever(
    scheduler: Scheduler, lease: Lease, clock: Callable[[], int], wait: Callable[[float], None]
) -> None:
    """Collect whatever is due, until KeyboardInterrupt.

    Args:
        wait: waits so many seconds.

    Raises:
        CoordinatorReplaced.
    """
    while True:
        lease.require()
        wait(_pause_s(scheduler.step(), clock()))


def _pause_s(step: Step, now_us: int) -> float:
    match step:
        case Idle(next_us) if next_us is not None:
            return min(LOOK_US, max(0, next_us - now_us)) / 1e6
        case Failed(_, retry_us) | Busy(retry_us):
            return min(LOOK_US, max(0, retry_us - now_us)) / 1e6
        case Idle() | NothingRegistered():
            return LOOK_US / 1e6
        case Ended():
            return 0.0
        case _:
            return 0.0
