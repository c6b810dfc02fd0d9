from __future__ import annotations

import math

import pytest

from federation.accountant import epsilon


def test_epsilon_is_close_to_the_closed_form_bound_and_never_above_it() -> None:
    # Bun and Steinke 2016, Proposition 1.3: rho-zCDP gives (rho + 2 sqrt(rho ln 1/delta), delta)-DP.
    for micro_rho in (1_000, 24_400, 100_000, 1_000_000):
        rho = micro_rho / 1e6
        bound = rho + 2 * math.sqrt(rho * math.log(1e6))
        assert 0.75 * bound < epsilon(micro_rho, 1e-6) < bound


def test_days_add_up() -> None:
    assert epsilon(10_000, 1e-6, days=30) == pytest.approx(epsilon(300_000, 1e-6), rel=1e-3)
