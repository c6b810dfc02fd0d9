"""Leader and helper take one report for each site, count its declared clients, and each opens by its own count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.collect.collection import CollectedShares
from aggregator.collect.collection_job import collect_request, commitment_from_bytes, commitment_to_bytes
from aggregator.errors import RemoteRefusal
from crypto.sharing import SparseRows
from federation.batch.batch import SealedBatch
from federation.batch.reports import Reports
from federation.batch.sealing import seal_batch
from federation.circuit.validity import encode, prove
from federation.commitment import Commitment, Outcome
from federation.errors import ReportedTwice, RosterExceeded
from federation.plan import Plan
from federation.sharding import protect
from tests.aggregator.world import (
    KEYS,
    SETTINGS,
    LocalLink,
    make_helper,
    make_leader,
    make_plan,
    open_at,
    prepared,
    roster,
)
from tests.federation.wire import COLLECTOR, live
from tests.federation.words import with_words

PLAN = live(with_words(make_plan(panes=4), report_per="site", max_clients=50))
LENGTH = PLAN.views[0].layout.length


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Any, Any, LocalLink]]:
    settings = replace(SETTINGS, roster=roster(20))
    helper = make_helper(tmp_path, settings)
    link = LocalLink(helper)
    leader = make_leader(tmp_path, link, settings)
    yield leader, helper, link
    leader.close()
    helper.close()


def batch(
    collections: list[int], clients: list[int], seed: int = 0, site: str = "a", ids: Any = None, of: Plan = PLAN
) -> SealedBatch:
    """A batch whose reports have the declared number of events at the first key, all of them true."""
    rng, count = np.random.default_rng([seed, ord(site)]), len(collections)
    dense = np.zeros((count, LENGTH), np.int64)
    dense[:, 0] = dense[:, 1] = clients
    columns = np.tile(np.array([0, 1], np.int32), count)
    slots = SparseRows(np.arange(0, 2 * count + 1, 2), columns, np.repeat(clients, 2).astype(np.int64), LENGTH)
    reports = Reports(0, np.array(collections, np.uint32), slots, np.array(clients, np.uint32))
    ids = rng.integers(0, 256, (count, 16), dtype=np.uint8) if ids is None else ids
    return seal_batch(of, site, rng.bytes(16), *protect(of, reports, rng.bytes, report_ids=ids), KEYS[site].sign)


def lie(plan: Plan, seed: int) -> SealedBatch:
    """A report of collection 2 whose first entry is not a bit."""
    rng, nothing = (
        np.random.default_rng(seed),
        SparseRows(np.zeros(2, np.int64), np.empty(0, np.int32), np.empty(0, np.int64), LENGTH),
    )
    measurements = encode(plan.views[0].layout, nothing, plan.clients_a_report)
    measurements[0, 0] = 2
    ids, clients = rng.integers(0, 256, (1, 16), dtype=np.uint8), np.array([4], np.uint32)
    halves = prove(plan, 0, np.array([2], np.uint32), measurements, ids, rng.bytes, clients)
    return seal_batch(plan, "a", rng.bytes(16), *halves, KEYS["a"].sign)


def counts(party: Any, plan: Plan = PLAN) -> list[int]:
    return list(party.tally.commitment(party.files.storage.plan(plan.hash).number, plan).counts)


def of_site(party: Any) -> list[int]:
    """The clients of site a that count towards its roster entry."""
    touched = np.arange(4, dtype=np.uint32)
    return list(
        party.files.storage.reports.site_counts(party.files.storage.plan(PLAN.hash).number, "a", touched, 4).tolist()
    )


def test_both_count_what_is_declared_and_open_by_it(both: tuple[Any, Any, LocalLink]) -> None:
    """k is 2. Two sites of one client or one site of two clients are enough; one site of one client is not."""
    leader, helper, _ = both
    open_at(leader, PLAN)
    open_at(helper, PLAN)
    for one in (batch([0, 1, 2], [1, 1, 2]), batch([1, 3], [1, 20], site="b")):
        assert leader.submit(one.to_bytes()).verdicts == bytes(len(one.signed.header))
    assert counts(leader) == counts(helper) == [1, 2, 2, 20]
    request = collect_request(PLAN, COLLECTOR.sign)
    (result,) = CollectedShares.of(PLAN, leader.collect(request), helper.collect(request), COLLECTOR.seal).open(PLAN)
    assert result.outcomes.tolist() == [Outcome.BATCH_TOO_SMALL, *[Outcome.OPENED] * 3]
    assert result.sums[:, 0, 0].tolist() == [2, 2, 20]  # the sums of a Count
    for party in both[:2]:
        stored = party.files.storage.plan(PLAN.hash)
        assert commitment_from_bytes(PLAN, stored.own).counts == (1, 2, 2, 20)


def test_a_site_reports_a_collection_once_and_within_its_roster_entry(both: tuple[Any, Any, LocalLink]) -> None:
    leader, helper, _ = both
    open_at(leader, PLAN)
    open_at(helper, PLAN)
    first = batch([0, 1], [3, 4])
    leader.submit(first.to_bytes())
    with pytest.raises(ReportedTwice):  # under a new id
        leader.submit(batch([2, 1], [1, 1], seed=1).to_bytes())
    with pytest.raises(RosterExceeded):
        leader.submit(batch([2], [21], seed=2).to_bytes())
    again = batch(
        [0, 1], [3, 9], seed=3, ids=first.signed.header.report_ids
    )  # a retry: its new declaration does not count
    assert leader.submit(again.to_bytes()).verdicts == b"\x01\x01"
    leader.submit(batch([0, 1], [5, 6], site="b").to_bytes())
    assert counts(leader) == counts(helper) == [8, 10, 0, 0]


def test_what_the_helper_refuses_is_given_back_and_can_be_reported_again(tmp_path: Path) -> None:
    helper = make_helper(tmp_path, replace(SETTINGS, roster=roster(5)))
    leader = make_leader(tmp_path, LocalLink(helper), replace(SETTINGS, roster=roster(20)))
    open_at(leader, PLAN)
    open_at(helper, PLAN)
    one = batch([0], [6])
    with pytest.raises(RemoteRefusal) as refused:
        leader.submit(one.to_bytes())
    assert (refused.value.reason, refused.value.numbers["have"]) == ("ROSTER_EXCEEDED", 6)
    assert counts(leader) == counts(helper) == [0, 0, 0, 0]
    leader.submit(batch([0], [5], seed=1).to_bytes())
    assert counts(leader) == counts(helper) == [5, 0, 0, 0]
    leader.close()
    helper.close()


def test_of_a_batch_that_is_known_in_part_the_new_reports_count_with_their_own_number(
    both: tuple[Any, Any, LocalLink],
) -> None:
    leader, helper, _ = both
    open_at(leader, PLAN)
    open_at(helper, PLAN)
    first = batch([0, 1], [3, 4])
    leader.submit(first.to_bytes())
    ids = np.concatenate((first.signed.header.report_ids[:1], np.full((1, 16), 7, np.uint8)))
    assert leader.submit(batch([0, 2], [9, 5], seed=1, ids=ids).to_bytes()).verdicts == b"\x01\x00"
    for party in (leader, helper):
        assert counts(party) == of_site(party) == [3, 4, 5, 0]


def test_what_only_the_helper_knows_is_given_back_with_its_own_number(both: tuple[Any, Any, LocalLink]) -> None:
    leader, helper, _ = both
    open_at(leader, PLAN)
    open_at(helper, PLAN)
    one = batch([0, 2], [3, 7])
    number = helper.files.storage.plan(PLAN.hash).number
    helper.files.storage.reports.add_reports(number, np.array([3], np.uint32), one.signed.header.report_ids[1:])
    assert leader.submit(one.to_bytes()).verdicts == b"\x00\x01"
    assert counts(leader) == of_site(leader) == [3, 0, 0, 0]
    assert leader.submit(batch([2], [6], seed=1).to_bytes()).verdicts == b"\x00"


def test_with_proofs_a_rejected_report_is_the_sites_only_one(both: tuple[Any, Any, LocalLink]) -> None:
    leader, helper, _ = both
    plan = prepared(live(with_words(PLAN, validity="prio3")), leader.prepare)
    open_at(leader, plan)
    open_at(helper, plan)
    assert leader.submit(batch([0, 1], [3, 20], of=plan).to_bytes()).verdicts == b"\x00\x00"
    assert leader.submit(lie(plan, seed=1).to_bytes()).verdicts == b"\x02"
    with pytest.raises(ReportedTwice):
        leader.submit(batch([2], [4], seed=2, of=plan).to_bytes())
    assert counts(leader, plan) == counts(helper, plan) == [3, 20, 0, 0]
    assert leader.status(plan.hash)[0].rejected == helper.status(plan.hash)[0].rejected == (1,)


def test_counts_of_clients_cross_the_wire_beyond_32_bits() -> None:
    told = Commitment((2**33, 0, 1, 2), tuple(bytes([one]) * 32 for one in range(4)))
    assert commitment_from_bytes(PLAN, commitment_to_bytes(PLAN, told)) == told
