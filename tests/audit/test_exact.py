"""Without any chance: the claims hold against the best attack, and come near it. Faults that no sample would show are found."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from featurestore.define.accounting import Moves, schedule_epsilon
from featurestore.define.definitions import FeatureView
from featurestore.define.kinds import Count, Histogram
from featurestore.define.layout import layout_of
from federation.accountant import EpsilonClaim, cost_of_day
from simulations.attacks.statistics.bounds import gaussian_epsilon

from .coalitions import COALITIONS, Coalition, claimed_to
from .exact import Moved, MovedSums, least_epsilon
from .faults import Plant, gaussian_tradeoff, half_of_the_half, uncounted_feature
from .worlds import CLIENT_COUNT, COUNT, HISTOGRAM, RATE, SHARED_COUNT, TWO_FEATURES, WHOLE_VIEW, with_noise

N = Count("n")
FIVE_AT_3 = with_noise(Fraction(9), 5, N)
THREE_AT_1 = with_noise(Fraction(1), 3, N)
TWO_AT_1_5 = with_noise(Fraction(9, 4), 2, N)
ONE_AT_2 = with_noise(Fraction(4), 1, N)
THREE_AND_FOUR_AT_3 = tuple(with_noise(Fraction(9), events, N, delta=10**-5.25) for events in (3, 4))
VIEWS = {
    "a count": (COUNT,),
    "a count, shared noise": (SHARED_COUNT,),
    "a histogram": (HISTOGRAM,),
    "5 at σ = 3": (FIVE_AT_3,),
}
FULL_VIEWS = {
    "distinct clients": (CLIENT_COUNT,),
    "a rate": (RATE,),
    "all kinds": (WHOLE_VIEW,),
    "3 at σ = 1": (THREE_AT_1,),
    "3 and 4 at σ = 3": THREE_AND_FOUR_AT_3,
    "2 at σ = 1.5": (TWO_AT_1_5,),
    "1 at σ = 2": (ONE_AT_2,),
}
NEAR = 1.02
"""A claim that knows all noise is at most so many times the ε that is shown; 1.015 for histograms, else below 1.005."""
Views = tuple[FeatureView, ...]


def claims(views: Views) -> tuple[EpsilonClaim, ...]:
    return cost_of_day([layout_of(view) for view in views]).claims(views[0].privacy.delta)


def seen_by(coalition: Coalition, views: Views) -> Counter[Moved]:
    return sum((MovedSums.of(view).before(coalition) for view in views), Counter[Moved]())


def counts_both_noises(views: Views) -> bool:
    return all(group.moves.sigma_sq >= 8 for view in views for group in layout_of(view).groups if group.moves)


def check(views: Views, days: tuple[int, ...]) -> None:
    moved = [MovedSums.of(view) for view in views]
    for coalition in COALITIONS:
        seen = sum((one.before(coalition) for one in moved), Counter[Moved]())
        for claim in claims(views):
            if claim.days in days:
                shown = least_epsilon(seen, views[0].privacy.delta, claim.days)
                claimed = claimed_to(coalition, claim, gaussian=True)
                assert shown <= claimed, (coalition, claim.days)
                if coalition != "collector" or counts_both_noises(views):
                    assert claimed <= NEAR * shown, (coalition, claim.days)


@pytest.mark.parametrize("views", VIEWS.values(), ids=VIEWS)
def test_no_coalition_shows_more_than_the_claim_about_a_day_and_about_seven_and_each_claim_is_near(
    views: Views,
) -> None:
    check(views, (1, 7))


@pytest.mark.long
@pytest.mark.parametrize("views", (VIEWS | FULL_VIEWS).values(), ids=VIEWS | FULL_VIEWS)
def test_no_coalition_shows_more_than_the_claim_about_thirty_days(views: Views) -> None:
    check(views, (1,) if views == (WHOLE_VIEW,) else (1, 7, 30))


@pytest.mark.parametrize("sigma_sq", [Fraction(9), pytest.param(Fraction(4), marks=pytest.mark.long)])
def test_a_client_who_spreads_its_events_over_a_histogram_shows_no_more_than_the_claim(sigma_sq: Fraction) -> None:
    claim, *_ = claims((with_noise(sigma_sq, 5, Histogram("x", edges=[25, 50, 75, 90])),))
    for spread in ((5,), (4, 1), (3, 2), (3, 1, 1), (2, 2, 1), (2, 1, 1, 1), (1, 1, 1, 1, 1)):
        assert least_epsilon(Counter(Moved(by, (sigma_sq,)) for by in spread), 1e-6) <= claim.aggregator, spread


# planted faults


@pytest.mark.parametrize(
    ("plant", "views", "coalition", "days", "margin"),
    [
        pytest.param(gaussian_tradeoff, (FIVE_AT_3,), "leader + collector", 1, 1.003, id="trade-off, 5 at σ = 3"),
        pytest.param(gaussian_tradeoff, (THREE_AT_1,), "helper + collector", 1, 1.012, id="trade-off, 3 at σ = 1"),
        pytest.param(gaussian_tradeoff, (TWO_AT_1_5,), "leader + collector", 1, 1.016, id="trade-off, 2 at σ = 1.5"),
        pytest.param(gaussian_tradeoff, (ONE_AT_2,), "helper + collector", 1, 1.009, id="trade-off, 1 at σ = 2"),
        pytest.param(
            gaussian_tradeoff, THREE_AND_FOUR_AT_3, "leader + collector", 1, 1.0001, id="trade-off, 3 and 4 at σ = 3"
        ),
        pytest.param(uncounted_feature, (TWO_FEATURES,), "leader + collector", 1, 1.7, id="uncounted feature, a day"),
        pytest.param(uncounted_feature, (TWO_FEATURES,), "collector", 7, 1.7, id="uncounted feature, seven days"),
        pytest.param(half_of_the_half, (SHARED_COUNT,), "collector", 1, 1.4, id="half of the half, outsiders"),
        pytest.param(half_of_the_half, (SHARED_COUNT,), "helper + collector", 7, 1.4, id="half of the half, helper"),
    ],
)
def test_a_planted_fault_is_found(
    monkeypatch: pytest.MonkeyPatch, plant: Plant, views: Views, coalition: Coalition, days: int, margin: float
) -> None:
    """What is shown exceeds the claim by this factor, and what is shown is too small by 10⁻⁴ at most."""
    plant(monkeypatch)
    (claim,) = (one for one in claims(views) if one.days == days)
    shown = least_epsilon(seen_by(coalition, views), views[0].privacy.delta, days)
    assert shown > margin * claimed_to(coalition, claim, gaussian=True)


# the attack itself


@pytest.mark.parametrize(("by", "sigma_sq", "epsilon"), [((1,), 1, 2.0), ((2, 1), 4, 1.5), ((3,), 9, 4.0)])
def test_the_attack_shows_the_epsilon_of_the_definition(by: tuple[int, ...], sigma_sq: int, epsilon: float) -> None:
    """δ by a sum over all outputs, from the definition; the attack then gives back ε."""
    x = np.arange(-60.0, 61.0)
    weights = np.exp(-(x**2) / (2 * sigma_sq))
    present, absent = np.ones(1), np.ones(1)
    for size in by:
        shifted = np.exp(-((x - size) ** 2) / (2 * sigma_sq))
        present = np.outer(present, shifted / weights.sum()).reshape(-1)
        absent = np.outer(absent, weights / weights.sum()).reshape(-1)
    delta = float(np.clip(present - np.exp(epsilon) * absent, 0, None).sum())
    shown = least_epsilon(Counter(Moved(size, (Fraction(sigma_sq),)) for size in by), delta)
    assert epsilon - 3e-4 <= shown <= epsilon


def test_of_much_noise_the_attack_shows_what_the_gaussian_trade_off_says() -> None:
    seen = Counter({Moved(100, (Fraction(200**2), Fraction(200**2))): 2})
    assert least_epsilon(seen, 1e-6) == pytest.approx(gaussian_epsilon(0.5, 1e-6), rel=1e-4)


def test_moves_of_equal_norm_do_not_cost_the_same() -> None:
    """(5) and (3, 4) at σ = 3: which of them costs more depends on δ, and the trade-off function knows neither."""
    nine = (Fraction(9),)
    one, two = Counter({Moved(5, nine): 1}), Counter({Moved(3, nine): 1, Moved(4, nine): 1})
    assert least_epsilon(one, 1e-6) > least_epsilon(two, 1e-6) + 0.02
    assert least_epsilon(one, 10**-5.25) < least_epsilon(two, 10**-5.25)
    assert schedule_epsilon((Moves(Fraction(9), 5, 1),), 1e-6) >= least_epsilon(one, 1e-6)


def test_a_sum_without_noise_shows_everything() -> None:
    assert least_epsilon(Counter({Moved(1, ()): 1}), 1e-6) == float("inf")
