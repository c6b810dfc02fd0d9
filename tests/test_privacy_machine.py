"""The machine of tests/machine with two operators, and what it does in a few known steps."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from aggregator.storage.records import PlanState
from tests.examples import examples
from tests.ledgers import spent_of
from tests.machine.faults import BothRestored, ChargesNothingAgain, FreesAfterOpening, FreesWithoutErasing
from tests.machine.machine import Freed, PrivacyMachine
from tests.machine.parties import ROLES

SCHEDULE = settings(
    max_examples=examples(50), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
SEARCH = settings(
    SCHEDULE,
    max_examples=50,
    stateful_step_count=30,
    derandomize=True,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
"""Looks for a planted fault."""
STEPS = 100_000


def test_the_machine_frees_and_opens_again() -> None:
    machine = Freed()
    machine.begin()
    try:
        machine.a_plan_is_freed_and_its_panes_are_collected(
            ({"v": 0.03}, [(0, 0), (0, 1)], "active"), 0, False, ("a",), -1
        )
        first, second = machine.plans
        for role in ROLES:
            files = getattr(machine.parties, role).files
            assert spent_of(files.ledger.state) == {0: 30_000}
            states = [files.storage.plan(plan.hash).state for plan in (first, second)]
            assert states == [PlanState.DISOWNED, PlanState.WITNESSED]
        assert len(machine.account.opened) == 2 * 3  # panes, by leader, helper and site
    finally:
        machine.teardown()


def test_the_machine_does_open_something() -> None:
    """Otherwise its assertions would hold for nothing."""
    machine = Freed()
    machine.begin()
    try:
        machine.a_coordinator_signs_a_plan(({"v": 0.03, "w": 0.05}, [(0, 0), (0, 1), (1, 2)], "active"))
        machine.collect_whole(machine.plans[0], 0, ("a", "b"))
        assert {role for role, *_ in machine.account.opened} == {*ROLES, "site-a", "site-b"}
        assert len(machine.account.opened) == 4 * 2 * 3
    finally:
        machine.teardown()


TestPrivacyMachine = PrivacyMachine.TestCase
TestPrivacyMachine.settings = SCHEDULE


def test_the_machine_finds_nothing_in_aggregators_that_free_as_they_should() -> None:
    run_state_machine_as_test(Freed, settings=settings(SCHEDULE, max_examples=6))


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (FreesWithoutErasing, "a plan was opened that both disown"),
        (FreesAfterOpening, "freed, opened"),
        (ChargesNothingAgain, r"'(leader|helper|site-[ab])', \d"),
        (BothRestored, "a plan was opened that both disown"),
    ],
)
def test_the_machine_finds_a_planted_fault(fault: type[Freed], found: str) -> None:
    with pytest.raises(AssertionError, match=found):
        run_state_machine_as_test(fault, settings=SEARCH)


@pytest.mark.long
def test_a_hundred_thousand_steps_open_no_pane_twice_and_lose_none() -> None:
    PrivacyMachine.steps = 0
    while PrivacyMachine.steps < STEPS:
        run_state_machine_as_test(Freed, settings=settings(SCHEDULE, max_examples=200, stateful_step_count=50))
