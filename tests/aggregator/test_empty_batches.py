"""A site without a report is counted like any other site, by both aggregators or by neither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.collect.collection_job import collect_request
from aggregator.errors import JobConflict, RemoteRefusal
from aggregator.shares.helper import Helper
from aggregator.shares.leader import Leader
from featurestore.define.wire import definition_hash
from federation.batch.empty import seal_empty
from federation.commitment import Outcome
from federation.errors import UnknownSite
from federation.parties import Roster
from federation.plan import Plan
from federation.statement import verify_statement
from federation.unopened import unopened
from tests.aggregator.world import KEYS, SETTINGS, LocalLink, Site, make_helper, make_leader, make_plan, prepared, view
from tests.aggregator.world import draft as drafted
from tests.aggregator.world import signed as signed_plan
from tests.federation.wire import COLLECTOR, HELPER, LEADER, live


class Pair:
    """Leader and helper in this process, on files that survive them."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.path, self.settings = path, settings
        self.start()

    def start(self) -> None:
        self.helper: Helper = make_helper(self.path, self.settings.get("helper", SETTINGS))
        self.link = LocalLink(self.helper)
        self.leader: Leader = make_leader(self.path, self.link, self.settings.get("leader", SETTINGS))

    def restart(self) -> None:
        self.close()
        self.start()

    def close(self) -> None:
        self.leader.close()
        self.helper.close()

    def open(self, plan: Plan) -> Plan:
        if plan.terms.validity == "prio3":
            plan = prepared(plan, self.leader.prepare)
        for party in (self.helper, self.leader):
            party.prepare(drafted(plan))
            party.open_plan(signed_plan(plan))
        return plan

    def counted(self, plan: Plan) -> list[tuple[str, ...]]:
        """The sites that each aggregator counts."""
        found = []
        for party in (self.leader, self.helper):
            stored = party.files.storage.plan(plan.hash)
            assert stored is not None
            found.append(party.files.storage.reports.counted_sites(stored.number))
        return found


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    made.close()


def empty(plan: Plan, site: str = "b", number: int = 0) -> bytes:
    return seal_empty(plan, site, number.to_bytes(16, "big"), KEYS[site].sign).to_bytes()


@pytest.mark.parametrize("validity", ["none", "prio3"])
def test_both_count_a_site_with_reports_and_a_site_without(pair: Pair, validity: str) -> None:
    plan = pair.open(make_plan(validity=validity))
    pair.leader.submit(Site(plan).batch([0, 0, 1]).to_bytes())
    assert pair.counted(plan) == [("a",)] * 2
    first, retry = empty(plan), empty(plan, number=1)
    for batch in (first, first, retry):
        assert not pair.leader.submit(batch).pending
    assert pair.counted(plan) == [("a", "b")] * 2


def test_an_empty_batch_waits_for_the_helper_and_survives_a_restart(pair: Pair) -> None:
    plan = pair.open(make_plan())
    pair.link.down, batch = True, empty(plan)
    assert pair.leader.submit(batch).pending
    assert pair.counted(plan) == [(), ()]
    pair.restart()
    assert not pair.leader.submit(batch).pending
    assert pair.counted(plan) == [("b",)] * 2


def test_a_site_that_the_helper_refuses_is_counted_by_neither(tmp_path: Path) -> None:
    narrow = replace(SETTINGS, roster=Roster(one for one in SETTINGS.roster.entries if one.site == "a"))
    pair = Pair(tmp_path, helper=narrow)
    plan = pair.open(make_plan())
    for batch in (empty(plan), Site(plan, "b").batch([0]).to_bytes()):
        with pytest.raises(RemoteRefusal) as caught:
            pair.leader.submit(batch)
        assert caught.value.reason == "UNKNOWN_SITE"
    assert pair.counted(plan) == [(), ()]
    pair.close()


def test_a_site_whose_every_report_is_rejected_is_counted_by_neither(pair: Pair) -> None:
    plan = pair.open(make_plan(validity="prio3"))
    pair.leader.submit(Site(plan).batch([0, 1], malformed=[0, 1]).to_bytes())  # the leader rejects them itself
    other = Site(plan, "b")
    pair.leader.submit(other.batch([0, 1], lying=[0, 1]).to_bytes())
    assert pair.counted(plan) == [(), ()]
    pair.leader.submit(other.batch([0, 1], lying=[0]).to_bytes())
    assert pair.counted(plan) == [("b",)] * 2


def test_an_empty_batch_does_not_replace_a_batch_with_reports(pair: Pair) -> None:
    plan = pair.open(make_plan())
    batch = Site(plan).batch([0])
    pair.leader.submit(batch.to_bytes())
    again = seal_empty(plan, "a", batch.signed.header.batch_id, KEYS["a"].sign)
    with pytest.raises(JobConflict):
        pair.leader.submit(again.to_bytes())


def opened(pair: Pair, plan: Plan) -> tuple[list[bytes], list[tuple[str, ...]]]:
    """The outcomes and the counted sites of both statements of the only view."""
    request = collect_request(plan, COLLECTOR.sign)
    shares = pair.leader.collect(request), pair.helper.collect(request)
    said = [
        verify_statement(one.statement, keys.sign.public) for (one,), keys in zip(shares, (LEADER, HELPER), strict=True)
    ]
    return [one.outcomes for one in said], [one.sites for one in said]


def test_both_statements_name_the_counted_sites_also_after_a_restart(pair: Pair) -> None:
    plan = pair.open(make_plan(panes=1))
    pair.leader.submit(Site(plan).batch([0, 0]).to_bytes())
    pair.leader.submit(empty(plan))
    before = opened(pair, plan)
    assert before == ([bytes([Outcome.OPENED])] * 2, [("a", "b")] * 2)
    pair.restart()
    assert opened(pair, plan) == before


def test_nothing_is_opened_if_leader_and_helper_count_different_sites(pair: Pair) -> None:
    plan = pair.open(make_plan(panes=1))
    pair.leader.submit(Site(plan).batch([0, 0]).to_bytes())
    storage = pair.helper.files.storage
    (stored,) = storage.plans()
    with storage.transaction():
        storage.reports.add_site(stored.number, "b")
    outcomes, sites = opened(pair, plan)
    assert outcomes == [bytes([Outcome.BATCH_MISMATCH])] * 2
    assert sites == [("a",), ("a", "b")]


def test_a_view_that_needs_more_sites_stays_closed_and_the_others_are_opened(pair: Pair) -> None:
    plan = make_plan(view("v"), view("w"), panes=1)
    pair.open(
        plan := live(replace(plan, views=tuple(replace(one, min_sites=at) for at, one in enumerate(plan.views, 1))))
    )
    pair.leader.submit(Site(plan).batch([0, 0]).to_bytes())
    pair.leader.submit(Site(plan, "a").batch([1, 1], ids=np.full((2, 16), [[7], [8]], np.uint8)).to_bytes())
    request = collect_request(plan, COLLECTOR.sign)
    for shares, keys in ((pair.leader.collect(request), LEADER), (pair.helper.collect(request), HELPER)):
        said = [verify_statement(one.statement, keys.sign.public).outcomes for one in shares]
        assert said == [bytes([Outcome.OPENED]), bytes([Outcome.TOO_FEW_SITES])]
    definitions = [(definition_hash(one.view), one.pane_starts) for one in plan.views]
    statements = [one.statement for party in (pair.leader, pair.helper) for one in party.collect(request)]
    free = unopened(statements, plan.hash, (LEADER.sign.public.data, HELPER.sign.public.data), definitions)
    assert [panes.tolist() for panes in free] == [[], plan.views[1].pane_starts.tolist()]  # they stay due


def test_a_site_that_is_not_on_the_roster_of_the_plan_is_refused(pair: Pair) -> None:
    plan = make_plan()
    assert plan.wire is not None
    plan = pair.open(live(replace(plan, wire=replace(plan.wire, roster=plan.roster[:1]))))
    for batch in (empty(plan), Site(plan, "b").batch([0]).to_bytes()):
        with pytest.raises(UnknownSite):
            pair.leader.submit(batch)
    assert pair.counted(plan) == [(), ()]


def test_a_freed_plan_keeps_no_site(pair: Pair) -> None:
    plan = pair.open(make_plan())
    pair.leader.submit(empty(plan))
    for party in (pair.leader, pair.helper):
        party.freeing.erase(plan)
    assert pair.counted(plan) == [(), ()]
