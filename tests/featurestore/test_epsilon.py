"""ε of zCDP and back. The conversions are checked against closed forms; dp-accounting is the implementation."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.define.epsilon import epsilon_of, largest_micro_rho, micro_rho_of_pure, rounded_up

DELTA = 1e-6


@pytest.mark.parametrize("micro_rho", [1_000, 24_400, 100_000, 1_000_000])
def test_epsilon_is_below_the_closed_form_bound_and_above_what_a_gaussian_has(micro_rho: int) -> None:
    # Bun and Steinke 2016, Proposition 1.3: ρ-zCDP gives (ρ + 2√(ρ ln 1/δ), δ)-DP.
    rho = micro_rho / 1e6
    assert exact_gaussian(rho) < epsilon_of(micro_rho, DELTA) < rho + 2 * math.sqrt(rho * math.log(1 / DELTA))


def exact_gaussian(rho: float) -> float:
    """ε at δ of the continuous Gaussian mechanism with Δ²/2σ² = ρ (Balle and Wang 2018, Theorem 8), by bisection."""
    mu = math.sqrt(2 * rho)

    def delta_at(epsilon: float) -> float:
        return _cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * _cdf(-mu / 2 - epsilon / mu)

    low, high = 0.0, 50.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_at(middle) > DELTA else (low, middle)
    return low


def _cdf(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


@given(st.integers(1, 10**9 - 1), st.sampled_from([1e-9, 1e-6, 1e-3]))
def test_epsilon_grows_with_rho(micro_rho: int, delta: float) -> None:
    assert 0 <= epsilon_of(micro_rho, delta) <= epsilon_of(micro_rho + 1, delta)


@given(
    st.fractions(min_value=Fraction(1, 50), max_value=1_000, max_denominator=10**6), st.sampled_from([1e-9, 1e-6, 1e-3])
)
def test_a_price_in_epsilon_is_the_largest_whole_micro_rho_that_does_not_exceed_it(
    epsilon: Fraction, delta: float
) -> None:
    micro_rho = largest_micro_rho(epsilon, delta, 10**9)
    assert epsilon_of(micro_rho, delta) <= epsilon
    assert epsilon_of(micro_rho + 1, delta) > epsilon


def test_the_search_ends_at_the_most_and_at_nothing() -> None:
    assert largest_micro_rho(Fraction(10**9), DELTA, 1_000) == 1_000
    assert largest_micro_rho(Fraction(1, 10**9), DELTA, 1_000) == 0


@given(st.integers(0, 10**9))
def test_pure_epsilon_costs_half_its_square_in_rho_rounded_up(micro_epsilon: int) -> None:
    exact = Fraction(micro_epsilon, 10**6) ** 2 / 2 * 10**6
    assert 0 <= micro_rho_of_pure(micro_epsilon) - exact < 1


@pytest.mark.parametrize("b", [Fraction(1, 2), Fraction(2), Fraction(17, 3)])
@pytest.mark.parametrize("alpha", [1.01, 2.0, 30.0])
def test_a_laplace_of_scale_b_is_zcdp_as_charged(b: Fraction, alpha: float) -> None:
    """Rényi divergence of Lap_Z(b) and its neighbour by Δ₁ = 1, summed from the probabilities, against ρα."""
    micro_epsilon = math.floor(10**6 / b)
    q, reach = math.exp(-1 / float(b)), 400
    p = [q ** abs(x) * (1 - q) / (1 + q) for x in range(-reach, reach + 1)]
    moved = [q ** abs(x - 1) * (1 - q) / (1 + q) for x in range(-reach, reach + 1)]
    terms = [math.exp(alpha * math.log(a) + (1 - alpha) * math.log(c)) for a, c in zip(p, moved, strict=True) if a * c]
    divergence = math.log(math.fsum(terms)) / (alpha - 1)
    assert 0 < divergence <= alpha * micro_rho_of_pure(micro_epsilon + 1) / 1e6


@given(st.floats(0, 1e6), st.integers(0, 6))
def test_a_cost_is_never_told_below_what_it_is(value: float, decimals: int) -> None:
    told = rounded_up(value, decimals)
    assert 0 <= Fraction(told) - Fraction(repr(value)) < Fraction(1, 10**decimals)


def test_costs_are_told_with_two_decimals() -> None:
    assert [rounded_up(value) for value in (2.1401, 0.1, 1.1, 2.14, 0.0, 1e-9, 14.9504)] == [
        "2.15",
        "0.10",
        "1.10",
        "2.14",
        "0.00",
        "0.01",
        "14.96",
    ]
    assert rounded_up(2.25) == "2.25"


@pytest.mark.parametrize(
    "privacy",
    ["Privacy(rho=0.1)", "Privacy(epsilon=0.5, mechanism='laplace')", "Privacy(epsilon=0.1)"],
    ids=["rho", "laplace", "epsilon"],
)
def test_definitions_and_layouts_do_without_the_accountant_unless_sigma_is_small(privacy: str) -> None:
    code = (
        "import sys\n"
        "from covey import *\n"
        "from featurestore.define.layout import layout_of\n"
        "from featurestore.define.wire import view_from_bytes, view_to_bytes\n"
        "v = FeatureView('v', entity=Entity('a', value='x'), features=[Count('n')], pane='1d', bounds=Bounds(1),"
        f" privacy={privacy})\n"
        "layout_of(view_from_bytes(view_to_bytes(v)))\n"
        "print('dp_accounting' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
