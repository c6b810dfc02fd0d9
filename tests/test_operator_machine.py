"""The schedules of test_privacy_machine.py for one operator that is leader and helper, and runs in one process beside them.

All of them charge one ledger, some of them at the same time. The account kept by hand is the operator's: no client-day costs
more than its budget over all openings together, and no pane is opened under two plans, whoever opens it. With a separate ledger
for each role, the machine finds that the budget is exceeded.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from aggregator.collect.collection_job import collect_request, free_request
from deployment.in_process.ledger import RunLedger
from federation.attempt import Attempt
from federation.errors import LedgerRefusal
from federation.ledger.ledger import Ledger
from federation.ledger.operator import LEDGERS, OPERATOR, operator_path
from federation.ledger.state import Budget
from federation.plan import Plan, PlannedView
from federation.unopened import sign_never_opened
from tests.aggregator.world import COLLECTOR, Clock, make_plan
from tests.federation.wire import COORDINATOR, DAY, HELPER, LEADER, live
from tests.federation.words import plan_in_words, with_words

from .test_privacy_machine import HOUR, VIEWS, FusedLedger, PrivacyMachine, plans

_SCHEDULE = settings(max_examples=12, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))


class OneOperatorMachine(PrivacyMachine):
    """See the module."""

    budgets = dict.fromkeys(("leader", "helper", "operator", "site-a"), 100_000)
    runs = 0

    def open_ledger(self, path: Path, role: str, clock: Clock) -> Ledger:
        ledgers = path.parent / LEDGERS
        ledgers.mkdir(exist_ok=True)
        return FusedLedger(operator_path(ledgers), OPERATOR, clock, role=role)

    def account(self, role: str, plan: Plan, outcomes: Sequence[bytes] | None = None) -> None:
        super().account(role if role == "site-a" else "operator", plan, outcomes)

    @rule(drawn=plans)
    def a_run_in_one_process_charges(self, drawn: tuple[dict[str, float], list[tuple[int, int]], Any]) -> None:
        for plan in self._run(drawn):
            self.account("in-process", plan)

    @precondition(lambda self: self.plans)
    @rule(drawn=plans, data=st.data())
    def a_run_in_one_process_charges_while_the_services_open_a_plan(
        self, drawn: tuple[dict[str, float], list[tuple[int, int]], Any], data: st.DataObject
    ) -> None:
        plan = data.draw(st.sampled_from(self.plans))
        request, sent = collect_request(plan, COLLECTOR.sign), []
        thread = threading.Thread(target=lambda: sent.append(self.attempt(lambda: self.leader.collect(request))))
        thread.start()
        charged = self._run(drawn)
        thread.join()
        for one in charged:
            self.account("in-process", one)
        if sent[0] is not None:
            self.collected("leader", plan, sent[0])

    def _run(self, drawn: tuple[dict[str, float], list[tuple[int, int]], Any]) -> list[Plan]:
        """The plans of a run in one process, one for each view, that its ledger has charged."""
        views, at, _ = drawn
        panes = np.array([day * DAY + hour * HOUR for day, hour in at], np.int64)
        made = []
        for name, rho in sorted(views.items()):
            self.runs += 1
            number = self.runs.to_bytes(16, "little")
            made.append(plan_in_words(number, (PlannedView(VIEWS[name, rho], panes, 2),), "full"))
        try:
            with RunLedger(self.folder, Budget(self.budgets["operator"]), Clock()) as ledger:
                ledger.intend(made)
        except LedgerRefusal:
            return []
        return made


class Apart(OneOperatorMachine):
    """The planted fault: each service has a ledger file of its own. Without frees, the search comes to an opening sooner."""

    its_panes_are_planned_again = it_is_freed = None  # type: ignore[assignment]

    def open_ledger(self, path: Path, role: str, clock: Clock) -> Ledger:
        return FusedLedger(path, role, clock)

    @rule(drawn=plans, seed=st.integers(0, 2**32))
    def the_services_open_a_plan(self, drawn: tuple[dict[str, float], list[tuple[int, int]], Any], seed: int) -> None:
        """All steps in a row, so that the search reaches an opening soon."""
        self.a_coordinator_signs_a_plan(drawn)
        self.collect_whole(self.plans[-1], seed)


class Freed(PrivacyMachine):
    """A machine that comes to a freed plan, and to its panes under another plan, soon."""

    @rule(drawn=plans, seed=st.integers(0, 2**32), first=st.booleans())
    def a_plan_is_freed_and_its_panes_are_collected(self, drawn: Any, seed: int, first: bool) -> None:
        self.a_coordinator_signs_a_plan(drawn)
        plan = self.plans[-1]
        self.collect_whole(plan, seed, opened=first)
        statements = self.attempt(lambda: self.leader.free(free_request(plan.hash, COORDINATOR.sign)))
        if statements is not None:
            self.statements.setdefault(plan.hash, set()).update(statements)
            self.freed.add(plan.hash)
            named = Attempt(plan.hash, tuple(statements))
            again = replace(make_plan(noise="full", number=len(self.plans)), earlier=(named,))
            self.plans.append(live(with_words(again, views=plan.views, participation=drawn[2])))
            self.collect_whole(self.plans[-1], seed)
            self.collect_whole(plan, seed)


class SignsAnything(Freed):
    """The planted fault: aggregators sign that they never opened a plan. They erase nothing, and look at nothing."""

    def start(self) -> None:
        super().start()
        self.leader.free = self._sign  # type: ignore[method-assign]

    def _sign(self, data: bytes) -> list[bytes]:
        plan = self.leader.freeing.requested(data)
        return [
            sign_never_opened(role, plan.hash, keys.sign) for role, keys in (("leader", LEADER), ("helper", HELPER))
        ]  # type: ignore[arg-type]


TestOneOperatorMachine = OneOperatorMachine.TestCase
TestOneOperatorMachine.settings = _SCHEDULE


def test_the_machine_finds_services_that_do_not_look_at_the_runs_of_their_operator() -> None:
    search = settings(
        _SCHEDULE, max_examples=100, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False
    )
    with pytest.raises(AssertionError, match=r"a pane under two plans|'operator', \d|two definitions on one day"):
        run_state_machine_as_test(Apart, settings=search)


def test_the_machine_finds_aggregators_that_disown_a_plan_and_can_open_it_or_have_opened_it() -> None:
    search = settings(_SCHEDULE, max_examples=50, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises(AssertionError, match=r"a plan was opened that both disown|freed, opened"):
        run_state_machine_as_test(SignsAnything, settings=search)


def test_the_machine_finds_nothing_in_aggregators_that_free_as_they_should() -> None:
    run_state_machine_as_test(Freed, settings=settings(_SCHEDULE, max_examples=6))


@pytest.mark.long
def test_a_hundred_thousand_steps_open_no_pane_twice() -> None:
    run_state_machine_as_test(Freed, settings=settings(_SCHEDULE, max_examples=2_000, stateful_step_count=50))
