"""The run of a session on the project's SuperLink. It stays open over many plans, and is replaced when it is lost.

To begin a run costs a tenth of a second. Flower keeps what the sites of a run have not fetched until the run ends. So a run serves
many plans, and not for ever: after `RUN_SECONDS` the next plan begins a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final

from aggregator.errors import RunLost

from .grid import RunGrid, calls_of_a_run

RUN_SECONDS: Final = 3_600.0


class OpenRun:
    """At most one run on a SuperLink. It begins when it is needed.

    Args:
        begin: starts a run, such as `grid_of`.
        clock: monotonic seconds.
    """

    def __init__(self, begin: Callable[[], AbstractContextManager[RunGrid]], clock: Callable[[], float]) -> None:
        self._begin, self._clock = begin, clock
        self._grid: RunGrid | None = None
        self._since = 0.0
        self._closing = ExitStack()

    @contextmanager
    def grid(self) -> Iterator[RunGrid]:
        """Access to the nodes, in the run that is open. At the end of the block, its replies are confirmed.

        Raises:
            SuperLinkUnusable: no run can be started. RunLost: the SuperLink has ended the run; the next block begins another.
        """
        if self._clock() - self._since >= RUN_SECONDS:
            self.close()
        if self._grid is None:
            self._grid, self._since = self._closing.enter_context(self._begin()), self._clock()
        try:
            with calls_of_a_run():
                yield self._grid
        except RunLost:
            self.close()
            raise
        try:
            with calls_of_a_run():
                self._grid.confirm()
        except RunLost:  # of no account: everything has been received
            self.close()

    def close(self) -> None:
        """End the run, if there is one."""
        self._grid = None
        self._closing.close()
