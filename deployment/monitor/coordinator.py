"""The state of a coordinator, as its monitor shows it: of one that collects once, and of the one that stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, assert_never

from base.logs import shown
from base.metrics import LAST_OPENED, NEXT_COLLECTION, SITES, Meters, Sample, gauges
from base.times import wall_clock
from deployment.drift.watch import DriftWatch, check_project
from deployment.in_process.progress import Progress
from deployment.scheduler.steps import (
    Begins,
    Busy,
    ClockWentBack,
    Ended,
    Failed,
    Idle,
    NothingRegistered,
    Step,
    WaitsForTurn,
)

from .panes import PaneSamples

_SITES_STEP: Final = "sites"


class CoordinatorState:
    """The state of one coordinator.

    Attributes:
        meters: its counters.
        drift: the newest check of each view.
    """

    def __init__(self, directory: Path, clock: Callable[[], int] = wall_clock) -> None:
        self.meters = Meters()
        self._panes = PaneSamples(directory)
        self.drift = DriftWatch(lambda: check_project(directory), clock)
        self._is_followed = False
        self._answered, self._expected = 0, 0
        self._trouble: str | None = None
        self._next_us: int | None = None
        self._opened_us: int | None = None

    def watching(self, progress: Progress) -> Progress:
        """The same progress, which this state follows."""

        def follow(view: str, step: str, done: int, total: int) -> None:
            if step == _SITES_STEP:
                self._answered, self._expected = done, total
            progress(view, step, done, total)

        return follow

    def waits_for(self) -> str | None:
        """The mend of a failure, a turn, or the sites of the plan under way."""
        if self._trouble is not None:
            return self._trouble
        missing = self._expected - self._answered
        return f"the answers of {missing} of {self._expected} sites" if missing > 0 else None

    def follow(self, step: Step, now_us: int) -> None:
        """Follow a step of the coordinator that stays."""
        if not self._is_followed:  # what the coordinator before it has published
            self._is_followed = True
            self.drift.published()
        match step:
            case Idle(next_us, views):
                if views or next_us is None:  # else it pauses after a failure
                    self._trouble, self._next_us = None, next_us
            case Ended(result):
                self._trouble, self._answered, self._expected = None, 0, 0
                if any(view["opened"] for view in result["views"].values()):
                    self._opened_us = now_us
                    self.drift.published()
            case Failed(error):
                self._trouble, self._answered, self._expected = str(shown(error)), 0, 0
            case WaitsForTurn():
                self._trouble = "the end of another coordinator of this project"
            case NothingRegistered():
                self._trouble = "a registered view"
            case Begins() | Busy() | ClockWentBack():
                pass
            case other:
                assert_never(other)

    def samples(self) -> Iterator[Sample]:
        """The counters, the sites of the plan under way, and the panes."""
        yield from self.meters.samples()
        counts = {"expected": self._expected, "answered": self._answered, "missing": self._expected - self._answered}
        yield from gauges(SITES, counts.items())
        for metric, moment in ((NEXT_COLLECTION, self._next_us), (LAST_OPENED, self._opened_us)):
            if moment is not None:
                yield Sample(metric, (), moment / 1e6)
        yield from self.drift.samples()
        yield from self._panes.read()
