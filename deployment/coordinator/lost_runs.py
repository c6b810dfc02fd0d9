"""A collection outlives Flower's run: if the SuperLink ends the run, the coordinator goes on in a new one.

The SuperLink ends a run that sends no heartbeat for a minute, because a machine stood still or its clock was set forward, and a
SuperLink that restarts knows no run any more. In the new run the sites are asked again. A site answers the same plan from its kept
answer, and the aggregators take a report once, so nothing is lost or counted twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from aggregator.errors import RunLost, SuperLinkUnusable

MOST_NEW_RUNS: Final = 3
"""A SuperLink that ends a fourth run of one collection has a fault that an operator must see."""
BACK_SECONDS: Final = 120.0
"""How long a SuperLink may take to restart."""
RETRY_SECONDS: Final = 1.0

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


def outlive_runs(act: Callable[[], _T], clock: Callable[[], float], sleep: Callable[[float], None]) -> _T:
    """The result of `act`, which is repeated if it fails because its run is lost.

    Args:
        act: starts a run. It is safe to repeat.
        clock: monotonic seconds.

    Raises:
        SuperLinkUnusable: no run could be started, or none within `BACK_SECONDS` after one was lost. RunLost: `MOST_NEW_RUNS`
            new runs were lost, too. And the errors of `act`.
    """
    lost, since = 0, 0.0
    while True:
        try:
            return act()
        except RunLost as error:
            lost, since = lost + 1, clock()
            if lost > MOST_NEW_RUNS:
                raise
            _log.warning("%s; the collection goes on in a new run", error)
        except SuperLinkUnusable:
            if not lost or clock() - since > BACK_SECONDS:
                raise
        sleep(RETRY_SECONDS)
