from typing import Any

import numpy as np
import pytest

from deployment.drift.variation import fit, levels, sum_by


def _past(count: int, newest: int = 1) -> Any:
    return np.arange(count + newest) < count


def test_noise_alone_leaves_no_variation() -> None:
    rng = np.random.default_rng(1)
    values = 100 + rng.normal(0, 5, (400, 8))
    base = fit(values, np.full_like(values, 25.0), None, np.arange(400) % 7, _past(399))
    assert np.allclose(base.variance, 25.0, rtol=0.1)


def test_variation_is_what_remains_after_the_variance_of_the_noise() -> None:
    rng = np.random.default_rng(2)
    level = np.geomspace(30, 3_000, 12)
    counts = rng.poisson(level, (300, 12)) * np.exp(rng.normal(0, 0.1, (300, 12)))
    base = fit(
        counts + rng.normal(0, 20, counts.shape), np.full(counts.shape, 400.0), None, np.zeros(300, int), _past(299)
    )
    expected = 400 + level + (0.1 * level) ** 2
    assert np.allclose(base.variance[0], expected, rtol=0.2)


def test_the_noise_of_each_pane_is_its_own() -> None:
    rng = np.random.default_rng(3)
    sd = np.where(np.arange(200) < 100, 50.0, 2.0)[:, None]
    values = 10 + rng.normal(size=(200, 1)) * sd
    base = fit(values, np.broadcast_to(sd**2, values.shape), None, np.zeros(200, int), _past(199))
    assert abs(base.residual[150:, 0].mean()) < 1  # the mean is that of the panes with little noise
    assert base.variance[150, 0] < 10


def test_the_newest_panes_do_not_move_the_baseline() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(50, 3, (60, 2))
    moved = values.copy()
    moved[-1] += 1_000
    events = np.full((60, 2), 50.0)
    one, other = (fit(each, np.full((60, 2), 9.0), events, np.arange(60) % 7, _past(59)) for each in (values, moved))
    assert np.allclose(one.residual[:-1], other.residual[:-1])
    assert np.allclose(other.residual[-1] - one.residual[-1], 1_000)


def test_a_place_with_a_single_pane_has_no_mean() -> None:
    values, place = np.ones((9, 1)), np.array([0, 0, 0, 0, 0, 0, 0, 1, 1])
    assert fit(values, values, None, place, _past(8)).has[:, 0].tolist() == [True] * 7 + [False, False]


def test_panes_without_a_value_count_for_nothing() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(20, 2, (80, 2))
    values[::3, 0] = np.nan
    base = fit(values, np.full_like(values, 4.0), None, np.zeros(80, int), _past(79))
    assert base.own.tolist() == [52 - 1, 79 - 1]
    assert (base.weight[::3, 0] == 0).all()
    assert np.isfinite(base.spread).all()


def test_keys_of_unequal_variation_lend_each_other_few_degrees_of_freedom() -> None:
    rng = np.random.default_rng(6)
    alike = rng.normal(0, 3, (100, 20))
    unlike = alike * np.geomspace(0.3, 3, 20)
    events = np.ones((100, 20))
    alike_prior, unlike_prior = (
        fit(each, events, events, np.zeros(100, int), _past(99)).prior for each in (alike, unlike)
    )
    assert alike_prior > 50
    assert unlike_prior < 10


def test_exact_series_that_never_change_have_a_variance() -> None:
    values = np.full((30, 2), 7.0)
    base = fit(values, np.zeros_like(values), None, np.zeros(30, int), _past(29))
    assert (base.variance > 0).all()


def test_levels_are_the_mean_of_a_key_times_the_profile_of_all() -> None:
    place = np.arange(14) % 2
    y = np.array([10.0, 100.0]) * np.array([1.0, 3.0])[place][:, None]
    assert np.allclose(levels(y, np.ones_like(y, dtype=bool), place), y)
    assert (levels(-y, np.ones_like(y, dtype=bool), place) == 0).all()


def test_sums_are_by_index() -> None:
    assert sum_by(np.array([2, 0, 2]), np.array([[1.0], [2.0], [4.0]]))[:, 0] == pytest.approx([2, 0, 5])
