"""Plans that are freed: nothing of them is ever opened, and a later plan collects their panes, exactly and for one price."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aggregator.collect.collection_job import collect_request, free_request
from aggregator.errors import FreeRefused, HelperUnavailable, LiveSecretLost, NotCommitted, PeerRefused
from aggregator.storage.records import PlanState
from crypto.errors import SignatureInvalid
from featurestore.define.wire import definition_hash
from federation.attempt import MAX_ATTEMPTS, Attempt
from federation.errors import AttemptsSpent, LedgerBehind, PaneTaken, PlanFreed
from federation.plan import Plan
from federation.unopened import never_opened, sign_never_opened, unopened
from tests.aggregator.test_leader_and_helper import LeaderAndHelper as Two
from tests.aggregator.world import (
    COLLECTOR,
    COORDINATOR,
    HELPER,
    LEADER,
    RHO,
    Site,
    add_sums,
    draft,
    make_plan,
    open_at,
    require_exact,
    signed,
    view,
)
from tests.federation.wire import DAY, live
from tests.ledgers import spent_of

ROLES = ("leader", "helper")
DAYS = (0, 1)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path)
    yield made
    made.leader.close()
    made.helper.close()


def free(two: Two, plan: Plan) -> list[bytes]:
    return two.leader.free(free_request(plan.hash, COORDINATOR.sign))


def close(two: Two, plan: Plan) -> None:
    """Close a plan at both, as a collection does before it draws noise: the state after a crash at that point."""
    two.leader._swapped.opening._shared._closing.close_with_helper(plan)


def again(plan: Plan, number: int, *statements: bytes, of: Plan | None = None) -> Plan:
    """The same panes under a new plan that names the first one."""
    made = make_plan(panes=2, number=number, noise=plan.noise.value)
    return live(replace(made, earlier=(Attempt((of or plan).hash, statements),)))


def collect(two: Two, plan: Plan, *sites: Site) -> None:
    two.open(plan)
    for site in sites:
        two.leader.submit(site.batch([0, 0, 1, 1]).to_bytes())
    require_exact(plan, two.collect(plan), add_sums(*sites))


def spent(two: Two) -> list[dict[int, int]]:
    return [spent_of(getattr(two, role).files.ledger.state) for role in ROLES]


def test_a_freed_plan_is_never_opened_and_its_panes_are_collected_once_for_one_price(two: Two) -> None:
    plan = make_plan(panes=2)
    two.open(plan)
    two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    statements = free(two, plan)
    assert free(two, plan) == statements
    for role, keys in (("leader", LEADER), ("helper", HELPER)):
        assert never_opened(statements, role, plan.hash, keys.sign.public)
    request = collect_request(plan, COLLECTOR.sign)
    for party in (two.leader, two.helper):
        files = party.files
        assert files.live.plan_ids() == []
        for table in ("sums", "reports", "pending", "sites"):
            assert files.storage.rows(f"SELECT * FROM {table}") == []
        assert files.storage.plan(plan.hash).state is PlanState.DISOWNED
    with pytest.raises(PlanFreed):
        two.leader.collect(request)
    two.leader.plans.retention.forget()
    second = again(plan, 1, *statements)
    collect(two, second, Site(second, "a"), Site(second, "b"))
    assert spent(two) == [dict.fromkeys(DAYS, RHO)] * 2
    with pytest.raises(PlanFreed):
        two.leader.collect(request)


def test_a_plan_that_was_closed_and_not_noised_is_freed_and_the_charge_covers_the_next(two: Two) -> None:
    plan = make_plan(panes=2)
    two.open(plan)
    two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    close(two, plan)
    assert spent(two) == [dict.fromkeys(DAYS, RHO)] * 2
    statements = free(two, plan)
    unnamed = make_plan(panes=2, number=7)
    two.leader.prepare(draft(unnamed))
    with pytest.raises(PaneTaken):
        two.leader.open_plan(signed(unnamed))
    second = again(plan, 1, *statements)
    collect(two, second, Site(second, "a"), Site(second, "b"))
    assert spent(two) == [dict.fromkeys(DAYS, RHO)] * 2


@pytest.mark.parametrize("which", ["none", "the leader's", "of other keys", "of another plan", "swapped roles"])
def test_without_the_statements_of_both_the_next_plan_pays_again(two: Two, which: str) -> None:
    plan = make_plan(panes=2)
    two.open(plan)
    close(two, plan)
    leader, helper = free(two, plan)
    other = make_plan(panes=2, number=9)
    statements: dict[str, tuple[bytes, ...]] = {
        "none": (),
        "the leader's": (leader,),
        "of other keys": tuple(sign_never_opened(role, plan.hash, COORDINATOR.sign) for role in ("leader", "helper")),
        "of another plan": (
            sign_never_opened("leader", other.hash, LEADER.sign),
            sign_never_opened("helper", other.hash, HELPER.sign),
        ),
        "swapped roles": (
            sign_never_opened("helper", plan.hash, LEADER.sign),
            sign_never_opened("leader", plan.hash, HELPER.sign),
        ),
    }
    second = again(plan, 1, *statements[which])
    collect(two, second, Site(second, "a"), Site(second, "b"))
    assert spent(two) == [dict.fromkeys(DAYS, 2 * RHO)] * 2
    assert helper not in statements[which]


def test_panes_with_too_few_reports_are_free_by_both_opening_statements_and_opened_ones_are_not(two: Two) -> None:
    plan = make_plan(panes=2)
    two.open(plan)
    two.leader.submit(Site(plan).batch([0, 0, 1]).to_bytes())
    request = collect_request(plan, COLLECTOR.sign)
    shares = [*two.leader.collect(request), *two.helper.collect(request)]
    statements = [one.statement for one in shares]
    keys = LEADER.sign.public.data, HELPER.sign.public.data
    views = [(definition_hash(plan.views[0].view), plan.views[0].pane_starts)]
    (found,) = unopened(statements, plan.hash, keys, views)
    assert found.tolist() == [plan.views[0].pane_starts[1]]
    (found,) = unopened(statements[:1], plan.hash, keys, views)
    assert found.tolist() == []
    second = live(replace(make_plan(panes=1, first=1, number=1), earlier=(Attempt(plan.hash, tuple(statements)),)))
    site = Site(second)
    two.open(second)
    two.leader.submit(site.batch([0, 0]).to_bytes())
    require_exact(second, two.collect(second), site.sums)
    assert spent(two) == [dict.fromkeys(DAYS, RHO)] * 2


def test_a_noised_plan_is_not_freed_and_gives_its_stored_bytes(two: Two) -> None:
    plan = make_plan(panes=2, noise="full")
    two.open(plan)
    two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    request = collect_request(plan, COLLECTOR.sign)
    first = two.leader.collect(request)
    with pytest.raises(FreeRefused):
        free(two, plan)
    with pytest.raises(FreeRefused):
        two.helper.free(free_request(plan.hash, COORDINATOR.sign))
    assert two.leader.collect(request) == first


def test_a_plan_that_only_the_helper_has_noised_is_not_freed(two: Two) -> None:
    plan = make_plan(panes=2, noise="full")
    two.open(plan)
    two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    close(two, plan)
    two.helper.noising.noise(plan)
    with pytest.raises(PeerRefused, match="FREE_REFUSED"):
        free(two, plan)
    assert two.leader.files.storage.plan(plan.hash).state is PlanState.CLOSED
    two.collect(plan)


def test_nobody_but_the_coordinator_frees_a_plan(two: Two) -> None:
    plan = make_plan()
    two.open(plan)
    for keys in (COLLECTOR, LEADER, HELPER):
        for party in (two.leader, two.helper):
            with pytest.raises(SignatureInvalid):
                party.free(free_request(plan.hash, keys.sign))
    assert two.helper.files.storage.plan(plan.hash).state is PlanState.OPEN


def test_a_helper_signs_only_after_the_leader_knows(two: Two) -> None:
    plan = make_plan()
    two.open(plan)
    request = free_request(plan.hash, COORDINATOR.sign)
    assert two.helper.free(request) == []
    assert two.helper.free(request) == []
    two.link.down = True
    with pytest.raises(HelperUnavailable):
        free(two, plan)
    two.link.down = False
    assert len(free(two, plan)) == 2
    assert len(two.helper.free(request)) == 1


def test_an_aggregator_that_has_lost_the_live_secret_signs_nothing(two: Two) -> None:
    plan = make_plan()
    two.open(plan)
    two.helper.files.live.erase(plan.plan_id)
    with pytest.raises(PeerRefused, match="LIVE_SECRET_LOST"):
        free(two, plan)
    two.leader.files.live.erase(plan.plan_id)
    with pytest.raises(LiveSecretLost):
        two.leader.freeing.erase(plan)


def test_a_pane_is_attempted_so_often_and_no_more(two: Two) -> None:
    plan = make_plan(panes=2)
    earlier: tuple[Attempt, ...] = ()
    for number in range(MAX_ATTEMPTS + 1):
        plan = live(replace(make_plan(panes=2, number=number), earlier=earlier))
        if number == MAX_ATTEMPTS:
            two.leader.prepare(draft(plan))
            with pytest.raises(AttemptsSpent):
                two.leader.open_plan(signed(plan))
            return
        two.open(plan)
        close(two, plan)
        earlier = (Attempt(plan.hash, tuple(free(two, plan))),)


WHEN: dict[str, Callable[[Two, Plan], Any]] = {
    "open": lambda _two, _plan: None,
    "closed": lambda two, plan: close(two, plan),
}


def test_a_leader_that_has_lost_the_live_secret_does_not_have_the_helper_erase(two: Two) -> None:
    plan = make_plan()
    two.open(plan)
    two.leader.files.live.erase(plan.plan_id)
    with pytest.raises(LiveSecretLost):
        free(two, plan)
    assert two.helper.files.storage.plan(plan.hash).state is PlanState.OPEN


def test_a_clock_that_was_far_ahead_while_a_plan_was_freed_stops_no_ledger(two: Two) -> None:
    plan = make_plan(panes=2)
    two.open(plan)
    two.clock.now += 3 * 365 * DAY
    statements = free(two, plan)
    two.clock.now -= 3 * 365 * DAY
    second = again(plan, 1, *statements)
    collect(two, second, Site(second, "a"), Site(second, "b"))


def test_a_commitment_while_a_helper_frees_the_plan_does_not_close_it(two: Two) -> None:
    """The helper's ledger and storage are two files: a commitment between their writes finds a freed plan."""
    plan = make_plan(panes=2)
    two.open(plan)
    ledger, done = two.helper.files.ledger, []
    request = free_request(plan.hash, COORDINATOR.sign)

    def commit_first(plan_hash: bytes) -> None:
        with pytest.raises(PeerRefused, match="PLAN_FREED"):
            close(two, plan)
        done.append(plan_hash)
        type(ledger).free(ledger, plan_hash)

    ledger.free = commit_first  # type: ignore[method-assign]
    two.helper.free(request)
    assert done == [plan.hash]
    assert two.helper.files.storage.plan(plan.hash).state is PlanState.FREED
    assert spent_of(two.helper.files.ledger.state) == {}


def test_a_free_between_the_charge_and_the_close_of_a_plan_leaves_it_freed(two: Two) -> None:
    plan = make_plan(panes=2)
    two.open(plan)
    charge, request = two.helper.plans.charge, free_request(plan.hash, COORDINATOR.sign)

    def then_free(of: Plan) -> None:
        charge(of)
        two.helper.free(request)

    two.helper.plans.charge = then_free  # type: ignore[method-assign]
    with pytest.raises(PeerRefused, match="PLAN_FREED"):
        close(two, plan)
    assert two.helper.files.storage.plan(plan.hash).state is PlanState.FREED
    two.helper.plans.charge = charge  # type: ignore[method-assign]
    assert len(free(two, plan)) == 2


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("when", WHEN)
def test_an_aggregator_that_is_restored_from_before_the_free_opens_nothing(
    tmp_path: Path, role: str, when: str
) -> None:
    plan = make_plan(panes=2, noise="full")
    (tmp_path / "files").mkdir()
    two = Two(tmp_path / "files")
    two.open(plan)
    two.leader.submit(Site(plan).batch([0, 0, 1, 1]).to_bytes())
    WHEN[when](two, plan)
    two.leader.files.storage.empty_log()
    two.helper.files.storage.empty_log()
    shutil.copytree(tmp_path / "files", tmp_path / "copy")
    free(two, plan)
    two.leader.close()
    two.helper.close()
    for path in (tmp_path / "copy").iterdir():  # everything, the live secret too, as a snapshot of a machine has it
        if path.name.startswith(role):
            target = tmp_path / "files" / path.name
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
            path.rename(target)
    restored = Two(tmp_path / "files")
    request = collect_request(plan, COLLECTOR.sign)
    try:
        for party in (restored.leader, restored.helper):
            with pytest.raises((LedgerBehind, PlanFreed, PeerRefused, NotCommitted)):
                party.collect(request)
        states = {party.files.storage.plan(plan.hash).state for party in (restored.leader, restored.helper)}
        assert PlanState.WITNESSED not in states  # noise that it drew alone never leaves it
    finally:
        restored.leader.close()
        restored.helper.close()


def test_two_views_and_only_one_of_them_is_free(two: Two) -> None:
    plan = make_plan(view("v"), view("w"), panes=2)
    two.open(plan)
    two.leader.submit(Site(plan).batch([2, 2, 3, 3]).to_bytes())  # of the second view only
    request = collect_request(plan, COLLECTOR.sign)
    statements = tuple(one.statement for party in (two.leader, two.helper) for one in party.collect(request))
    first = live(replace(make_plan(view("v"), panes=2, number=1), earlier=(Attempt(plan.hash, statements),)))
    collect(two, first, Site(first))
    assert spent(two) == [dict.fromkeys(DAYS, 2 * RHO)] * 2  # of two views
    second = live(replace(make_plan(view("w"), panes=2, number=2), earlier=(Attempt(plan.hash, statements),)))
    open_at(two.helper, second)
    assert spent_of(two.helper.files.ledger.state) == dict.fromkeys(DAYS, 2 * RHO)
