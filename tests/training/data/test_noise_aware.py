from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from featurestore.define.entities import Entity
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.featurestore.making import DAY, HOUR, a_release, a_view, a_void
from training.data.noise_aware import (
    DenoisedScaler,
    EmpiricalBayesShrinkage,
    RegressionCalibrator,
    inverse_variance_weights,
    nested_windows,
    released_rows,
)
from training.errors import NotFitted, TrainingInputRefused

ROWS = 200_000


def noisy(rng: np.random.Generator, truth: np.ndarray, se: np.ndarray) -> np.ndarray:
    return truth + se * rng.standard_normal(truth.shape)


def test_a_denoised_scale_is_the_spread_of_the_truth_at_any_noise() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(5.0, 2.0, (ROWS, 1))
    for level in (0.0, 0.5, 3.0):
        se = np.full_like(truth, level)
        scaler = DenoisedScaler().fit(noisy(rng, truth, se), se)
        assert scaler.mean_[0] == pytest.approx(5.0, abs=0.05)
        assert scaler.scale_[0] == pytest.approx(2.0, rel=0.03)
        assert scaler.transform([[7.0]])[0, 0] == pytest.approx(1.0, abs=0.05)
        assert scaler.transform_se([[1.0]])[0, 0] == pytest.approx(0.5, rel=0.03)


def test_a_column_of_noise_alone_is_scaled_by_the_floor_and_a_constant_one_by_one() -> None:
    x = np.array([[-1.0, 3.0], [1.0, 3.0]])
    scaler = DenoisedScaler(floor=0.25).fit(x, np.array([[9.0, 0.0], [9.0, 0.0]]))
    np.testing.assert_allclose(scaler.scale_, [0.5, 1.0])
    np.testing.assert_allclose(scaler.transform([[np.nan, 4.0]]), [[np.nan, 1.0]])


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


def correlated(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two columns with the mean (1, -1), and their covariance."""
    covariance = np.array([[1.0, 0.8], [0.8, 1.0]])
    return rng.multivariate_normal([1.0, -1.0], covariance, ROWS), covariance


def test_the_calibrator_is_the_matrix_formula_for_each_row_of_its_own_noise() -> None:
    rng = np.random.default_rng(4)
    truth, covariance = correlated(rng)
    se = rng.uniform(0.0, 2.0, truth.shape)
    x = noisy(rng, truth, se)
    model = RegressionCalibrator().fit(x, se)
    np.testing.assert_allclose(model.covariance_, covariance, atol=0.03)
    found = model.transform(x, se)
    for row in (0, 1, 40_000, ROWS - 1):  # rows of more than one chunk
        gain = model.covariance_ @ np.linalg.inv(model.covariance_ + np.diag(se[row] ** 2))
        np.testing.assert_allclose(found[row], model.mean_ + gain @ (x[row] - model.mean_), rtol=1e-9)


def test_calibrated_columns_borrow_from_each_other_and_undo_attenuation() -> None:
    rng = np.random.default_rng(5)
    truth, _ = correlated(rng)
    se = np.tile([1.5, 0.2], (ROWS, 1))
    x = noisy(rng, truth, se)
    together = RegressionCalibrator().fit(x, se).transform(x, se)
    alone = EmpiricalBayesShrinkage().fit(x, se).transform(x, se)
    assert np.var(together[:, 0] - truth[:, 0]) < 0.6 * np.var(alone[:, 0] - truth[:, 0])
    slope = np.polyfit(together[:, 0], truth[:, 0], 1)[0]
    assert slope == pytest.approx(1.0, abs=0.02)
    assert np.polyfit(x[:, 0], truth[:, 0], 1)[0] == pytest.approx(1 / 3.25, abs=0.02)


def test_a_null_is_filled_from_the_rest_of_its_row_and_a_row_of_nulls_is_the_mean() -> None:
    rng = np.random.default_rng(6)
    truth, _ = correlated(rng)
    se = np.full_like(truth, 0.5)
    x = noisy(rng, truth, se)
    model = RegressionCalibrator().fit(x, se)
    c, mean = model.covariance_, model.mean_
    (one, none) = model.transform([[np.nan, 3.0], [np.nan, np.nan]], [[np.nan, 0.5], [np.nan, np.nan]])
    np.testing.assert_allclose(one, mean + c[:, 1] / (c[1, 1] + 0.25) * (3.0 - mean[1]))
    np.testing.assert_allclose(none, mean)


def test_windows_that_share_panes_share_their_noise_and_the_calibrator_knows() -> None:
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((ROWS, 24))
    windows = np.column_stack([noise[:, -w:].mean(axis=1) for w in (1, 3, 24)])
    correlation = nested_windows([1, 3, 24])
    np.testing.assert_allclose(correlation, np.corrcoef(windows, rowvar=False), atol=0.01)
    truth = rng.multivariate_normal([0, 0, 0], [[1, 0.9, 0.7], [0.9, 1, 0.8], [0.7, 0.8, 1]], ROWS)
    x, se = truth + 3 * windows, np.tile(3 / np.sqrt([1, 3, 24]), (ROWS, 1))
    aware = RegressionCalibrator(correlation).fit(x, se).transform(x, se)
    unaware = RegressionCalibrator().fit(x, se).transform(x, se)
    assert np.mean((aware - truth) ** 2) < 0.97 * np.mean((unaware - truth) ** 2)


def test_weights_give_the_mean_with_the_least_variance() -> None:
    weights = inverse_variance_weights([1.0, 2.0, np.nan])
    np.testing.assert_allclose(weights, [1.6, 0.4, 0.0])
    assert weights[:2].mean() == pytest.approx(1.0)
    np.testing.assert_allclose(inverse_variance_weights([0.0, 1.0], between=1.0), [4 / 3, 2 / 3])
    rng = np.random.default_rng(8)
    se = rng.uniform(0.1, 3.0, 50)
    x = 5 + se * rng.standard_normal((20_000, 50))
    found = x @ inverse_variance_weights(se) / 50
    assert np.var(found) == pytest.approx(1 / np.sum(1 / se**2), rel=0.05)
    assert np.var(found) < 0.2 * np.var(x.mean(axis=1))


@pytest.mark.parametrize("model", [DenoisedScaler(), EmpiricalBayesShrinkage(), RegressionCalibrator()])
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
def test_rows_that_teach_nothing_are_refused(
    model: DenoisedScaler | EmpiricalBayesShrinkage | RegressionCalibrator,
    x: list[object],
    se: list[object],
    tells: str,
) -> None:
    with pytest.raises(TrainingInputRefused, match=tells.replace("(", r"\(").replace(")", r"\)")):
        model.fit(x, se)  # type: ignore[arg-type]


def test_what_is_not_fitted_does_not_transform() -> None:
    for transform in (EmpiricalBayesShrinkage().transform, RegressionCalibrator().transform):
        with pytest.raises(NotFitted, match="call fit"):
            transform([[1.0]], [[1.0]])
    with pytest.raises(NotFitted, match="DenoisedScaler"):
        DenoisedScaler().transform([[1.0]])


def test_settings_that_make_no_sense_are_refused() -> None:
    for refused in (
        lambda: DenoisedScaler(floor=0.0),
        lambda: RegressionCalibrator([[1.0, 2.0], [2.0, 1.0]]),
        lambda: RegressionCalibrator([[1.0, 0.2], [0.3, 1.0]]),
        lambda: RegressionCalibrator(np.eye(3)).fit([[1.0], [2.0]], [[0.1], [0.1]]),
        lambda: RegressionCalibrator().fit([[1.0], [2.0]], [[5.0], [5.0]]),
        lambda: RegressionCalibrator().fit([[1.0, np.nan], [np.nan, 2.0]], [[1.0, np.nan], [np.nan, 1.0]]),
        lambda: nested_windows([1, 0]),
        lambda: inverse_variance_weights([0.0, 1.0]),
        lambda: inverse_variance_weights([np.nan]),
        lambda: inverse_variance_weights([-1.0]),
        lambda: inverse_variance_weights([1.0], between=-1.0),
    ):
        with pytest.raises(TrainingInputRefused):
            refused()


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
