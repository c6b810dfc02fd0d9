"""A short run of `benchmarks.drift`: false alarms and power on worlds of fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.drift import Kind, kinds, measure, psi, stated_power, with_shift, without_drift
from benchmarks.drift_worlds import KINDS, MONDAY, synthetic
from deployment.drift.season import MONDAY_US, WEEK_US
from tests.featurestore.making import DAY

DAYS = Kind("days", lambda rng, i: synthetic(rng, KINDS[i % 6], (1, 5, 12)[i // 6 % 3], 85))
CALM = Kind("calm", lambda rng, _: synthetic(rng, "independent", 5, 85))


def test_at_most_one_check_in_a_hundred_without_drift_finds_something() -> None:
    alarms, by_psi, _ = without_drift(DAYS, 240, seed=1)
    assert alarms <= 0.02  # 240 worlds: .01 ± .006
    assert by_psi[0] > 0.5  # a PSI of so few values is beyond .25 by noise alone


def test_the_stated_shift_is_found_as_often_as_stated() -> None:
    assert stated_power(CALM, 60, seed=2) == pytest.approx(0.8, abs=0.15)


def test_a_large_shift_of_one_key_is_found_with_an_interval_that_holds_it() -> None:
    found, _, held = with_shift(CALM, "flights", 0, 14, worlds=40, seed=3)
    assert found > 0.9
    assert np.mean(held) > 0.9


def test_the_synthetic_worlds_begin_on_a_monday() -> None:
    assert (MONDAY * DAY - MONDAY_US) % WEEK_US == 0


def test_psi_is_0_for_the_same_values_and_grows_with_a_shift() -> None:
    values = np.linspace(0, 1, 1_000)
    assert psi(values, values) == pytest.approx(0, abs=1e-3)
    assert psi(values, values + 0.3) > 0.25


@pytest.mark.long
def test_the_flights_own_weeks_give_no_more_false_alarms() -> None:
    figures = measure(kinds(), 200)
    assert figures["false_alarms"] <= 0.012
    assert min(figures["stated_power"].values()) > 0.65
    assert min(figures["psi_false_alarms"].values(), key=lambda one: one["0.25"])["0.25"] > 0.1
