"""Each role's keys are rotated in the middle of a collection, which ends exact; plans after the change-over have the new keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aggregator.collect.collection_job import collect_request, free_request
from aggregator.errors import SettingsRefused
from aggregator.identity import Settings
from crypto.errors import SignatureInvalid
from federation.errors import KeyNotInForce, PlanInvalid
from federation.former_keys import FormerKey, FormerKeys
from federation.keys import FormerSecrets, RoleKeys
from federation.parties import Roster, RosterEntry
from federation.plan import Plan
from federation.signed_plan import sign_plan
from tests.aggregator import world
from tests.aggregator.test_leader_and_helper import LeaderAndHelper as Two
from tests.aggregator.test_leader_and_helper import opened
from tests.aggregator.world import DEADLINE, KEYS, NOW, SETTINGS, Site, add_sums, draft, make_plan, require_exact
from tests.federation.wire import COLLECTOR, COORDINATOR, HELPER, LEADER, role_keys

AGGREGATORS = {"leader": LEADER, "helper": HELPER}


def rotated(keys: RoleKeys, number: int) -> RoleKeys:
    """New keys, with the former ones for plans until DEADLINE."""
    return replace(role_keys(keys.role, number), former=(FormerSecrets(keys, DEADLINE),))


NEW = {keys.role: rotated(keys, 100 + at) for at, keys in enumerate((COORDINATOR, LEADER, HELPER, KEYS["a"]))}
FORMER = FormerKeys(tuple(FormerKey(role, keys.former[0].keys.sign.public, DEADLINE) for role, keys in NEW.items()))


def settings_with(role: str, of: str) -> Settings:
    """An aggregator's settings after it has accepted the new keys of a role."""
    new, peer = NEW[role].sign.public, "helper" if of == "leader" else "leader"
    changed = replace(SETTINGS, peer=AGGREGATORS[peer].sign.public, former=FORMER)
    match role:
        case "coordinator":
            return replace(changed, coordinator=new)
        case "site-a":
            entries = [one for one in SETTINGS.roster.entries if one.site != "a"]
            return replace(changed, roster=Roster([RosterEntry("a", new, 100, former=FORMER.of("site-a")), *entries]))
        case _:
            return replace(changed, peer=new) if role == peer else changed


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path)
    yield made
    made.leader.close()
    made.helper.close()


def accept(two: Two, role: str) -> None:
    """Both aggregators take the edit up, without a restart."""
    for name in ("leader", "helper"):
        party: Any = getattr(two, name)
        party.identity.source = lambda name=name: settings_with(role, name)
        party.plans.edits.take_up()
        assert party.identity.settings == settings_with(role, name)


def restart(two: Two, path: Path, role: str) -> None:
    """Start the aggregator of this role again, with its new keys, on its files."""
    getattr(two, role).close()
    if role == "leader":
        two.leader = world.make_leader(path, two.link, clock=two.clock)
    else:
        two.helper = two.link.helper = world.make_helper(path, clock=two.clock)
    getattr(two, role).identity.keys = NEW[role]


@pytest.mark.parametrize("noise", ["none", "full"])
@pytest.mark.parametrize("validity", ["none", "prio3"])
@pytest.mark.parametrize("first", ["accept", "restart"])
@pytest.mark.parametrize("role", ["leader", "helper"])
def test_an_aggregator_rotates_in_the_middle(
    two: Two, tmp_path: Path, role: str, first: str, validity: str, noise: str
) -> None:
    plan = make_plan(panes=2, noise=noise, validity=validity)
    if validity == "prio3":
        plan = world.prepared(plan, lambda data: two.leader.prepare(data))
    two.open(plan)
    site = Site(plan)
    two.leader.submit(site.batch([0, 0, 1]).to_bytes())
    steps = {"restart": lambda: restart(two, tmp_path, role), "accept": lambda: accept(two, role)}
    steps.pop(first)()
    two.leader.submit(site.batch([1, 0]).to_bytes())
    steps.popitem()[1]()
    two.leader.submit(site.batch([1, 1]).to_bytes())
    result = two.collect(plan)
    if noise == "none":
        require_exact(plan, result, add_sums(site))
    assert [one.outcomes.tolist() for one in result] == [[0, 0]]


def with_deadline(plan: Plan, deadline_us: int, **keys: Any) -> Plan:
    assert plan.wire is not None
    return replace(plan, wire=replace(plan.wire, deadline_us=deadline_us, **keys))


def test_the_coordinator_rotates_in_the_middle_and_frees_with_the_key_of_the_plan(two: Two) -> None:
    plan, freed = make_plan(panes=1), make_plan(panes=1, first=5, number=1)
    for one in (plan, freed):
        two.open(one)
    site = Site(plan)
    two.leader.submit(site.batch([0, 0]).to_bytes())
    accept(two, "coordinator")
    assert two.leader.open_plan(sign_plan(plan, NEW["coordinator"].at(plan.deadline_us).sign)) == plan.hash
    two.leader.submit(site.batch([0]).to_bytes())
    require_exact(plan, two.collect(plan), add_sums(site))
    with pytest.raises(KeyNotInForce):
        two.leader.free(free_request(freed.hash, NEW["coordinator"].sign))
    assert len(two.leader.free(free_request(freed.hash, COORDINATOR.sign))) == 2
    late = with_deadline(make_plan(panes=1, first=7, number=2), DEADLINE + 1)
    with pytest.raises(KeyNotInForce, match=r"the coordinator's key .* was replaced on"):
        two.leader.prepare(draft(late))


def test_the_collector_is_the_one_that_the_plan_names(two: Two) -> None:
    plan = make_plan(panes=1)
    two.open(plan)
    site = Site(plan)
    two.leader.submit(site.batch([0, 0]).to_bytes())
    keys = rotated(COLLECTOR, 7)
    with pytest.raises(SignatureInvalid):
        two.leader.collect(collect_request(plan, keys.sign))
    request = collect_request(plan, keys.at(plan.deadline_us).sign)
    shares = two.leader.collect(request), two.helper.collect(request)
    require_exact(plan, opened(plan, *shares), add_sums(site))


def test_a_site_rotates_in_the_middle(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(panes=2)
    two.open(plan)
    site = Site(plan)
    two.link.down = True
    two.leader.submit(site.batch([0, 0]).to_bytes())  # it waits for the helper, which has the new roster then
    accept(two, "site-a")
    two.link.down = False
    monkeypatch.setitem(KEYS, "a", NEW["site-a"].at(plan.deadline_us))
    two.leader.submit(site.batch([1, 1]).to_bytes())
    monkeypatch.setitem(KEYS, "a", NEW["site-a"])
    with pytest.raises(SignatureInvalid):
        two.leader.submit(Site(plan).batch([0]).to_bytes())
    require_exact(plan, two.collect(plan), add_sums(site))


@pytest.mark.parametrize("role", ["leader", "helper"])
def test_a_plan_after_the_change_over_has_the_new_key_and_no_other(two: Two, tmp_path: Path, role: str) -> None:
    restart(two, tmp_path, role)
    accept(two, role)
    late = with_deadline(make_plan(panes=1), DEADLINE + 1)
    for party in (two.leader, two.helper):
        with pytest.raises(KeyNotInForce, match=f"the {role}'s key .* was replaced on"):
            party.prepare(draft(late))
    right = with_deadline(late, DEADLINE + 1, **{role: NEW[role].sign.public})
    early = with_deadline(late, DEADLINE, **{role: NEW[role].sign.public})
    for party in (two.leader, two.helper):
        assert party.check(draft(right)).refusal is None
        with pytest.raises(KeyNotInForce, match="is not in force yet"):
            party.prepare(draft(early))


def test_a_new_key_that_ends_now_is_no_rotation_for_a_plan_under_way(two: Two) -> None:
    two.open(make_plan(panes=1))
    lost = replace(FORMER, entries=tuple(replace(one, until_us=NOW) for one in FORMER.entries))
    two.leader.identity.source = lambda: replace(SETTINGS, peer=NEW["helper"].sign.public, former=lost)
    with pytest.raises(SettingsRefused, match="another key of the coordinator or of the other aggregator"):
        two.leader.plans.edits.take_up()


def test_an_aggregator_that_lacks_the_new_key_refuses_it_by_name(two: Two) -> None:
    plan = with_deadline(make_plan(panes=1), DEADLINE, helper=NEW["helper"].sign.public)
    with pytest.raises(PlanInvalid, match="the plan's helper has the signing key"):
        two.leader.prepare(draft(plan))
