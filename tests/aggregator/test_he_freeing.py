"""Plans of encrypted reports that are freed: the key holder erases its keys only if nothing of the plan was noised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aggregator.collect.collection_job import free_request
from aggregator.errors import FreeRefused, PeerRefused
from aggregator.storage.records import PlanState
from aggregator.storage.role_storage import Storage
from federation.accountant import charge_of
from federation.attempt import Attempt
from federation.plan import Plan
from tests.aggregator.he_world import Killed, LeaderAndKeyHolder, Site, draft, with_keys
from tests.aggregator.world import add_sums, require_exact
from tests.federation.wire import COORDINATOR, live

pytest.importorskip("tenseal", reason="the extra `he` is not installed")


class Dying(Storage):
    """A storage that dies before the noised plan is stored, when its finished sums are."""

    synchronous = "OFF"
    armed = False

    def add_noised(self, *what: Any) -> None:
        if Dying.armed and self.one("SELECT 1 FROM finished"):
            raise Killed
        super().add_noised(*what)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[LeaderAndKeyHolder]:
    made = LeaderAndKeyHolder(tmp_path, storage=Dying)
    yield made
    made.close()


def reported(two: LeaderAndKeyHolder, plan: Plan, keys: bytes) -> list[Site]:
    sites = [Site(plan, keys, name) for name in "ab"]
    for site in sites:
        two.submit(site.batch([0, 0, 1, 1]))
    return sites


def states(two: LeaderAndKeyHolder, plan: Plan) -> list[PlanState]:
    return [party.files.storage.plan(plan.hash).state for party in (two.leader, two.holder)]  # type: ignore[union-attr]


def test_a_freed_plan_leaves_no_keys_and_no_sums_and_its_panes_are_collected_for_one_price(
    two: LeaderAndKeyHolder,
) -> None:
    plan, keys = two.plan()
    reported(two, plan, keys)
    statements = two.leader.free(free_request(plan.hash, COORDINATOR.sign))
    for party in (two.leader, two.holder):
        for table in ("ciphertexts", "finished", "reports", "secret_keys"):
            assert party.files.storage.rows(f"SELECT 1 FROM {table}") == []
        assert party.files.live.plan_ids() == []
    asked = live(replace(draft(number=1), earlier=(Attempt(plan.hash, tuple(statements)),)))
    second, keys = with_keys(asked, two.holder.prepare)
    two.open(second, keys)
    sites = reported(two, second, keys)
    require_exact(second, two.collect(second), add_sums(*sites))  # type: ignore[arg-type]
    for party in (two.leader, two.holder):
        assert set(party.files.ledger.state.paid.values()) == {charge_of(second, second.views[0])}
        assert len(party.files.ledger.state.paid) == 2  # days


def test_a_leader_with_a_finished_sum_refuses_before_the_key_holder_erases_its_keys(
    two: LeaderAndKeyHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, keys = two.plan()
    sites = reported(two, plan, keys)
    monkeypatch.setattr(Dying, "armed", True)
    with pytest.raises(Killed):
        two.collect(plan)
    monkeypatch.setattr(Dying, "armed", False)
    two.restart()
    with pytest.raises(FreeRefused):
        two.leader.free(free_request(plan.hash, COORDINATOR.sign))
    assert states(two, plan) == [PlanState.CLOSED, PlanState.OPEN]
    require_exact(plan, two.collect(plan), add_sums(*sites))  # type: ignore[arg-type]


def test_a_leader_noises_nothing_of_a_plan_that_the_key_holder_has_freed(two: LeaderAndKeyHolder) -> None:
    """The leader died after the key holder has erased its keys; then the collector asks first."""
    plan, keys = two.plan()
    reported(two, plan, keys)
    request = free_request(plan.hash, COORDINATOR.sign)
    assert two.holder.free(request) == []
    with pytest.raises(PeerRefused, match="PLAN_FREED"):
        two.collect(plan)
    assert states(two, plan) == [PlanState.OPEN, PlanState.FREED]
    assert len(two.leader.free(request)) == 2
