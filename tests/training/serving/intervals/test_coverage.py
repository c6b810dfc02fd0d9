"""Intervals hold the prediction that exact features give as often as they say. Every key of a store has noise of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.filtered import Filtered
from featurestore.define.kinds import Count, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Privacy
from featurestore.store import Store
from tests.featurestore.making import a_view
from training.serving.arrays import Arrays

from .noised_stores import draws, inputs_of, noise_of, publish, released

KEYS = 3000
DAYS = 40
LEVEL = 0.9
THREE_SE = 3 * (LEVEL * (1 - LEVEL) / KEYS) ** 0.5


def a_daily_view(privacy: Privacy) -> FeatureView:
    return a_view(
        entity=Entity("key", domain=range(KEYS)),
        features=[Count("flights"), Rate("late", where="delay >= 15"), Filtered("late", "5d", sd=0.1, season=None)],
        pane="1d",
        windows=["7d", "28d"],
        privacy=privacy,
    )


def exact_sums(view: FeatureView) -> np.ndarray:
    """Each key has as many events a day as all others, in the noise basis: flights, true − false, true + false."""
    rng = np.random.default_rng(5)
    n = rng.integers(380, 420, (DAYS, KEYS))
    late = rng.binomial(n, 0.3)
    assert layout_of(view).slots_per_key == 3
    return np.stack((n, 2 * late - n, n), axis=2)


@pytest.fixture(scope="module", params=["gaussian", "laplace"])
def stores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store with noise, and one of the same events without."""
    prices = {"gaussian": Privacy(rho=0.05), "laplace": Privacy(mechanism="laplace", epsilon=0.5)}
    view = a_daily_view(prices[request.param])
    exact = exact_sums(view)
    noised, plain = (tmp_path_factory.mktemp(name) for name in ("noised", "plain"))
    publish(plain, view, exact, voids=frozenset({10}))
    publish(noised, view, exact + noise_of(view, DAYS, seed=11), voids=frozenset({10}))
    return noised, plain


def of_windows(sign: float) -> Callable[[Arrays], np.ndarray]:
    return lambda arrays: (arrays.x[:, 0] / 7 + sign * arrays.x[:, 1] / 28).astype(np.float32)


def covered(
    stores: tuple[Path, Path], features: list[str], model: Callable[[Arrays], np.ndarray]
) -> tuple[float, float]:
    """The shares of keys whose interval holds the exact prediction: intervals from sums, and from errors of each feature."""
    noised, plain = stores
    entities = {"key": list(range(KEYS))}
    with Store.open(plain) as store:
        exact = model(released(inputs_of(store, features), store, entities, KEYS))
    with Store.open(noised) as store:
        inputs = inputs_of(store, features)
        drawn = draws(inputs, store, entities, LEVEL)
        seen = released(inputs, store, entities, KEYS)
    assert drawn.sure.all()
    low, high = drawn.ends(model(drawn.arrays))
    rng = np.random.default_rng(3)
    apart = seen._replace(
        x=np.tile(seen.x, (39, 1)) + rng.normal(size=drawn.arrays.x.shape) * np.tile(seen.se, (39, 1))
    )
    naive_low, naive_high = drawn.ends(model(apart).astype(np.float32))
    return float(((low <= exact) & (exact <= high)).mean()), float(
        ((naive_low <= exact) & (exact <= naive_high)).mean()
    )


def test_windows_that_share_panes_share_their_noise(stores: tuple[Path, Path]) -> None:
    features = ["delays@v1:flights_7d", "delays@v1:flights_28d"]
    of_sum, naive_of_sum = covered(stores, features, of_windows(+1))
    of_difference, naive_of_difference = covered(stores, features, of_windows(-1))
    assert abs(of_sum - LEVEL) < THREE_SE
    assert abs(of_difference - LEVEL) < THREE_SE
    assert naive_of_sum < 0.86
    assert naive_of_difference > 0.94


def test_a_pane_is_in_its_windows(stores: tuple[Path, Path]) -> None:
    features = ["delays@v1:flights", "delays@v1:flights_7d"]
    share, naive = covered(stores, features, lambda arrays: (arrays.x[:, 0] + arrays.x[:, 1] / 2.65).astype(np.float32))
    assert abs(share - LEVEL) < THREE_SE
    assert naive < 0.87


def test_rates_are_decoded_from_noised_sums(stores: tuple[Path, Path]) -> None:
    share, _ = covered(stores, ["delays@v1:late_7d"], lambda arrays: np.exp(5 * arrays.x[:, 0]))
    assert abs(share - LEVEL) < THREE_SE


def test_a_filter_has_the_noise_of_the_windows_over_its_panes(stores: tuple[Path, Path]) -> None:
    features = ["delays@v1:late_pred", "delays@v1:late_7d"]
    share, _ = covered(stores, features, lambda arrays: (arrays.x[:, 0] + 0.6 * arrays.x[:, 1]).astype(np.float32))
    assert abs(share - LEVEL) < THREE_SE
    share, _ = covered(stores, features, lambda arrays: (arrays.x[:, 0] - 0.6 * arrays.x[:, 1]).astype(np.float32))
    assert abs(share - LEVEL) < THREE_SE


def test_a_rate_of_few_events_has_an_interval_that_holds(tmp_path: Path) -> None:
    """The noised number of events is about five of its standard errors, so the standard error of the rate is rough."""
    view = a_daily_view(Privacy(rho=0.05))
    sums, late = exact_sums(view)[-1:], layout_of(view).groups_of(view.pane_features[1])
    n = int(5 * late[1].opened_variance ** 0.5)
    sums[:, :, 1:] = np.array([-0.6 * n, n]).astype(int)
    plain, noised = tmp_path / "plain", tmp_path / "noised"
    publish(plain, view, sums)
    publish(noised, view, sums + noise_of(view, 1, seed=4))
    entities, features = {"key": list(range(KEYS))}, ["delays@v1:late"]
    with Store.open(plain) as store:
        exact = released(inputs_of(store, features), store, entities, KEYS).x[:, 0]
    with Store.open(noised) as store:
        status = store.get(["delays:late"], entities)["late__status"].to_pylist()
        drawn = draws(inputs_of(store, features), store, entities, LEVEL)
    assert set(status) == {"ROUGH_SE", "DROWNED"}
    assert (drawn.sure == (np.array(status) == "ROUGH_SE")).all()
    low, high = (ends[drawn.sure] for ends in drawn.ends(drawn.arrays.x[:, 0]))
    held = ((low <= exact[drawn.sure]) & (exact[drawn.sure] <= high)).mean()
    assert 0.89 < held < 0.93  # the values that are not DROWNED hold a little more
