"""A collection of a whole fleet: shards, merged as they come in; then the second half of the protocol, once."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from aggregator.mpc.finish import mpc_parties
from base.times import DAY_US
from crypto import field as field64
from deployment.coordinator.collector import releases_of
from deployment.errors import RunRefused
from deployment.in_process.run import NoisePair
from featurestore.define.definitions import FeatureView
from featurestore.publish.publish import Publisher
from federation.basis import to_noise_basis
from federation.parties import Participation, ReportPer
from federation.plan import (
    PLAN_ID_BYTES,
    Finish,
    Noise,
    Plan,
    PlannedView,
    Protection,
    Validity,
    max_clients_of,
    plan_to_bytes,
)
from federation.protocol import Aggregating, Open, OpenedView, finish_collections
from simulations.attacks.lies.lying_site import LyingSite
from simulations.fleets.arrivals import Arrivals
from simulations.fleets.block import Source

from .keys import Parties
from .shard import peak_bytes, run_shard
from .watch import Watch
from .work import Ints, ShardResult, ShardWork, Tally
from .workers import Workers

Progress = Callable[[str, int, int], None]
"""(step, done, total)."""


@dataclass(frozen=True)
class Terms:
    """What is collected of a fleet, and how.

    Attributes:
        min_clients: k instead of the views' own; with noise on it may only tighten.
        deadline_s: virtual seconds after the announcement.
        seed: of keys and plan id; noise sources have their own.
    """

    views: tuple[FeatureView, ...]
    participation: Participation = "active"
    report_per: ReportPer = "client"
    validity: Validity = "none"
    min_clients: int | None = None
    deadline_s: float = 600.0
    seed: int = 0

    def k(self, view: FeatureView) -> int:
        """How many reports a pane needs."""
        return self.min_clients or view.privacy.min_clients


@dataclass(frozen=True, eq=False)
class FleetRun:
    """What has become of a collection.

    Attributes:
        truth: of each view int64[C, d], the plain sums of the reports that both aggregators counted. **Secret.**
        seconds: CPU seconds by step, over all workers.
        wall_s: of the whole run, without publication.
        peak_bytes: the parent's most memory, and the largest worker's times their number.
    """

    plan: Plan
    opened: tuple[OpenedView, ...]
    truth: tuple[Ints, ...] = field(repr=False)
    tally: Tally
    seconds: dict[str, float]
    wall_s: float
    peak_bytes: int


def plan_of(
    terms: Terms, source: Source, *, noisy: bool, protection: Protection = "shares", finish: Finish = "open"
) -> tuple[Plan, Parties]:
    """The plan of all days of a fleet, and everybody's keys.

    Args:
        protection: under `he` there is room for all enrolled clients of the fleet, which are added up block by block.

    Raises:
        HeImpossible: no encryption has room for so many clients.
        RunRefused: a view needs more reports than the fleet has clients, or k is looser than the view's own.
    """
    for view in terms.views:
        if terms.k(view) > source.clients:
            raise RunRefused(
                f"view {view.name!r} opens no pane of fewer than {terms.k(view):,} clients, and the fleet has "
                f"{source.clients:,}: give it more clients, or the view a smaller k"
            )
        if noisy and terms.k(view) < view.privacy.min_clients:
            raise RunRefused(f"k {terms.k(view)} is below view {view.name!r}'s own {view.privacy.min_clients}")
    parties = Parties(hashlib.sha256(b"covey simulated parties %d" % terms.seed).digest())
    plan_id = hashlib.sha256(b"covey simulated plan %d" % terms.seed).digest()[:PLAN_ID_BYTES]
    wire = parties.wire((source.days[1] + 1) * DAY_US)
    if terms.validity == "prio3":
        wire = replace(wire, verify_key_hash=parties.verification_key.hash_for(plan_id))
    planned = tuple(PlannedView(view, _panes(view, source.days), terms.k(view)) for view in terms.views)
    noise: Noise = "full" if noisy else "none"
    plan = Plan(
        plan_id,
        planned,
        noise,
        protection=protection,
        validity=terms.validity,
        participation=terms.participation,
        wire=wire,
        max_clients=_max_clients(source, protection, terms.report_per),
        finish=finish,
        report_per=terms.report_per,
        from_events=source.from_events,
    )
    return parties.with_live_keys(plan), parties


def _max_clients(source: Source, protection: Protection, report_per: ReportPer) -> int:
    if report_per == "client" and protection == "shares":
        return 0
    return max_clients_of(enrolled_of(source), protection, report_per)


def enrolled_of(source: Source) -> list[int]:
    """Clients of each site, over all days: with churn more than are enrolled at any time."""
    return [clients for index in range(source.blocks) for clients in source.block(index).enrolled.tolist()]


def run_fleet(
    terms: Terms,
    source: Source,
    arrivals: Arrivals,
    *,
    noise: NoisePair | None,
    workers: Workers,
    finish: Finish = "open",
    lying: LyingSite | None = None,
    progress: Progress = lambda *_: None,
) -> FleetRun:
    """Collect every day of a fleet, under one plan; the result depends on the seeds and on nothing else.

    Args:
        finish: `mpc` (experimental): cells below a view's `suppress_below` are not opened; in three processes of its own.
        lying: the site whose clients lie; None: every client is honest.

    Raises:
        RunRefused: see `plan_of`. WorkerDied. MpcFailed.
    """
    start, watch = time.perf_counter(), Watch()
    plan, parties = plan_of(terms, source, noisy=noise is not None, finish=finish)
    encoded = plan_to_bytes(plan)
    work = (
        ShardWork(encoded, source, block, arrivals, terms.deadline_s, parties, lying) for block in range(source.blocks)
    )
    merged = _Merged(plan)
    progress("shards", 0, source.blocks)
    for done, result in enumerate(workers.map(run_shard, work), 1):
        with watch.step("merge"):
            merged.add(result)
        progress("shards", done, source.blocks)
    progress("noise", 0, 1)
    leader_noise, helper_noise = (None, None) if noise is None else (noise.leader, noise.helper)
    noise_start = time.process_time()  # both aggregators draw in threads of their own
    with _finishing(plan, source) as open_shares:
        opened = finish_collections(merged.leader, merged.helper, leader_noise, helper_noise, open_shares)
    watch.seconds["noise"] += time.process_time() - noise_start
    progress("noise", 1, 1)
    rejected = merged.tally.rejected
    opened = tuple(replace(one, rejected=rejected[view]) for view, one in enumerate(opened))
    peak = peak_bytes() + (workers.count * merged.peak_bytes if workers.count > 1 else 0)
    for step, seconds in watch.seconds.items():
        merged.seconds[step] += seconds
    wall_s = time.perf_counter() - start
    return FleetRun(plan, opened, tuple(merged.truth), merged.tally, dict(merged.seconds), wall_s, peak)


@contextmanager
def _finishing(plan: Plan, source: Source) -> Iterator[Open | None]:
    """How a plan is opened that does not say `open`."""
    if plan.finish == "open":
        yield None
        return
    with mpc_parties() as by_mpc:
        yield partial(by_mpc, clients=sum(enrolled_of(source)))


class _Merged:
    """What the shards have given so far."""

    def __init__(self, plan: Plan) -> None:
        self.leader, self.helper = Aggregating.start("leader", plan), Aggregating.start("helper", plan)
        self.truth = [np.zeros((len(one.pane_starts), one.layout.length), np.int64) for one in plan.views]
        self.tally, self.peak_bytes = Tally(), 0
        self.seconds: dict[str, float] = defaultdict(float)

    def add(self, result: ShardResult) -> None:
        """Merge a shard's sums and ids."""
        plan = self.leader.plan
        self.leader = self.leader.merge(result.leader.state("leader", plan))
        self.helper = self.helper.merge(result.helper.state("helper", plan))
        for mine, its in zip(self.truth, result.truth, strict=True):
            mine += its
        self.tally.add(result.tally)
        for step, seconds in result.seconds.items():
            self.seconds[step] += seconds
        self.peak_bytes = max(self.peak_bytes, result.peak_bytes)


def publish(run: FleetRun, directory: Path, now: int, noise_source: str) -> None:
    """Write the releases into the store at `directory`.

    Args:
        now: µs since the epoch, of the publication: a simulation takes a moment of its own, so that a repeat gives the
            same store.
    """
    with Publisher(directory, lambda: now) as publisher:
        for planned, opened in zip(run.plan.views, run.opened, strict=True):
            publisher.register(planned.view)
            publisher.publish(
                list(
                    releases_of(
                        run.plan, opened, now=now, clock="replay", noise_source=noise_source, trust="in-process"
                    )
                )
            )


def publish_truth(run: FleetRun, directory: Path, now: int) -> None:
    """Write the plain sums of the same panes into a store, as releases without noise: what the others are compared with."""
    exact = replace(run.plan, noise="none", protection="shares", max_clients=0, finish="open", report_per="client")
    opened = tuple(
        OpenedView(planned, one.outcomes, in_noise_basis(planned, truth)[one.outcomes == 0])
        for planned, one, truth in zip(run.plan.views, run.opened, run.truth, strict=True)
    )
    publish(replace(run, plan=exact, opened=opened), directory, now, "none")


def in_noise_basis(planned: PlannedView, truth: Ints) -> Ints:
    """int64[C, K, S]: plain sums, int64[C, d], as they would be opened without noise."""
    layout = planned.layout
    mapped: Ints = field64.decode_centred(to_noise_basis(layout, field64.encode(truth)))
    return mapped.reshape(len(truth), layout.keys, layout.slots_per_key)


def _panes(view: FeatureView, days: Sequence[int]) -> Ints:
    """int64[C], every pane of these days."""
    return np.arange(days[0] * DAY_US, days[1] * DAY_US, view.pane_us)
