"""Intervals contain the truth as often as they claim, at their edges too."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import beta

from simulations.attacks.statistics.bounds import Scores, gaussian_epsilon
from simulations.attacks.statistics.measures import auc, epsilon, mean, rate, roc, tpr_at

RUNS = 400
DELTA = 1e-6


def gaussians(seed: int, mu: float, draws: int = 100) -> Scores:
    rng = np.random.default_rng(seed)
    return Scores(rng.normal(mu, 1, draws), rng.normal(0, 1, draws))


@pytest.mark.parametrize(("hits", "trials"), [(0, 40), (7, 50), (40, 40)])
def test_a_rate_has_the_limits_of_clopper_and_pearson(hits: int, trials: int) -> None:
    measured = rate("rate", hits, trials)
    assert measured.estimate == hits / trials
    assert measured.low == (pytest.approx(beta.ppf(0.025, hits, trials - hits + 1)) if hits else 0.0)
    assert measured.high == (pytest.approx(beta.ppf(0.975, hits + 1, trials - hits)) if hits < trials else 1.0)


def test_a_rate_of_nothing_says_nothing() -> None:
    assert (rate("rate", 0, 0).low, rate("rate", 0, 0).high) == (0.0, 1.0)


@pytest.mark.parametrize("mu", [0.0, 0.4, 2.0])
def test_the_interval_of_an_auc_covers(mu: float) -> None:
    measured = [auc(gaussians(seed, mu)) for seed in range(RUNS)]
    true = float(ndtr(mu / math.sqrt(2)))
    covered = np.mean([one.low <= true <= one.high for one in measured])
    assert 0.92 <= covered <= 0.99
    assert np.mean([one.estimate for one in measured]) == pytest.approx(true, abs=0.01)


def test_worlds_that_do_not_overlap_have_an_interval_all_the_same() -> None:
    apart = Scores(np.ones(40), np.zeros(40))
    assert (auc(apart).estimate, auc(apart).high) == (1.0, 1.0)
    assert 0.9 < auc(apart).low < 1.0
    below = auc(Scores(apart.absent, apart.present))
    assert (below.estimate, below.low) == (0.0, 0.0)


def test_ties_count_half() -> None:
    same = Scores(np.zeros(50), np.zeros(50))
    assert auc(same).estimate == 0.5


@pytest.mark.parametrize("count", [2, 5, 30])
def test_the_interval_of_a_mean_covers_however_few_there_are(count: int) -> None:
    draws = np.random.default_rng(0).normal(3, 2, (RUNS, count))
    covered = np.mean([one.low <= 3 <= one.high for one in (mean("mean", row) for row in draws)])
    assert 0.92 <= covered <= 0.98


@pytest.mark.parametrize("mu", [0.3, 0.447, 1.5])
def test_a_measured_epsilon_brackets_that_of_a_known_gaussian_mechanism(mu: float) -> None:
    true = gaussian_epsilon(mu, DELTA)
    measured = [epsilon(gaussians(seed, mu, 2_000), gaussian=True, delta=DELTA) for seed in range(16)]
    assert np.mean([one.low <= true for one in measured]) >= 0.9
    assert np.mean([true <= one.high for one in measured]) >= 0.85
    assert np.mean([one.estimate for one in measured]) == pytest.approx(true, rel=0.06)


def test_the_half_that_chooses_a_threshold_has_no_say_in_the_bound() -> None:
    same, apart = np.tile([0.0, 1.0], 200), np.ones(400)
    present, absent = (np.stack([of, same], axis=1).reshape(-1) for of in (apart, 0 * apart))
    for gaussian in (True, False):
        assert epsilon(Scores(present, absent), gaussian=gaussian, delta=DELTA).low == 0.0


def test_without_gaussian_noise_the_threshold_speaks_and_nothing_bounds_it_from_above() -> None:
    measured = epsilon(Scores(np.ones(400), np.zeros(400)), gaussian=False, delta=DELTA)
    assert 3 < measured.low < measured.estimate
    assert measured.high == math.inf
    same = epsilon(Scores(np.zeros(400), np.zeros(400)), gaussian=False, delta=DELTA)
    assert same.low == 0.0


def test_a_roc_runs_from_nothing_to_everything_and_holds_its_point_at_a_low_rate() -> None:
    scores = gaussians(1, 2.0, 20_000)
    curve = roc("test", scores)
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    assert (np.diff(curve.x) >= 0).all()
    assert (np.diff(curve.y) >= 0).all()
    assert tpr_at(scores, 0.01) == pytest.approx(float(ndtr(2.0 - 2.326)), abs=0.03)
    assert tpr_at(Scores(np.zeros(9), np.ones(9)), 0.01) == 0.0
