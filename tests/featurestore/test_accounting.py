from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.define.accounting import (
    Moves,
    ledger_epsilon,
    merged,
    rounded_micro_rho,
    schedule_epsilon,
)
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.epsilon import epsilon_of
from featurestore.define.kinds import Count, Histogram, Mean
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.release import GroupNoise
from featurestore.errors import StoreCorrupt

DELTA = 1e-6


def _exact_delta(sigma_sq: float, vector: tuple[int, ...], epsilon: float) -> float:
    """δ at ε from the definition: max(0, P − e^ε·Q) summed over a grid of outputs."""
    reach = math.ceil(12 * math.sqrt(sigma_sq)) + max(vector)
    x = np.arange(-reach, reach + 1.0)
    log_q = -(x**2) / (2 * sigma_sq)
    log_q -= np.log(np.exp(log_q).sum())
    total = 0.0
    parts = [(np.interp(x - v, x, log_q), log_q) for v in vector]
    for point in itertools.product(*(range(len(x)) for _ in vector[:-1])):
        p = sum(float(parts[i][0][at]) for i, at in enumerate(point)) + parts[-1][0]
        q = sum(float(parts[i][1][at]) for i, at in enumerate(point)) + parts[-1][1]
        total += float(np.clip(np.exp(p) - np.exp(epsilon + q), 0, None).sum())
    return total


def _exact_epsilon(sigma_sq: float, vector: tuple[int, ...], delta: float) -> float:
    low, high = 0.0, 100.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _exact_delta(sigma_sq, vector, middle) > delta else (low, middle)
    return low


def _moves(sigma_sq: int, vector: tuple[int, ...]) -> tuple[Moves, ...]:
    return merged(Moves(Fraction(sigma_sq), size, 1) for size in vector)


def _of_ledger(moves: tuple[Moves, ...], delta: float) -> float:
    micro_rho = sum(math.ceil(10**6 * one.delta2_sq / (2 * one.sigma_sq)) for one in moves)
    rounded = [rounded_micro_rho(one.delta2_sq, one.sigma_sq) for one in moves]
    whole = None if None in rounded else sum(one or 0 for one in rounded)
    return ledger_epsilon(micro_rho, whole, sum(one.coordinates for one in moves), delta)


@pytest.mark.parametrize("sigma_sq", [1, 2, 9, 30, 100])
@pytest.mark.parametrize("vector", [(1,), (3,), (5,), (3, 4), (1, 1), (2, 1)])
@pytest.mark.parametrize("delta", [1e-5, 1e-9])
def test_both_bounds_are_at_least_the_exact_epsilon_and_that_of_a_fixed_list_is_close(
    sigma_sq: int, vector: tuple[int, ...], delta: float
) -> None:
    exact = _exact_epsilon(sigma_sq, vector, delta)
    of_list, of_ledger = schedule_epsilon(_moves(sigma_sq, vector), delta), _of_ledger(_moves(sigma_sq, vector), delta)
    assert exact <= of_list <= of_ledger
    assert of_list <= 1.006 * exact


def test_the_gaussian_trade_off_at_the_ratio_of_norm_and_sigma_would_be_too_low() -> None:
    exact = _exact_epsilon(9, (5,), DELTA)
    as_if_rounded = ledger_epsilon(10**9, math.ceil(10**6 * 25 / 18), 0, DELTA)  # µ = Δ/σ
    assert as_if_rounded < exact <= schedule_epsilon(_moves(9, (5,)), DELTA)


def test_equal_norms_do_not_cost_the_same() -> None:
    assert _exact_delta(9, (3, 4), 7.5) > 1.2 * _exact_delta(9, (5,), 7.5)
    split = (Moves(Fraction(9), 5, 1, split=True),)
    assert schedule_epsilon(split, DELTA) >= max(_exact_epsilon(9, vector, DELTA) for vector in [(5,), (4, 1), (3, 2)])


@pytest.mark.parametrize("sigma_sq", [1.5, 4.0, 64.0])
def test_random_rounding_of_continuous_noise_differs_from_discrete_noise_by_the_stated_factor(sigma_sq: float) -> None:
    e = 2 * math.exp(-2 * math.pi**2)
    y = np.linspace(-12, 12, 200_001) * math.sqrt(sigma_sq)
    density = np.exp(-(y**2) / (2 * (sigma_sq - 1))) / math.sqrt(2 * math.pi * (sigma_sq - 1))
    near = np.floor(y)[:, None] + np.arange(-9, 11)
    norm = np.exp(-((near - y[:, None]) ** 2) / 2).sum(axis=1)
    for x in range(4):
        rounded = np.trapezoid(density * np.exp(-((x - y) ** 2) / 2) / norm, y)
        discrete = math.exp(-(x**2) / (2 * sigma_sq)) / math.sqrt(2 * math.pi * sigma_sq)
        assert abs(rounded / discrete - 1) <= e + 1e-11


def test_a_scale_that_the_rounding_bound_does_not_cover_is_accounted_in_zcdp() -> None:
    assert rounded_micro_rho(4, Fraction(1)) is None
    assert ledger_epsilon(500_000, None, 1, DELTA) == epsilon_of(500_000, DELTA)


def test_the_charge_of_the_rounding_bound_is_rounded_up() -> None:
    assert rounded_micro_rho(1, Fraction(4)) == 166_667  # 10⁶/6
    assert rounded_micro_rho(3, Fraction(4)) == 500_000


moves = st.builds(
    Moves,
    st.fractions(min_value=Fraction(1, 4), max_value=400, max_denominator=50),
    st.integers(1, 9),
    st.integers(1, 5),
    st.booleans(),
)


@given(st.lists(moves, max_size=4), st.lists(moves, max_size=4), st.integers(1, 5))
def test_a_normal_form_does_not_depend_on_the_order_and_keeps_norms(
    some: list[Moves], others: list[Moves], days: int
) -> None:
    whole = merged([*some, *others], days)
    assert whole == merged(reversed([*some, *others]), days) == merged(merged(some, days) + merged(others, days))
    assert sum(one.delta2_sq for one in whole) == days * sum(one.delta2_sq for one in [*some, *others])


@pytest.mark.parametrize(
    ("delta1", "delta2_sq", "micro_rho"),
    [(0, 4, 10), (2, 0, 10), (2, 4, 0), (2, 5, 10), (-2, 4, 10), (1, 2**200, 1)],
)
def test_impossible_sensitivities_of_a_manifest_from_outside_are_refused(
    delta1: int, delta2_sq: int, micro_rho: int
) -> None:
    group = GroupNoise("n", "count", "gaussian", delta1, delta2_sq, 0, micro_rho, 1.0, 1.0)
    with pytest.raises(StoreCorrupt, match="impossible sensitivities of 'n'"):
        _ = group.moves


def test_a_manifests_group_moves_as_the_layouts_group() -> None:
    view = FeatureView(
        "v",
        entity=Entity("k", domain=["a", "b"]),
        features=[Count("n"), Histogram("x", edges=[1]), Mean("x", clip=(0, 10))],
        pane="1d",
        bounds=Bounds(3, 2),
        privacy=Privacy(rho=0.1),
    )
    groups = layout_of(view).groups
    assert [GroupNoise.of(group, noisy=True).moves for group in groups] == [group.moves for group in groups]
    assert [one.split for one in (group.moves for group in groups) if one is not None] == [False, True, False, False]
    assert GroupNoise("n", "count", "laplace", 2, 4, 10, 1, 1.0, 1.0).moves is None


def test_nothing_costs_nothing() -> None:
    assert schedule_epsilon((), DELTA) == 0
