"""The machine of tests/machine for one operator that is leader and helper, and runs in one process beside them.

All of them charge one ledger, some of them at the same time. The account kept by hand is the operator's: no client-day costs
more than its budget over all openings together, and no pane is opened under two plans, whoever opens it. With a separate ledger
for each role, the machine finds that the budget is exceeded.
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from aggregator.collect.collection_job import collect_request
from deployment.in_process.ledger import RunLedger
from federation.errors import LedgerRefusal
from federation.ledger.ledger import Ledger
from federation.ledger.operator import LEDGERS, OPERATOR, operator_path
from federation.ledger.state import Budget
from federation.plan import Plan, PlannedView
from tests.aggregator.world import COLLECTOR, Clock
from tests.federation.wire import DAY
from tests.federation.words import plan_in_words
from tests.machine.machine import PrivacyMachine
from tests.machine.parties import FusedLedger
from tests.machine.plans import HOUR, VIEWS, Drawn, plans, seeds

from .test_privacy_machine import SCHEDULE, SEARCH

_SCHEDULE = settings(SCHEDULE, max_examples=12, stateful_step_count=30)


class OneOperatorMachine(PrivacyMachine):
    """See the module."""

    budgets = dict.fromkeys(("leader", "helper", "operator", "site-a", "site-b"), 100_000)
    runs = 0

    def open_ledger(self, path: Path, role: str, clock: Clock) -> Ledger:
        ledgers = path.parent / LEDGERS
        ledgers.mkdir(exist_ok=True)
        return FusedLedger(operator_path(ledgers), OPERATOR, clock, role=role)

    def payer(self, role: str) -> str:
        return "operator"

    @rule(drawn=plans)
    def a_run_in_one_process_charges(self, drawn: Drawn) -> None:
        for plan in self._run(drawn):
            self.account.charged("operator", plan)

    @precondition(lambda self: self.plans)
    @rule(drawn=plans, data=st.data())
    def a_run_in_one_process_charges_while_the_services_open_a_plan(self, drawn: Drawn, data: st.DataObject) -> None:
        plan = data.draw(st.sampled_from(self.plans))
        request, sent = collect_request(plan, COLLECTOR.sign), []
        thread = threading.Thread(
            target=lambda: sent.append(self.attempt(lambda: self.parties.leader.collect(request)))
        )
        thread.start()
        charged = self._run(drawn)
        thread.join()
        for one in charged:
            self.account.charged("operator", one)
        if sent[0] is not None:
            self.collected("leader", plan, sent[0])

    def _run(self, drawn: Drawn) -> list[Plan]:
        """The plans of a run in one process, one for each view, that its ledger has charged."""
        views, at, _ = drawn
        panes = np.array([day * DAY + hour * HOUR for day, hour in at], np.int64)
        made = []
        for name, rho in sorted(views.items()):
            self.runs += 1
            number = self.runs.to_bytes(16, "little")
            made.append(plan_in_words(number, (PlannedView(VIEWS[name, rho], panes, 2),), "full"))
        try:
            with RunLedger(self.parties.folder, Budget(self.budgets["operator"]), Clock()) as ledger:
                ledger.intend(made)
        except LedgerRefusal:
            return []
        return made


class Apart(OneOperatorMachine):
    """The planted fault: each service has a ledger file of its own. Without frees, the search comes to an opening sooner."""

    its_panes_are_planned_again = it_is_freed = two_coordinators_ask_at_the_same_time = None  # type: ignore[assignment]
    a_copy_is_kept = it_is_put_back = the_newest_copy_is_put_back = None  # type: ignore[assignment]

    def open_ledger(self, path: Path, role: str, clock: Clock) -> Ledger:
        return FusedLedger(path, role, clock)

    @rule(drawn=plans, seed=seeds)
    def the_services_open_a_plan(self, drawn: Drawn, seed: int) -> None:
        """All steps in a row, so that the search reaches an opening soon."""
        self.a_coordinator_signs_a_plan(drawn)
        self.collect_whole(self.plans[-1], seed)


TestOneOperatorMachine = OneOperatorMachine.TestCase
TestOneOperatorMachine.settings = _SCHEDULE


def test_the_machine_finds_services_that_do_not_look_at_the_runs_of_their_operator() -> None:
    search = settings(SEARCH, max_examples=100)
    with pytest.raises(AssertionError, match=r"a pane under two plans|'operator', \d"):
        run_state_machine_as_test(Apart, settings=search)
