"""One shard: the sites of a block answer a plan, and a shard of each aggregator accepts the answers in time.

The code that runs between processes makes, signs, parses and checks every byte; only the transport is a function call. Blocks
follow each other, with sites in order of arrival. A shard keeps only sums and ids of a block.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from crypto.sharing import SparseRows
from crypto.signing import SigningKey
from edge_client.compute import compute
from edge_client.participation import of_active_clients, of_every_client, of_sites
from federation.aggregation import Aggregation
from federation.batch.batch import BATCH_ID_BYTES, SealedBatch, SealedHalf
from federation.batch.empty import open_empty, seal_empty
from federation.batch.reports import HelperHalf, LeaderHalf, ProvenHalf, Reports, declared
from federation.batch.sealing import max_reports, open_half, seal_batch
from federation.parties import Roster, RosterEntry
from federation.plan import AGGREGATORS, Plan, plan_from_bytes
from federation.protocol import verify
from federation.sharding import protect
from federation.terms import Participation, ReportPer
from simulations.fleets.block import SiteBlock
from simulations.measuring import Watch, peak_bytes

from .timed_keys import TimedSigningKey, TimedVerifyKey
from .work import AggregatorShard, Ints, ShardResult, ShardWork, Tally


def run_shard(work: ShardWork) -> ShardResult:
    """Run a shard. A repeat gives the same sums with other shares and ids."""
    return _Shard(work).run()


@lru_cache(maxsize=2)
def _parsed(plan: bytes) -> Plan:
    return plan_from_bytes(plan)


class _Shard:
    """A running shard."""

    def __init__(self, work: ShardWork) -> None:
        self._work, self._plan = work, _parsed(work.plan)
        self._leader = Aggregation.start("leader", self._plan)
        self._helper = Aggregation.start("helper", self._plan)
        self._truth = [np.zeros((len(one.pane_starts), one.layout.length), np.int64) for one in self._plan.views]
        self._tally, self._watch = Tally(), Watch()
        self._open_keys = {role: work.parties.seal_key(role) for role in ("leader", "helper")}

    def run(self) -> ShardResult:
        """Run all sites of the block."""
        with self._watch.step("generate"):
            block = self._work.source.block(self._work.block)
        self._block(block)
        return ShardResult(
            AggregatorShard.of(self._leader),
            AggregatorShard.of(self._helper),
            tuple(self._truth),
            self._tally,
            dict(self._watch.seconds),
            peak_bytes(),
        )

    def _block(self, block: SiteBlock) -> None:
        """Run every answering site of a block, in order of arrival."""
        fates = self._work.arrivals.of(block.sites)
        self._tally.sites(fates, self._work.deadline_s)
        self._tally.events += block.table.num_rows
        order = np.argsort(fates.at_s, kind="stable")[: np.count_nonzero(np.isfinite(fates.at_s))]
        in_time, keys = fates.in_time(self._work.deadline_s), self._keys_of(block, order)
        silent = dict.fromkeys(order.tolist())
        for view in range(len(self._plan.views)):
            with self._watch.step("compute"):
                by_site = ReportsBySite(self._plan, view, block, order, self._tally)
            for site, reports in by_site:
                clients, counts = int(block.enrolled[site]), bool(in_time[site])
                self._answer(block.sites[site], clients, keys[site], reports, counts)
                if len(reports.collection):
                    silent.pop(site, None)
        for site in silent:
            self._answer_empty(block.sites[site], int(block.enrolled[site]), keys[site], bool(in_time[site]))

    def _keys_of(self, block: SiteBlock, order: Ints) -> dict[int, SigningKey]:
        with self._watch.step("sign"):
            seeds = {site: self._work.parties.signing_seed(f"site-{block.sites[site]}") for site in order.tolist()}
            return {site: TimedSigningKey(seed, self._watch) for site, seed in seeds.items()}

    def _answer(self, site: str, clients: int, key: SigningKey, reports: Reports, in_time: bool) -> None:
        """Send a site's reports of one view, batch by batch."""
        entry = RosterEntry(site, TimedVerifyKey(key.public, self._watch), clients)
        roster, size = Roster([entry]), max_reports(self._plan, reports.view)
        lying = self._work.lying
        protect_batch = protect if lying is None else lying.protect_of(site)
        for first in range(0, len(reports.collection), size):
            part = slice(first, first + size)
            clients_of = declared(reports.clients, part)
            batch = Reports(reports.view, reports.collection[part], reports.slots[part], clients_of)
            with self._watch.step("share"):
                leader, helper = protect_batch(self._plan, batch, os.urandom)
            with self._watch.step("seal"):
                sealed = seal_batch(self._plan, site, os.urandom(BATCH_ID_BYTES), leader, helper, key)
            with self._watch.step("carry"):
                sent = sealed.to_bytes()
            self._tally.batches += 1
            self._tally.bytes_sent += len(sent)
            if in_time:
                self._take(sent, roster, batch)

    def _answer_empty(self, site: str, clients: int, key: SigningKey, in_time: bool) -> None:
        """Send the empty batch of a site that has no report in the plan."""
        with self._watch.step("seal"):
            sealed = seal_empty(self._plan, site, os.urandom(BATCH_ID_BYTES), key)
        with self._watch.step("carry"):
            sent = sealed.to_bytes()
            received = SealedBatch.from_bytes(sent)
        self._tally.batches += 1
        self._tally.bytes_sent += len(sent)
        if in_time:
            roster = Roster([RosterEntry(site, TimedVerifyKey(key.public, self._watch), clients)])
            with self._watch.step("open"):
                for role in AGGREGATORS:
                    open_empty(role, self._plan, self._open_keys[role], roster, received.half(role))

    def _take(self, sent: bytes, roster: Roster, batch: Reports) -> None:
        """Parse, check, unseal and add a batch at both aggregators."""
        with self._watch.step("carry"):
            received = SealedBatch.from_bytes(sent)
            to_helper = SealedHalf.from_bytes(received.half("helper").to_bytes())
        with self._watch.step("open"):
            leader = open_half("leader", self._plan, self._open_keys["leader"], roster, received.half("leader"))
            helper = open_half("helper", self._plan, self._open_keys["helper"], roster, to_helper)
        accepted: npt.NDArray[np.bool_] = np.ones(len(batch.collection), np.bool_)
        match leader, helper:
            case LeaderHalf(), HelperHalf():
                with self._watch.step("add"):
                    self._leader, self._helper = self._leader.add(leader), self._helper.add(helper)
            case ProvenHalf(), ProvenHalf():
                with self._watch.step("verify proof"):
                    verified = verify(self._plan, self._work.parties.verification_key, leader, helper)
                with self._watch.step("add"):
                    self._leader, self._helper = (
                        self._leader.add(verified.leader),
                        self._helper.add(verified.helper),
                    )
                accepted = verified.accepted
        self._tally.reports[batch.view] += int(np.count_nonzero(accepted))
        self._tally.rejected[batch.view] += int(np.count_nonzero(~accepted))
        add_truth(self._truth[batch.view], batch, self._plan.offsets[batch.view], accepted)


class ReportsBySite:
    """Yields the reports of a view, site by site in the given order. Dropped events are added to the tally."""

    def __init__(self, plan: Plan, view: int, block: SiteBlock, order: Ints, tally: Tally) -> None:
        planned, seated = plan.views[view], block.seated()
        made = compute(planned.view, seated.events, panes=planned.pane_starts)
        tally.drop(view, made.dropped)
        if plan.terms.participation is Participation.ALL:
            enrolled = len(seated.site_of_seat)
            reports = of_every_client(planned.pane_starts, made, seated.seat_of, enrolled)
            site = seated.site_of_seat[reports.reporter]
        else:
            reports = of_active_clients(planned.pane_starts, made)
            site = seated.site_of[reports.reporter]
        pane, slots, clients = reports.pane, reports.slots, None
        if plan.terms.report_per is ReportPer.SITE:
            sums = of_sites(pane, site, slots)
            pane, site, slots, clients = pane[sums.first], site[sums.first], sums.slots, sums.clients
        by_site = np.argsort(site, kind="stable")
        self._view, self._order = view, order
        self._starts = np.searchsorted(site[by_site], np.arange(len(block.sites) + 1))
        self._collection = (pane[by_site] + plan.offsets[view]).astype(np.uint32)
        self._slots: SparseRows = slots.take(by_site)
        self._clients = None if clients is None else clients[by_site]

    def __iter__(self) -> Iterator[tuple[int, Reports]]:
        for site in self._order.tolist():
            part = slice(int(self._starts[site]), int(self._starts[site + 1]))
            clients = declared(self._clients, part)
            yield site, Reports(self._view, self._collection[part], self._slots[part], clients)


def add_truth(truth: Ints, batch: Reports, offset: int, accepted: npt.NDArray[np.bool_]) -> None:
    """Add the plain vectors of the accepted reports."""
    rows = np.repeat(batch.collection.astype(np.int64) - offset, np.diff(batch.slots.indptr))
    counted = np.repeat(accepted, np.diff(batch.slots.indptr))
    np.add.at(truth, (rows[counted], batch.slots.columns[counted]), batch.slots.values[counted])
