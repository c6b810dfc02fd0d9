"""The coordinator of one collection over a running SuperLink: it plans, announces, waits, opens and publishes.

All steps run in this process, and only this process reads the coordinator's and the collector's keys. The SuperLink carries
messages between this process and the sites, and runs nothing.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from flwr.app import RecordDict

from aggregator.services.client import Aggregators
from base.errors import CoveyError
from base.metrics import Meters
from base.times import DAY_US, utc_text
from base.tls.links import links_of
from base.tls.roles import TlsRole
from base.traces import span
from deployment.collecting import collecting, require_nothing_unfinished
from deployment.errors import ClocksApart, CollectionFailed, UsageError, VersionsApart
from deployment.in_process.progress import Progress
from deployment.local.superlink import superlink_folder
from deployment.local.unfinished_collection import Unfinished
from deployment.panes import Between, closed_panes
from deployment.project.folders import KEYS
from deployment.project.network import Network
from deployment.project.project import Project
from deployment.project.view_forms import views_in_force
from featurestore.define.definitions import FeatureView
from featurestore.define.release import GIVEN_UP, Clock
from featurestore.errors import NotFoundError
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from federation.draft import sign_draft
from federation.key_rotation import erase_ended
from federation.keys import load_keys
from federation.plan import PLAN_ID_BYTES, Plan, PlannedView, new_plan, plan_from_bytes, plan_to_bytes
from federation.terms import Encrypted, RequestedTerms, Shares, Terms

from .announcement import Announcement
from .attempts import Attempts
from .batches import CollectionOutcome, Conditions
from .decisions import publish_voids
from .grid import grid_of
from .job import Job
from .job_run import Ask, free_job, run_job
from .lost_runs import outlive_runs
from .preflight import preflight, require_ready, why_not
from .publication import few_sites_text, summary_of
from .site_results import SiteResults
from .sites import SiteAnswer, ask_sites, draft_message, plan_message

NOTHING_TO_DO: Final[dict[str, Any]] = {"views": {}, "sites": {}, "due": {}, "why_due": None, "rejected": {},
                                       "budget_spent": {}, "taken": {}, "too_few_sites": {}}  # fmt: skip
"""The result if every pane is published already."""
_NOT_ANNOUNCED: Final = "the plan was not announced, so nothing was charged: start again"


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
    """

    views: Sequence[FeatureView]
    between: Between
    terms: RequestedTerms = field(default_factory=RequestedTerms)
    seconds: float = 300.0
    clock: Clock = "live"


def make_plan(directory: Path, request: PlanRequest, clock: Callable[[], int]) -> Plan | None:
    """The plan for all panes that are due; None if there are none. It names the earlier attempts at its panes.

    A pane that was attempted too often is not planned again.

    Raises:
        UsageError: no pane has ended yet. ProjectMissing.
    """
    project, attempts = Project.load(directory), Attempts(directory)
    now = clock()
    due = _due(directory, views_in_force(directory, request.views), request.between, now)
    panes = {view: np.setdiff1d(starts, attempts.exhausted(view.name)) for view, starts in due.items()}
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


@span("collection")
def run_coordinator(
    directory: Path,
    request: PlanRequest,
    addresses: Addresses,
    clock: Callable[[], int],
    progress: Progress,
    meters: Meters,
) -> dict[str, Any]:
    """Run one collection; returns its result. An unfinished plan whose deadline has passed is ended first.

    Raises:
        UsageError: the project has an unfinished plan before its deadline, or no pane has ended yet. KeyFileMissing.
        CollectionFailed: the message says whether the plan is kept; if so, `resume_coordinator` continues it.
    """
    project, unfinished = Project.load(directory), Unfinished(directory)
    for role in ("coordinator", "collector"):
        erase_ended(directory / KEYS, role, clock())
    with collecting(directory):
        if unfinished.folder.exists() and not _seconds_left(job := unfinished.load(), clock()):
            _carry_out(unfinished, job, clock, progress, meters)
        require_nothing_unfinished(directory)
        request = replace(request, views=views_in_force(directory, request.views))
        _give_up_old_panes(directory, project, request, clock)
        plan = make_plan(directory, request, clock)
        if plan is None:
            return NOTHING_TO_DO
        at = addresses.of(project.network)
        job = Job(
            plan_to_bytes(plan), directory / KEYS, at.leader or "", at.second(plan.terms) or "", directory,
            len(project.roster.entries), request.seconds, Path(), Path(), _sites_needed(plan), keeps_due=True,
            clock=request.clock,
        )  # fmt: skip
        ready, conditions = _preflight(project, plan, job, clock, meters)
        if (why := why_not(ready, conditions)) is not None:
            outcome = CollectionOutcome(sites=ready.of(conditions.roster), why_freed=f"{why}; {_NOT_ANNOUNCED}")
            return summary_of(Announcement(plan, b""), outcome, [], keeps_due=True)
        sites = ready.answered(conditions.roster)
        wanting = {one.view.name: one for one in plan.views if one.min_sites > sites}
        if wanting:
            enough = replace(request, views=[view for view in request.views if view.name not in wanting])
            plan = make_plan(directory, enough, clock) or plan
            job = replace(job, plan=plan_to_bytes(plan), min_sites=_sites_needed(plan))
        with Publisher(directory, clock) as publisher:
            for view in request.views:
                publisher.register(view)
        result = _carry_out(unfinished, unfinished.begin(job), clock, progress, meters)
        for name, planned in wanting.items():  # an attempt would have failed, and a pane has few of them
            result["views"][name] = {"opened": 0, "void": 0, "due": len(planned.pane_starts)}
            result["due"][name] = planned.pane_starts.tolist()
            result["too_few_sites"][name] = few_sites_text(sites, planned)
        return result


@span("collection")
def resume_coordinator(
    directory: Path, addresses: Addresses, clock: Callable[[], int], progress: Progress, meters: Meters
) -> dict[str, Any]:
    """Continue the unfinished plan of a project; returns its result. Accepted reports are kept and count once.

    Raises:
        UsageError: the project has no unfinished plan. CollectionFailed: the plan is kept.
    """
    unfinished = Unfinished(directory)
    unfinished.require()
    with collecting(directory):
        job = _at(addresses, unfinished.load())
        unfinished.save(job)
        return _carry_out(unfinished, job, clock, progress, meters)


@span("collection")
def give_up(directory: Path, addresses: Addresses) -> dict[str, Any]:
    """Free the unfinished plan of a project instead of continuing it. Its panes are due again. Returns the result.

    Raises:
        UsageError: the project has no unfinished plan. CollectionFailed: the plan is kept.
    """
    unfinished = Unfinished(directory)
    unfinished.require()
    with collecting(directory):
        job = _at(addresses, unfinished.load())
        try:
            result = free_job(job)
        except CoveyError as error:
            raise CollectionFailed(f"{error}; the plan is kept, so resume it", settings=("resume",)) from error
        unfinished.finish()
        return result


def still_to_do(job: Job, now_us: int) -> Job:
    """The job with the time that is left: sites have until the plan's deadline, and receive no plan after it.

    Reports that arrived before the deadline are collected anyway: the aggregators hold them.
    """
    left = _seconds_left(job, now_us)
    return replace(job, sites=job.sites if left else 0, seconds=min(job.seconds, left))


def _give_up_old_panes(directory: Path, project: Project, request: PlanRequest, clock: Callable[[], int]) -> None:
    """Publish void the requested panes that have been due for longer than the project waits."""
    if project.give_up_after_us is None:
        return
    now = clock()
    for view, due in _due(directory, request.views, request.between, now).items():
        old = due[due + view.pane_us + project.give_up_after_us <= now]
        if len(old):
            publish_voids(directory, view, old.tolist(), GIVEN_UP, clock)


def _at(addresses: Addresses, job: Job) -> Job:
    """The job with these addresses, where they are given."""
    second = addresses.second(plan_from_bytes(job.plan).terms)
    return replace(job, leader=addresses.leader or job.leader, helper=second or job.helper)


def _seconds_left(job: Job, now_us: int) -> float:
    """The time until the deadline of the job's plan; 0 after it."""
    wire = plan_from_bytes(job.plan).wire
    return 0.0 if wire is None else max(0.0, (wire.deadline_us - now_us) / 1e6)


def _carry_out(
    unfinished: Unfinished, job: Job, clock: Callable[[], int], progress: Progress, meters: Meters
) -> dict[str, Any]:
    def run() -> None:
        with _asking(still_to_do(job, clock()), progress) as ask:
            run_job(job, ask, clock, meters)

    if not job.result.is_file():  # else an earlier process published it, and ended before it removed the plan
        try:
            outlive_runs(run, time.monotonic, time.sleep)
        except CoveyError as error:
            if job.announced.is_file():
                raise CollectionFailed(f"{error}; the plan is kept, so resume it", settings=("resume",)) from error
            unfinished.finish()  # no site has seen the plan, and nothing is charged before a plan is closed
            raise CollectionFailed(f"{error}; {_NOT_ANNOUNCED}") from error
    result: dict[str, Any] = json.loads(job.result.read_text(encoding="utf-8"))
    unfinished.finish()
    return result


def _sites_needed(plan: Plan) -> int:
    """The number of sites without which no view of the plan is opened."""
    return min(one.min_sites for one in plan.views)


@span("preflight")
def _preflight(
    project: Project, plan: Plan, job: Job, clock: Callable[[], int], meters: Meters
) -> tuple[SiteResults, Conditions]:
    """What the sites would answer to a plan, and what the job needs.

    Raises:
        ClocksApart, VersionsApart. CollectionFailed: an aggregator would refuse the plan, or a party does not answer.
    """
    conditions = Conditions(tuple(one.site for one in project.roster.entries), job.min_sites)
    draft = sign_draft(plan, job.keys_of("coordinator").sign)

    def ask_draft() -> SiteResults:
        with _reaching(job.store) as reach:
            return preflight(
                lambda signed, left: reach(draft_message(signed), job.sites, left), draft, conditions, job.seconds
            )

    try:
        with Aggregators(
            job.leader, job.helper, links_of(job.keys, TlsRole.COORDINATOR), protection=plan.terms.protection
        ) as aggregators:
            require_ready(lambda role: aggregators.check(role, draft), aggregators.name, clock, meters)
        ready = outlive_runs(ask_draft, time.monotonic, time.sleep)
    except (ClocksApart, VersionsApart):
        raise
    except CoveyError as error:
        raise CollectionFailed(f"{error}; {_NOT_ANNOUNCED}") from error
    return ready, conditions


@contextmanager
def _asking(job: Job, progress: Progress) -> Iterator[Ask]:
    """The function that sends a plan to the job's sites. Without sites to reach, it needs no SuperLink."""
    if not job.sites:
        yield lambda *_message: ()
        return
    progress("all views", "sites", 0, job.sites)
    with _reaching(job.store) as reach:

        def ask(*message: bytes) -> Iterable[SiteAnswer]:
            for number, answer in enumerate(reach(plan_message(*message), job.sites, job.seconds), 1):
                yield answer
                progress("all views", "sites", min(number, job.sites), job.sites)

        yield ask


@contextmanager
def _reaching(directory: Path) -> Iterator[Callable[[RecordDict, int, float], Iterator[SiteAnswer]]]:
    """The function that sends a message to so many sites, which have so many seconds: over the project's SuperLink."""
    with grid_of(superlink_folder(directory)) as grid:
        yield lambda content, sites, seconds: ask_sites(
            grid, content, sites=sites, seconds=seconds, clock=time.monotonic, sleep=time.sleep
        )


def _due(
    directory: Path, views: Sequence[FeatureView], between: Between, now: int
) -> dict[FeatureView, npt.NDArray[np.int64]]:
    """int64[C], the closed panes (µs) of each view in a time range that are not published yet. A day may be taken in parts.

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
    return {view: np.setdiff1d(panes, _published(directory, view)) for view, panes in closed.items()}


def _published(directory: Path, view: FeatureView) -> npt.NDArray[np.int64]:
    try:
        with Store.open(directory) as store:
            starts = store.releases(view.name)["pane_start"].cast("int64").to_numpy()
    except NotFoundError:  # the store does not exist yet, or has no view of this name
        return np.empty(0, np.int64)
    return np.asarray(starts, dtype=np.int64)
