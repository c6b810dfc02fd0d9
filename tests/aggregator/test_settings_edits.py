"""Edits of an aggregator's roster and budget: in force before the next plan, without a restart, or refused by name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aggregator.errors import SettingsRefused
from aggregator.identity import Settings
from base.errors import ConfigInvalid
from federation.errors import UnknownSite
from federation.ledger.state import Budget
from federation.parties import Roster, RosterEntry
from tests.aggregator.test_leader_and_helper import LeaderAndHelper as Two
from tests.aggregator.world import (
    COLLECTOR,
    DEADLINE,
    HELPER,
    LEADER,
    RHO,
    SETTINGS,
    Site,
    add_sums,
    draft,
    make_plan,
    require_exact,
    roster,
)

ALONE = replace(SETTINGS, roster=Roster([roster()["a"]]), budget=Budget(RHO))


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path)
    edit(made, ALONE)
    made.leader.identity.settings, made.helper.identity.settings = (
        getattr(made, role).identity.source() for role in ("leader", "helper")
    )
    yield made
    made.leader.close()
    made.helper.close()


def edit(two: Two, settings: Settings) -> None:
    """Both operators have these settings in their files."""
    two.leader.identity.source = lambda: replace(settings, peer=settings.peer or HELPER.sign.public)
    two.helper.identity.source = lambda: replace(settings, peer=settings.peer or LEADER.sign.public)


def test_a_new_site_and_a_larger_budget_are_in_force_for_the_next_plan(two: Two) -> None:
    first = make_plan(panes=2, noise="full")
    two.open(first)
    other = Site(first, "b").batch([0, 0])
    with pytest.raises(UnknownSite):
        two.leader.submit(other.to_bytes())
    two.leader.submit(Site(first).batch([0, 0, 1, 1]).to_bytes())
    two.collect(first)
    edit(two, replace(SETTINGS, budget=Budget(2 * RHO)))
    plan = make_plan(panes=1, first=5, number=1)
    assert two.leader.check(draft(plan)).refusal is None
    assert two.leader.identity.settings.budget == Budget(2 * RHO)
    two.open(plan)
    sites = [Site(plan, "a"), Site(plan, "b")]
    for site in sites:
        two.leader.submit(site.batch([0, 0]).to_bytes())
    require_exact(plan, two.collect(plan), add_sums(*sites))


def unreadable() -> Settings:
    raise ConfigInvalid("covey.toml", "[privacy] budget: a number such as 0.1")


def test_an_edit_that_cannot_be_read_is_named_and_changes_nothing(two: Two, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "covey.aggregator")
    plan = make_plan(panes=2)
    two.leader.identity.source = unreadable
    found = two.leader.check(draft(plan))
    assert found.refusal is not None
    assert found.refusal.reason == "SETTINGS_REFUSED"
    assert "the leader refuses the edit of its settings: covey.toml: [privacy] budget" in found.refusal.text
    with pytest.raises(SettingsRefused):
        two.leader.prepare(draft(plan))
    assert two.leader.identity.settings.roster == ALONE.roster
    assert two.leader.files.live.plan_ids() == []
    assert any("refuses the edit of its settings" in one.getMessage() for one in caplog.records)
    edit(two, ALONE)
    assert two.leader.check(draft(plan)).refusal is None


TAKEN_AWAY: dict[str, tuple[Callable[[], Settings], str]] = {
    "a site": (lambda: replace(ALONE, roster=Roster([roster()["b"]])), "site 'a' has lost its place"),
    "clients": (
        lambda: replace(ALONE, roster=Roster([RosterEntry("a", roster()["a"].key, 99)])),
        "site 'a' has lost its place, its key or clients",
    ),
    "the key of a site": (
        lambda: replace(ALONE, roster=Roster([RosterEntry("a", roster()["b"].key, 100)])),
        "site 'a' has lost its place, its key",
    ),
    "the budget": (lambda: replace(ALONE, budget=Budget(RHO - 1)), "has only 0.499999 left"),
    "exact sums": (lambda: replace(ALONE, allow_no_noise=False), "noise off"),
    "plans without proofs": (lambda: replace(ALONE, require_proofs=True), "proofs"),
    "the coordinator": (lambda: replace(ALONE, coordinator=COLLECTOR.sign.public), "another key of the coordinator"),
    "the peer": (lambda: replace(ALONE, peer=COLLECTOR.sign.public), "another key of the coordinator or of the other"),
}


@pytest.mark.parametrize("what", TAKEN_AWAY)
def test_an_edit_that_takes_away_what_a_running_plan_needs_waits_for_its_end(two: Two, what: str) -> None:
    made, why = TAKEN_AWAY[what]
    plan = make_plan(panes=2)
    two.open(plan)
    before = two.leader.identity.settings
    edit(two, made())
    found: Any = two.leader.check(draft(make_plan(panes=1, first=5, number=1)))
    assert found.refusal.reason == "SETTINGS_REFUSED"
    assert why in found.refusal.text
    assert f"plan {plan.hash.hex()[:16]}… runs until 1970-04-12T00:00:00Z and needs it" in found.refusal.text
    assert two.leader.identity.settings == before
    site = Site(plan)
    two.leader.submit(site.batch([0, 0, 1, 1]).to_bytes())
    require_exact(plan, two.collect(plan), site.sums)
    two.leader.plans.edits.take_up()
    assert two.leader.identity.settings == two.leader.identity.source() != before


def test_a_plan_that_was_never_collected_holds_up_no_edit_after_its_deadline(two: Two) -> None:
    two.open(make_plan(panes=2))
    edit(two, TAKEN_AWAY["a site"][0]())
    with pytest.raises(SettingsRefused):
        two.leader.plans.edits.take_up()
    two.clock.now = DEADLINE
    two.leader.plans.edits.take_up()
    assert two.leader.identity.settings.roster == Roster([roster()["b"]])
