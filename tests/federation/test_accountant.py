from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from featurestore.define.accounting import Moves, merged
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from federation.accountant import Cost, cost_of_day, epsilon
from tests.federation.costs import costs
from tests.shared_files import SHARED, shared_file

DELTA = 1e-6
_VECTOR = SHARED / "vectors" / "privacy.json"
_GOLDEN: list[dict[str, Any]] = json.loads(_VECTOR.read_text())["views"] if _VECTOR.is_file() else [{"name": "missing"}]


def _view(name: str, pane: str = "1d", **price: Any) -> FeatureView:
    return FeatureView(
        name,
        entity=Entity("k", domain=["a", "b", "c", "d", "e", "f"]),
        features=[
            Count("n"),
            ClientCount("c"),
            Mean("x", clip=(0, 10)),
            Rate("r", where="x > 1"),
            Histogram("x", edges=[1]),
        ],
        pane=pane,
        bounds=Bounds(6, 2),
        privacy=Privacy(**price),
    )


GAUSS, PURE = _view("gauss", rho=0.1), _view("pure", epsilon=0.5, mechanism="laplace")


@pytest.mark.parametrize("golden", _GOLDEN, ids=lambda view: str(view["name"]))
def test_epsilon_from_zcdp_of_a_day_and_of_30_days_equals_the_vector_to_three_digits(golden: dict[str, Any]) -> None:
    shared_file("vectors/privacy.json")
    micro_rho = sum(group["micro_rho"] for group in golden["groups"])
    assert micro_rho == golden["rho_spent_micro"]
    assert f"{epsilon(micro_rho, golden['delta']):.3g}" == f"{golden['epsilon_day']:.3g}"
    assert f"{epsilon(micro_rho, golden['delta'], days=30):.3g}" == f"{golden['epsilon_30_days']:.3g}"


@given(costs(), costs(), costs())
def test_costs_add_up_in_any_order(a: Cost, b: Cost, c: Cost) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + Cost(0) == a
    assert (a + b).over(30) == a.over(30) + b.over(30)
    assert a.over(3) == a + a + a


@settings(max_examples=20)
@given(costs(), costs())
def test_more_is_never_told_as_less_beyond_what_the_bounds_differ_by(a: Cost, b: Cost) -> None:
    both = a + b
    assert both.epsilon(DELTA) >= max(a.epsilon(DELTA), b.epsilon(DELTA)) / 1.15
    assert both.epsilon(DELTA) <= epsilon(both.micro_rho, DELTA)


def test_a_day_is_the_sum_over_groups_and_views_and_its_panes_cost_nothing_more() -> None:
    gauss, pure = layout_of(GAUSS), layout_of(PURE)
    of_gauss, of_pure = cost_of_day([gauss]), cost_of_day([pure])
    assert of_gauss.micro_rho == sum(group.mechanism.micro_rho for group in gauss.groups)
    assert sum(one.delta2_sq for one in of_gauss.moves) == sum(group.delta2_sq for group in gauss.groups)
    assert of_gauss.micro_epsilon is None
    micro_epsilon = sum(group.mechanism.micro_epsilon for group in pure.groups)
    assert of_pure == Cost(sum(group.mechanism.micro_rho for group in pure.groups), (), micro_epsilon)
    assert of_pure.micro_epsilon == micro_epsilon
    assert cost_of_day([gauss, pure]) == of_gauss + of_pure
    for pane in ("1h", "1m"):
        assert cost_of_day([layout_of(_view("gauss", pane, rho=0.1))]) == cost_of_day([gauss])


def test_roundings_never_charge_less_than_the_noise_is_worth() -> None:
    gauss, pure = layout_of(GAUSS), layout_of(PURE)
    assert gauss.micro_rho <= GAUSS.privacy.micro_rho  # the requested price is never exceeded …
    assert (pure.micro_epsilon or 0) <= PURE.privacy.micro_epsilon
    for group in gauss.groups:  # … and the charge is at least Δ₂²/2σ², or the one that Δ₁/b implies
        assert group.delta2_sq / (2 * group.mechanism.sigma_sq) * 10**6 <= group.mechanism.micro_rho
    for group in pure.groups:
        assert (group.delta1 / group.mechanism.b) ** 2 / 2 * 10**6 <= group.mechanism.micro_rho


def test_pure_epsilon_is_told_where_it_is_the_least_and_only_without_gaussian_noise() -> None:
    day = cost_of_day([layout_of(PURE)])
    assert day.epsilon(DELTA) == (day.micro_epsilon or 0) / 1e6 < epsilon(day.micro_rho, DELTA)
    year = day.over(365)  # √days against days: in the long run zCDP gives the smaller ε
    assert year.epsilon(DELTA) == epsilon(year.micro_rho, DELTA) < (year.micro_epsilon or 0) / 1e6
    mixed = day + Cost(1, merged([Moves(Fraction(500_000), 1, 1)]))
    assert mixed.micro_epsilon is None
    assert day.epsilon(DELTA) <= mixed.epsilon(DELTA) <= epsilon(day.micro_rho + 1, DELTA)


def test_the_key_holders_leak_is_accounted_in_zcdp_and_not_told_to_outsiders() -> None:
    day = cost_of_day([layout_of(GAUSS)])
    leaking = Cost(day.micro_rho + 1_000, day.moves, leak=1_000)
    assert leaking.epsilon(DELTA) == epsilon(day.micro_rho + 1_000, DELTA) > day.epsilon(DELTA)
    assert leaking.epsilon_outside(DELTA) == day.epsilon_outside(DELTA)


def test_outsiders_see_both_noises_where_their_sum_is_one_discrete_gaussian() -> None:
    for sigma_sq, factor in ((Fraction(8), 2), (Fraction(7), 1)):
        cost, seen = (Cost(10**9, (Moves(each * sigma_sq, 3, 2),)) for each in (1, factor))
        assert cost.epsilon_outside(DELTA) == pytest.approx(seen.epsilon(DELTA))


def test_a_view_with_shared_noise_states_its_price_to_outsiders_and_twice_that_to_an_aggregator() -> None:
    one = {"entity": Entity("k", domain=["a"]), "features": [Count("n")], "pane": "1d", "bounds": Bounds(1, 5)}
    each, shared = (
        cost_of_day([layout_of(FeatureView("v", privacy=Privacy(rho=0.02801, noisers=noisers), **one))])
        for noisers in ("each", "shared")
    )
    assert shared.micro_rho == 2 * each.micro_rho == 2 * 28_010
    assert shared.epsilon_outside(DELTA) == pytest.approx(each.epsilon(DELTA), rel=1e-9) == pytest.approx(1, abs=0.005)
    assert shared.epsilon(DELTA) == pytest.approx(1.455, abs=0.005)
    assert each.epsilon_outside(DELTA) < each.epsilon(DELTA)


@pytest.mark.parametrize("each", [8, 20])
def test_the_sum_of_two_discrete_gaussians_is_one_up_to_the_stated_ratio(each: int) -> None:
    x = np.arange(-200, 201)
    one = [Fraction(math.exp(-(at**2) / (2 * each))) for at in x.tolist()]
    for total in range(12):
        both = sum(one[at + 200] * one[total - at + 200] for at in range(-80, 80 + total))
        at_zero = sum(one[at + 200] * one[200 - at] for at in range(-80, 81))
        assert float(both / at_zero) == pytest.approx(math.exp(-(total**2) / (4 * each)), rel=1e-14)


def test_claims_are_about_one_seven_and_thirty_days_and_outsiders_learn_less() -> None:
    claims = cost_of_day([layout_of(GAUSS)]).claims(DELTA)
    assert [one.days for one in claims] == [1, 7, 30]
    assert all(one.pure is None and one.outsiders < one.aggregator for one in claims)
    assert claims[0].aggregator < claims[1].aggregator < 7 * claims[0].aggregator
    assert [one.pure for one in cost_of_day([layout_of(PURE)]).claims(DELTA)] == pytest.approx([0.5, 3.5, 15], rel=1e-4)
