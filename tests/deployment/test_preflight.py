"""Before a plan is announced, leader and helper say what they would answer: nothing is drawn, charged or written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aggregator.errors import RemoteRefusal
from aggregator.intake.readiness import Readiness
from base.metrics import Meters
from base.version import PROTOCOL, VERSION
from deployment.coordinator.preflight import MAX_SKEW_US, require_ready
from deployment.errors import ClocksApart, VersionsApart
from federation.draft import sign_draft
from federation.ledger.state import Budget
from federation.parties import Aggregator
from federation.plan import AGGREGATORS
from tests.aggregator.world import COLLECTOR, NOW, RHO, SETTINGS, Site, World, draft, make_plan, open_at, running, view

PLAN = make_plan(panes=2)
SECOND = 10**6


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    helper = replace(SETTINGS, allow_no_noise=False, budget=Budget(RHO))
    with running(tmp_path_factory.mktemp("world"), helper_settings=helper) as made:
        yield made


def parties(world: World) -> list[Any]:
    return [world.leader.party, world.helper.party]


def files(path: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in path.rglob("*") if one.is_file()}


def ready(world: World, signed: bytes = draft(PLAN), *, clock: Callable[[], int] | None = None) -> None:
    require_ready(lambda role: world.client.check(role, signed), world.client.name, clock or (lambda: NOW), Meters())


def test_the_helper_refuses_a_plan_that_its_settings_do_not_allow_and_nothing_is_left(world: World) -> None:
    before = files(world.path)
    with pytest.raises(RemoteRefusal, match="noise off") as refused:
        ready(world)
    assert (refused.value.role, refused.value.reason) == ("helper", "NOISE_REFUSED")
    ready(world, draft(make_plan(panes=2, noise="full")))
    assert files(world.path) == before


def test_a_draft_of_another_coordinator_is_refused(world: World) -> None:
    with pytest.raises(RemoteRefusal) as refused:
        ready(world, sign_draft(PLAN, COLLECTOR.sign))
    assert refused.value.reason == "SIGNATURE_INVALID"


@pytest.mark.parametrize("ahead", [-1, 1])
def test_a_clock_beyond_the_tolerance_is_named_with_its_owner(world: World, ahead: int) -> None:
    noisy = draft(make_plan(panes=2, noise="full"))
    ready(world, noisy, clock=lambda: NOW - ahead * MAX_SKEW_US)
    with pytest.raises(ClocksApart, match=r"leader's clock is 302 s .*at most 300 s are allowed") as apart:
        ready(world, noisy, clock=lambda: NOW - ahead * (MAX_SKEW_US + 2 * SECOND))
    assert (apart.value.skew_s > 0) == (ahead > 0)


def test_a_slow_answer_is_no_wrong_clock(world: World) -> None:
    moments = iter([NOW - 1_000 * SECOND, NOW + 1_000 * SECOND, NOW, NOW])
    ready(world, draft(make_plan(panes=2, noise="full")), clock=lambda: next(moments))


def test_days_without_budget_and_taken_panes_are_left_to_the_announcement(world: World) -> None:
    """The plan is announced without them. The answer names the view and the day."""
    first = make_plan(view("v"), panes=1, noise="full", number=3)
    for party in parties(world):
        open_at(party, first)
    for site in "ab":
        world.client.submit(Site(first, site).batch([0]).to_bytes())
    world.collect(first)
    other = draft(make_plan(view("w"), panes=2, noise="full", number=4))
    found = {role: world.client.check(role, other) for role in AGGREGATORS}
    assert found["leader"].refusal is None
    assert found["helper"].refusal is not None
    refusal = found["helper"].refusal
    assert (refusal.reason, refusal.view, refusal.numbers) == (
        "DAY_BUDGET_SPENT", "w", {"day": 0, "have": 0, "need": RHO},
    )  # fmt: skip
    ready(world, other)
    again = world.client.check("helper", draft(make_plan(view("v"), panes=2, noise="full", number=5)))
    assert again.refusal is not None
    assert again.refusal.reason == "PANE_ALREADY_REPORTED"


def answers(**changes: Any) -> Callable[[Aggregator], Readiness]:
    return lambda _: replace(Readiness(VERSION, PROTOCOL, NOW, None), **changes)


def test_another_version_of_the_messages_is_refused_and_another_release_of_covey_is_not() -> None:
    require_ready(answers(version="9.9.9"), str, lambda: NOW, Meters())
    with pytest.raises(VersionsApart, match=rf"leader runs Covey 9\.9\.9 \(protocol 7\), .* Covey {VERSION}"):
        require_ready(answers(version="9.9.9", protocol=7), str, lambda: NOW, Meters())

    def unknown(role: Aggregator) -> Readiness:
        raise RemoteRefusal(role, "UNIMPLEMENTED", "Method not found!", {})

    with pytest.raises(VersionsApart, match="the leader runs an earlier version"):
        require_ready(unknown, str, lambda: NOW, Meters())
