"""One ledger for all roles of an operator: a joint opening is paid once, and everything else adds up."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featurestore.define.definitions import FeatureView
from federation.errors import DayBudgetSpent, LedgerBehind, PaneTaken, PlanOpenedBefore, ViewOverlap
from federation.ledger.entries import IN_PROCESS
from federation.ledger.ledger import Ledger
from federation.ledger.operator import OPERATOR, charged_plans, open_operator_ledger, operator_path, require_room
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import Budget, LedgerState
from federation.plan import Plan, PlannedView
from tests.federation.words import plan_in_words
from tests.ledgers import spent_of

from .test_ledger import HALF, ONE, A, B, Clock, plan_of
from .wire import DAY, view

Open = Callable[[str], Ledger]
AGGREGATORS = ("leader", "helper", "keyholder")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """An operator's ledger as one role has it open, each role like a process of its own."""
    ledgers: list[Ledger] = []
    clock = Clock()

    def open_as(role: str) -> Ledger:
        ledgers.append(open_operator_ledger(tmp_path, role, clock))
        return ledgers[-1]

    yield open_as
    for ledger in ledgers:
        ledger.close()


def whole(tmp_path: Path, role: str = "") -> LedgerState:
    return read_ledger(operator_path(tmp_path), OPERATOR, role).state


def hourly(name: str) -> FeatureView:
    return replace(view(name, 2), pane="1h")


def plan_at(number: int, of: FeatureView, *hours: int) -> Plan:
    panes = np.array(hours, dtype=np.int64) * (DAY // 24)
    return plan_in_words(bytes([number]) * 16, (PlannedView(of, panes, 2),), "full")


@pytest.mark.parametrize(("one", "other"), [("leader", "helper"), ("helper", "leader"), ("leader", "keyholder")])
def test_who_open_a_plan_together_pay_it_once(opened: Open, tmp_path: Path, one: str, other: str) -> None:
    plan = plan_of(1, A)
    for role in (one, other, one):
        opened(role).check(plan, HALF)
        opened(role).intend(plan, HALF)
    state = whole(tmp_path)
    assert spent_of(state) == {0: 500_000, 1: 500_000}
    assert state.charged_by == {plan.hash: {one: False, other: False}}
    assert {charge.day: list(roles) for charge, roles in state.roles.items()} == {0: [one, other], 1: [one, other]}
    assert state.length == 2  # each role has its own entry, a repeat has none


def test_what_came_of_a_plan_is_recorded_by_each_role(opened: Open, tmp_path: Path) -> None:
    plan, (leader, helper) = plan_of(1, A), map(opened, ("leader", "helper"))
    for ledger in (leader, helper):
        ledger.intend(plan, HALF)
    leader.complete(plan.hash, bytes(32))
    helper.complete(plan.hash, bytes([1]) * 32)  # another digest, of the helper's own shares
    with pytest.raises(PlanOpenedBefore):
        helper.complete(plan.hash, bytes(32))
    assert (leader.state.completed, helper.state.completed) == ({plan.hash: bytes(32)}, {plan.hash: bytes([1]) * 32})
    assert whole(tmp_path).charged_by == {plan.hash: {"leader": True, "helper": True}}
    assert [whole(tmp_path, role).completed_at[plan.hash] for role in ("leader", "helper")] == [3, 4]


@pytest.mark.parametrize("one", [*AGGREGATORS, IN_PROCESS])
@pytest.mark.parametrize("other", [*AGGREGATORS, IN_PROCESS])
def test_two_plans_never_share_a_pane_a_day_of_a_view_or_a_budget(opened: Open, one: str, other: str) -> None:
    opened(one).intend(plan_of(1, A), HALF)
    later = opened(other)
    with pytest.raises(PaneTaken):
        later.intend(plan_of(2, A), ONE)
    with pytest.raises(ViewOverlap):
        later.intend(plan_of(3, view("a", 3)), replace(ONE, overlap=False))
    with pytest.raises(DayBudgetSpent) as refused:
        later.intend(plan_of(4, B), HALF)
    assert (refused.value.day, refused.value.have) == (0, 0)
    later.intend(plan_of(5, B), ONE)
    assert spent_of(later.state) == {0: 1_000_000, 1: 1_000_000}


@pytest.mark.parametrize("one", [*AGGREGATORS, IN_PROCESS])
@pytest.mark.parametrize("other", [*AGGREGATORS, IN_PROCESS])
def test_two_collections_of_a_view_pay_for_a_day_once_each(opened: Open, one: str, other: str) -> None:
    opened(one).intend(plan_of(1, A), ONE)
    changed = plan_of(2, view("a", 3))
    later = opened(other)
    with pytest.raises(DayBudgetSpent):
        later.intend(changed, replace(ONE, micro_rho=999_999))
    for _ in range(2):
        later.intend(changed, ONE)
    assert spent_of(later.state) == {0: 1_000_000, 1: 1_000_000}


@pytest.mark.parametrize("role", AGGREGATORS)
def test_a_run_in_one_process_opens_no_plan_together_with_anybody(opened: Open, role: str) -> None:
    """The run is both aggregators, so the same plan a second time is a second opening."""
    plan = plan_of(1, A)
    opened(IN_PROCESS).intend(plan, ONE)
    with pytest.raises(PaneTaken):
        opened(role).intend(plan, ONE)
    other = plan_of(2, B)
    opened(role).intend(other, ONE)
    with pytest.raises(PaneTaken):
        opened(IN_PROCESS).intend(other, ONE)


def test_a_day_that_sites_bound_across_plans_is_paid_again_by_a_run_in_one_process(opened: Open) -> None:
    """Plans over the wire share a client-day's cells and pay it once. A run in one process has no record of these cells."""
    of = hourly("a")
    leader, helper, run = map(opened, ("leader", "helper", IN_PROCESS))
    leader.intend(plan_at(1, of, 0, 1), ONE)
    helper.intend(plan_at(2, of, 2), ONE)
    run.intend(plan_at(3, of, 3), ONE)
    run.intend(plan_at(4, of, 4), ONE)
    assert spent_of(run.state) == {0: 1_000_000}
    with pytest.raises(DayBudgetSpent):
        run.check(plan_of(5, B), ONE)


@pytest.mark.parametrize("tight", [Budget(499_999), Budget(1_000_000, {"a": 499_999})])
def test_a_plan_that_the_other_role_has_paid_must_fit_the_budget_of_this_one(opened: Open, tight: Budget) -> None:
    """Two roles can have copies of covey.toml that differ."""
    opened("leader").intend(plan_of(1, A), HALF)
    with pytest.raises(DayBudgetSpent) as refused:
        opened("helper").intend(plan_of(1, A), tight)
    assert (refused.value.view, refused.value.have, refused.value.need) == ("a", 499_999, 500_000)


def test_a_refusal_names_the_role_that_was_refused(opened: Open, tmp_path: Path) -> None:
    for role in ("leader", "helper", "leader"):
        with pytest.raises(DayBudgetSpent):
            opened(role).intend(plan_of(1, A), Budget(1))
    assert [one.role for one in whole(tmp_path).refused] == ["leader", "helper"]


def test_each_role_remembers_the_others_head_on_one_chain(opened: Open, tmp_path: Path) -> None:
    """The three exchanges of an opening, where both share the ledger: see `aggregator/shares/leader.py`."""
    plan, (leader, helper) = plan_of(1, A), map(opened, ("leader", "helper"))
    for ledger in (leader, helper):
        ledger.intend(plan, HALF)
    first = leader.head  # an older head than the helper's, on the same chain
    helper.require_known(first)
    assert helper.see_peer("leader", first, None) == first
    assert leader.see_peer("helper", helper.head, None) == helper.head
    leader.complete(plan.hash, bytes(32))
    helper.complete(plan.hash, bytes(32))
    assert helper.see_peer("leader", leader.head, first) == leader.head
    assert leader.covers(helper.peer("leader"), plan.hash)
    assert not helper.covers(leader.peer("helper"), plan.hash)
    with pytest.raises(LedgerBehind):
        helper.see_peer("leader", first, first)
    assert whole(tmp_path).length == 4


def test_a_process_that_is_slow_puts_no_older_head_back(opened: Open, tmp_path: Path) -> None:
    """The second file follows the commit. Written late, it would hide that the database was rolled back."""
    leader, helper = opened("leader"), opened("helper")
    late = leader._replace_outside

    def meanwhile() -> None:
        leader._replace_outside = late  # type: ignore[method-assign]
        leader._db.execute("ROLLBACK")
        helper.intend(plan_of(1, A), HALF)
        leader._db.execute("BEGIN IMMEDIATE")
        leader._refresh()
        late()

    leader._replace_outside = meanwhile  # type: ignore[method-assign]
    leader.record_refusal(bytes(32), "CLOCK_SKEW")
    outside = json.loads(operator_path(tmp_path).with_name("operator.db.head").read_text())
    assert (outside["seq"], whole(tmp_path).length) == (2, 2)


def test_room_and_charged_plans_are_read_without_a_trace(opened: Open, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    require_room(folder, plan_of(1, A), HALF, 0)
    assert charged_plans(folder) == frozenset()
    assert not folder.exists()
    opened("helper").intend(plan_of(1, A), HALF)
    opened(IN_PROCESS).intend(plan_of(2, B), ONE)
    assert charged_plans(tmp_path) == {plan_of(1, A).hash}
    with pytest.raises(DayBudgetSpent):
        require_room(tmp_path, plan_of(3, view("c", 2)), ONE, 0)


CHARGES = """
import sys
from pathlib import Path
from federation.errors import DayBudgetSpent
from federation.ledger.state import Budget
from federation.ledger.operator import open_operator_ledger
from tests.federation.test_ledger import plan_of
from tests.federation.wire import view

folder, role, first = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
charged = 0
with open_operator_ledger(folder, role, lambda: 10**15) as ledger:
    for number in range(first, first + 10):
        try:
            ledger.intend(plan_of(number, view(f"v{number}", 2)), Budget(2_000_000))  # 0.5 each, of 2.0
            charged += 1
        except DayBudgetSpent:
            pass
print(charged)
"""


def test_processes_that_charge_a_new_ledger_at_once_never_pass_the_budget(tmp_path: Path) -> None:
    roles = ("leader", IN_PROCESS)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CHARGES, str(tmp_path / "ledgers"), role, str(1 + 10 * number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, role in enumerate(roles)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    counts = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        out, _ = process.communicate(timeout=120)
        counts.append(int(out))
    assert sum(counts) == 4
    assert spent_of(whole(tmp_path / "ledgers")) == {0: 2_000_000, 1: 2_000_000}
