"""The membership audit with freed attempts: the claims hold, and the audit finds what would break them.

pytest tests/audit --full --log-cli-level=INFO      by hand: minutes, with the figures
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_client.ledger import Basis, SiteLedger
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from federation.accountant import cost_of_day, ledger_claim
from federation.plan import Plan
from federation.price import NO_PRICE, Price
from simulations.attacks.statistics.bounds import Scores, lower_bounds
from tests.machine.faults import charge_nothing_again, erase_nothing, free_after_opening

from .attempts import LAYOUT, ROLES, SHARED_VIEW, VIEW, Canary, Seen, World
from .coalitions import COALITIONS, Coalition, claimed_to
from .faults import Plant, half_of_the_half, no_noise_of_the_helper
from .files import differences, facts

CONFIDENCE = 0.99
DELTA = VIEW.privacy.delta
FAST, FULL = 800, 10_000
SPANS = (1, 7)
"""Days of a claim: a client-day, and any seven."""
NEAR = {1: 0.5, 7: 0.3}
"""The part of a claim that an aggregator shows. 10,000 days make 1,428 weeks, so errors below 1 % are not seen in weeks."""

_log = logging.getLogger(__name__)


@pytest.fixture
def draws(request: pytest.FixtureRequest) -> int:
    """Days with the canary, and as many without. Half of them choose the attacker's threshold, half are judged."""
    return FULL if request.config.getoption("--full") else FAST


def run(folder: Path, draws: int, view: FeatureView = VIEW, *, opened_first: bool = False) -> Seen:
    return World(folder / "world", 2 * draws, draws, view=view).run(opened_first=opened_first)


def times(price: Price, count: int) -> Price:
    return sum([price] * count, NO_PRICE)


def scores(seen: Seen, view: FeatureView, coalition: Coalition, days: int) -> Scores:
    """The likelihood ratio of so many days, over everything that was opened: Σ (sum − sum without the canary)·d/σ²."""
    (group,) = layout_of(view).groups
    total = np.zeros(())
    for one in seen.openings.values():
        present, without = np.split(one.exact, 2)
        weights = (present - without) / group.variance
        known = sum(one.noise[role] for role in ROLES if coalition.startswith(role))
        total = total + ((one.sums - known - np.tile(without, (2, 1))) * np.tile(weights, (2, 1))).sum(axis=1)
    worlds = np.split(np.asarray(total, np.float64), 2)
    return Scores(*(one[: len(one) // days * days].reshape(-1, days).sum(axis=1) for one in worlds))


def attack(
    seen: Seen, coalition: Coalition, view: FeatureView = VIEW, days: int = 1, audits: int = 1
) -> tuple[float, float]:
    """The lower bound on ε that a coalition shows of so many days, and the claim by the ledgers."""
    found = scores(seen, view, coalition, days)
    half = len(found.present) // 2
    bounds = lower_bounds(
        Scores(found.present[:half], found.absent[:half]),
        Scores(found.present[half:], found.absent[half:]),
        gaussian=True,
        delta=DELTA,
        confidence=CONFIDENCE,
        audits=audits,
    )
    claim = ledger_claim(times(seen.price, days), days, DELTA)
    claimed = claimed_to(coalition, claim, gaussian=True)
    figures = len(seen.openings), days, bounds.best, claimed
    _log.info("%s, %s, %d openings, %d days: ε ≥ %.2f, claimed %.2f", view.privacy.noisers, coalition, *figures)
    return bounds.best, claimed


@pytest.mark.parametrize(
    ("view", "opened_first"),
    [
        pytest.param(VIEW, False, marks=pytest.mark.long, id="freed"),
        pytest.param(SHARED_VIEW, False, id="freed, shared noise"),
        pytest.param(VIEW, True, id="opened, so paid again"),
    ],
)
def test_no_coalition_shows_more_than_the_ledgers_claim_and_one_aggregator_shows_most_of_it(
    tmp_path: Path, draws: int, view: FeatureView, opened_first: bool
) -> None:
    seen = run(tmp_path, draws, view, opened_first=opened_first)
    assert list(seen.openings) == ([0, 3, 1] if opened_first else [3, 1])
    assert seen.price == times(cost_of_day([layout_of(view)]).price, 2 if opened_first else 1)
    for days in SPANS:
        for coalition in COALITIONS:
            bound, claimed = attack(seen, coalition, view, days, audits=3 * len(COALITIONS) * len(SPANS))
            assert bound <= claimed, (coalition, days)
            counts_all_noise = coalition != "collector" or view is SHARED_VIEW
            if counts_all_noise and (draws == FULL or days == 1):
                near = NEAR[days] if coalition != "collector" else 0.8 * NEAR[days]
                assert bound >= near * claimed, (coalition, days)


def test_the_canary_is_the_worst_case_in_what_is_opened(tmp_path: Path) -> None:
    whole_days = np.concatenate([one.exact for one in run(tmp_path, 2).openings.values()], axis=1)
    present, absent = np.split(whole_days, 2)
    (group,) = LAYOUT.groups
    assert ((present - absent) ** 2).sum(axis=1).tolist() == [group.delta2_sq] * 2


def look_at_no_other_answer(patch: pytest.MonkeyPatch) -> None:
    """A site returns the cells of an attempt while it is under way."""
    basis = SiteLedger._basis

    def none(self: SiteLedger, plan: Plan) -> Basis:
        found = basis(self, plan)
        return replace(found, days=tuple(replace(of_day, answers=0) for of_day in found.days))

    patch.setattr(SiteLedger, "_basis", none)


@pytest.mark.parametrize(
    ("plant", "opened_first"),
    [
        (erase_nothing, False),
        (look_at_no_other_answer, False),
        pytest.param(free_after_opening, True, marks=pytest.mark.long),
        pytest.param(charge_nothing_again, True, marks=pytest.mark.long),
    ],
)
def test_a_planted_fault_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draws: int, plant: Plant, opened_first: bool
) -> None:
    """The bound, which holds with 99 %, exceeds the claim."""
    plant(monkeypatch)
    seen = run(tmp_path, draws, opened_first=opened_first)
    assert seen.price == cost_of_day([LAYOUT]).price
    bound, claimed = attack(seen, "leader + collector")
    assert bound > claimed


@pytest.mark.long
@pytest.mark.parametrize("plant", [no_noise_of_the_helper, half_of_the_half])
def test_noise_that_is_missing_is_found_by_outsiders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Plant
) -> None:
    """The true ε of a day is 1.5 times the claim."""
    plant(monkeypatch)
    seen = run(tmp_path, 3_000, SHARED_VIEW)
    bound, claimed = attack(seen, "collector", SHARED_VIEW)
    assert bound > claimed


# what is seen beside the sums


def seen_by_all(folder: Path, canary_days: int, participation: str, canary: Canary = "in time") -> Path:
    world = folder / f"{canary_days}"
    World(world, 3, canary_days, canary, participation, keep=True).run()
    return world / "seen"


def test_under_all_nothing_but_noised_sums_depends_on_a_client_day(tmp_path: Path) -> None:
    """Of what coordinator, leader, helper, collector and outsiders see at any step, attempts and statements included."""
    one, other = (facts(seen_by_all(tmp_path, days, "all")) for days in (2, 3))
    assert min(len(one), len(other)) > 1_000
    assert differences(one, other) == []


def test_under_active_later_attempts_show_nothing_of_events_that_arrive_in_between(tmp_path: Path) -> None:
    one, other = (facts(seen_by_all(tmp_path, days, "active", "late")) for days in (0, 1))
    assert differences(one, other) == []


def test_what_depends_on_a_client_day_under_active_is_named(tmp_path: Path) -> None:
    folders = [seen_by_all(tmp_path, days, "active") for days in (2, 3)]
    assert any("batches" in where for where in differences(*(facts(folder) for folder in folders)))
    for folder in folders:
        texts = [path.read_text() for path in sorted(folder.glob("*-outsiders.json"))]
        assert [("'attempts'" in text, "'activity'" in text) for text in texts] == [(True, True), (False, True)]


def test_reporters_that_join_a_later_attempt_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SiteLedger, "earlier_reporters", lambda *_: {})
    one, other = (facts(seen_by_all(tmp_path, days, "active", "late")) for days in (0, 1))
    assert any("batches" in where for where in differences(one, other))
