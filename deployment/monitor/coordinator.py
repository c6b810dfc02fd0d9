"""The state of a coordinator while it runs one collection, as its monitor shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from base.metrics import SITES, Meters, Sample, gauges
from deployment.in_process.progress import Progress
from deployment.scheduler.steps import Step

from .panes import PaneSamples

_SITES_STEP: Final = "sites"


class CoordinatorState:
    """The state of one coordinator.

    Attributes:
        meters: its counters.
    """

    def __init__(self, directory: Path) -> None:
        self.meters = Meters()
        self._panes = PaneSamples(directory)
        self._answered, self._expected = 0, 0
        self._step: Step | None = None

    def watching(self, progress: Progress) -> Progress:
        """The same progress, which this state follows."""

        def follow(view: str, step: str, done: int, total: int) -> None:
            if step == _SITES_STEP:
                self._answered, self._expected = done, total
            progress(view, step, done, total)

        return follow

    def waits_for(self) -> str | None:
        """The sites of the plan under way."""
        missing = self._expected - self._answered
        return f"the answers of {missing} of {self._expected} sites" if missing > 0 else None

    def follow(self, step: Step) -> None:
        """Follow a step of the coordinator that stays."""
        self._step = step

    def samples(self) -> Iterator[Sample]:
        """The counters, the sites of the plan under way, and the panes."""
        yield from self.meters.samples()
        counts = {"expected": self._expected, "answered": self._answered, "missing": self._expected - self._answered}
        yield from gauges(SITES, counts.items())
        yield from self._panes.read()
