"""A project's coordinator: its session, schedule and registered views, put together for the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from base.metrics import Meters
from base.times import wall_clock
from deployment.coordinator.planning import Addresses, closed_in
from deployment.coordinator.session import Session
from deployment.errors import UsageError
from deployment.in_process.progress import Progress
from deployment.panes import Between
from deployment.project.known_releases import registry_of
from deployment.project.project import Project
from deployment.project.view_forms import views_in_force
from featurestore.define.definitions import FeatureView
from featurestore.define.wire import collection_hash
from featurestore.errors import UnknownView

from .collected_views import CollectedView, collected_of, collected_views
from .lease import lease
from .loop import collect_for_ever
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


def registered(directory: Path, names: Sequence[str] = ()) -> tuple[CollectedView, ...]:
    """The registered views of these names; without names, all. Raises UnknownView."""
    found = collected_views(directory)
    if unknown := set(names) - {one.view.name for one in found}:
        raise UnknownView(min(unknown), sorted({one.view.name for one in found}), named=False)
    return tuple(one for one in found if not names or one.view.name in names)


def require_registered(directory: Path, names: Sequence[str] = ()) -> tuple[CollectedView, ...]:
    """The same. Raises UsageError: no view is registered."""
    if not (found := registered(directory, names)):
        raise UsageError(
            f"no view is registered in {directory}, so nothing can be collected. `covey apply VIEWS.py` registers views"
        )
    return found


def declared(directory: Path, views: Sequence[FeatureView]) -> tuple[CollectedView, ...]:
    """What is collected of the views of a file. They need not be registered yet.

    A view whose collection is registered stands for all collections of its name: the schedule says which one has a pane. So a
    backfill opens no day twice, and a file may have the newest definition or an older one.

    Raises:
        ViewChanged: a changed definition was not applied.
    """
    in_force = views_in_force(directory, views)
    known: dict[str, list[CollectedView]] = {}
    with registry_of(directory) as registry:
        if registry is not None:
            for view in in_force:
                registry.require_registrable(view)
            for one in collected_of(registry.to_collect()):
                known.setdefault(one.view.name, []).append(one)
    return tuple(one for view in in_force for one in _of_name(view, known.get(view.name, ())))


def _of_name(view: FeatureView, known: Sequence[CollectedView]) -> list[CollectedView]:
    mine = collection_hash(view)
    if all(one.collection != mine for one in known):  # it is registered with its first plan
        return [CollectedView(view, 1)]
    return [replace(one, view=view) if one.collection == mine else one for one in known]
