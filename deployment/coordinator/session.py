"""A coordinator's session: it plans, announces, waits, opens and publishes, one collection after another.

All steps run in this process, and only this process reads the coordinator's and the collector's keys. The SuperLink carries
messages between this process and the sites, and runs nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from flwr.app import RecordDict
from flwr.serverapp import Grid

from aggregator.services.client import Aggregators
from base.errors import CoveyError
from base.metrics import Meters
from base.traces import span
from deployment.collecting import collecting, require_nothing_unfinished
from deployment.errors import ClocksApart, CollectionFailed, VersionsApart
from deployment.in_process.progress import Progress
from deployment.local.superlink import superlink_folder
from deployment.local.unfinished_collection import Unfinished
from deployment.project.folders import KEYS
from deployment.project.known_releases import registry_of
from deployment.project.project import Project
from deployment.project.view_forms import views_in_force
from featurestore.define.definitions import FeatureView
from featurestore.publish.publish import Publisher
from federation.draft import sign_draft
from federation.key_rotation import erase_ended
from federation.plan import Plan, plan_from_bytes, plan_to_bytes

from .announcement import Announcement
from .answer_log import AnswerLog
from .batches import CollectionOutcome, Conditions
from .grid import grid_of
from .job import Job
from .job_run import Ask, aggregators_of, free_job, run_job
from .lost_runs import outlive_runs
from .open_run import OpenRun
from .planning import Addresses, PlanRequest, make_plan
from .preflight import preflight, require_ready, why_not
from .proven_plan import PlanSubject, ProvenPlan
from .publication import few_sites_text, summary_of
from .site_answer import SiteAnswer
from .site_results import SiteResults
from .sites import ask_sites, draft_message, plan_message

NOTHING_TO_DO: Final[dict[str, Any]] = {"views": {}, "sites": {}, "due": {}, "why_due": None, "rejected": {},
                                       "budget_spent": {}, "taken": {}, "too_few_sites": {}, "announced": False}  # fmt: skip
"""The result if every pane is published already."""
_NOT_ANNOUNCED: Final = "the plan was not announced, so nothing was charged: start again"


class Session:
    """Runs the collections of one project, one at a time. A context manager, for one thread.

    Each result is a dictionary for programs; see `publication.summary_of`.

    Its collections share one run on the SuperLink, and the connections to the aggregators. Both are opened when they are first
    needed, and again when they are lost.

    Args:
        directory: the project.
        clock: wall clock, µs since the epoch.
        meters: the coordinator's counters.
    """

    def __init__(
        self, directory: Path, addresses: Addresses, clock: Callable[[], int], progress: Progress, meters: Meters
    ) -> None:
        self._directory, self._addresses = directory, addresses
        self._clock, self._progress, self._meters = clock, progress, meters
        self._unfinished, self._answers = Unfinished(directory), AnswerLog(directory)
        self._run = OpenRun(lambda: grid_of(superlink_folder(directory)), time.monotonic)
        self._links = _OpenLinks()
        self._proven = ProvenPlan(time.monotonic)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._run.close()
        finally:
            self._links.close()

    @span("collection")
    def collect(self, request: PlanRequest) -> dict[str, Any]:
        """Run one collection; returns its result.

        Raises:
            UsageError: the project has an unfinished plan, or no pane has ended yet. KeyFileMissing.
            CollectionFailed: the message says whether the plan is kept; if so, `resume` continues it.
        """
        directory, clock, unfinished = self._directory, self._clock, self._unfinished
        project = Project.load(directory)
        for role in ("coordinator", "collector"):
            erase_ended(directory / KEYS, role, clock())
        with collecting(directory):
            require_nothing_unfinished(directory)
            request = replace(request, views=views_in_force(directory, request.views))
            plan = make_plan(directory, request, clock)
            if plan is None:
                return NOTHING_TO_DO
            at = self._addresses.of(project.network)
            job = Job(
                plan_to_bytes(plan), directory / KEYS, at.leader or "", at.second(plan.terms) or "", directory,
                len(project.roster.entries), request.seconds, Path(), Path(), _sites_needed(plan), keeps_due=True,
                clock=request.clock,
            )  # fmt: skip
            conditions = Conditions(tuple(one.site for one in project.roster.entries), job.min_sites)
            sites = len(conditions.roster)
            subject = PlanSubject.of(plan, conditions.roster, request.seconds)
            if not self._proven.covers(subject):
                ready = self._preflight(plan, job, conditions)
                if (why := why_not(ready, conditions)) is not None:
                    outcome = CollectionOutcome(sites=ready.of(conditions.roster), why_freed=f"{why}; {_NOT_ANNOUNCED}")
                    refused = summary_of(Announcement(plan, b""), outcome, [], keeps_due=True)
                    self._answers.add(refused, self._clock())
                    return refused
                sites = ready.answered(conditions.roster)
            wanting = {one.view.name: one for one in plan.views if one.min_sites > sites}
            if wanting:
                enough = replace(request, views=[view for view in request.views if view.name not in wanting])
                plan = make_plan(directory, enough, clock) or plan
                job = replace(job, plan=plan_to_bytes(plan), min_sites=_sites_needed(plan))
            self._register(request.views)
            with self._proven.trying(subject) as tried:
                result = self._carry_out(unfinished.begin(job))
                tried.ended(result)
            for name, planned in wanting.items():  # an attempt would have failed, and a pane has few of them
                result["views"][name] = {"opened": 0, "void": 0, "due": len(planned.pane_starts)}
                result["due"][name] = planned.pane_starts.tolist()
                result["too_few_sites"][name] = few_sites_text(sites, planned)
            return result

    @span("collection")
    def resume(self) -> dict[str, Any]:
        """Continue the unfinished plan of the project; returns its result. Accepted reports are kept and count once.

        Raises:
            UsageError: the project has no unfinished plan. CollectionFailed: the plan is kept.
        """
        self._unfinished.require()
        with collecting(self._directory):
            job = self._at_addresses(self._unfinished.load())
            self._unfinished.save(job)
            return self._carry_out(job)

    @span("collection")
    def end_overdue(self) -> dict[str, Any]:
        """Continue the unfinished plan of the project if its deadline has passed, so that it ends; returns its result.

        Raises:
            UsageError: there is none, or its deadline has not passed. CollectionFailed: the plan is kept.
        """
        self._unfinished.require()
        with collecting(self._directory):
            if _seconds_left(job := self._unfinished.load(), self._clock()):
                require_nothing_unfinished(self._directory)
            return self._carry_out(job)

    @span("collection")
    def give_up(self) -> dict[str, Any]:
        """Free the unfinished plan of the project instead of continuing it. Its panes are due again. Returns the result.

        Raises:
            UsageError: the project has no unfinished plan. CollectionFailed: the plan is kept.
        """
        self._unfinished.require()
        with collecting(self._directory):
            job = self._at_addresses(self._unfinished.load())
            try:
                result = free_job(job, self._links.of(job))
            except CoveyError as error:
                raise CollectionFailed(f"{error}; the plan is kept, so resume it", settings=("resume",)) from error
            self._unfinished.finish()
            return result

    def _register(self, views: Sequence[FeatureView]) -> None:
        """Register the views that are not collected yet. Raises ViewChanged: another definition has the name of one.

        To open a store for writing takes tens of milliseconds, so a plan of known views only reads the registry.
        """
        with registry_of(self._directory) as registry:
            collected = [] if registry is None else [one.view for one in registry.to_collect()]
            new = [view for view in views if registry is None or registry.in_force(view) not in collected]
        if new:
            with Publisher(self._directory, self._clock, wait=True) as publisher:
                for view in new:
                    publisher.register(view)

    def _at_addresses(self, job: Job) -> Job:
        """The job with this session's addresses, where they are given."""
        second = self._addresses.second(plan_from_bytes(job.plan).terms)
        return replace(job, leader=self._addresses.leader or job.leader, helper=second or job.helper)

    def _carry_out(self, job: Job) -> dict[str, Any]:
        """Run a kept job to its published result, and delete it."""

        def run() -> None:
            with self._asking(still_to_do(job, self._clock())) as ask:
                run_job(job, self._links.of(job), ask, self._clock, self._meters)

        if not job.result.is_file():  # else an earlier process published it, and ended before it removed the plan
            try:
                outlive_runs(run, time.monotonic, time.sleep)
            except CoveyError as error:
                if job.announced.is_file():
                    raise CollectionFailed(f"{error}; the plan is kept, so resume it", settings=("resume",)) from error
                self._unfinished.finish()  # no site has seen the plan, and nothing is charged before a plan is closed
                raise CollectionFailed(f"{error}; {_NOT_ANNOUNCED}") from error
        result: dict[str, Any] = json.loads(job.result.read_text(encoding="utf-8"))
        self._answers.add(result, self._clock())
        self._unfinished.finish()
        return result

    @contextmanager
    def _asking(self, job: Job) -> Iterator[Ask]:
        """The function that sends a plan to the job's sites. Without sites to reach, it needs no SuperLink."""
        if not job.sites:
            yield lambda *_message: ()
            return
        self._progress("all views", "sites", 0, job.sites)
        with self._run.grid() as grid:

            def ask(*message: bytes) -> Iterable[SiteAnswer]:
                for number, answer in enumerate(_reach(grid, plan_message(*message), job.sites, job.seconds), 1):
                    yield answer
                    self._progress("all views", "sites", min(number, job.sites), job.sites)

            yield ask

    @span("preflight")
    def _preflight(self, plan: Plan, job: Job, conditions: Conditions) -> SiteResults:
        """What the sites would answer to a plan.

        Raises:
            ClocksApart, VersionsApart. CollectionFailed: an aggregator would refuse the plan, or a party does not answer.
        """
        draft = sign_draft(plan, job.keys_of("coordinator").sign)

        def ask_draft() -> SiteResults:
            with self._run.grid() as grid:

                def ask(signed: bytes, left: float) -> Iterator[SiteAnswer]:
                    return _reach(grid, draft_message(signed), job.sites, left)

                return preflight(ask, draft, conditions, job.seconds)

        try:
            aggregators = self._links.of(job)
            require_ready(lambda role: aggregators.check(role, draft), aggregators.name, self._clock, self._meters)
            return outlive_runs(ask_draft, time.monotonic, time.sleep)
        except (ClocksApart, VersionsApart):
            raise
        except CoveyError as error:
            raise CollectionFailed(f"{error}; {_NOT_ANNOUNCED}") from error


def still_to_do(job: Job, now_us: int) -> Job:
    """The job with the time that is left: sites have until the plan's deadline, and receive no plan after it.

    Reports that arrived before the deadline are collected anyway: the aggregators hold them.
    """
    left = _seconds_left(job, now_us)
    return replace(job, sites=job.sites if left else 0, seconds=min(job.seconds, left))


def _seconds_left(job: Job, now_us: int) -> float:
    """The time until the deadline of the job's plan; 0 after it."""
    wire = plan_from_bytes(job.plan).wire
    return 0.0 if wire is None else max(0.0, (wire.deadline_us - now_us) / 1e6)


def _sites_needed(plan: Plan) -> int:
    """The number of sites without which no view of the plan is opened."""
    return min(one.min_sites for one in plan.views)


class _OpenLinks:
    """The connections to the aggregators of the last plan. They stay open for the next plan, unless it has other addresses."""

    def __init__(self) -> None:
        self._open: tuple[object, Aggregators] | None = None

    def of(self, job: Job) -> Aggregators:
        """The connections of a job's plan."""
        wanted = job.leader, job.helper, job.keys, plan_from_bytes(job.plan).terms.protection
        if self._open is None or self._open[0] != wanted:
            self.close()
            self._open = wanted, aggregators_of(job)
        return self._open[1]

    def close(self) -> None:
        """Close the connections, if there are any."""
        if self._open is not None:
            self._open[1].close()
            self._open = None


def _reach(grid: Grid, content: RecordDict, sites: int, seconds: float) -> Iterator[SiteAnswer]:
    """Send a message to so many sites, which have so many seconds to answer."""
    return ask_sites(grid, content, sites=sites, seconds=seconds, clock=time.monotonic, sleep=time.sleep)
