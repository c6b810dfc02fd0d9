from __future__ import annotations

import math

import numpy as np
import pytest
from dp_accounting.pld.privacy_loss_mechanism import GaussianPrivacyLoss
from scipy.special import ndtri

from simulations.attacks.statistics.bounds import (
    Scores,
    clopper_pearson_lower,
    clopper_pearson_upper,
    gaussian_epsilon,
    lower_bounds,
)


@pytest.mark.parametrize("mu", [0.05, 0.2, math.sqrt(0.2), 1.0, 3.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-6, 1e-10])
def test_epsilon_of_mu_is_that_of_dp_accountings_gaussian_mechanism(mu: float, delta: float) -> None:
    expected = GaussianPrivacyLoss(1 / mu).get_delta_for_epsilon(gaussian_epsilon(mu, delta))
    assert expected == pytest.approx(delta, rel=1e-6)


def test_a_mu_that_delta_covers_has_no_epsilon() -> None:
    assert gaussian_epsilon(0.001, 1e-2) == 0.0
    assert gaussian_epsilon(-1.0, 1e-6) == 0.0


def test_clopper_pearson_limits_are_those_at_which_the_count_is_as_rare_as_alpha() -> None:
    hits, trials, alpha = 7, 50, 0.005

    def at_least(count: int, rate: float) -> float:
        return sum(math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(count, trials + 1))

    low = float(clopper_pearson_lower(np.array([hits]), trials, alpha)[0])
    high = float(clopper_pearson_upper(np.array([hits]), trials, alpha)[0])
    assert at_least(hits, low) == pytest.approx(alpha)
    assert 1 - at_least(hits + 1, high) == pytest.approx(alpha)
    assert clopper_pearson_lower(np.array([0]), trials, alpha)[0] == 0.0
    assert clopper_pearson_upper(np.array([trials]), trials, alpha)[0] == 1.0
    assert clopper_pearson_upper(np.array([0]), trials, alpha)[0] == pytest.approx(1 - alpha ** (1 / trials))


def test_limits_miss_the_true_rate_no_more_often_than_alpha() -> None:
    hits = np.random.default_rng(1).binomial(1_000, 0.02, 20_000)
    assert np.mean(clopper_pearson_lower(hits, 1_000, 0.01) > 0.02) <= 0.012
    assert np.mean(clopper_pearson_upper(hits, 1_000, 0.01) < 0.02) <= 0.012


def gaussian_scores(seed: int, mu: float, draws: int = 50_000) -> Scores:
    rng = np.random.default_rng(seed)
    return Scores(rng.normal(mu, 1, draws), rng.normal(0, 1, draws))


@pytest.mark.parametrize("mu", [0.3, 0.447, 1.5])
def test_both_bounds_stay_below_the_epsilon_of_a_known_gaussian_mechanism(mu: float) -> None:
    true = gaussian_epsilon(mu, 1e-6)
    bounds = [
        lower_bounds(
            gaussian_scores(2 * i, mu), gaussian_scores(2 * i + 1, mu), gaussian=True, delta=1e-6, confidence=0.99
        )
        for i in range(20)
    ]
    assert max(bound.best for bound in bounds) <= true
    assert min(bound.by_mu or 0 for bound in bounds) >= 0.75 * true


def test_worlds_that_are_the_same_show_nothing() -> None:
    bounds = lower_bounds(gaussian_scores(1, 0), gaussian_scores(2, 0), gaussian=True, delta=1e-6, confidence=0.99)
    assert bounds.best == 0.0


@pytest.mark.parametrize("audits", [1, 10])
def test_a_bound_errs_with_its_part_of_what_all_limits_may_err_with(audits: int) -> None:
    draws, delta = 1_000, 1e-6
    apart = Scores(np.full(draws, 1.0), np.zeros(draws))
    bounds = lower_bounds(apart, apart, gaussian=True, delta=delta, confidence=0.95, audits=audits)
    least = (0.05 / (audits * 2 * 2)) ** (1 / draws)  # two bounds of two limits each; all draws are hits
    assert bounds.at_threshold == pytest.approx(math.log((least - delta) / (1 - least)))
    assert bounds.by_mu == pytest.approx(gaussian_epsilon(2 * float(ndtri(least)), delta))


def test_worlds_without_noise_show_as_much_as_the_number_of_draws_can() -> None:
    apart = Scores(np.full(20_000, 1.0), np.zeros(20_000))
    bounds = lower_bounds(apart, apart, gaussian=True, delta=1e-6, confidence=0.99)
    assert bounds.at_threshold > 7
    assert bounds.by_mu is not None
    assert bounds.by_mu > 20


def test_mu_is_not_read_off_noise_that_is_not_gaussian() -> None:
    bounds = lower_bounds(gaussian_scores(1, 1), gaussian_scores(2, 1), gaussian=False, delta=0.0, confidence=0.99)
    assert bounds.by_mu is None
    assert bounds.best == bounds.at_threshold
