"""The state machine of a supervised role, without processes."""

from __future__ import annotations

import pytest

from base.errors import DONE, FAILURE, INCOMPLETE, INTERRUPTED, NOT_FOUND, NOTHING_RELEASED, REFUSED, USAGE
from deployment.local.supervision.lives import (
    FAILING,
    LONGEST_PAUSE_S,
    STEADY_S,
    TASK_ATTEMPTS,
    BackingOff,
    Ended,
    Life,
    Running,
    Waiting,
)

SERVICE, TASK = Life(is_task=False), Life(is_task=True)


def test_pauses_double_up_to_a_bound_and_a_service_is_started_again_for_ever() -> None:
    life, now, pauses = SERVICE, 0.0, []
    for _ in range(20):
        assert life.is_due(now)
        life = life.started(7, now).died(1, "no", now + 1)
        assert isinstance(life.state, BackingOff)
        pauses.append(life.state.until - now - 1)
        assert not life.is_due(life.state.until - 0.01)
        now = life.state.until
    assert pauses[:7] == [0.5, 1, 2, 4, 8, 16, 30]
    assert set(pauses[7:]) == {LONGEST_PAUSE_S}
    assert life.restarts == 19


def test_a_process_that_ran_long_enough_is_started_again_at_once() -> None:
    life, now = SERVICE, 0.0
    for _ in range(6):
        life = life.started(7, now).died(-9, "x", now)
    assert life.is_failing
    life = life.started(7, now).died(-9, "x", now + STEADY_S)
    assert life.state == BackingOff(now + STEADY_S + 0.5, "killed by signal 9: x")
    assert not life.is_failing


def test_a_role_keeps_dying_after_some_deaths_in_a_row_until_it_works() -> None:
    life = SERVICE
    for number in range(1, FAILING + 1):
        life = life.started(7, 0).died(3, "no key", 0)
        assert life.is_failing == (number == FAILING)
    assert life.state == BackingOff(2.0, "ended with status 3: no key")
    life = life.started(8, 2)
    assert life.is_failing
    assert not life.looked_at(None).is_failing


def test_a_running_role_is_ready_once_it_waits_for_nothing() -> None:
    life = SERVICE.started(7, 0)
    assert not life.is_ready
    assert life.looked_at("the helper").state == Running(7, 0, "the helper")
    assert life.looked_at(None).is_ready
    assert SERVICE.looked_at(None) == SERVICE


def test_a_role_that_died_keeps_its_reason_while_its_prerequisite_is_missing() -> None:
    assert SERVICE.waiting("superlink").state == Waiting("superlink")
    died = SERVICE.started(7, 0).died(1, "disk full", 0)
    assert died.waiting("superlink") == died


@pytest.mark.parametrize("code", [DONE, USAGE, NOTHING_RELEASED, REFUSED, NOT_FOUND])
def test_a_task_whose_result_another_attempt_would_not_change_has_ended(code: int) -> None:
    assert TASK.started(7, 0).died(code, "said", 1).state == Ended(code, "said")
    assert isinstance(SERVICE.started(7, 0).died(code, "said", 1).state, BackingOff)


@pytest.mark.parametrize("code", [FAILURE, INCOMPLETE, INTERRUPTED, -9])
def test_a_task_that_another_attempt_can_mend_is_tried_again_but_not_for_ever(code: int) -> None:
    life = TASK
    for _ in range(TASK_ATTEMPTS - 1):
        life = life.started(7, 0).died(code, "said", 1)
        assert isinstance(life.state, BackingOff)
    assert life.started(7, 0).died(code, "said", 1).state == Ended(code, "said")
