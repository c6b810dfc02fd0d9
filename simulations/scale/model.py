"""Estimate bytes, CPU, money and latency of a collection of any size from measured costs, and what saturates first.

A shard is one process of an aggregator on one core, with its own disk and link. Shard i of the leader calls only shard i of the
helper. A batch passes three stations of the leader's shard: the core, the commit that keeps the batch, and the line. The line
handles one batch at a time, through the round to the helper and the commit that settles it, as in
`aggregator.intake.share_intake`. All sealed batches pass one coordinator. The model counts its calls to the leader, but not the
work of Flower. At the deadline one process of each aggregator merges its shards, commits, draws noise and opens.

The load of a resource is its use at the busiest moment, divided by its capacity. For the work after the deadline it is the
time, divided by the allowed time; for memory, the bytes divided by the memory. The resource with the highest load saturates
first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from federation.terms import Validity

from .costs import Costs, ReportCosts
from .queueing import AnswerWindow, flow

GB: Final = 1e9
HOUR_S: Final = 3_600.0
SHARDED: Final = (
    "leader's core",
    "leader's commits",
    "leader's line",
    "helper's core",
    "leader's ingress",
    "helper's ingress",
)
WHOLE: Final = (
    "coordinator's link",
    "coordinator's core",
    "roster in memory",
    "ids in memory",
    "counts and digests",
    "noise",
)


@dataclass(frozen=True)
class Assumptions:
    """Assumptions, which are not measured. Prices are rounded dollars of on-demand machines in large public clouds.

    Attributes:
        rtt_s: round-trip time of leader and helper, in two data centres of one region.
        link: bytes a second of the link of a machine, in each direction.
        memory: bytes of a machine.
        full: the load for which an operator plans.
        close_s: allowed seconds for merging and opening.
        vcpu_hour, egress_gb: prices in dollars.
    """

    window: AnswerWindow = field(default_factory=AnswerWindow)
    rtt_s: float = 0.010
    link: float = 1.25e9
    memory: float = 64 * 2.0**30
    full: float = 0.7
    close_s: float = 600.0
    vcpu_hour: float = 0.04
    egress_gb: float = 0.09


@dataclass(frozen=True)
class Regime:
    """A collection of one pane, one report a client.

    Attributes:
        batch: reports of a site in one batch; 1 on a phone. Fewer may fit if reports are long.
    """

    clients: int
    batch: int
    slots: int
    validity: Validity


@dataclass(frozen=True)
class Stations:
    """Seconds that one batch holds each station of a shard."""

    core: float
    keep: float
    line: float
    helper: float

    @property
    def slowest(self) -> float:
        """Return the seconds of the slowest station, which limits the batches a second of a shard."""
        return max(self.core, self.keep, self.line)

    @property
    def through(self) -> float:
        """Return the seconds from the arrival of a batch until both have counted it, without queues."""
        return self.core + self.keep + self.line


@dataclass(frozen=True)
class Estimate:
    """The estimate for a regime.

    Attributes:
        shards: shards of each aggregator.
        batches, reports_a_batch: sealed batches, and reports in each.
        upload: bytes that leave the sites.
        egress: bytes that leave coordinator and leader, which cost money.
        cpu_s: of the sites together; of leader and helper together, until the deadline.
        loads: load of each resource, with these shards.
        first: the resource that saturates first with one shard.
        then: the resource that saturates first if no resource of the shards exceeds `full`.
        latency_s: mean seconds from the arrival of a batch until both have counted it.
        closing_s: seconds from the deadline to the opened sums, by step.
        dollars: until the deadline a core for each shard and the busy cores of the coordinator; then one core at each
            aggregator for the closing; and egress.
    """

    regime: Regime
    shards: int
    batches: int
    reports_a_batch: int
    stations: Stations
    upload: float
    egress: float
    cpu_s: dict[str, float]
    loads: dict[str, float]
    first: str
    then: str
    latency_s: float
    closing_s: dict[str, float]
    dollars: float

    @property
    def after_deadline_s(self) -> float:
        """Return the seconds from the deadline to the opened sums."""
        return sum(self.closing_s.values())


def stations_of(costs: Costs, report: ReportCosts, batch: int, rtt_s: float) -> Stations:
    """Return the seconds that a batch holds each station. Each of the two commits has half of the leader's disk waits."""
    closing = costs.closing
    submit = closing.rpc_s + closing.rpc_byte_s * report.upload.of(batch)
    job = closing.rpc_s + closing.rpc_byte_s * report.to_helper.of(batch)
    disk = report.leader_disk_s.of(batch) / 2
    helper = report.helper_s.of(batch) + job / 2
    core = report.leader_s.of(batch) + submit / 2 + job / 2
    return Stations(core, disk, rtt_s + helper + report.helper_disk_s.of(batch) + disk, helper)


def estimate(costs: Costs, regime: Regime, assumed: Assumptions, shards: int | None = None) -> Estimate:
    """Estimate a regime.

    Args:
        shards: shards of each aggregator; None: as many as `assumed.full` requires.
    """
    report = costs.reports[regime.slots, regime.validity]
    size = min(regime.batch, report.largest_batch)
    batches = math.ceil(regime.clients / size)
    stations = stations_of(costs, report, size, assumed.rtt_s)
    alone = _sharded(costs, report, size, batches, stations, assumed)
    whole = _whole(costs, regime, report, size, batches, assumed)
    first = _highest(alone | whole)
    if shards is None:
        shards = max(1, math.ceil(max(alone.values()) / assumed.full))
    loads = {name: load / shards for name, load in alone.items()} | whole
    queue = flow(assumed.window, batches / shards, stations.slowest)
    closing = _closing(costs, regime, shards, queue.drain_s, assumed)
    upload, to_helper = batches * report.upload.of(size), batches * report.to_helper.of(size)
    cpu = {
        "sites": batches * report.site_s.of(size),
        "leader": batches * stations.core,
        "helper": batches * stations.helper,
    }
    relays = max(1, math.ceil(whole["coordinator's core"] / assumed.full))
    machine_s = (2 * shards + relays) * assumed.window.deadline_s + 2 * sum(closing.values())
    dollars = machine_s / HOUR_S * assumed.vcpu_hour + (upload + to_helper) / GB * assumed.egress_gb
    return Estimate(
        regime,
        shards,
        batches,
        size,
        stations,
        upload,
        upload + to_helper,
        cpu,
        loads,
        first,
        _highest(whole),
        queue.wait_s + stations.through,
        closing,
        dollars,
    )


def _sharded(
    costs: Costs, report: ReportCosts, size: int, batches: int, stations: Stations, assumed: Assumptions
) -> dict[str, float]:
    """Return the loads of the resources that shards share, with one shard."""
    rate = batches * assumed.window.busiest
    seconds = (stations.core, 2 * stations.keep, stations.line, stations.helper)
    links = (report.upload.of(size) / assumed.link, report.to_helper.of(size) / assumed.link)
    return {name: rate * each for name, each in zip(SHARDED, (*seconds, *links), strict=True)}


def _whole(
    costs: Costs, regime: Regime, report: ReportCosts, size: int, batches: int, assumed: Assumptions
) -> dict[str, float]:
    """Return the loads of the resources that exist once, with any number of shards."""
    rate, closing, upload = batches * assumed.window.busiest, costs.closing, report.upload.of(size)
    submit_s = (closing.rpc_s + closing.rpc_byte_s * upload) / 2
    sites = math.ceil(regime.clients / regime.batch)
    loads = (
        rate * upload / assumed.link,
        rate * submit_s,
        sites * closing.roster_bytes / assumed.memory,
        regime.clients * closing.id_bytes / assumed.memory,
        committing_s(costs, regime.clients) / assumed.close_s,
        regime.slots * closing.noise_s / assumed.close_s,
    )
    return dict(zip(WHOLE, loads, strict=True))


def committing_s(costs: Costs, ids: int) -> float:
    """Return CPU seconds of counts and digests of ids in one process."""
    return ids * costs.closing.commit_s


def _closing(costs: Costs, regime: Regime, shards: int, drain_s: float, assumed: Assumptions) -> dict[str, float]:
    """Return seconds from the deadline to the opened sums, by step. Both aggregators work in parallel."""
    closing = costs.closing
    moved = regime.clients * 20 + shards * regime.slots * 8
    return {
        "drain": drain_s,
        "fetch": moved / assumed.link if shards > 1 else 0.0,
        "merge": (shards - 1) * regime.slots * closing.merge_s,
        "commit": committing_s(costs, regime.clients),
        "noise": regime.slots * closing.noise_s,
        "open": regime.slots * closing.open_s,
    }


def _highest(loads: dict[str, float]) -> str:
    return max(loads, key=lambda name: loads[name])
