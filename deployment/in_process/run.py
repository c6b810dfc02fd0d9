"""A whole run in one process: events → reports → protocol → releases → store, every step real.

One process sees everything here, so nothing is hidden from it; releases say `trust="in-process"`. What is published is
the same as over the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from aggregator.mpc.finish import MpcFinish, mpc_parties, require_exact
from aggregator.mpc.finish import require_installed as require_crypten
from base.times import DAY_US
from crypto.bfv import message_elements
from crypto.bfv_seal import require_installed
from crypto.errors import ConversionUnsafe
from crypto.noise import NOISE_KEY_BYTES, NoiseSource, NoiseStream, SecretNoise
from crypto.noise import Noise as Samples
from deployment.coordinator.collector import releases_of
from deployment.errors import RunRefused
from edge_client.compute import Contributions, Dropped, compute
from edge_client.encrypting import encrypting
from edge_client.events import Events, check_schema
from edge_client.participation import of_active_clients, of_every_client, of_sites
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.publish.publish import Publisher
from federation.batch.reports import Randomness, Reports
from federation.circuit.validity import report_elements
from federation.errors import HeImpossible, PlanInvalid
from federation.he.protocol import run_encrypted_collections
from federation.he.view import he_parameters
from federation.ledger.state import Budget
from federation.parties import Participation, ReportPer, default_participation
from federation.plan import (
    PLAN_ID_BYTES,
    Finish,
    FromEvents,
    Noise,
    Plan,
    PlannedView,
    Protection,
    Validity,
    max_clients_of,
)
from federation.protocol import Open, OpenedView, Protect, protect, require_sums_fit, run_collections

from .enrolment import Enrolment, by_site, declared, enrol
from .ledger import RunLedger
from .panes import PaneChoice, choose_panes, opened_panes, require_tighter

CHUNK_ELEMENTS: Final = 2**23
"""Accumulated slots of one plan: 64 MiB at each aggregator. A plan covers whole days."""

CHUNK_REPORTS: Final = 2**22
"""Reports of one plan under participation `all`: 80 MiB of indices and ids at each aggregator."""

NOISE_CHUNK: Final = 2**15
"""Samples that are drawn between two steps of the progress bar."""

Progress = Callable[[str, str, int, int], None]
"""(view, step, done, total), called often; the steps are `compute`, `protect`, `noise`, `publish`; under `he` `encrypt` and
`flood` instead of `protect` and `noise`."""


@dataclass(frozen=True)
class NoisePair:
    """The noise sources of the two aggregators (under `he`, helper stands for key holder); `None` is noise off."""

    leader: NoiseSource
    helper: NoiseSource

    @classmethod
    def fresh(cls, randomness: Randomness) -> NoisePair:
        """The sources of real aggregators, each with a secret of its own."""
        return cls(SecretNoise(randomness(NOISE_KEY_BYTES)), SecretNoise(randomness(NOISE_KEY_BYTES)))


@dataclass(frozen=True)
class ViewReport:
    """What became of one view in a run. Pane lists are pane starts in µs since the epoch.

    Attributes:
        reports: number of reports that went through the protocol; None over the wire, where nobody may know it.
        already_open: panes that an earlier run had published; they were skipped.
        days_not_over: UTC days (since the epoch) that have not ended, or whose releases are not due yet.
        dropped: events of the days that were run that were not counted.
        rejected: reports whose proof did not hold; always 0 with validity none.
    """

    view: str
    reports: int | None
    opened: int
    void: int
    already_open: tuple[int, ...]
    days_not_over: tuple[int, ...]
    dropped: Dropped
    rejected: int = 0


def run_in_process(
    views: Sequence[FeatureView],
    events: Events,
    directory: Path,
    *,
    noise: NoisePair | None,
    budget: Budget,
    randomness: Randomness,
    clock: Callable[[], int],
    days: tuple[int, int] | None = None,
    min_clients: int | None = None,
    participation: Participation | None = None,
    site_clients: int | None = None,
    protection: Protection = "shares",
    validity: Validity = "none",
    finish: Finish = "open",
    report_per: ReportPer = "client",
    protect: Protect = protect,
    progress: Progress = lambda *_: None,
) -> tuple[ViewReport, ...]:
    """Collect every pane of the chosen days that is not open yet, and publish it into the store at `directory`.

    Args:
        noise: the aggregators' noise sources; None is noise off, and marks the releases.
        budget: what a client-day may cost, over all runs into this store.
        clock: the wall clock, µs since the epoch.
        days: [from, to) in UTC days since the epoch; default: the days that hold events.
        min_clients: k instead of the views' own; may only tighten, except with noise off.
        participation: under `all` each enrolled client reports every pane; default: see `default_participation`.
        site_clients: how many clients a site may have: declared, for everybody to see. Default: `DEFAULT_SITE_CLIENTS`.
        protection: under `he` reports are encrypted, for the key holder of each plan.
        validity: under `prio3` each report carries a proof, and both aggregators verify it.
        finish: under `mpc` (experimental) cells below a view's `suppress_below` are not opened.
        report_per: under `site` each site sums its clients' reports of a pane, and sends one.
        protect: what the sites do with their reports under `shares`.

    Raises:
        RunRefused: min_clients would loosen a view's k, a day is open in part, a run under other terms was cut off, or a
            view cannot be encrypted, or finished by mpc. TooManyClients: a site has more than are declared.
        DayBudgetSpent: before anything is computed or registered. LedgerBroken. EventsError, BadReference: the events
            do not fit a view; nothing is made or registered then. ViewChanged, StoreInUse: of the store.
            MpcFailed: what was not published yet is continued by the same run again.
    """
    require_tighter(views, min_clients, noise_off=noise is None)
    for view in views:
        check_schema(view, events)
        events.times(view)  # text that is no time is refused here
    enrolment = enrol(events, declared(site_clients, participation))
    terms = _Terms(
        "none" if noise is None else "full",
        participation or default_participation([enrolment.site_clients]),
        min_clients,
        protection,
        validity,
        enrolment,
        finish,
        report_per,
        from_events(days, sites=by_site(events)),
    )
    if report_per == "site":
        require_summable(views, protection, validity, enrolment.site_clients, enrolment.sites)
    if protection == "he":
        require_encryptable(views, enrolment.clients, terms.validity, terms.noise)
    if finish == "mpc":
        require_finishable(views, terms.protection, terms.noise)
    with Publisher(directory, clock) as publisher, RunLedger(directory, budget, clock) as ledger:
        work = [_work_of(view, events, publisher, ledger, terms, randomness, days, clock()) for view in views]
        if finish == "mpc":
            for plan in (plan for one in work for plan in one.plans):
                require_convertible(plan.views, enrolment.clients)
        new = [planned for one in work for planned in one.to_charge()]
        if new:
            ledger.check(terms.plan(randomness(16), tuple(new)))
        for view in views:
            publisher.register(view)
        with _finishing(work, terms) as by_mpc:
            return tuple(
                _run_view(
                    one, events, enrolment, publisher, ledger, noise, randomness, clock, protect, by_mpc, progress
                )
                for one in work
            )


@dataclass(frozen=True)
class _Terms:
    """What a run was asked for, besides views and days."""

    noise: Noise
    participation: Participation
    min_clients: int | None
    protection: Protection
    validity: Validity
    enrolment: Enrolment
    finish: Finish
    report_per: ReportPer
    from_events: tuple[FromEvents, ...]

    def k(self, view: FeatureView) -> int:
        return self.min_clients or view.privacy.min_clients

    def plan(self, plan_id: bytes, views: tuple[PlannedView, ...]) -> Plan:
        return Plan(
            plan_id,
            views,
            self.noise,
            protection=self.protection,
            validity=self.validity,
            participation=self.participation,
            max_clients=self.max_clients,
            finish=self.finish,
            report_per=self.report_per,
            from_events=self.from_events,
        )

    @property
    def max_clients(self) -> int:
        """Of a plan."""
        sites = [self.enrolment.site_clients] * self.enrolment.sites
        return max_clients_of(sites, self.protection, self.report_per)

    def pane_elements(self, view: FeatureView) -> int:
        """Words of memory that the sum of one pane takes."""
        if self.protection == "shares":
            return layout_of(view).length
        return message_elements(he_parameters(view, self.max_clients, self.noise != "none"))


def require_encryptable(views: Sequence[FeatureView], clients: int, validity: Validity, noise: Noise) -> None:
    """RunRefused unless each view has parameters for so many clients; ExtraMissing without TenSEAL."""
    require_installed()
    if validity != "none":
        raise RunRefused("nothing can be proven of encrypted reports: --protection he goes with --validity none only")
    try:
        for view in views:
            he_parameters(view, clients, noise != "none")
    except HeImpossible as error:
        raise RunRefused(f"{error}; with fewer clients of a site there may be: --site-clients N") from None


def require_summable(
    views: Sequence[FeatureView], protection: Protection, validity: Validity, most: int, sites: int
) -> None:
    """RunRefused unless so many sites can send sums of so many clients each, and prove them where that is asked."""
    if protection != "shares":
        raise RunRefused("a site's sum is not encrypted: --report-per site goes with --protection shares only")
    day = np.zeros(1, np.int64)
    try:
        for view in views:
            planned = PlannedView(view, day, view.privacy.min_clients)
            plan = Plan(
                bytes(PLAN_ID_BYTES), (planned,), "full", validity=validity, max_clients=most, report_per="site"
            )
            require_sums_fit(plan, sites)
    except PlanInvalid as error:
        raise RunRefused(f"{error}; with fewer clients of a site it may: --site-clients N") from None


def require_finishable(views: Sequence[FeatureView], protection: Protection, noise: Noise) -> None:
    """RunRefused unless the finish mpc has noised shares, and something to suppress; CrypTenMissing."""
    require_crypten()
    if protection != "shares":
        raise RunRefused("--finish mpc computes with shares: it goes with --protection shares only")
    if noise == "none":
        raise RunRefused("--finish mpc takes noised shares only: it does not go with --noise off")
    for view in views:
        if view.privacy.suppress_below is None:
            raise RunRefused(
                f"view {view.name!r} has no suppress_below: --finish mpc would have nothing to suppress. Give it "
                "Privacy(suppress_below=…), or leave --finish mpc out"
            )


def require_convertible(planned: Sequence[PlannedView], clients: int) -> None:
    """RunRefused where so many values of one plan cannot get into MPC exactly; before anything is charged."""
    try:
        require_exact(planned, clients)
    except ConversionUnsafe as error:
        names = ", ".join(dict.fromkeys(one.view.name for one in planned))
        raise RunRefused(f"{names}: {error} (fewer days: --from, --to)") from None


@contextmanager
def _finishing(work: Sequence[_Work], terms: _Terms) -> Iterator[MpcFinish | None]:
    """The parties of the finish mpc, where there is something to finish."""
    if terms.finish == "open" or not any(one.plans for one in work):
        yield None
        return
    with mpc_parties() as by_mpc:
        yield by_mpc


@dataclass(frozen=True, eq=False)
class _Work:
    """What a run does for one view: plans that an earlier run was charged for, then fresh ones."""

    view: FeatureView
    choice: PaneChoice
    resumed: tuple[Plan, ...]
    fresh: tuple[Plan, ...]

    @property
    def plans(self) -> tuple[Plan, ...]:
        """All of them."""
        return (*self.resumed, *self.fresh)

    def to_charge(self) -> list[PlannedView]:
        """The panes that no ledger knows, as one planned view."""
        if not self.fresh:
            return []
        planned = [plan.views[0] for plan in self.fresh]
        return [replace(planned[0], pane_starts=np.concatenate([one.pane_starts for one in planned]))]


def _work_of(
    view: FeatureView,
    events: Events,
    publisher: Publisher,
    ledger: RunLedger,
    terms: _Terms,
    randomness: Randomness,
    days: tuple[int, int] | None,
    now: int,
) -> _Work:
    opened = opened_panes(publisher, view)
    choice = choose_panes(view, events, opened, days, now)
    resumed, panes = [], choice.todo
    for plan in ledger.unfinished(view.name):
        of_plan = plan.views[0].pane_starts
        if np.isin(of_plan, opened).all():
            ledger.published(plan)  # a run was cut off between the publication and its entry
        elif np.isin(of_plan, panes).any():
            _require_same(plan, terms)
            resumed.append(plan)
            panes = np.setdiff1d(panes, of_plan)
    every = terms.enrolment.clients if terms.participation == "all" else None
    fresh = [
        terms.plan(randomness(16), (PlannedView(view, chunk, terms.k(view)),))
        for chunk in _chunks(view, panes, terms.pane_elements(view), every)
    ]
    return _Work(view, choice, tuple(resumed), tuple(fresh))


def _require_same(plan: Plan, terms: _Terms) -> None:
    """RunRefused if a plan that was cut off asks for other terms: its panes are opened as it says, or never."""
    (planned,) = plan.views
    theirs = _common(plan), planned.min_clients
    mine = _common(terms), terms.k(planned.view)
    if theirs == mine and plan.max_clients < terms.max_clients:
        raise RunRefused(
            f"view {planned.view.name!r}: a run with room for {plan.max_clients:,} clients was cut off, and this one declares "
            f"{terms.max_clients:,}; repeat it with the same --site-clients and its own sites first, or leave its days out "
            "with --from and --to"
        )
    if theirs != mine:
        first, last = (np.datetime64(int(us) // DAY_US, "D") for us in planned.pane_starts[[0, -1]])
        noise = "off" if plan.noise == "none" else "on"
        raise RunRefused(
            f"view {planned.view.name!r}: a run over {first} … {last} was cut off, and its panes are opened under its terms "
            f"or never: repeat it with --protection {plan.protection} --noise {noise} --validity {plan.validity} "
            f"--participation {plan.participation} --min-clients {planned.min_clients} --finish {plan.finish} "
            f"--report-per {plan.report_per}, or leave these days out with --from and --to"
        )


def _common(terms: Plan | _Terms) -> tuple[str, ...]:
    """The terms that a plan and a run both have."""
    return terms.noise, terms.protection, terms.validity, terms.finish, terms.participation, terms.report_per


def _run_view(
    work: _Work,
    events: Events,
    enrolment: Enrolment,
    publisher: Publisher,
    ledger: RunLedger,
    noise: NoisePair | None,
    randomness: Randomness,
    clock: Callable[[], int],
    protect: Protect,
    by_mpc: MpcFinish | None,
    progress: Progress,
) -> ViewReport:
    view, choice, plans = work.view, work.choice, work.plans
    skipped = tuple(choice.already_open.tolist()), tuple(choice.days_not_over.tolist())
    progress(view.name, "compute", 0, 1)
    if not plans:
        progress(view.name, "compute", 1, 1)
        return ViewReport(view.name, 0, 0, 0, *skipped, Dropped())
    ledger.intend(work.fresh)
    todo = np.unique(np.concatenate([plan.views[0].pane_starts for plan in plans]))
    contributions = compute(view, events, panes=todo)
    progress(view.name, "compute", 1, 1)
    reports = opened = void = done = rejected = 0
    for plan in plans:
        panes = plan.views[0].pane_starts
        chosen = _reports(plan, enrolment, contributions)
        reports += len(chosen.collection)
        if plan.protection == "he":
            result = _collect_encrypted(plan, chosen, noise, randomness, progress)
        else:
            finish = None if by_mpc is None else partial(by_mpc, clients=enrolment.clients)
            result = _collect_shares(plan, chosen, noise, randomness, protect, finish, progress)
        items = list(
            releases_of(
                plan,
                result,
                now=clock(),
                clock="replay",
                noise_source="none" if noise is None else f"{noise.leader.name}, {noise.helper.name}",
                trust="in-process",
            )
        )
        publisher.publish(items)
        ledger.published(plan)
        opened += len(result.sums)
        rejected += result.rejected
        void += len(items) - len(result.sums)
        done += len(panes)
        progress(view.name, "publish", done, len(todo))
    return ViewReport(view.name, reports, opened, void, *skipped, contributions.dropped, rejected)


def _collect_shares(
    plan: Plan,
    reports: Reports,
    noise: NoisePair | None,
    randomness: Randomness,
    protect: Protect,
    finish: Open | None,
    progress: Progress,
) -> OpenedView:
    """Run the plan of one view."""
    (planned,) = plan.views
    name, layout = planned.view.name, planned.layout
    elements = report_elements(layout, plan.validity, plan.clients_a_report)
    batches = _counted(reports, elements, name, "protect", progress)
    draws = _Draws(name, "noise", 2 * len(planned.pane_starts) * layout.length, progress)
    leader, helper = (None, None) if noise is None else (draws.of(noise.leader), draws.of(noise.helper))
    with draws:
        (result,) = run_collections(plan, batches, randomness, leader, helper, protect=protect, finish=finish)
    return result


def _collect_encrypted(
    plan: Plan, reports: Reports, noise: NoisePair | None, randomness: Randomness, progress: Progress
) -> OpenedView:
    """The same under `he`. With noise off sums are flooded all the same, so that they are exact as those of a real run."""
    (planned,) = plan.views
    name, parameters = planned.view.name, plan.he_parameters(planned)
    batches = _counted(reports, message_elements(parameters), name, "encrypt", progress)
    flooded, noised = parameters.ciphertexts * parameters.degree, 0 if noise is None else 2 * parameters.slots
    draws = _Draws(name, "flood", len(planned.pane_starts) * (flooded + noised), progress)
    leader, key_holder = (None, None) if noise is None else (draws.of(noise.leader), draws.of(noise.helper))
    flood = draws.of(SecretNoise(randomness(NOISE_KEY_BYTES)) if noise is None else noise.leader)
    with draws, encrypting(parameters, len(reports.collection)) as encrypt:
        (result,) = run_encrypted_collections(plan, batches, randomness, leader, key_holder, flood, encrypt)
    return result


class _Draws:
    """Counts what both parties draw, for the progress bar. `total` holds if every pane opens.

    As a context manager: what is left early stops the threads that draw.
    """

    def __init__(self, view: str, step: str, total: int, progress: Progress) -> None:
        self._view, self._step, self._total, self._progress = view, step, total, progress
        self._done, self._stopped = 0, False
        self._lock = Lock()

    def of(self, source: NoiseSource) -> NoiseSource:
        """The same source, drawn in chunks that are counted."""
        return _Counted(source, self)

    def add(self, samples: int) -> None:
        """Count samples; RunRefused once the run was stopped, because a thread cannot be interrupted."""
        with self._lock:
            if self._stopped:
                raise RunRefused("the run was stopped")
            self._done += samples
            self._progress(self._view, self._step, self._done, self._total)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stopped = True
        elif self._done:
            self._progress(self._view, self._step, self._done, self._done)


class _Counted:
    """A noise source that tells how far its streams are."""

    def __init__(self, source: NoiseSource, draws: _Draws) -> None:
        self._source, self._draws = source, draws
        self.name, self.seeded = source.name, source.seeded

    def stream(self, context: bytes) -> NoiseStream:
        return _CountedStream(self._source.stream(context), self._draws)


class _CountedStream:
    def __init__(self, stream: NoiseStream, draws: _Draws) -> None:
        self._stream, self._draws = stream, draws

    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> Samples:
        return self._drawn(lambda part: self._stream.discrete_gaussian(sigma_sq, part), size)

    def discrete_laplace(self, scale: Fraction, size: int) -> Samples:
        return self._drawn(lambda part: self._stream.discrete_laplace(scale, part), size)

    def _drawn(self, draw: Callable[[int], Samples], size: int) -> Samples:
        samples = np.empty(size, dtype=np.int64)
        for first in range(0, size, NOISE_CHUNK):
            last = min(first + NOISE_CHUNK, size)
            samples[first:last] = draw(last - first)
            self._draws.add(last - first)
        return samples


def _chunks(
    view: FeatureView, panes: npt.NDArray[np.int64], elements: int, every: int | None
) -> Iterator[npt.NDArray[np.int64]]:
    """The panes in runs of whole days whose accumulators fit `CHUNK_ELEMENTS`, and reports `CHUNK_REPORTS`.

    Args:
        elements: of one pane's accumulator.
        every: under `all`, the clients that report each pane.
    """
    days = panes // DAY_US
    starts = np.flatnonzero(np.diff(days, prepend=days[:1] - 1))
    per_chunk = max(1, CHUNK_ELEMENTS // (elements * view.panes_per_day))
    if every is not None:
        per_chunk = max(1, min(per_chunk, CHUNK_REPORTS // (max(1, every) * view.panes_per_day)))
    for first in range(0, len(starts), per_chunk):
        last = first + per_chunk
        yield panes[starts[first] : starts[last] if last < len(starts) else len(panes)]


def from_events(days: tuple[int, int] | None, *, sites: bool) -> tuple[FromEvents, ...]:
    """What of a run's plans follows from its events: the days where none are asked for, the sites where a column names them."""
    return (*(("days",) if days is None else ()), *(("sites",) if sites else ()))


def _reports(plan: Plan, enrolment: Enrolment, contributions: Contributions) -> Reports:
    """The reports of a plan of one view: of active clients, or of every seat of every site; or each site's sums of them."""
    panes = plan.views[0].pane_starts
    if plan.participation == "active":
        reports = of_active_clients(panes, contributions)
        site = enrolment.site_of[reports.reporter]
    else:
        reports = of_every_client(panes, contributions, enrolment.seat_of, enrolment.clients)
        site = reports.reporter // enrolment.site_clients
    if plan.report_per == "client":
        return Reports(0, reports.pane.astype(np.uint32), reports.slots)
    made = of_sites(reports.pane, site, reports.slots)
    return Reports(0, reports.pane[made.first].astype(np.uint32), made.slots, made.clients)


def _counted(reports: Reports, elements: int, view: str, step: str, progress: Progress) -> Iterator[Reports]:
    total, done = len(reports.collection), 0
    for batch in reports.batches(elements):
        yield batch
        done += len(batch.collection)
        progress(view, step, done, total)
