"""What a shard is asked for, and what it gives: plain data, which can be sent to another process or machine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from crypto.sharing import Accumulator
from edge_client.compute import Dropped
from federation.batch.reports import REPORT_ID_BYTES
from federation.parties import Aggregator
from federation.plan import Plan
from federation.protocol import Aggregating
from federation.terms import ReportPer
from simulations.attacks.lies.lying_site import LyingSite
from simulations.fleets.arrivals import Arrivals, Fates
from simulations.fleets.block import Source

from .keys import FleetKeys

Elements = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ShardWork:
    """One shard: a block of a fleet, under one plan.

    Attributes:
        plan: canonical bytes, with its wire terms.
        deadline_s: virtual seconds after the announcement, from when on the aggregators refuse.
        lying: the site whose clients lie, in this block or another; None: every client is honest.
    """

    plan: bytes = field(repr=False)
    source: Source
    block: int
    arrivals: Arrivals
    deadline_s: float
    parties: FleetKeys
    lying: LyingSite | None = None


@dataclass(frozen=True, eq=False)
class AggregatorShard:
    """What one aggregator's shard has taken. **Secret**: shares of sums.

    Attributes:
        sums: of each view uint64[C, d].
        collection, report_ids: uint32[R], uint8[R, 16].
        clients: uint32[R], where sites report for so many each.
    """

    sums: tuple[Elements, ...] = field(repr=False)
    collection: npt.NDArray[np.uint32] = field(repr=False)
    report_ids: npt.NDArray[np.uint8] = field(repr=False)
    clients: npt.NDArray[np.uint32] | None = field(repr=False)

    @classmethod
    def of(cls, state: Aggregating) -> AggregatorShard:
        """What a state has."""
        collection = np.concatenate([np.empty(0, np.uint32), *(part for part, _, _ in state.taken)])
        ids = np.concatenate([np.empty((0, REPORT_ID_BYTES), np.uint8), *(part for _, part, _ in state.taken)])
        clients = None
        if state.plan.terms.report_per is ReportPer.SITE:
            clients = np.concatenate(
                [np.empty(0, np.uint32), *(part for _, _, part in state.taken if part is not None)]
            )
        return cls(tuple(one.values for one in state.sums), collection, ids, clients)

    def state(self, role: Aggregator, plan: Plan) -> Aggregating:
        """The state again."""
        sums = tuple(Accumulator.from_values(one) for one in self.sums)
        return Aggregating(role, plan, sums, ((self.collection, self.report_ids, self.clients),))


@dataclass
class Tally:
    """What became of the reports and answers; of it nobody but the simulation knows all.

    Attributes:
        reports: of each view, how many both aggregators counted.
        rejected: of each view, how many proofs did not hold.
        answered, offline, lost, late: sites.
        bytes_sent: of sealed batches, as they leave the sites.
        dropped: events that were not counted, by view.
    """

    reports: Counter[int] = field(default_factory=Counter)
    rejected: Counter[int] = field(default_factory=Counter)
    answered: int = 0
    offline: int = 0
    lost: int = 0
    late: int = 0
    batches: int = 0
    bytes_sent: int = 0
    events: int = 0
    dropped: Counter[tuple[int, str]] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Count another shard's."""
        self.reports.update(other.reports)
        self.rejected.update(other.rejected)
        self.dropped.update(other.dropped)
        for name in ("answered", "offline", "lost", "late", "batches", "bytes_sent", "events"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def sites(self, fates: Fates, deadline_s: float) -> None:
        """Count what becomes of some sites' answers."""
        answering = np.isfinite(fates.at_s)
        self.answered += int(np.count_nonzero(answering))
        self.offline += int(np.count_nonzero(~answering))
        self.lost += int(np.count_nonzero(answering & fates.lost))
        self.late += int(np.count_nonzero(answering & ~fates.lost & ~fates.in_time(deadline_s)))

    def drop(self, view: int, dropped: Dropped) -> None:
        """Count events that were not counted."""
        for reason, count in vars(dropped).items():
            self.dropped[view, reason] += count


@dataclass(frozen=True, eq=False)
class ShardResult:
    """What a shard gives. **Secret.**

    Attributes:
        truth: of each view int64[C, d], the plain sums of what both aggregators counted: what a simulation compares with.
        seconds: CPU seconds by step.
        peak_bytes: the most memory that the worker has had.
    """

    leader: AggregatorShard
    helper: AggregatorShard
    truth: tuple[Ints, ...] = field(repr=False)
    tally: Tally
    seconds: dict[str, float]
    peak_bytes: int
