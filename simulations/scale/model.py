"""From measured costs to bytes, CPU, money and latency of a collection of any size, and to what saturates first.

A shard is one process of an aggregator on one core, with a disk and a link of its own; shard i of the leader asks shard i of
the helper only. A batch passes three stations of the leader's shard: its core, the commit that keeps the batch, and the line,
which is held through the round to the helper and the commit that settles it: one batch at a time, as in
`aggregator.intake.share_intake`.
All sealed batches pass one coordinator, of whose work only the calls to the leader are counted, not what Flower does. At the
deadline each aggregator's shards are merged in one process, which commits, draws noise and opens.

A resource's load is its use at the busiest moment over what it can do; for what is done after the deadline, over the time that
it may take, and for memory over what there is. What has the highest load saturates first.
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
    """What nobody measured here. Prices are in dollars, of on-demand machines in large public clouds, rounded.

    Attributes:
        rtt_s: between leader and helper: two operators, two data centres of one region.
        link: bytes a second of a machine's link, each way.
        memory: bytes of a machine.
        full: the load that an operator plans for.
        close_s: how long merging and opening may take.
        vcpu_hour, egress_gb: dollars.
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
        batch: reports that a site has for one batch: 1 on a phone; longer reports may allow fewer.
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
        """Which decides how many batches a second a shard takes."""
        return max(self.core, self.keep, self.line)

    @property
    def through(self) -> float:
        """From a batch's arrival until both have counted it, with nobody else there."""
        return self.core + self.keep + self.line


@dataclass(frozen=True)
class Estimate:
    """What a regime takes.

    Attributes:
        shards: of each aggregator.
        batches, reports_a_batch: as they are sealed.
        upload, egress: bytes that leave the sites; that leave coordinator and leader, which is what is paid.
        cpu_s: of the sites together; of leader and helper together, until the deadline.
        loads: by resource, with these shards.
        first: what saturates first with one shard, and
        then: with so many shards that none of what they share is over `full`.
        latency_s: mean, from a batch's arrival until both have counted it.
        closing_s: by step, from the deadline to the opened sums.
        dollars: a core for each shard, and as many for the coordinator as its calls keep busy, up to the deadline; one at
            each aggregator for the closing; egress.
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
        """From the deadline to the opened sums."""
        return sum(self.closing_s.values())


def stations_of(costs: Costs, report: ReportCosts, batch: int, rtt_s: float) -> Stations:
    """How long a batch of so many reports holds each station; half of the leader's waits for the disk are of each commit."""
    closing = costs.closing
    submit = closing.rpc_s + closing.rpc_byte_s * report.upload.of(batch)
    job = closing.rpc_s + closing.rpc_byte_s * report.to_helper.of(batch)
    disk = report.leader_disk_s.of(batch) / 2
    helper = report.helper_s.of(batch) + job / 2
    core = report.leader_s.of(batch) + submit / 2 + job / 2
    return Stations(core, disk, rtt_s + helper + report.helper_disk_s.of(batch) + disk, helper)


def estimate(costs: Costs, regime: Regime, assumed: Assumptions, shards: int | None = None) -> Estimate:
    """The whole estimate.

    Args:
        shards: of each aggregator; None: as many as `assumed.full` asks for.
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
    """Loads of what S shards share, with one shard."""
    rate = batches * assumed.window.busiest
    seconds = (stations.core, 2 * stations.keep, stations.line, stations.helper)
    links = (report.upload.of(size) / assumed.link, report.to_helper.of(size) / assumed.link)
    return {name: rate * each for name, each in zip(SHARDED, (*seconds, *links), strict=True)}


def _whole(
    costs: Costs, regime: Regime, report: ReportCosts, size: int, batches: int, assumed: Assumptions
) -> dict[str, float]:
    """Loads of what there is one of, however many shards."""
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
    """CPU seconds of counts and digests of so many ids in one process."""
    return ids * costs.closing.commit_s


def _closing(costs: Costs, regime: Regime, shards: int, drain_s: float, assumed: Assumptions) -> dict[str, float]:
    """Seconds from the deadline to the opened sums, by step; both aggregators work at the same time."""
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
