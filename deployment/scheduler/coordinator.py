"""A project's coordinator: its session, schedule and registered views, put together for the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base.metrics import Meters
from base.times import wall_clock
from deployment.coordinator.planning import Addresses, closed_in
from deployment.coordinator.session import Session
from deployment.in_process.progress import Progress
from deployment.panes import Between
from deployment.project.project import Project

from .collected_views import CollectedView
from .lease import lease
from .loop import collect_for_ever
from .registered_views import registered
from .results import merged
from .schedule_file import Schedule
from .scheduler import Scheduler
from .session_collector import CollectionTerms, SessionCollector
from .steps import Step


def _ignore(_step: Step) -> None:
    return


@dataclass(frozen=True)
class Surroundings:
    """What the commands give to a coordinator.

    Attributes:
        report: receives each step.
        clock: wall clock, µs since the epoch.
    """

    progress: Progress
    meters: Meters
    report: Callable[[Step], None] = _ignore
    clock: Callable[[], int] = field(default=wall_clock)


class Coordinator:
    """The collections of one project. Each method returns the result of its plans, as one."""

    def __init__(
        self, schedule: Schedule, scheduler: Scheduler, collector: SessionCollector, around: Surroundings
    ) -> None:
        self._schedule, self._scheduler, self._collector, self._around = schedule, scheduler, collector, around

    def collect_for_ever(self, wait: Callable[[float], None]) -> None:
        """Collect whatever is due until KeyboardInterrupt; first wait while another coordinator does.

        Args:
            wait: waits so many seconds.

        Raises:
            CoordinatorReplaced.
        """
        around = self._around
        with lease(self._schedule, around.clock, wait, around.report) as held:
            collect_for_ever(self._scheduler, held, around.clock, wait)

    def collect_due(self) -> dict[str, Any]:
        """Collect once what is due. Raises the errors of `Scheduler.collect_due`."""
        return merged(self._scheduler.collect_due())

    def collect_range(self, views: Sequence[CollectedView], between: Between) -> dict[str, Any]:
        """Collect the panes of a time range that are not published yet. Raises the errors of `Scheduler.collect_panes`.

        Raises:
            UsageError: the range ends after today, or no pane in it has ended.
        """
        closed = closed_in([one.view for one in views], between, self._around.clock())
        wanted = {one: [pane for pane in closed[one.view].tolist() if one.takes(pane)] for one in views}
        return merged(self._scheduler.collect_panes(wanted))

    def resume(self) -> dict[str, Any]:
        """Continue the unfinished plan. Raises the errors of `Session.resume`."""
        return dict(self._scheduler.finish(self._collector.resume))

    def give_up(self) -> dict[str, Any]:
        """Free the unfinished plan. Raises the errors of `Session.give_up`."""
        return dict(self._scheduler.finish(self._collector.free))


@contextmanager
def coordinating(
    directory: Path, addresses: Addresses, terms: CollectionTerms, around: Surroundings, names: Sequence[str] = ()
) -> Iterator[Coordinator]:
    """Be a coordinator of a project.

    Args:
        names: the registered views to collect; empty: all.

    Raises:
        ProjectMissing, ConfigInvalid, ScheduleBroken, ScheduleWriteFailed.
    """
    Project.load(directory)
    with (
        Schedule(directory) as schedule,
        Session(directory, addresses, around.clock, around.progress, around.meters) as session,
    ):
        collector = SessionCollector(session, directory, terms, around.clock)
        scheduler = Scheduler(schedule, collector, lambda: registered(directory, names), around.clock, around.report)
        yield Coordinator(schedule, scheduler, collector, around)
