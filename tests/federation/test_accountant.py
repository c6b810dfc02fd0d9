from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from federation.accountant import NOTHING, Cost, cost_of_day, epsilon
from tests.shared_files import SHARED, shared_file

DELTA = 1e-6
_VECTOR = SHARED / "vectors" / "privacy.json"
_GOLDEN: list[dict[str, Any]] = json.loads(_VECTOR.read_text())["views"] if _VECTOR.is_file() else [{"name": "missing"}]

costs = st.builds(Cost, st.integers(0, 10**6), st.none() | st.integers(0, 10**6))


def _view(name: str, pane: str = "1d", **price: Any) -> FeatureView:
    return FeatureView(
        name,
        entity=Entity("k", domain=["a", "b"]),
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
def test_epsilon_of_a_day_and_of_30_days_equals_the_vector_to_three_digits(golden: dict[str, Any]) -> None:
    shared_file("vectors/privacy.json")
    cost = NOTHING
    for group in golden["groups"]:
        cost += Cost(group["micro_rho"], None)
    assert cost == Cost(golden["rho_spent_micro"], None)
    assert f"{cost.epsilon(golden['delta']):.3g}" == f"{golden['epsilon_day']:.3g}"
    assert f"{cost.over(30).epsilon(golden['delta']):.3g}" == f"{golden['epsilon_30_days']:.3g}"
    assert epsilon(cost.micro_rho, golden["delta"], days=30) == cost.over(30).epsilon(golden["delta"])


@given(costs, costs, costs)
def test_costs_add_up_in_any_order(a: Cost, b: Cost, c: Cost) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + NOTHING == a
    assert (a + b).over(30) == a.over(30) + b.over(30)
    assert a.over(3) == a + a + a


@given(costs, costs)
def test_more_is_never_told_as_less(a: Cost, b: Cost) -> None:
    assert (a + b).epsilon(DELTA) >= max(a.epsilon(DELTA), b.epsilon(DELTA)) - 1e-9


def test_a_day_is_the_sum_over_groups_and_views_and_its_panes_cost_nothing_more() -> None:
    gauss, pure = layout_of(GAUSS), layout_of(PURE)
    assert cost_of_day([gauss]) == Cost(sum(group.mechanism.micro_rho for group in gauss.groups), None)
    assert cost_of_day([pure]) == Cost(
        sum(group.mechanism.micro_rho for group in pure.groups),
        sum(group.mechanism.micro_epsilon for group in pure.groups),
    )
    assert cost_of_day([gauss, pure]) == Cost(gauss.micro_rho + pure.micro_rho, None)
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
    mixed = day + Cost(1, None)
    assert mixed.micro_epsilon is None
    assert mixed.epsilon(DELTA) == epsilon(day.micro_rho + 1, DELTA)
