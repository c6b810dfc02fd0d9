"""Batches that sites seal and sign, and aggregators that check them against their rosters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from base.times import DAY_US
from crypto.errors import SignatureInvalid
from crypto.seal import SealKey
from federation.aggregation import Aggregation, ClosedAggregation
from federation.batch.batch import BATCH_ID_BYTES, SealedBatch
from federation.batch.reports import HelperHalf, LeaderHalf, Randomness, Reports
from federation.batch.sealing import max_reports, open_half, seal_batch
from federation.draft import with_live
from federation.errors import ReportRefused, UnknownSite
from federation.keys import RoleKeys, site_role
from federation.live_keys import LiveSecret
from federation.parties import Aggregator, Roster
from federation.plan import AGGREGATORS, Plan
from federation.sharding import shard
from federation.wire_terms import WireTerms

DEADLINE_US: Final = 10**6 * DAY_US


@dataclass(frozen=True, eq=False)
class StageKeys:
    """The keys of leader, helper and collector, and the live secrets of the two aggregators."""

    leader: RoleKeys
    helper: RoleKeys
    collector: RoleKeys
    live: dict[Aggregator, LiveSecret] = field(repr=False)

    @classmethod
    def generate(cls, randomness: Randomness) -> StageKeys:
        """Generate new keys."""
        leader, helper, collector = (RoleKeys.generate(role, randomness) for role in ("leader", "helper", "collector"))
        return cls(leader, helper, collector, {role: LiveSecret.draw(randomness) for role in AGGREGATORS})

    @property
    def terms(self) -> WireTerms:
        """Return the terms of a draft with these keys."""
        public = self.leader.sign.public, self.helper.sign.public, self.collector.public.collector
        return WireTerms(*public, DEADLINE_US)

    def with_live_keys(self, plan: Plan) -> Plan:
        """Return a draft's plan with the live keys."""
        return with_live(plan, (self.leader.sign, self.live["leader"]), (self.helper.sign, self.live["helper"]))

    def seal_key(self, role: Aggregator) -> SealKey:
        """Return the key that opens the batches of an aggregator. Raises ReportRefused: the key was erased."""
        if (seal := self.live[role].seal) is None:
            raise ReportRefused(f"the {role} has erased its seal seed")
        return seal


@dataclass(frozen=True, eq=False)
class Site:
    """A site and its keys."""

    name: str
    keys: RoleKeys

    @classmethod
    def generate(cls, name: str, randomness: Randomness) -> Site:
        """Generate a site with new keys."""
        return cls(name, RoleKeys.generate(site_role(name), randomness))

    def send(self, plan: Plan, reports: Reports, randomness: Randomness) -> Iterator[SealedBatch]:
        """Seal reports of the plan's one view, without proofs, to both aggregators, and sign the batches."""
        most = max_reports(plan, 0)
        for first in range(0, len(reports.collection), most):
            last = first + most
            part = Reports(0, reports.collection[first:last], reports.slots[first:last])
            to_leader, to_helper = shard(plan, part, randomness)
            yield seal_batch(plan, self.name, randomness(BATCH_ID_BYTES), to_leader, to_helper, self.keys.sign)


@dataclass(frozen=True, eq=False)
class AcceptedBatches:
    """Both aggregators after all batches. `refused`: number of reports of unknown sites or with a wrong signature."""

    leader: ClosedAggregation
    helper: ClosedAggregation
    refused: int


def take(plan: Plan, parties: StageKeys, roster: Roster, batches: Iterable[SealedBatch]) -> AcceptedBatches:
    """Check each batch against the roster, unseal it and add it. Run by both aggregators.

    Raises:
        ReportRefused: the reports have proofs.
    """
    leader, helper, refused = Aggregation.start("leader", plan), Aggregation.start("helper", plan), 0
    for batch in batches:
        try:
            to_leader = open_half("leader", plan, parties.seal_key("leader"), roster, batch.half("leader"))
            to_helper = open_half("helper", plan, parties.seal_key("helper"), roster, batch.half("helper"))
        except (UnknownSite, SignatureInvalid):
            refused += len(batch.signed.header)
            continue
        if not (isinstance(to_leader, LeaderHalf) and isinstance(to_helper, HelperHalf)):
            raise ReportRefused("batches with proofs are not supported here")
        leader, helper = leader.add(to_leader), helper.add(to_helper)
    return AcceptedBatches(leader.close(), helper.close(), refused)
