"""The plan of a collection: the panes that are due, and the parties and terms that collect them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from base.times import DAY_US, utc_text
from deployment.errors import UsageError
from deployment.panes import Between, closed_panes
from deployment.project.folders import KEYS
from deployment.project.known_releases import registry_of
from deployment.project.network import Network
from deployment.project.project import Project
from deployment.project.view_forms import views_in_force
from featurestore.define.definitions import FeatureView
from featurestore.define.release import Clock
from federation.draft import sign_draft
from federation.keys import load_keys
from federation.plan import PLAN_ID_BYTES, Plan, PlannedView, new_plan
from federation.terms import Encrypted, RequestedTerms, Shares, Terms

from .attempts import Attempts


@dataclass(frozen=True)
class Addresses:
    """The addresses of the other roles, `host:port`. None: those of the unfinished plan, or those of covey.toml."""

    leader: str | None = None
    helper: str | None = None
    key_holder: str | None = None

    def of(self, network: Network) -> Addresses:
        """The same, where those that are not given are the project's."""
        return Addresses(
            network.address("leader", self.leader),
            network.address("helper", self.helper),
            network.address("keyholder", self.key_holder),
        )

    def second(self, terms: Terms) -> str | None:
        """The address of the role that opens a plan with the leader: the helper, or under `he` the key holder."""
        match terms:
            case Shares():
                return self.helper
            case Encrypted():
                return self.key_holder


@dataclass(frozen=True)
class PlanRequest:
    """What a coordinator shall collect.

    Attributes:
        between: [from, to), µs since the epoch. Every pane inside that has ended, with its release delay, may be planned.
        terms: the requested terms; the roster has the number of clients of each site.
        seconds: the time that the sites have to answer. The aggregators accept reports for twice that time.
        clock: see `Job`.
        only: int64[P], the panes (µs) that may be planned, by view; None: all.
    """

    views: Sequence[FeatureView]
    between: Between
    terms: RequestedTerms = field(default_factory=RequestedTerms)
    seconds: float = 300.0
    clock: Clock = "live"
    only: Mapping[str, npt.NDArray[np.int64]] | None = None


def make_plan(directory: Path, request: PlanRequest, clock: Callable[[], int]) -> Plan | None:
    """The plan for all panes that are due; None if there are none. It names the earlier attempts at its panes.

    A pane that was attempted too often is not planned again.

    Raises:
        UsageError: no pane has ended yet. ProjectMissing.
    """
    project, attempts = Project.load(directory), Attempts(directory)
    now = clock()
    due = _due(directory, views_in_force(directory, request.views), request.between, now)
    panes = {view: np.setdiff1d(starts, attempts.exhausted(view)) for view, starts in due.items()}
    if request.only is not None:
        panes = {view: np.intersect1d(starts, request.only[view.name]) for view, starts in panes.items()}
    planned = [
        PlannedView(view, starts, view.privacy.min_clients, project.sites_needed_for(view.name))
        for view, starts in panes.items()
        if len(starts)
    ]
    if not planned:
        return None
    deadline_us = now + int(2 * request.seconds * 1e6)
    clients = [one.max_clients for one in project.roster.entries]
    return new_plan(
        planned,
        request.terms.of_sites(clients),
        request.terms.noise,
        plan_id=os.urandom(PLAN_ID_BYTES),
        sites=clients,
        wire=project.wire_terms(deadline_us),
        earlier=attempts.earlier(planned),
    )


def write_plan(directory: Path, request: PlanRequest, path: Path, clock: Callable[[], int]) -> Plan | None:
    """Sign the draft of a plan and write it to a file, for review. Nothing is announced or registered.

    The draft has everything except the aggregators' keys, which are made when the plan is announced.

    Raises:
        KeyFileMissing: the coordinator's key. And the errors of `make_plan`.
    """
    plan = make_plan(directory, request, clock)
    keys = load_keys(directory / KEYS, "coordinator")
    if plan is not None:
        path.write_bytes(sign_draft(plan, keys.at(plan.deadline_us).sign))
    return plan


def closed_in(views: Sequence[FeatureView], between: Between, now: int) -> dict[FeatureView, npt.NDArray[np.int64]]:
    """int64[C], the panes (µs) of each view in a time range that have closed. A day may be taken in parts.

    Raises:
        UsageError: the range ends after today, or no pane in it has ended.
    """
    first, last = between
    if last > (now // DAY_US + 1) * DAY_US:
        raise UsageError(f"the time {utc_text(last)} is in the future; choose an earlier end", settings=("end",))
    closed = {view: closed_panes(view, between, now) for view in views}
    if not any(len(panes) for panes in closed.values()):
        raise UsageError(
            f"no pane from {utc_text(first)} to {utc_text(last)} has ended, with the release_delay of its view. Choose an "
            "earlier start, or wait",
            settings=("start", "end"),
        )
    return closed


def _due(
    directory: Path, views: Sequence[FeatureView], between: Between, now: int
) -> dict[FeatureView, npt.NDArray[np.int64]]:
    """int64[C], the closed panes (µs) of each view in a time range that are not published yet. See `closed_in`."""
    closed = closed_in(views, between, now)
    with registry_of(directory) as registry:
        if registry is None:
            return closed
        return {view: np.setdiff1d(panes, registry.taken_panes(view, between)) for view, panes in closed.items()}
