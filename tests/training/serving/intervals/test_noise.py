from __future__ import annotations

import numpy as np
import pytest

from training.serving.intervals.noise import noised_panes, noised_sums, seeds_of

COPIES = 60_000


def copies_of(variance: float, noises: float, *, gaussian: bool, seed: int = 1) -> np.ndarray:
    shape = (1, 1, 1)
    sums = np.full(shape, 100, np.int64)
    args = np.full(shape, variance), np.full(shape, noises), COPIES, gaussian
    return noised_sums(np.array([seed]), sums, *args)[0, :, 0, 0]


@pytest.mark.parametrize("gaussian", [True, False])
@pytest.mark.parametrize("variance", [0.5, 3.0, 400.0])
def test_copies_have_the_variance_of_the_noise(variance: float, *, gaussian: bool) -> None:
    made = copies_of(variance, 2.0, gaussian=gaussian)
    assert made[0] == 100
    assert made[1:].mean() == pytest.approx(100, abs=5 * (variance / COPIES) ** 0.5)
    assert made[1:].var() == pytest.approx(variance, rel=0.05)


def test_few_laplace_noises_have_long_tails() -> None:
    """The fourth moment of the sum of m Laplace noises is 3 + 3/m times its squared variance."""
    for noises in (2.0, 8.0):
        made = copies_of(900.0, noises, gaussian=False)[1:] - 100.0
        assert (made**4).mean() / (made**2).mean() ** 2 == pytest.approx(3 + 3 / noises, rel=0.06)


def test_a_sum_without_noise_stays() -> None:
    assert set(copies_of(0.0, 0.0, gaussian=True).tolist()) == {100}
    assert set(copies_of(0.0, 0.0, gaussian=False).tolist()) == {100}


def test_a_larger_window_has_the_noise_of_the_smaller_one() -> None:
    sums = np.zeros((1, 2, 1), np.int64)
    variance = np.array([[[400.0], [0.0]]])
    made = noised_sums(np.array([1]), sums, variance, np.full((1, 2, 1), 2.0), 20, True)
    assert np.array_equal(made[0, :, 0], made[0, :, 1])
    assert len(np.unique(made)) > 5


def test_equal_seeds_give_equal_copies() -> None:
    assert np.array_equal(copies_of(9.0, 2.0, gaussian=True), copies_of(9.0, 2.0, gaussian=True))
    assert not np.array_equal(copies_of(9.0, 2.0, gaussian=True), copies_of(9.0, 2.0, gaussian=True, seed=2))
    panes = np.zeros(50, np.int64), np.full(50, 9.0), np.full(50, 2.0), 39, True
    assert np.array_equal(noised_panes(5, *panes), noised_panes(5, *panes))
    assert not np.array_equal(noised_panes(5, *panes), noised_panes(6, *panes))


def test_seeds_differ_by_key_and_by_epoch() -> None:
    keys = np.arange(2000)
    some, others = seeds_of(2**64 - 1, keys), seeds_of(7, keys)
    assert len(np.unique(np.concatenate((some, others)))) == 4000
    assert some.min() >= 0
    assert some.max() < 2**32
    assert seeds_of(7, keys[5:6]).tolist() == others[5:6].tolist()
