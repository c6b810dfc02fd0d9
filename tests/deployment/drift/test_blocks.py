from typing import Any

import numpy as np
import pytest

from deployment.drift.blocks import Deviations, deviations
from deployment.drift.judge import Blocks
from deployment.drift.variation import fit


def _deviations(values: Any, noise: Any, last: int = 1, season: int = 7) -> Deviations:
    blocks = Blocks(np.arange(len(values)), np.arange(len(values)) % season, last)
    events = np.full(values.shape, 100.0)
    return deviations(fit(values, noise, events, blocks.place, blocks.past), blocks.number, last)


def test_blocks_count_back_from_the_newest_panes() -> None:
    blocks = Blocks(np.arange(8), np.zeros(8, int), 3)
    assert blocks.number.tolist() == [-1, -1, 0, 0, 0, 1, 1, 1]
    assert blocks.past.tolist() == [True] * 5 + [False] * 3


def test_a_pane_is_compared_with_the_mean_of_the_other_panes_at_its_place() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(50, 3, (71, 1))
    found = _deviations(values, np.full((71, 1), 9.0))
    for pane in (0, 23, 70):
        others = [i for i in range(70) if i % 7 == pane % 7 and i != pane]
        assert found.size[pane, 0] == pytest.approx(values[pane, 0] - values[others, 0].mean())


def test_a_block_is_compared_with_the_panes_outside_of_it() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(50, 3, (70, 1))
    found = _deviations(values, np.full((70, 1), 9.0), last=14)
    inside = range(14, 28)
    expected = sum(
        values[i, 0] - values[[j for j in range(56) if j % 7 == i % 7 and j not in inside], 0].mean() for i in inside
    )
    assert found.size[1, 0] == pytest.approx(expected)


@pytest.mark.parametrize("last", [1, 7])
def test_deviations_without_drift_are_standardised(last: int) -> None:
    z = []
    for seed in range(40):
        rng = np.random.default_rng([seed, last])
        values = rng.normal(0, 5, (20 * last + last, 30)) + rng.normal(0, 8, (20 * last + last, 30))
        z.append(_deviations(values, np.full(values.shape, 25.0), last).z)
    assert np.std([one[-1] for one in z]) == pytest.approx(1, abs=0.08)
    assert np.std([one[:-1] for one in z]) == pytest.approx(1, abs=0.05)


def test_the_noise_is_the_least_standard_deviation() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0, 0.1, (60, 1))  # less than the noise that it is said to have
    found = _deviations(values, np.full((60, 1), 25.0))
    assert (found.sd[-1] >= 5.0).all()


def test_a_wandering_series_gives_blocks_a_larger_standard_deviation() -> None:
    rng = np.random.default_rng(4)
    steady = rng.normal(0, 10, (210, 5))
    wandering = steady.copy()
    for i in range(1, 210):
        wandering[i] = 0.8 * wandering[i - 1] + 0.6 * steady[i]
    small = np.ones((210, 5))
    assert _deviations(wandering, small, 7).sd[-1].mean() > 1.5 * _deviations(steady, small, 7).sd[-1].mean()


def test_series_that_move_together_have_no_more_freedom_than_panes() -> None:
    rng = np.random.default_rng(5)
    together = rng.normal(0, 10, (60, 1)) + rng.normal(0, 0.5, (60, 40))
    apart = rng.normal(0, 10, (60, 40))
    small = np.ones((60, 40))
    assert _deviations(together, small).freedom.max() < 120 < _deviations(apart, small).freedom.min()


def test_heavy_tails_make_p_values_larger() -> None:
    rng = np.random.default_rng(6)
    heavy = rng.standard_t(3, (200, 10)) * 10
    found = _deviations(heavy, np.ones_like(heavy))
    light = Deviations(found.size, found.sd, found.freedom, 0.0, found.there)
    assert found.kurtosis > 1
    assert (found.p()[np.abs(found.z) > 3] > light.p()[np.abs(found.z) > 3]).all()


@pytest.mark.parametrize("kurtosis", [0.0, 2.0])
def test_the_critical_deviation_has_its_p_value(kurtosis: float) -> None:
    there = np.ones((1, 3), dtype=bool)
    found = Deviations(np.zeros((1, 3)), np.ones((1, 3)), np.array([[5.0, 50.0, 1e4]]), kurtosis, there)
    critical = found.critical(1e-4)
    assert np.allclose(Deviations(critical, found.sd, found.freedom, kurtosis, there).p(), 1e-4)


def test_a_block_without_values_has_no_deviation() -> None:
    values = np.random.default_rng(7).normal(size=(60, 2))
    values[10, 0] = np.nan
    found = _deviations(values, np.ones_like(values))
    assert not found.there[10, 0]
    assert found.p()[10].tolist()[0] == 1.0
    assert found.z[10, 0] == 0.0
