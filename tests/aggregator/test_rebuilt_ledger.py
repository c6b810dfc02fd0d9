"""An aggregator that lost its ledger: it does not start, and after a rebuild it opens and frees nothing from before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aggregator.collect.collection_job import collect_request, free_request
from aggregator.errors import PeerRefused, PlanBeforeRebuild
from aggregator.intake.refusals import LOST, refusal_of
from base.times import DAY_US
from federation.errors import LedgerBehind, PaneBeforeRebuild
from federation.ledger.rebuilding import rebuild_ledger
from federation.plan import Plan
from tests.aggregator.test_freeing import close
from tests.aggregator.test_leader_and_helper import LeaderAndHelper as Two
from tests.aggregator.world import COLLECTOR, COORDINATOR, NOW, Clock, Site, draft, make_plan, require_exact, signed

ROLES = ("leader", "helper")


def noise_at_both(two: Two, plan: Plan) -> None:
    """Both have noised the plan, and neither knows it of the other."""
    close(two, plan)
    two.leader.noising.noise(plan)
    two.helper.noising.noise(plan)


def opened(two: Two, plan: Plan) -> None:
    two.collect(plan)


WHEN: dict[str, Callable[[Two, Plan], Any]] = {
    "open": lambda _two, _plan: None,
    "closed": close,
    "noised": noise_at_both,
    "opened": opened,
}


class Loss:
    """A plan that has come so far when one role loses its ledger."""

    def __init__(self, path: Path, when: str, role: str) -> None:
        self.plan, self.path, self.role = make_plan(panes=2, noise="full"), path, role
        two = Two(path)
        two.open(self.plan)
        two.leader.submit(Site(self.plan).batch([0, 0, 1, 1]).to_bytes())
        WHEN[when](two, self.plan)
        self.statements = [one.statement for one in two.leader.noising.shares(self.plan)] if when == "opened" else []
        two.leader.close()
        two.helper.close()
        for file in path.glob(f"{role}.ledger.db*"):
            file.unlink()

    def rebuilt(self) -> Two:
        rebuild_ledger(self.path / f"{self.role}.ledger.db", self.role, Clock(), 0)
        return Two(self.path)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("when", "missed"), [("open", False), ("closed", True), ("noised", True), ("opened", True)])
def test_a_ledger_without_the_charge_of_a_closed_plan_is_noticed_at_the_start(
    tmp_path: Path, when: str, missed: bool, role: str
) -> None:
    loss = Loss(tmp_path, when, role)
    lost = Two(tmp_path)
    party = getattr(lost, role)
    if missed:
        with pytest.raises(LedgerBehind, match=r"lacks 1 plan\(s\) that were closed here"):
            party.plans.charges.require_complete()
    else:
        party.plans.charges.require_complete()
    lost.leader.close()
    lost.helper.close()
    two = loss.rebuilt()
    for each in (two.leader, two.helper):
        each.plans.charges.require_complete()
        each.close()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("when", ["open", "closed"])
def test_a_plan_from_before_the_rebuild_is_neither_opened_nor_freed(tmp_path: Path, when: str, role: str) -> None:
    loss = Loss(tmp_path, when, role)
    two = loss.rebuilt()
    request, plan = free_request(loss.plan.hash, COORDINATOR.sign), loss.plan
    try:
        for party in (two.leader, getattr(two, role)):
            with pytest.raises((PlanBeforeRebuild, PeerRefused)) as refused:
                party.free(request)
            assert refusal_of(refused.value).reason in LOST  # so the coordinator goes on without statements
        with pytest.raises((PlanBeforeRebuild, PeerRefused)) as refused:
            two.leader.collect(collect_request(plan, COLLECTOR.sign))
        assert refusal_of(refused.value).reason in LOST
        later = make_plan(panes=1, first=1, number=1)
        party = getattr(two, role)
        party.prepare(draft(later))
        with pytest.raises(PaneBeforeRebuild):
            party.open_plan(signed(later))
    finally:
        two.leader.close()
        two.helper.close()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("when", ["noised", "opened"])
def test_a_plan_that_was_noised_before_the_loss_gives_its_stored_bytes(tmp_path: Path, when: str, role: str) -> None:
    """Its own signature says that it was opened, whatever the ledger lost; so the plan is finished with the same noise."""
    loss = Loss(tmp_path, when, role)
    two = loss.rebuilt()
    try:
        two.collect(loss.plan)
        if loss.statements:
            assert [one.statement for one in two.leader.noising.shares(loss.plan)] == loss.statements
        assert loss.plan.hash in getattr(two, role).files.ledger.state.completed
    finally:
        two.leader.close()
        two.helper.close()


@pytest.mark.parametrize("role", ROLES)
def test_the_other_aggregator_accepts_the_rebuilt_ledger_and_the_next_day_is_collected(
    tmp_path: Path, role: str
) -> None:
    two = Loss(tmp_path, "opened", role).rebuilt()
    try:
        for number, day in ((5, NOW // DAY_US + 1), (6, NOW // DAY_US + 2)):
            plan = make_plan(panes=1, first=day, number=number)
            two.open(plan)
            site = Site(plan)
            two.leader.submit(site.batch([0, 0]).to_bytes())
            require_exact(plan, two.collect(plan), site.sums)
    finally:
        two.leader.close()
        two.helper.close()
