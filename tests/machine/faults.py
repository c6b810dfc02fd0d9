"""Planted faults. The machine must find each of them. Each has a rule that comes to it soon."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis.stateful import rule

from aggregator.collect.freeing import LeaderFreeing
from aggregator.errors import FreeRefused, PeerRefused
from federation.ledger import state
from federation.plan import Plan
from federation.unopened import sign_never_opened
from tests.federation.wire import HELPER, LEADER

from .machine import Freed
from .parties import ROLES
from .plans import Drawn, plans, seeds


def erase_nothing(patch: pytest.MonkeyPatch) -> None:
    """Aggregators sign that they never opened a plan that they have not opened yet. They erase nothing."""

    def free(self: Any, plan: Plan, _request: bytes, _plans: Any) -> list[bytes]:
        self._own.require_unopened(plan)
        self._peer().helper.freeing.require_unopened(plan)
        return signed_by_both(plan)

    patch.setattr(LeaderFreeing, "free", free)


def free_after_opening(patch: pytest.MonkeyPatch) -> None:
    """Aggregators free a plan as they should. They sign "never opened" also of one that they have opened."""
    real = LeaderFreeing.free

    def free(self: Any, plan: Plan, *rest: Any) -> list[bytes]:
        try:
            return real(self, plan, *rest)
        except (FreeRefused, PeerRefused):
            return signed_by_both(plan)

    patch.setattr(LeaderFreeing, "free", free)


def charge_nothing_again(patch: pytest.MonkeyPatch) -> None:
    """Every ledger takes an earlier attempt for one that was never opened, whatever was signed: a retry costs nothing."""
    patch.setattr(state, "unopened", lambda _signed, _plan, _keys, views: [panes for _, panes in views])


def signed_by_both(plan: Plan) -> list[bytes]:
    return [sign_never_opened(role, plan.hash, keys.sign) for role, keys in zip(ROLES, (LEADER, HELPER), strict=True)]  # type: ignore[arg-type]


class FreesWithoutErasing(Freed):
    """See `erase_nothing`."""

    def plant(self, patch: pytest.MonkeyPatch) -> None:
        erase_nothing(patch)

    @rule(drawn=plans, seed=seeds)
    def a_plan_is_freed_and_collected(self, drawn: Drawn, seed: int) -> None:
        self.a_coordinator_signs_a_plan(drawn)
        self.collect_whole(self.plans[-1], seed, opened=False)
        self.free(self.plans[-1])
        self.collect(self.plans[-1])


class FreesAfterOpening(Freed):
    """See `free_after_opening`."""

    def plant(self, patch: pytest.MonkeyPatch) -> None:
        free_after_opening(patch)


class ChargesNothingAgain(Freed):
    """See `charge_nothing_again`."""

    def plant(self, patch: pytest.MonkeyPatch) -> None:
        charge_nothing_again(patch)

    @rule(drawn=plans, seed=seeds)
    def a_plan_is_opened_twice(self, drawn: Drawn, seed: int) -> None:
        self.a_coordinator_signs_a_plan(drawn)
        first = self.plans[-1]
        self.collect_whole(first, seed)
        self.collect_whole(self.plan(first.views, drawn[2], self.attempts({first.hash}, "none")), seed)


class BothRestored(Freed):
    """Both aggregators are restored together from before the free, with their live secrets."""

    @rule(drawn=plans, seed=seeds)
    def both_are_restored_from_before_the_free(self, drawn: Drawn, seed: int) -> None:
        self.a_coordinator_signs_a_plan(drawn)
        plan = self.plans[-1]
        self.collect_whole(plan, seed, opened=False)
        copies = {role: self.parties.copy_of(role, f"{role}-before") for role in ROLES}
        if self.free(plan) is not None:
            self.restored = "both"
            for role, copy in copies.items():
                self.parties.put_back(role, copy)
            self.collect(plan)
