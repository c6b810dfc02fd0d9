"""The state of a project: running roles; panes opened, void and due; the unfinished plan; budgets; and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deployment.errors import ItemMissing
from deployment.local.supervision.state_file import DeploymentState, read_state
from deployment.local.unfinished_collection import Unfinished
from deployment.project.budgets import budgets_of
from deployment.project.known_releases import registry_of
from deployment.project.project import Project
from edge_client.ledger import read_late_events
from featurestore.define.definitions import FeatureView
from federation.errors import LedgerBroken
from federation.keys import SITE_PREFIX
from federation.ledger.operator import LEDGERS
from federation.plan import plan_from_bytes

from .deployment_status import roles_to_json
from .ledger_view import LedgerView, moment_of, owners_in, read_ledgers
from .pane_counts import PaneCounts, SpanPanes

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ViewStatus:
    """The panes of one registered view, in all of its collections.

    Attributes:
        view: the served version.
        due: int64, pane starts (µs) that have neither a release nor a void, between the first and the last known pane of a
            collection.
        exhausted: int64, the due panes that were attempted as often as is allowed.
    """

    view: FeatureView
    opened: int
    void: int
    due: Ints
    exhausted: Ints


@dataclass(frozen=True, eq=False)
class ProjectStatus:
    """The state of a project folder, read without changing it.

    Attributes:
        unfinished_until: the deadline (µs) of the coordinator's unfinished plan; None if there is none.
        budget_left: micro-ρ that is left of the last charged day, by ledger; None: the ledger is broken.
        deployment: what `covey up` runs now; None: nothing.
        late_events: for each site whose ledger is here, the events of each view that came after their pane was reported.
    """

    project: Project
    views: tuple[ViewStatus, ...]
    unfinished_until: int | None
    budget_left: Mapping[str, int | None]
    late_events: Mapping[str, Mapping[str, int]]
    deployment: DeploymentState | None

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "project": self.project.name,
            "sites": [one.site for one in self.project.roster.entries],
            "min_sites": self.project.sites_needed,
            "views": {
                one.view.name: {
                    "opened": one.opened,
                    "void": one.void,
                    "due": [moment_of(pane) for pane in one.due.tolist()],
                    "exhausted": [moment_of(pane) for pane in one.exhausted.tolist()],
                }
                for one in self.views
            },
            "unfinished_until": None if self.unfinished_until is None else moment_of(self.unfinished_until),
            "budget_left_micro_rho": dict(self.budget_left),
            "late_events": {site: dict(views) for site, views in self.late_events.items()},
            "deployment": None if self.deployment is None else roles_to_json(self.deployment),
        }


def read_status(directory: Path) -> ProjectStatus:
    """The state of a project folder. Raises ProjectMissing, ConfigInvalid, JobMalformed, StoreCorrupt."""
    project, unfinished = Project.load(directory), Unfinished(directory)
    until = None
    if unfinished.folder.exists():
        wire = plan_from_bytes(unfinished.load().plan).wire
        until = 0 if wire is None else wire.deadline_us
    late, deployment = _late_events(directory), read_state(directory)
    return ProjectStatus(project, view_statuses(directory), until, _budgets(directory), late, deployment)


def view_statuses(directory: Path) -> tuple[ViewStatus, ...]:
    """The panes of each registered view; nothing if there is no store yet. Raises StoreCorrupt, ScheduleBroken."""
    found = []
    for one in PaneCounts(directory).read():
        due = np.unique(
            np.concatenate([np.empty(0, np.int64), *(_due(directory, span) for span in one.spans if span.due)])
        )
        found.append(ViewStatus(one.view, one.opened, one.void, due, one.exhausted))
    return tuple(found)


def _due(directory: Path, span: SpanPanes) -> Ints:
    """int64, the panes (µs) between the first and the last known one that are not published."""
    view = span.collected.view
    with registry_of(directory) as registry:
        if registry is None:
            return np.empty(0, np.int64)
        known = registry.collected_panes(view, span.first, span.last + 1)
    return np.setdiff1d(np.arange(span.first, span.last + 1, view.pane_us), known)


def _budgets(directory: Path) -> dict[str, int | None]:
    try:
        ledgers = read_ledgers(directory, budgets_of(directory, None))
    except ItemMissing:
        return {}
    found: dict[str, int | None] = {}
    for ledger in ledgers:
        if isinstance(ledger, LedgerView):
            found[ledger.owner] = ledger.days[-1].left if ledger.days else ledger.budget.micro_rho
        else:
            found[ledger.owner] = None
    return found


def _late_events(directory: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for owner in owners_in(directory / LEDGERS):
        if owner.startswith(SITE_PREFIX):
            site = owner.removeprefix(SITE_PREFIX)
            with suppress(LedgerBroken):  # the budgets say that it is broken
                if views := read_late_events(directory / LEDGERS / f"{owner}.db", site):
                    found[site] = views
    return found
