"""Days without budget are left out of a plan. The remaining days are collected; the others are published as void."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.errors import RemoteRefusal
from base.times import DAY_US
from crypto.errors import SignatureInvalid
from deployment.coordinator.announcement import Announcement, LeftOut, announce
from deployment.coordinator.batches import CollectionOutcome, Conditions, collect
from deployment.coordinator.publication import evidence_of, items_of, summary_of
from deployment.coordinator.site_answer import SiteAnswer
from deployment.coordinator.site_results import SiteResults
from deployment.errors import JobMalformed
from featurestore.define.release import Release, Void
from federation.dating import Dating
from federation.draft import draft_of
from federation.ledger.state import Budget
from federation.parties import PinnedCollector
from federation.plan import Plan
from federation.release_check import find_plan, verify_opening
from tests.aggregator.recorded import Recorded
from tests.aggregator.world import COLLECTOR, COORDINATOR, NOW, RHO, SETTINGS, Site, make_plan, signed, view
from tests.ledgers import spent_of

TIGHT = replace(SETTINGS, budget=Budget(RHO))  # one view a day


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    made = Recorded(tmp_path, SETTINGS)
    yield made
    made.close()


def randomness(size: int) -> bytes:
    return np.random.default_rng(7).bytes(size)


def ids() -> Any:
    return np.random.default_rng(7).bytes


def days_of(plan: Plan) -> dict[str, list[int]]:
    return {one.view.name: (one.pane_starts // DAY_US).tolist() for one in plan.views}


def days_left_out(left: tuple[LeftOut, ...]) -> dict[str, list[int]]:
    return {one.planned.view.name: (one.planned.pane_starts // DAY_US).tolist() for one in left}


def carry_out(recorded: Recorded, plan: Plan) -> tuple[Announcement, CollectionOutcome]:
    """Collect what remains of a plan, with two reports in every pane."""
    announced = announce(draft_of(plan), COORDINATOR.sign, recorded, ids())

    def ask(told: bytes, _: bytes) -> Iterator[SiteAnswer]:
        assert told == announced.signed
        assert announced.plan is not None
        site = Site(announced.plan)
        for index in range(len(announced.plan.views)):
            panes = range(*announced.plan.offsets[index : index + 2])
            yield SiteAnswer(index, f"site-{index}", "OK", (site.batch([*panes, *panes]).to_bytes(),))

    keys = COORDINATOR, COLLECTOR
    return announced, collect(announced, keys, ask, recorded, SiteResults(), Conditions())  # type: ignore[arg-type]


def spend(recorded: Recorded, role: str, days: tuple[int, ...]) -> None:
    """Charge one aggregator for another plan of these days."""
    party = getattr(recorded, role)
    plan = make_plan(view("other"), number=90 + days[0], first=days[0], panes=len(days))
    party.files.ledger.intend(plan, SETTINGS.budget)


def test_what_leader_and_helper_have_no_budget_for_is_left_out_and_the_rest_is_opened(recorded: Recorded) -> None:
    spend(recorded, "leader", (1, 2))
    spend(recorded, "helper", (2, 3))
    for party in (recorded.leader, recorded.helper):
        party.identity.settings = TIGHT
    plan = make_plan(view("v"), panes=6, noise="full")
    announced, collected = carry_out(recorded, plan)
    assert announced.plan is not None
    assert announced.plan.plan_id != plan.plan_id
    assert days_of(announced.plan) == {"v": [0, 4, 5]}
    assert days_left_out(collected.left_out) == {"v": [1, 2, 3]}
    assert [draft_of(one.full_plan).hash for one in collected.left_out] == [draft_of(plan).hash]
    assert [one.outcomes.tolist() for one in collected.opened] == [[0, 0, 0]]
    for party, before in (
        (recorded.leader, (1, 2)),
        (recorded.helper, (2, 3)),
    ):  # only opened days are charged
        assert sorted(spent_of(party.files.ledger.state)) == sorted({0, 4, 5, *before})
        assert {entry.code for entry in party.files.ledger.state.refused} == {"DAY_BUDGET_SPENT"}


def test_a_view_that_no_day_has_budget_for_is_left_out_whole(recorded: Recorded) -> None:
    quota = replace(SETTINGS, budget=Budget(10 * RHO, {"w": RHO // 2}))
    recorded.helper.identity.settings = quota
    announced, collected = carry_out(recorded, make_plan(view("v"), view("w"), panes=3))
    assert announced.plan is not None
    assert days_of(announced.plan) == {"v": [0, 1, 2]}
    assert days_left_out(collected.left_out) == {"w": [0, 1, 2]}


def test_where_nothing_is_left_nobody_is_asked_and_nothing_is_charged(recorded: Recorded) -> None:
    recorded.leader.identity.settings = replace(SETTINGS, budget=Budget(1))
    announced, collected = carry_out(recorded, make_plan(view("v"), view("w"), panes=2))
    assert (announced.plan, announced.signed) == (None, b"")
    assert (collected.opened, collected.sites) == ((), {})
    assert days_left_out(collected.left_out) == {"v": [0, 1], "w": [0, 1]}
    for party in (recorded.leader, recorded.helper):
        assert not spent_of(party.files.ledger.state)


@pytest.mark.parametrize(
    "refusal",
    [
        RemoteRefusal("leader", "PANE_ALREADY_REPORTED", "", {"pane_start": 3}, "v"),
        RemoteRefusal("leader", "VIEW_OVERLAP", "", {"day": 0}, "v"),
        RemoteRefusal("leader", "DAY_BUDGET_SPENT", "", {}, "v"),
        RemoteRefusal("leader", "DAY_BUDGET_SPENT", "", {"day": 0}, "unknown"),
        RemoteRefusal("leader", "DAY_BUDGET_SPENT", "", {"day": 77}, "v"),
        RemoteRefusal("leader", "DAY_BUDGET_SPENT", "", {"day": 0}),
    ],
)
def test_any_other_refusal_ends_the_announcement(refusal: RemoteRefusal, tmp_path: Path) -> None:
    class Refusing(Recorded):
        def open_plan(self, signed: bytes, encryption_keys: bytes = b"") -> bytes:
            raise refusal

    with pytest.raises(RemoteRefusal) as caught:
        announce(draft_of(make_plan(view("v"))), COORDINATOR.sign, Refusing(tmp_path), randomness)
    assert caught.value is refusal


def test_every_pane_that_was_asked_for_is_published_and_can_be_verified(recorded: Recorded) -> None:
    spend(recorded, "helper", (1,))
    for party in (recorded.leader, recorded.helper):
        party.identity.settings = TIGHT
    plan = make_plan(view("v"), panes=3, noise="full")
    announced, collected = carry_out(recorded, plan)
    items = list(items_of(announced, collected, COLLECTOR.sign, now=NOW, dating=Dating.REPLAY_DAYS, keeps_due=False))
    evidence = evidence_of(announced, collected)
    kept = {hashlib.sha256(blob).hexdigest(): blob for blob in evidence}
    assert len(evidence) == len(kept) == 6  # two plans, two statements, and the opened values with both signatures
    by_pane = {item.pane_start // DAY_US: item for item in items}
    assert sorted(by_pane) == [0, 1, 2]
    assert {day: type(item) for day, item in by_pane.items()} == {0: Release, 1: Void, 2: Release}
    assert by_pane[1].reason == "BUDGET_SPENT"  # type: ignore[union-attr]
    for item in items:
        asked = find_plan(evidence, bytes.fromhex(item.manifest.plan_hash))
        assert asked is not None
        leader, helper = item.manifest.commitments
        statements = (kept[leader], kept[helper]) if leader else None
        values = [kept[digest] for digest in item.manifest.opened]
        assert len(values) == (2 if leader else 0)
        verify_opening(
            item,
            asked,
            statements,
            values,
            coordinator=COORDINATOR.pinned,
            collector=PinnedCollector(COLLECTOR.public.collector),
        )
    assert summary_of(announced, collected, items, keeps_due=True) == {
        "views": {"v": {"opened": 2, "void": 1, "due": 0}},
        "sites": {"site-0": {"state": "answered", "code": "OK", "batches": 1, "refused": {}}},
        "due": {},
        "why_due": None,
        "rejected": {},
        "budget_spent": {"v": [DAY_US]},
        "taken": {},
        "too_few_sites": {},
        "announced": True,
    }


def test_an_announcement_is_kept_and_a_coordinator_that_starts_again_goes_on_with_it(
    recorded: Recorded, tmp_path: Path
) -> None:
    spend(recorded, "leader", (1,))
    recorded.leader.identity.settings = TIGHT
    plan = make_plan(view("v"), view("w"), panes=3)
    first = announce(draft_of(plan), COORDINATOR.sign, recorded, ids())
    first.save(tmp_path / "announced.json")
    found = Announcement.load(tmp_path / "announced.json", COORDINATOR.public.sign)
    assert found.plan is not None
    assert found.signed == first.signed
    assert days_left_out(found.left_out) == days_left_out(first.left_out) != {}
    again = announce(found.plan, COORDINATOR.sign, recorded, ids(), found.left_out)
    assert again.signed == first.signed  # the aggregators have it already
    assert days_left_out(again.left_out) == days_left_out(first.left_out)


def test_a_file_that_is_no_announcement_of_this_coordinator_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "announced.json"
    for text in ("", "[]", "{}", '{"plan": "?", "left_out": []}', '{"plan": "", "left_out": [{"asked": "AA=="}]}'):
        path.write_text(text)
        with pytest.raises(JobMalformed):
            Announcement.load(path, COORDINATOR.public.sign)
    Announcement(make_plan(), signed(make_plan())).save(path)
    with pytest.raises(SignatureInvalid):
        Announcement.load(path, COLLECTOR.public.sign)
