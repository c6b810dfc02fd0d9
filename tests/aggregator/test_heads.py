"""Heads of the aggregators' ledgers: live keys carry them, and batches of sites that remember later heads are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aggregator.collect.collection_job import collect_request
from aggregator.errors import RemoteRefusal
from aggregator.shares.helper import Helper
from aggregator.shares.leader import Leader
from federation.batch.he_batch import seal_encrypted
from federation.errors import LedgerBehind
from federation.ledger.entries import Head
from tests.aggregator.world import (
    COLLECTOR,
    KEYS,
    LocalLink,
    Site,
    draft,
    make_helper,
    make_leader,
    make_plan,
    open_at,
    view,
)

from . import he_world

PLAN = make_plan(view("v", 2), panes=2, noise="full")
NEXT = make_plan(view("v", 2), panes=2, first=10, number=1, noise="full")
LATER = Head(40, bytes(range(32)))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Leader, Helper]]:
    helper = make_helper(tmp_path)
    leader = make_leader(tmp_path, LocalLink(helper))
    yield leader, helper
    leader.close()
    helper.close()


def test_live_keys_tell_the_head_of_when_they_were_signed(pair: tuple[Leader, Helper]) -> None:
    leader, _ = pair
    first = leader.prepare(draft(PLAN)).live
    assert first.head == leader.files.ledger.head
    leader.files.ledger.record_refusal(bytes(32), "CLOCK_SKEW")
    assert leader.prepare(draft(PLAN)).live == first  # the same draft again
    assert leader.prepare(draft(NEXT)).live.head == leader.files.ledger.head != first.head


def test_a_batch_that_remembers_a_head_which_a_ledger_lacks_is_refused_and_uses_no_id_up(
    pair: tuple[Leader, Helper],
) -> None:
    leader, helper = pair
    for party in (helper, leader):
        open_at(party, PLAN)
    site, ids = Site(PLAN), np.arange(32, dtype=np.uint8).reshape(2, 16)
    with pytest.raises(LedgerBehind, match=r"leader\.ledger\.db"):
        leader.submit(site.batch([0, 1], ids=ids, heads=(LATER, None)).to_bytes())
    with pytest.raises(RemoteRefusal) as refused:
        leader.submit(site.batch([0, 1], ids=ids, heads=(None, LATER)).to_bytes())
    assert (refused.value.role, refused.value.reason) == ("helper", "LEDGER_BROKEN")
    known = leader.files.ledger.head, helper.files.ledger.head
    assert leader.submit(site.batch([0, 1], ids=ids, heads=known).to_bytes()).verdicts == bytes(2)
    leader.submit(Site(PLAN, "b").batch([0, 1, 0, 1]).to_bytes())
    leader.collect(collect_request(PLAN, COLLECTOR.sign))

    for party in (helper, leader):
        open_at(party, NEXT)
    assert leader.submit(Site(NEXT).batch([0, 1], heads=known).to_bytes()).verdicts == bytes(2)  # older heads


def test_the_leader_refuses_encrypted_reports_that_remember_a_head_which_its_ledger_lacks(tmp_path: Path) -> None:
    two = he_world.LeaderAndKeyHolder(tmp_path)
    plan, keys = two.plan()
    reports = he_world.Site(plan, keys).reports([0, 1])
    batches = {
        head: seal_encrypted(plan, "a", bytes(16), reports, KEYS["a"].sign, (head, LATER))
        for head in (LATER, two.leader.files.ledger.head)
    }
    with pytest.raises(LedgerBehind):
        two.submit(batches[LATER])
    assert two.submit(batches[two.leader.files.ledger.head]) == bytes(2)  # the key holder gets no batch
    two.close()
