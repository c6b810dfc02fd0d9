"""What an operator watches of a fleet, read again and again: sites, panes, the plan under way, the roles that run here.

A directory that has a store and no project has only panes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from base.file_stamps import Stamp, stamp_of
from deployment.coordinator.answer_log import PlanAnswers
from deployment.errors import UsageError
from deployment.local.supervision.state_file import DeploymentState, read_state
from deployment.project.project import FILE, Project
from deployment.scheduler.outlook import ViewOutlook, look_ahead
from featurestore.registry.watch import Published
from featurestore.store import Store

from .arrivals import newest_publication
from .pane_counts import PaneCounts, ViewPanes
from .plan_under_way import PlanUnderWay, read_plan_under_way
from .site_activity import SiteActivities, SiteActivity

ARRIVALS: Final = 20
"""The newest panes that are shown."""
_PUBLICATIONS: Final = 40
"""So many of the newest publications are searched for them."""


@dataclass(frozen=True)
class PanesOfView:
    """The panes of a view: how many there are, and what comes next.

    Attributes:
        next: by collected version, what a coordinator would do now; empty without a project.
    """

    counts: ViewPanes
    next: tuple[ViewOutlook, ...]


class Fleet:
    """The fleet of a project or store. What was read is kept where a second reading is then cheaper; for one thread at a time.

    Args:
        directory: of the project or store.
        clock: wall clock, µs since the epoch.
    """

    def __init__(self, directory: Path, store: Store, clock: Callable[[], int]) -> None:
        self._directory, self._store, self._clock = directory, store, clock
        self._counts, self._activities = PaneCounts(directory), SiteActivities(directory)
        self._project: tuple[Stamp | None, Project | None] = None, None
        self._arrivals: tuple[object, tuple[Published, ...]] = None, ()

    def project(self) -> Project | None:
        """The project of the directory; None: it only has a store. Raises ConfigInvalid.

        The keys of a large roster take long to check, so the file is read again only if it has changed.
        """
        stamp = stamp_of(self._directory / FILE)
        if self._project[0] != stamp:
            self._project = stamp, Project.find(self._directory)
        return self._project[1]

    def sites(self) -> tuple[SiteActivity, ...]:
        """The sites of the project. Raises ConfigInvalid."""
        roster = self._roster()
        return self._activities.read(roster) if roster else ()

    def plan(self) -> PlanUnderWay | None:
        """The plan that the coordinator carries out. Raises ConfigInvalid, JobMalformed."""
        return read_plan_under_way(self._directory, self._roster())

    def last_plan(self) -> PlanAnswers | None:
        """The plan that ended last; None: none is known. Raises ConfigInvalid."""
        return self._activities.last_plan() if self.project() is not None else None

    def panes(self) -> tuple[PanesOfView, ...]:
        """The panes of each view. Raises ConfigInvalid, StoreCorrupt, ScheduleBroken, JobMalformed."""
        views = self._next()
        return tuple(PanesOfView(one, views.get(one.view.name, ())) for one in self._counts.read())

    def deployment(self) -> DeploymentState | None:
        """The roles that `covey up` runs here; None: none runs."""
        return read_state(self._directory)

    def arrivals(self) -> tuple[Published, ...]:
        """The panes that were published last, the newest first.

        A publication may have many thousand panes, so they are read again only after another one, or with other views.
        """
        newest, views = newest_publication(self._directory), tuple(self._store.views())
        if self._arrivals[0] != (newest, views):
            after = max(0, newest - _PUBLICATIONS)
            found = [one for view in views for one in self._store.published(view.name, after)]
            last = sorted(found, key=lambda one: (-one.seq, one.view, -one.pane_start))[:ARRIVALS]
            self._arrivals = (newest, views), tuple(last)
        return self._arrivals[1]

    def _roster(self) -> Mapping[str, int]:
        project = self.project()
        return {} if project is None else {one.site: one.max_clients for one in project.roster.entries}

    def _next(self) -> Mapping[str, tuple[ViewOutlook, ...]]:
        if self.project() is None:
            return {}
        try:
            outlook = look_ahead(self._directory, (), self._clock())
        except UsageError:  # no view is registered yet
            return {}
        found: dict[str, tuple[ViewOutlook, ...]] = {}
        for one in outlook.views:
            name = one.collected.view.name
            found[name] = (*found.get(name, ()), one)
        return found
