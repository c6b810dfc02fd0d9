from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from featurestore.define.entities import Entity
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.featurestore.making import DAY, HOUR, a_release, a_view, a_void
from training.data.shrinkage import EmpiricalBayesShrinkage, released_rows
from training.errors import NotFitted, TrainingInputRefused

ROWS = 200_000


def noisy(rng: np.random.Generator, truth: np.ndarray, se: np.ndarray) -> np.ndarray:
    return truth + se * rng.standard_normal(truth.shape)


def test_the_prior_is_found_although_every_row_has_its_own_noise() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(0.3, 0.1, (ROWS, 1))
    se = rng.uniform(0.0, 0.5, truth.shape)
    x = noisy(rng, truth, se)
    x[::7] = np.nan
    prior = EmpiricalBayesShrinkage().fit(x, se)
    assert prior.mean_[0] == pytest.approx(0.3, abs=0.002)
    assert prior.variance_[0] == pytest.approx(0.01, rel=0.03)


def test_shrinkage_is_the_posterior_of_a_normal_prior() -> None:
    prior = EmpiricalBayesShrinkage()
    prior.mean_, prior.variance_ = np.array([1.0]), np.array([4.0])
    np.testing.assert_allclose(
        prior.transform([[4.0], [4.0], [np.nan]], [[0.0], [2.0], [1.0]]), [[4.0], [2.5], [np.nan]]
    )
    np.testing.assert_allclose(prior.transform_se([[0.0], [2.0]]), [[0.0], [2**0.5]])


def test_shrunk_values_have_the_least_error_and_the_error_they_say() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(0.0, 1.0, (ROWS, 1))
    se = rng.choice([0.1, 2.0], truth.shape)
    x = noisy(rng, truth, se)
    prior = EmpiricalBayesShrinkage().fit(x, se)
    error = prior.transform(x, se) - truth
    assert np.mean(error**2) == pytest.approx(np.mean(prior.transform_se(se) ** 2), rel=0.02)
    for factor in (0.9, 1.1):  # no other factor is better
        other = prior.mean_ + factor * (prior.transform(x, se) - prior.mean_)
        assert np.mean((other - truth) ** 2) > np.mean(error**2)


def test_noise_that_explains_all_spread_shrinks_to_the_mean_and_exact_rows_stay() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(2.0, 1.0, (1_000, 1))
    prior = EmpiricalBayesShrinkage().fit(x, np.full_like(x, 5.0))
    assert prior.variance_[0] == 0.0
    np.testing.assert_allclose(prior.transform(x, np.full_like(x, 5.0)), prior.mean_[0])
    exact = EmpiricalBayesShrinkage().fit(x, np.zeros_like(x))
    np.testing.assert_allclose(exact.transform(x, np.zeros_like(x)), x)
    same = EmpiricalBayesShrinkage().fit(np.full((3, 1), 7.0), np.zeros((3, 1)))
    assert (same.mean_[0], same.variance_[0]) == (7.0, 0.0)


@pytest.mark.parametrize(
    ("x", "se", "tells"),
    [
        ([1.0], [1.0], "a matrix"),
        ([[1.0]], [[1.0, 2.0]], "(1, 2)"),
        ([[1.0]], [[np.nan]], "no standard error"),
        ([[1.0]], [[-1.0]], "no standard error"),
        ([[np.inf]], [[1.0]], "infinite"),
        ([[1.0, np.nan]], [[1.0, 1.0]], "column 1"),
    ],
)
def test_rows_that_teach_nothing_are_refused(x: list[object], se: list[object], tells: str) -> None:
    with pytest.raises(TrainingInputRefused, match=tells.replace("(", r"\(").replace(")", r"\)")):
        EmpiricalBayesShrinkage().fit(x, se)


def test_what_is_not_fitted_does_not_transform() -> None:
    with pytest.raises(NotFitted, match="call fit"):
        EmpiricalBayesShrinkage().transform([[1.0]], [[1.0]])


def test_released_rows_are_of_the_training_split_only_each_once(tmp_path: Path) -> None:
    hourly = a_view(noise_free := "hourly")
    daily = a_view("daily", pane="1d", windows=["7d"], entity=Entity("area", value="all"))
    with Publisher(tmp_path, lambda: 10 * DAY) as publisher:
        for view in (hourly, daily):
            publisher.register(view)
        publisher.publish([a_release(hourly, HOUR * i, 10 + i) for i in range(3)] + [a_void(hourly, 3 * HOUR)])
        publisher.publish([a_release(daily, 0)])
    split = datetime.fromtimestamp(2.5 * 3600, UTC)  # panes 0 and 1 end, and are released half an hour later
    with Store.open(tmp_path) as store:
        x, se = released_rows(store, [f"{noise_free}:flights"], split)
        assert x[:, 0].tolist() == [10, 10]  # pane 1 was released at that very moment
        later = datetime.fromtimestamp(2 * 86400, UTC)
        x, se = released_rows(store, ["hourly:flights", "daily:flights"], later)
        assert np.isnan(x).sum(axis=0).tolist() == [2, 7]  # the void, for two keys; one key for one day
        assert se.shape == x.shape == (8, 2)
        for references, tells in (
            (["hourly:coverage_3h"], "must be a feature"),
            (["hourly:nothing"], "must be a feature"),
        ):
            with pytest.raises(TrainingInputRefused, match=tells):
                released_rows(store, references, later)
        with pytest.raises(TrainingInputRefused, match="nothing was released"):
            released_rows(store, ["daily:flights"], datetime(1970, 1, 1, 2, tzinfo=UTC))
