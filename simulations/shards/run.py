"""Collect from a whole fleet: run and merge the shards, then run the second half of the protocol once."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from aggregator.mpc.finish import mpc_parties
from base.times import DAY_US
from crypto import field as field64
from deployment.coordinator.collector import releases_of
from deployment.errors import RunRefused
from deployment.in_process.run import NoisePair
from featurestore.define.definitions import FeatureView
from featurestore.publish.publish import Publisher
from federation.aggregation import Aggregation, OpenedView
from federation.basis import to_noise_basis
from federation.dating import Dating
from federation.plan import PLAN_ID_BYTES, Plan, PlannedView, new_plan, plan_to_bytes
from federation.protocol import Open, finish_collections
from federation.terms import Encrypted, Finish, Noise, ReportPer, Shares, Terms, Validity
from simulations.attacks.lies.lying_site import LyingSite
from simulations.fleets.arrivals import Arrivals
from simulations.fleets.block import Source
from simulations.measuring import Watch, peak_bytes

from .keys import FleetKeys
from .shard import run_shard
from .work import Ints, ShardResult, ShardWork, Tally
from .workers import Workers

Progress = Callable[[str, int, int], None]
"""Called with (step, done, total)."""


DEFAULT_TERMS: Final = Shares()


@dataclass(frozen=True)
class FleetTerms:
    """The views and terms of a collection of a fleet.

    Attributes:
        terms: terms of the plan.
        min_clients: k instead of the views' own. With noise on it may not be below a view's own k.
        deadline_s: deadline, in virtual seconds after the announcement.
        seed: seed of keys and plan id; noise sources have their own seeds.
    """

    views: tuple[FeatureView, ...]
    terms: Terms = DEFAULT_TERMS
    min_clients: int | None = None
    deadline_s: float = 600.0
    seed: int = 0

    def k(self, view: FeatureView) -> int:
        """Return the fewest reports of an opened pane."""
        return self.min_clients or view.privacy.min_clients


@dataclass(frozen=True, eq=False)
class FleetRun:
    """The result of a collection.

    Attributes:
        truth: int64[C, d] of each view, plain sums of the reports that both aggregators counted. **Secret.**
        seconds: CPU seconds by step, over all workers.
        wall_s: wall seconds of the run, without publication.
        peak_bytes: peak memory of the parent, plus the largest peak of a worker times the number of workers.
    """

    plan: Plan
    opened: tuple[OpenedView, ...]
    truth: tuple[Ints, ...] = field(repr=False)
    tally: Tally
    seconds: dict[str, float]
    wall_s: float
    peak_bytes: int


def plan_of(fleet: FleetTerms, source: Source, *, noisy: bool) -> tuple[Plan, FleetKeys]:
    """Make the plan of all days of a fleet, and the keys of all parties.

    Raises:
        HeImpossible: no BFV parameters fit the number of clients.
        RunRefused: a view needs more reports than the fleet has clients, or k is below the view's own.
    """
    for view in fleet.views:
        if fleet.k(view) > source.clients:
            raise RunRefused(
                f"view {view.name!r} opens no pane of fewer than {fleet.k(view):,} clients, and the fleet has "
                f"{source.clients:,}: add clients to the fleet, or lower k of the view"
            )
        if noisy and fleet.k(view) < view.privacy.min_clients:
            raise RunRefused(
                f"k={fleet.k(view)} is below the k of view {view.name!r}, which is "
                f"{view.privacy.min_clients}. Raise k, or set noise=off"
            )
    parties = FleetKeys(hashlib.sha256(b"covey simulated parties %d" % fleet.seed).digest())
    plan_id = hashlib.sha256(b"covey simulated plan %d" % fleet.seed).digest()[:PLAN_ID_BYTES]
    wire = parties.wire((source.days[1] + 1) * DAY_US)
    if fleet.terms.validity is Validity.PRIO3:
        wire = replace(wire, verify_key_hash=parties.verification_key.hash_for(plan_id))
    plan = new_plan(
        [PlannedView(view, _panes(view, source.days), fleet.k(view)) for view in fleet.views],
        fleet.terms,
        Noise.FULL if noisy else Noise.NONE,
        plan_id=plan_id,
        sites=declared_sites(fleet.terms, source),
        wire=wire,
        from_events=source.from_events,
    )
    return parties.with_live_keys(plan), parties


def declared_sites(terms: Terms, source: Source) -> list[int]:
    """Return the clients of each site if the plan declares them. Counting a large fleet takes a while."""
    match terms:
        case Shares(report_per=ReportPer.CLIENT):
            return []
        case Shares() | Encrypted():
            return enrolled_of(source)


def enrolled_of(source: Source) -> list[int]:
    """Return the clients of each site over all days. With churn this exceeds the clients enrolled at one time."""
    return [clients for index in range(source.blocks) for clients in source.block(index).enrolled.tolist()]


def run_fleet(
    fleet: FleetTerms,
    source: Source,
    arrivals: Arrivals,
    *,
    noise: NoisePair | None,
    workers: Workers,
    lying: LyingSite | None = None,
    progress: Progress = lambda *_: None,
) -> FleetRun:
    """Collect every day of a fleet under one plan. The result depends only on the seeds.

    Args:
        lying: the site whose clients lie; None: every client is honest.

    Raises:
        RunRefused: see `plan_of`. WorkerDied. MpcFailed.
    """
    start, watch = time.perf_counter(), Watch()
    plan, parties = plan_of(fleet, source, noisy=noise is not None)
    encoded = plan_to_bytes(plan)
    work = (
        ShardWork(encoded, source, block, arrivals, fleet.deadline_s, parties, lying) for block in range(source.blocks)
    )
    merged = _MergedShards(plan)
    progress("shards", 0, source.blocks)
    for done, result in enumerate(workers.map(run_shard, work), 1):
        with watch.step("merge"):
            merged.add(result)
        progress("shards", done, source.blocks)
    progress("noise", 0, 1)
    leader_noise, helper_noise = (None, None) if noise is None else (noise.leader, noise.helper)
    noise_start = time.process_time()  # both aggregators draw in their own threads
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
    """Return the way to open a plan with finish `mpc`; None for finish `open`."""
    match plan.terms.finish:
        case Finish.OPEN:
            yield None
        case Finish.MPC:
            with mpc_parties() as by_mpc:
                yield partial(by_mpc, clients=sum(enrolled_of(source)))


class _MergedShards:
    """The merged results of the shards."""

    def __init__(self, plan: Plan) -> None:
        self.leader, self.helper = Aggregation.start("leader", plan), Aggregation.start("helper", plan)
        self.truth = [np.zeros((len(one.pane_starts), one.layout.length), np.int64) for one in plan.views]
        self.tally, self.peak_bytes = Tally(), 0
        self.seconds: dict[str, float] = defaultdict(float)

    def add(self, result: ShardResult) -> None:
        """Merge the sums and ids of a shard."""
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
        now: time of the publication, µs since the epoch. A simulation uses a virtual time, so that a repeat gives the same
            store.
    """
    with Publisher(directory, lambda: now) as publisher:
        for planned, opened in zip(run.plan.views, run.opened, strict=True):
            publisher.register(planned.view)
            publisher.publish(
                list(
                    releases_of(
                        run.plan,
                        opened,
                        now=now,
                        dating=Dating.REPLAY_DAYS,
                        noise_source=noise_source,
                        trust="in-process",
                    )
                )
            )


def exact_terms(terms: Terms) -> Terms:
    """Return the terms of the plain sums: without proofs and without MPC."""
    return Shares(terms.validity, participation=terms.participation)


def publish_truth(run: FleetRun, directory: Path, now: int) -> None:
    """Write the plain sums of the same panes into a store, as releases without noise, for comparison."""
    exact = replace(run.plan, noise=Noise.NONE, terms=exact_terms(run.plan.terms), max_clients=0)
    opened = tuple(
        OpenedView(planned, one.outcomes, in_noise_basis(planned, truth)[one.outcomes == 0])
        for planned, one, truth in zip(run.plan.views, run.opened, run.truth, strict=True)
    )
    publish(replace(run, plan=exact, opened=opened), directory, now, "none")


def in_noise_basis(planned: PlannedView, truth: Ints) -> Ints:
    """Map plain sums, int64[C, d], to int64[C, K, S] as opened without noise."""
    layout = planned.layout
    mapped: Ints = field64.decode_centred(to_noise_basis(layout, field64.encode(truth)))
    return mapped.reshape(len(truth), layout.keys, layout.slots_per_key)


def _panes(view: FeatureView, days: Sequence[int]) -> Ints:
    """Return int64[C]: every pane of these days."""
    return np.arange(days[0] * DAY_US, days[1] * DAY_US, view.pane_us)
