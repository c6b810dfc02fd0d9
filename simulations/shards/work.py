"""The task and the result of a shard: plain data, which can be sent to another process or machine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from crypto.sharing import Accumulator
from edge_client.compute import Dropped
from federation.aggregation import Aggregation
from federation.batch.reports import REPORT_ID_BYTES
from federation.commitment import ReceivedReports
from federation.parties import Aggregator
from federation.plan import Plan
from federation.terms import ReportPer
from simulations.attacks.lies.lying_site import LyingSite
from simulations.fleets.arrivals import Arrivals, Fates
from simulations.fleets.block import Source

from .keys import FleetKeys

Elements = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ShardWork:
    """The task of one shard: a block of a fleet, under one plan.

    Attributes:
        plan: canonical bytes of the plan, with its wire terms.
        deadline_s: deadline, in virtual seconds after the announcement; the aggregators refuse later answers.
        lying: the site whose clients lie, in any block; None: every client is honest.
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
    """The state of a shard of one aggregator. **Secret**: shares of sums.

    Attributes:
        sums: uint64[C, d] of each view.
        collection, report_ids: uint32[R], uint8[R, 16].
        clients: uint32[R], number of clients of each report, if reports are of sites.
    """

    sums: tuple[Elements, ...] = field(repr=False)
    collection: npt.NDArray[np.uint32] = field(repr=False)
    report_ids: npt.NDArray[np.uint8] = field(repr=False)
    clients: npt.NDArray[np.uint32] | None = field(repr=False)

    @classmethod
    def of(cls, state: Aggregation) -> AggregatorShard:
        """Take the data of a state."""
        collection = np.concatenate([np.empty(0, np.uint32), *(part.collection for part in state.received)])
        ids = np.concatenate([np.empty((0, REPORT_ID_BYTES), np.uint8), *(part.report_ids for part in state.received)])
        clients = None
        if state.plan.terms.report_per is ReportPer.SITE:
            clients = np.concatenate(
                [np.empty(0, np.uint32), *(part.clients for part in state.received if part.clients is not None)]
            )
        return cls(tuple(one.values for one in state.sums), collection, ids, clients)

    def state(self, role: Aggregator, plan: Plan) -> Aggregation:
        """Make the state again."""
        sums = tuple(Accumulator.from_values(one) for one in self.sums)
        received = ReceivedReports(self.collection, self.report_ids, self.clients)
        return Aggregation(role, plan, sums, (received,))


@dataclass
class Tally:
    """Counts of reports and answers. Only a simulation knows all of them.

    Attributes:
        reports: number of reports of each view that both aggregators counted.
        rejected: number of reports of each view whose proof failed.
        answered, offline, lost, late: number of sites.
        bytes_sent: bytes of sealed batches that leave the sites.
        dropped: number of events that were not counted, by view.
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
        """Add the counts of another shard."""
        self.reports.update(other.reports)
        self.rejected.update(other.rejected)
        self.dropped.update(other.dropped)
        for name in ("answered", "offline", "lost", "late", "batches", "bytes_sent", "events"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def sites(self, fates: Fates, deadline_s: float) -> None:
        """Count the fates of sites' answers."""
        answering = np.isfinite(fates.at_s)
        self.answered += int(np.count_nonzero(answering))
        self.offline += int(np.count_nonzero(~answering))
        self.lost += int(np.count_nonzero(answering & fates.lost))
        self.late += int(np.count_nonzero(answering & ~fates.lost & ~fates.in_time(deadline_s)))

    def drop(self, view: int, dropped: Dropped) -> None:
        """Add dropped events."""
        for reason, count in vars(dropped).items():
            self.dropped[view, reason] += count


@dataclass(frozen=True, eq=False)
class ShardResult:
    """The result of a shard. **Secret.**

    Attributes:
        truth: int64[C, d] of each view, plain sums of the reports that both aggregators counted, for comparison.
        seconds: CPU seconds by step.
        peak_bytes: peak memory of the worker.
    """

    leader: AggregatorShard
    helper: AggregatorShard
    truth: tuple[Ints, ...] = field(repr=False)
    tally: Tally
    seconds: dict[str, float]
    peak_bytes: int
