"""The ledger heads that a site remembers: a plan of a rolled-back aggregator is refused, and batches carry the heads on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_client.policy import Refuse
from edge_client.site import SiteSettings
from federation.draft import draft_of
from federation.ledger.entries import Head
from federation.ledger.snapshot import read_ledger
from federation.live_keys import sign_live_keys
from federation.plan import AGGREGATORS, Plan
from federation.refusal_codes import RefusalCode
from federation.signed_plan import sign_plan
from tests.aggregator.world import make_plan
from tests.federation.wire import COORDINATOR, HELPER, LEADER
from tests.ledgers import spent_of

from .making import VIEW, answered, ask, events, settings_in

EVENTS = events(*(("p", day, "x") for day in range(8)))


def head(seq: int, chain: int = 1) -> Head:
    return Head(seq, bytes([chain, seq]) * 16)


def telling(number: int, leader: Head, helper: Head) -> bytes:
    """A signed plan of two days whose live keys carry these heads."""
    plan = make_plan(VIEW, noise="full", number=number, first=2 * number)
    assert plan.wire is not None
    made = []
    for role, told, key in zip(AGGREGATORS, (leader, helper), (LEADER, HELPER), strict=True):
        live = plan.wire.live(role)
        terms = live.seal, live.secret_hash, live.not_after_us, told
        made.append(sign_live_keys(role, draft_of(plan).hash, *terms, key.sign))
    told_plan: Plan = replace(plan, wire=replace(plan.wire, leader_live=made[0], helper_live=made[1]))
    return sign_plan(told_plan, COORDINATOR.sign)


@pytest.fixture
def settings(tmp_path: Path) -> SiteSettings:
    return settings_in(tmp_path)


def heads_of(plan: bytes, settings: SiteSettings, seed: int = 0) -> tuple[Head | None, Head | None]:
    """The heads in the batches of an answer."""
    found = {batch.signed.header.heads for batch in answered(plan, EVENTS, settings, seed)}
    assert len(found) == 1
    return found.pop()


def test_a_batch_tells_what_other_plans_have_told_of_both_ledgers(settings: SiteSettings) -> None:
    first, second = telling(0, head(3), head(5)), telling(1, head(4), head(5))
    assert heads_of(first, settings, 1) == (None, None)
    assert heads_of(first, settings, 2) == (None, None)  # a retry
    assert heads_of(second, settings, 3) == (head(3), head(5))
    assert heads_of(second, settings, 4) == (head(3), head(5))
    assert heads_of(telling(2, head(9), head(7)), settings, 5) == (head(4), head(5))


@pytest.mark.parametrize(
    ("leader", "helper"),
    [(head(2), head(5)), (head(4), head(4)), (head(3, chain=2), head(5)), (head(3), head(5, chain=2))],
    ids=["leader shorter", "helper shorter", "leader rewritten", "helper rewritten"],
)
def test_a_plan_of_an_aggregator_that_was_rolled_back_is_refused_and_costs_nothing(
    settings: SiteSettings, leader: Head, helper: Head
) -> None:
    first = telling(0, head(3), head(5))
    before = answered(first, EVENTS, settings)
    spent = spent_of(read_ledger(settings.ledger, "site-a").state)
    for _ in range(2):
        refused = ask(telling(1, leader, helper), EVENTS, settings)
        assert isinstance(refused, Refuse)
        assert refused.code == RefusalCode.AGGREGATOR_BEHIND
    state = read_ledger(settings.ledger, "site-a").state
    assert spent_of(state) == spent
    assert [one.code for one in state.refused] == ["AGGREGATOR_BEHIND"]
    assert heads_of(telling(1, head(3), head(6)), settings, 7) == (
        head(3),
        head(5),
    )  # the refused plan leaves nothing behind
    assert len(answered(first, EVENTS, settings, 8)) == len(before)  # an earlier plan is still answered
