from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings

from featurestore.define.accounting import Moves, merged
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Histogram, Mean
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from federation.accountant import Cost, cost_of_day, epsilon, ledger_claim
from federation.price import NO_PRICE, Observer, Price, Rho
from tests.federation.costs import costs, prices

DELTA = 1e-6
FLOAT = 1 + 1e-9
AGGREGATOR, OUTSIDERS = Observer.AGGREGATOR, Observer.OUTSIDERS


def price_of_view(**privacy: object) -> tuple[Cost, Price]:
    view = FeatureView(
        "v",
        entity=Entity("k", domain=["a", "b"]),
        features=[Count("n"), Mean("x", clip=(0, 10)), Histogram("x", edges=[1])],
        pane="1d",
        bounds=Bounds(6, 2),
        privacy=Privacy(**privacy),
    )
    cost = cost_of_day([layout_of(view)])
    return cost, cost.price


@given(prices(), prices(), prices())
def test_prices_add_up_in_any_order(a: Price, b: Price, c: Price) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + NO_PRICE == a


@given(costs(), costs())
def test_the_sum_of_two_prices_is_at_least_the_price_of_both_and_at_most_a_rounding_above_it(a: Cost, b: Cost) -> None:
    both, added = (a + b).price, a.price + b.price
    assert (both.coordinates, both.micro_epsilon, both.leak) == (added.coordinates, added.micro_epsilon, added.leak)
    for one, other in ((both.aggregator, added.aggregator), (both.outsiders, added.outsiders)):
        assert 0 <= other.micro_rho - one.micro_rho <= 3
        assert (one.rounded is None) == (other.rounded is None)
        assert 0 <= (other.rounded or 0) - (one.rounded or 0) <= 3


@settings(max_examples=30, deadline=None)
@given(costs(), costs())
def test_epsilon_of_a_ledger_is_at_least_that_of_the_same_schedule(a: Cost, b: Cost) -> None:
    schedule, ledger = a + b, a.price + b.price
    assert ledger.epsilon(DELTA, AGGREGATOR) * FLOAT >= schedule.epsilon(DELTA)
    assert ledger.epsilon(DELTA, OUTSIDERS) * FLOAT >= schedule.epsilon_outside(DELTA)
    assert ledger.epsilon(DELTA, OUTSIDERS) <= ledger.epsilon(DELTA, AGGREGATOR) * FLOAT
    assert ledger.epsilon(DELTA, AGGREGATOR) <= epsilon(ledger.aggregator.micro_rho, DELTA)


@given(prices())
def test_a_price_against_an_aggregator_is_at_most_twice_what_any_budget_counts(price: Price) -> None:
    for counts, most in ((AGGREGATOR, 1), (OUTSIDERS, 2)):
        assert price.aggregator.micro_rho <= most * price.micro_rho(counts)
        assert price.outsiders.micro_rho <= price.micro_rho(counts)


def test_the_rounding_bound_is_stated_where_it_is_the_smaller_one() -> None:
    cost, price = price_of_view(rho=0.1)
    assert cost.epsilon(DELTA) <= price.epsilon(DELTA, AGGREGATOR) < 1.01 * cost.epsilon(DELTA)
    assert price.epsilon(DELTA, AGGREGATOR) < 0.95 * epsilon(price.aggregator.micro_rho, DELTA)
    assert cost.epsilon_outside(DELTA) <= price.epsilon(DELTA, OUTSIDERS) < 1.01 * cost.epsilon_outside(DELTA)
    coarse = Cost(500_000, (Moves(Fraction(1), 1, 1),)).price
    assert (coarse.aggregator.rounded, coarse.outsiders.rounded) == (None, None)
    assert coarse.epsilon(DELTA, AGGREGATOR) == epsilon(500_000, DELTA)


def test_outsiders_pay_half_where_both_noises_count_as_one() -> None:
    for sigma_sq, saved in ((Fraction(8), 31_250), (Fraction(799, 100), 0)):
        cost = Cost(62_579, (Moves(sigma_sq, 1, 1),))
        assert cost.price.outsiders.micro_rho == 62_579 - saved


def test_under_shared_noise_outsiders_pay_the_views_price_and_an_aggregator_twice_that() -> None:
    each, shared = (price_of_view(rho=0.1, noisers=noisers)[1] for noisers in ("each", "shared"))
    used = each.aggregator.micro_rho
    assert 99_990 <= used <= 100_000
    assert (shared.aggregator.micro_rho, shared.outsiders.micro_rho) == (2 * used, used)
    assert shared.epsilon(DELTA, OUTSIDERS) == pytest.approx(each.epsilon(DELTA, AGGREGATOR), rel=1e-3)
    both = each + shared
    assert both.micro_rho(AGGREGATOR) == 3 * used
    assert both.micro_rho(OUTSIDERS) == each.outsiders.micro_rho + used


def test_the_key_holders_leak_counts_in_every_budget_and_is_never_stated_to_outsiders() -> None:
    cost, price = price_of_view(rho=0.1)
    leaking = (cost + Cost(1_000, leak=1_000)).price
    assert leaking.outsiders == price.outsiders
    assert leaking.epsilon(DELTA, OUTSIDERS) == price.epsilon(DELTA, OUTSIDERS)
    assert leaking.epsilon(DELTA, AGGREGATOR) == epsilon(price.aggregator.micro_rho + 1_000, DELTA)
    for counts in Observer:
        assert leaking.micro_rho(counts) == price.micro_rho(counts) + 1_000


def test_laplace_noise_has_its_pure_epsilon_beside_the_gaussian_part_or_zcdp_of_both() -> None:
    _, pure = price_of_view(epsilon=0.5, mechanism="laplace")
    claim = ledger_claim(pure, 1, DELTA)
    assert claim.pure == claim.aggregator == claim.outsiders == pure.micro_epsilon / 1e6
    gaussian = Cost(10_000, merged([Moves(Fraction(50), 1, 1)])).price
    mixed = pure + gaussian
    assert ledger_claim(mixed, 1, DELTA).pure is None
    both = pure.micro_epsilon / 1e6 + gaussian.epsilon(DELTA, AGGREGATOR)
    assert mixed.epsilon(DELTA, AGGREGATOR) == min(both, epsilon(mixed.aggregator.micro_rho, DELTA)) == both
    year = sum([mixed] * 364, mixed)
    assert year.epsilon(DELTA, AGGREGATOR) == epsilon(year.aggregator.micro_rho, DELTA)


WRONG: dict[str, Callable[[Price], Price]] = {
    "negative": lambda price: replace(price, coordinates=-1),
    "a negative bound": lambda price: replace(price, outsiders=Rho(price.outsiders.micro_rho, -1)),
    "outsiders above an aggregator": lambda price: replace(price, outsiders=Rho(price.aggregator.micro_rho + 1, 0)),
    "outsiders below half": lambda price: replace(price, outsiders=Rho((price.aggregator.micro_rho - 1) // 2, 0)),
    "a leak that outsiders pay": lambda price: replace(price, outsiders=price.aggregator, leak=1),
}


@pytest.mark.parametrize("how", WRONG)
def test_a_price_that_cannot_be_is_not_made(how: str) -> None:
    _, price = price_of_view(rho=0.1)
    with pytest.raises(ValueError, match=r"need a sum that moves"):
        Price(Rho(2, 2), Rho(1, 1))
    with pytest.raises(ValueError, match=r"negative|exclude each other"):
        WRONG[how](price)
