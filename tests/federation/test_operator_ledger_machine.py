"""Any schedule of concurrent charges by several roles on one operator's ledger, compared with a naive account.

Each role has the ledger open for itself, as a process does, and charges in a thread of its own. The account is kept by hand
from what was allowed: no pane of a collection is opened under two plans, and no client-day costs more than the budget over all roles
together. Two collections of one view may open a pane, each for its price.
Two planted faults are found: a charge that is decided outside of the lock, and a ledger file for each role.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from featurestore.define.definitions import FeatureView
from federation.errors import LedgerRefusal
from federation.ledger.entries import IN_PROCESS
from federation.ledger.ledger import Ledger
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import Budget
from federation.plan import Plan, PlannedView
from tests.examples import examples
from tests.federation.words import plan_in_words
from tests.ledgers import spent_of

from .test_ledger_machine import BUDGET, HALF_DAY, VIEWS, halves, planned_views
from .wire import DAY, TERMS

ROLES = ("leader", "helper", IN_PROCESS)
_SCHEDULE = settings(
    max_examples=examples(40), stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)


class UnsyncedLedger(Ledger):
    """A ledger without fsync: no test here crashes the machine."""

    synchronous = "OFF"


class UnlockedLedger(UnsyncedLedger):
    """The planted fault: a charge is decided before the lock is taken."""

    def intend(self, plan: Plan, budget: Budget) -> None:
        with self.transaction():
            entry = self.state.intent(plan, budget, self._clock())
        time.sleep(0.01)
        with self.transaction():
            if entry is not None:
                self._append(entry)


class OperatorMachine(RuleBasedStateMachine):
    """See the module."""

    kind: type[Ledger] = UnsyncedLedger
    apart = False

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="covey-operator-"))
        self.now = 1_000 * DAY
        self.plans: list[Plan] = []
        self.allowed: list[tuple[str, Plan]] = []
        self.start()

    def start(self) -> None:
        self.ledgers = {role: self.open(role) for role in ROLES}

    def open(self, role: str) -> Ledger:
        owner = role if self.apart else "operator"
        return self.kind(self.folder / f"{owner}.db", owner, self.clock, role=role)

    def clock(self) -> int:
        self.now += 1
        return self.now

    def stop(self) -> None:
        for ledger in self.ledgers.values():
            ledger.close()

    def teardown(self) -> None:
        if hasattr(self, "ledgers"):
            self.stop()
            shutil.rmtree(self.folder)

    @rule(chosen=planned_views, at=halves)
    def a_plan_is_made(self, chosen: dict[str, tuple[float]], at: list[int]) -> None:
        panes = np.array(at, dtype=np.int64) * HALF_DAY
        views = tuple(PlannedView(VIEWS[name, rho], panes, 2) for name, (rho,) in sorted(chosen.items()))
        self.plans.append(plan_in_words(len(self.plans).to_bytes(16, "big"), views, "full", wire=TERMS))

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def roles_charge_at_once(self, data: st.DataObject) -> None:
        """Services and a run in one process, each with its own plan or all with the same one."""
        asked = [(role, data.draw(st.sampled_from(self.plans))) for role in data.draw(st.permutations(ROLES))]
        barrier, allowed = threading.Barrier(len(asked)), []

        def charge(role: str, plan: Plan) -> None:
            barrier.wait()
            try:
                self.ledgers[role].intend(plan, BUDGET)
            except LedgerRefusal:
                return
            allowed.append((role, plan))

        threads = [threading.Thread(target=charge, args=one) for one in asked]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one in allowed:
            if one not in self.allowed:
                self.allowed.append(one)

    @rule()
    def they_start_again(self) -> None:
        self.stop()
        self.start()

    @invariant()
    def no_pane_is_opened_twice_and_no_day_costs_more_than_its_budget(self) -> None:
        if not hasattr(self, "ledgers"):
            return
        opened: dict[tuple[FeatureView, int], tuple[bytes, bool]] = {}
        paid: dict[tuple[str, float, int, bool], int] = {}
        for role, plan in self.allowed:
            alone = role == IN_PROCESS  # otherwise leader and helper open it together
            for planned in plan.views:
                for pane in planned.pane_starts.tolist():
                    opening = (plan.hash, alone)
                    assert opened.setdefault((planned.view, pane), opening) == opening, "a pane was opened twice"
                    key = (planned.view.name, planned.view.privacy.micro_rho, pane // DAY, alone)
                    paid[key] = planned.layout.micro_rho
        by_day: dict[int, int] = {}
        for (_, _, day, _), cost in paid.items():
            by_day[day] = by_day.get(day, 0) + cost
        assert all(cost <= BUDGET.micro_rho for cost in by_day.values()), f"more than the budget: {by_day}"
        if not self.apart:
            state = read_ledger(self.folder / "operator.db", "operator").state
            assert spent_of(state) == by_day
            assert {(role, plan) for plan, roles in state.charged_by.items() for role in roles} == {
                (role, plan.hash) for role, plan in self.allowed
            }


class Unlocked(OperatorMachine):
    kind = UnlockedLedger


class Apart(OperatorMachine):
    apart = True


TestOperatorMachine = OperatorMachine.TestCase
TestOperatorMachine.settings = _SCHEDULE


@pytest.mark.parametrize("faulty", [Unlocked, Apart])
def test_the_machine_finds_a_planted_fault(faulty: Any) -> None:
    search = settings(
        _SCHEDULE, max_examples=200, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False
    )
    with pytest.raises(AssertionError, match=r"opened twice|more than the budget"):
        run_state_machine_as_test(faulty, settings=search)
