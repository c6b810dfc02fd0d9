"""A whole run in one process: events → reports → protocol → releases → store, with the code of a deployment.

This process sees everything, so releases say `trust="in-process"`. The published values have the same distribution as those
over the wire.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from aggregator.mpc.finish import mpc_parties
from base.times import DAY_US, wall_clock
from crypto.bfv import message_elements
from crypto.noise import NOISE_KEY_BYTES, NoiseSource, SecretNoise
from deployment.collecting import collecting, require_nothing_unfinished
from deployment.coordinator.collector import in_version, releases_of
from deployment.errors import RunRefused
from deployment.panes import PaneChoice, choose_panes, opened_panes, require_scheduled
from deployment.project.known_releases import of_runs, require_known_releases
from deployment.project.view_forms import views_in_force
from deployment.request import CollectionRequest, require_convertible, require_possible
from edge_client.client_names import client_names
from edge_client.compute import Contributions, Dropped, compute
from edge_client.day_cells import cells_of
from edge_client.encrypting import encrypting
from edge_client.events import Events, check_schema
from edge_client.participation import of_active_clients, of_every_client, of_sites
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.publish.publish import Publisher
from federation.aggregation import OpenedView
from federation.batch.reports import Randomness, Reports
from federation.circuit.validity import report_elements
from federation.dating import Dating
from federation.errors import NoiseRefused
from federation.he.protocol import run_encrypted_collections
from federation.he.view import he_parameters
from federation.plan import PLAN_ID_BYTES, Plan, PlannedView, max_clients_of
from federation.protocol import Open, run_collections
from federation.sharding import Protect, protect
from federation.terms import Encrypted, Finish, Participation, ReportPer, Shares, Terms

from .enrolment import Enrolment, by_site, enrol
from .ledger import RunLedger
from .progress import Draws, Progress, counted

CHUNK_ELEMENTS: Final = 2**23
"""Accumulated slots of one plan: 64 MiB at each aggregator."""

CHUNK_REPORTS: Final = 2**22
"""Reports of one plan under participation `all`: 80 MiB of indices and ids at each aggregator."""


@dataclass(frozen=True)
class NoisePair:
    """The noise sources of the two aggregators (under `he`, `helper` is the key holder); `None` means noise off."""

    leader: NoiseSource
    helper: NoiseSource

    @classmethod
    def fresh(cls, randomness: Randomness) -> NoisePair:
        """The sources of real aggregators, each with its own secret."""
        return cls(SecretNoise(randomness(NOISE_KEY_BYTES)), SecretNoise(randomness(NOISE_KEY_BYTES)))

    @property
    def both(self) -> tuple[NoiseSource, NoiseSource]:
        """The sources of leader and helper."""
        return self.leader, self.helper

    @property
    def name(self) -> str:
        """The name of the sampler, as manifests spell it."""
        return f"{self.leader.name}, {self.helper.name}"


@dataclass(frozen=True)
class ViewReport:
    """The result of a run for one view. Pane lists are pane starts in µs since the epoch.

    Attributes:
        reports: the number of reports in the protocol; None over the wire, where no party may know it.
        already_open: panes that an earlier run has published; this run skipped them.
        days_not_over: UTC days (since the epoch) of panes that have not ended, or whose releases are not due yet.
        dropped: events of the collected panes that were not counted.
        rejected: reports whose proof does not verify; always 0 with validity none.
    """

    view: str
    reports: int | None
    opened: int
    void: int
    already_open: tuple[int, ...]
    days_not_over: tuple[int, ...]
    dropped: Dropped
    rejected: int = 0


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The noise, randomness, clock and callbacks of a run.

    Attributes:
        noise: the aggregators' noise sources; None with noise off.
        randomness: the source of all other random values.
        clock: the wall clock, µs since the epoch.
        protect: how the sites protect their reports under `shares`.
        dating: how the releases are dated; a run is a back-fill.
        progress: called often; see `Progress`.
    """

    noise: NoisePair | None
    randomness: Randomness
    clock: Callable[[], int]
    protect: Protect = protect
    progress: Progress = lambda *_: None
    dating: Dating = Dating.REPLAY_DAYS

    @classmethod
    def real(
        cls,
        request: CollectionRequest,
        progress: Progress,
        protect: Protect = protect,
        dating: Dating = Dating.REPLAY_DAYS,
    ) -> Surroundings:
        """The CSPRNG and the clock of this machine."""
        noise = NoisePair.fresh(os.urandom) if request.noisy else None
        return cls(noise, os.urandom, wall_clock, protect, progress, dating)


def run_in_process(
    request: CollectionRequest, events: Events, directory: Path, around: Surroundings
) -> tuple[ViewReport, ...]:
    """Collect every closed pane that the request names and that is not open yet, and publish it into the store at `directory`.

    A client's bounds hold for a UTC day over all runs into this store, in whatever order its panes are collected.

    Raises:
        CollectionUnderWay, UsageError: another collection into this store runs, or waits to be continued.
        RunRefused: a run under other terms was interrupted, or the terms do not fit the views.
            TooManyClients: a site has more clients than are declared.
        DayBudgetSpent: raised before anything is computed or registered. LedgerBroken: also if the ledger lacks plans that the
            store has releases of. EventsError, BadReference: the
            events do not fit a view; nothing is registered. ViewChanged, StoreInUse: of the store.
            MpcFailed: a repeated run continues with the panes that are not published yet.
    """
    if request.noisy != (around.noise is not None):
        have = "no" if around.noise is None else "a"
        raise NoiseRefused(f"the run says noise {request.noise.value!r}, and its aggregators have {have} noise source")
    for view in request.views:
        check_schema(view, events)
        events.times(view)  # refuses a text that is not a time
    enrolment = enrol(events, request.site_clients)
    require_possible(views_in_force(directory, request.views), request.terms, request.noise, enrolment.declared)
    with (
        collecting(directory),
        Publisher(directory, around.clock) as publisher,
        RunLedger(directory, request.budget, around.clock) as ledger,
    ):
        require_nothing_unfinished(directory)
        request = replace(request, views=tuple(map(publisher.in_force, request.views)))
        require_known_releases(directory, ledger.path, lambda: ledger.state, of_runs(directory))
        run = _Run(request, around, events, enrolment, publisher, ledger)
        work = [run.work_of(view, around.clock()) for view in request.views]
        plans = [plan for one in work for plan in one.plans]
        if request.terms.finish is Finish.MPC:
            for plan in plans:
                require_convertible(plan.views, enrolment.clients)
        new = [planned for one in work for planned in one.to_charge()]
        if new:
            ledger.check(run.plan(*new))
        for view in request.views:
            publisher.register(view)
        with _finishing(request.terms, plans, enrolment) as finish:
            return tuple(run.collect(one, finish) for one in work)


@contextmanager
def _finishing(terms: Terms, plans: Sequence[Plan], enrolment: Enrolment) -> Iterator[Open | None]:
    """The function that opens plans whose shares the collector must not add, if there are any."""
    match terms.finish:
        case Finish.OPEN:
            yield None
        case Finish.MPC:
            if not plans:
                yield None
                return
            with mpc_parties() as by_mpc:
                yield partial(by_mpc, clients=enrolment.clients)


@dataclass(frozen=True, eq=False)
class _Work:
    """The work of a run for one view: charged plans of an earlier run, then fresh plans."""

    view: FeatureView
    choice: PaneChoice
    resumed: tuple[Plan, ...]
    fresh: tuple[Plan, ...]

    @property
    def plans(self) -> tuple[Plan, ...]:
        """All plans, charged ones first."""
        return (*self.resumed, *self.fresh)

    def to_charge(self) -> list[PlannedView]:
        """The panes that are not charged yet, as one planned view."""
        if not self.fresh:
            return []
        planned = [plan.views[0] for plan in self.fresh]
        return [replace(planned[0], pane_starts=np.concatenate([one.pane_starts for one in planned]))]


@dataclass(frozen=True, eq=False)
class _Run:
    """A run with its open store and its open ledger."""

    request: CollectionRequest
    around: Surroundings
    events: Events
    enrolment: Enrolment
    publisher: Publisher
    ledger: RunLedger

    @cached_property
    def clients(self) -> list[bytes]:
        """The stable names of the clients. Secret."""
        return client_names(self.events.identities)

    def plan(self, *views: PlannedView) -> Plan:
        """A new plan for these views."""
        plan_id = self.around.randomness(PLAN_ID_BYTES)
        return self.request.plan(views, self.enrolment.declared, plan_id=plan_id, by_site=by_site(self.events))

    def work_of(self, view: FeatureView, now: int) -> _Work:
        """The work that is left for a view."""
        opened = opened_panes(self.publisher, view)
        choice = choose_panes(view, self.events, opened, self.request.between, now)
        require_scheduled(self.publisher, view, choice.todo)
        resumed, panes = [], choice.todo
        for plan in self.ledger.unfinished(view.name):
            of_plan = plan.views[0].pane_starts
            if np.isin(of_plan, opened).all():
                self.ledger.published(plan)  # an earlier run ended between the publication and its entry
            elif np.isin(of_plan, panes).any():
                self._require_same(plan)
                resumed.append(plan)
                panes = np.setdiff1d(panes, of_plan)
        fresh = [self.plan(self.request.planned(view, chunk)) for chunk in self._chunks(view, panes)]
        return _Work(view, choice, tuple(resumed), tuple(fresh))

    def collect(self, work: _Work, finish: Open | None) -> ViewReport:
        """Run the plans of one view, and publish the opened panes."""
        view, choice, plans, around = work.view, work.choice, work.plans, self.around
        skipped = tuple(choice.already_open.tolist()), tuple(choice.days_not_over.tolist())
        around.progress(view.name, "compute", 0, 1)
        if not plans:
            around.progress(view.name, "compute", 1, 1)
            return ViewReport(view.name, 0, 0, 0, *skipped, Dropped())
        self.ledger.intend(work.fresh)
        todo = np.unique(np.concatenate([plan.views[0].pane_starts for plan in plans]))
        used = self.ledger.used(self.request.planned(view, todo), lambda: self.clients)
        contributions = compute(view, self.events, used, panes=todo)
        around.progress(view.name, "compute", 1, 1)
        reports = opened = void = done = rejected = 0
        for plan in plans:
            chosen = _reports(plan, self.enrolment, contributions)
            reports += len(chosen.collection)
            match plan.terms:
                case Shares():
                    result = _collect_shares(plan, chosen, around, finish)
                case Encrypted():
                    result = _collect_encrypted(plan, chosen, around)
            items = list(
                releases_of(
                    plan,
                    result,
                    now=around.clock(),
                    dating=around.dating,
                    noise_source="none" if around.noise is None else around.noise.name,
                    trust="in-process",
                )
            )
            self.ledger.record(plan, cells_of(plan.views[0], contributions, lambda: self.clients))
            self.publisher.publish(in_version(items, self.publisher.recognise(view).version))
            self.ledger.published(plan)
            opened += len(result.sums)
            rejected += result.rejected
            void += len(items) - len(result.sums)
            done += len(plan.views[0].pane_starts)
            around.progress(view.name, "publish", done, len(todo))
        return ViewReport(view.name, reports, opened, void, *skipped, contributions.dropped, rejected)

    @property
    def _max_clients(self) -> int:
        """The most clients of a plan of this run."""
        return max_clients_of(self.enrolment.declared, self.request.terms)

    def _chunks(self, view: FeatureView, panes: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
        """The panes in chunks that no day is split between, of at most `CHUNK_ELEMENTS` elements and `CHUNK_REPORTS` reports."""
        match self.request.terms:
            case Shares():
                elements = layout_of(view).length
            case Encrypted():
                elements = message_elements(he_parameters(view, self._max_clients, self.request.noisy))
        days = panes // DAY_US
        starts = np.flatnonzero(np.diff(days, prepend=days[:1] - 1))
        per_chunk = max(1, CHUNK_ELEMENTS // (elements * view.panes_per_day))
        match self.request.terms.participation:
            case Participation.ACTIVE:
                pass
            case Participation.ALL:
                of_a_day = max(1, self.enrolment.clients) * view.panes_per_day
                per_chunk = max(1, min(per_chunk, CHUNK_REPORTS // of_a_day))
        for first in range(0, len(starts), per_chunk):
            last = first + per_chunk
            yield panes[starts[first] : starts[last] if last < len(starts) else len(panes)]

    def _require_same(self, plan: Plan) -> None:
        """Return if an interrupted plan has this run's terms. Its panes are opened under its own terms or never.

        Raises:
            RunRefused: the terms differ, or the plan has too few clients.
        """
        (planned,) = plan.views
        theirs = plan.noise, plan.terms, planned.min_clients
        mine = self.request.noise, self.request.terms, self.request.k(planned.view)
        if theirs == mine and plan.max_clients < self._max_clients:
            raise RunRefused(
                f"view {planned.view.name!r}: an interrupted run declared {plan.max_clients:,} clients, but this run "
                f"declares {self._max_clients:,}. First repeat that run with its own site_clients and sites, or leave its days "
                "out",
                settings=("site_clients", "start", "end"),
            )
        if theirs != mine:
            first, last = (np.datetime64(int(us) // DAY_US, "D") for us in planned.pane_starts[[0, -1]])
            terms, noise = plan.terms, "on" if plan.noisy else "off"
            raise RunRefused(
                f"view {planned.view.name!r}: a run over {first} … {last} was interrupted, and its panes are opened under its "
                f"own terms or never. Repeat it with protection {terms.protection}, noise {noise}, validity {terms.validity}, "
                f"participation {terms.participation}, min_clients {planned.min_clients}, finish {terms.finish} and report_per "
                f"{terms.report_per}, or leave these days out",
                settings=("start", "end"),
            )


def _collect_shares(plan: Plan, reports: Reports, around: Surroundings, finish: Open | None) -> OpenedView:
    """Run the plan of one view under `shares`."""
    (planned,) = plan.views
    name, layout = planned.view.name, planned.layout
    elements = report_elements(layout, plan.terms.validity, plan.clients_a_report)
    batches = counted(reports, elements, name, "protect", around.progress)
    draws = Draws(name, "noise", 2 * len(planned.pane_starts) * layout.length, around.progress)
    leader, helper = (None, None) if around.noise is None else map(draws.of, around.noise.both)
    with draws:
        (result,) = run_collections(
            plan, batches, around.randomness, leader, helper, protect=around.protect, finish=finish
        )
    return result


def _collect_encrypted(plan: Plan, reports: Reports, around: Surroundings) -> OpenedView:
    """Run the plan of one view under `he`. Sums are flooded even with noise off, as in a real run; they stay exact."""
    (planned,) = plan.views
    name, parameters, noise = planned.view.name, plan.he_parameters(planned), around.noise
    batches = counted(reports, message_elements(parameters), name, "encrypt", around.progress)
    flooded, noised = parameters.ciphertexts * parameters.degree, 0 if noise is None else 2 * parameters.slots
    draws = Draws(name, "flood", len(planned.pane_starts) * (flooded + noised), around.progress)
    leader, key_holder = (None, None) if noise is None else map(draws.of, noise.both)
    flood = draws.of(SecretNoise(around.randomness(NOISE_KEY_BYTES)) if noise is None else noise.leader)
    with draws, encrypting(parameters, len(reports.collection)) as encrypt:
        (result,) = run_encrypted_collections(plan, batches, around.randomness, leader, key_holder, flood, encrypt)
    return result


def _reports(plan: Plan, enrolment: Enrolment, contributions: Contributions) -> Reports:
    """The reports of a plan of one view: those of active clients, of every seat of every site, or the sites' sums."""
    panes = plan.views[0].pane_starts
    match plan.terms.participation:
        case Participation.ACTIVE:
            reports = of_active_clients(panes, contributions)
            site = enrolment.site_of[reports.reporter]
        case Participation.ALL:
            reports = of_every_client(panes, contributions, enrolment.seat_of, enrolment.clients)
            site = reports.reporter // enrolment.site_clients
    match plan.terms.report_per:
        case ReportPer.CLIENT:
            return Reports(0, reports.pane.astype(np.uint32), reports.slots)
        case ReportPer.SITE:
            made = of_sites(reports.pane, site, reports.slots)
            return Reports(0, reports.pane[made.first].astype(np.uint32), made.slots, made.clients)
