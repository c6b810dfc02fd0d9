"""A preflight is left out only after a plan about the same that went well, moments ago."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from base.times import DAY_US
from deployment.coordinator.proven_plan import PROVEN_SECONDS, PlanSubject, ProvenPlan
from federation.terms import Noise
from tests.federation.wire import PLAN

ROSTER = ("1", "2")
SUBJECT = PlanSubject.of(PLAN, ROSTER, 30.0)
CLEAN: dict[str, Any] = {
    "sites": {site: {"state": "answered", "code": "OK"} for site in ROSTER},
    "due": {}, "why_due": None, "budget_spent": {}, "taken": {}, "too_few_sites": {},
}  # fmt: skip


class Proof:
    def __init__(self) -> None:
        self.now = 50.0
        self.proven = ProvenPlan(lambda: self.now)

    def tries(self, result: dict[str, Any], seconds: float = 0.0) -> bool:
        with self.proven.trying(SUBJECT) as tried:
            self.now += seconds
            tried.ended(result)
        return self.proven.covers(SUBJECT)


def test_nothing_is_proven_before_the_first_plan_and_a_clean_one_proves_the_next_for_a_while() -> None:
    proof = Proof()
    assert not proof.proven.covers(SUBJECT)
    assert proof.tries(CLEAN)
    proof.now += PROVEN_SECONDS - 1
    assert proof.proven.covers(SUBJECT)
    proof.now += 1
    assert not proof.proven.covers(SUBJECT)
    assert not proof.tries(CLEAN, PROVEN_SECONDS)  # it began that long ago


def test_a_site_that_refused_or_was_absent_or_a_pane_that_is_due_proves_nothing() -> None:
    answered, refused = {"state": "answered", "code": "OK"}, {"state": "refused", "code": "BUDGET"}
    for unclean in (
        {"sites": {"1": answered, "2": refused}},
        {"sites": {"1": answered}},
        {"sites": {"1": answered, "2": {"state": "lost", "code": "OK"}}},
        {"due": {"v": [1]}},
        {"why_due": "1 site(s) answered"},
        {"budget_spent": {"v": [1]}},
        {"taken": {"v": [1]}},
        {"too_few_sites": {"v": "1 site(s)"}},
    ):
        proof = Proof()
        assert proof.tries(CLEAN)
        assert not proof.tries({**CLEAN, **unclean}), unclean


def test_a_plan_that_fails_proves_nothing() -> None:
    proof = Proof()
    assert proof.tries(CLEAN)
    with pytest.raises(ZeroDivisionError), proof.proven.trying(SUBJECT):
        raise ZeroDivisionError
    assert not proof.proven.covers(SUBJECT)


def test_another_view_term_roster_time_or_day_needs_a_preflight_and_another_pane_of_the_day_does_not() -> None:
    proof = Proof()
    assert proof.tries(CLEAN)
    (one, *rest) = PLAN.views
    later = replace(one, pane_starts=one.pane_starts[1:2] // DAY_US * DAY_US)
    tomorrow = replace(one, pane_starts=one.pane_starts + DAY_US)
    described = replace(one, view=replace(one.view, description="changed"))
    assert proof.proven.covers(PlanSubject.of(replace(PLAN, views=(later, *rest)), ROSTER, 30.0))
    for other in (
        PlanSubject.of(replace(PLAN, views=(tomorrow, *rest)), ROSTER, 30.0),
        PlanSubject.of(replace(PLAN, views=(described, *rest)), ROSTER, 30.0),
        PlanSubject.of(PLAN, (*ROSTER, "3"), 30.0),
        PlanSubject.of(PLAN, ROSTER, 31.0),
        replace(SUBJECT, noise=next(one for one in Noise if one != SUBJECT.noise)),
    ):
        assert not proof.proven.covers(other)
