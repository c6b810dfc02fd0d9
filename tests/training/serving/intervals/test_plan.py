"""What has an interval and what has none, in small stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.filtered import Filtered
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.on_demand import Feature, Input, on_demand
from featurestore.define.privacy import Privacy
from featurestore.define.release import RETRACTED, Void
from featurestore.errors import StoreCorrupt
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.featurestore.making import DAY, a_release, a_view, a_void
from training.errors import InputRefused, ModelNotReady
from training.serving.arrays import Arrays
from training.serving.intervals import newest_sums
from training.serving.intervals import plan as plans
from training.serving.intervals.level import Level
from training.serving.intervals.plan import IntervalPlan

from .noised_stores import NOW, draws, inputs_of, noise_of, publish, released

KEYS = ["busy", "calm", "drowned", "rough"]
"""A domain is sorted."""
DAYS = 30


@on_demand(outputs=["risk"])
def weighed(
    late: Annotated[np.ndarray, Feature("daily:late_7d")], hour: Annotated[np.ndarray, Input("int64")]
) -> np.ndarray:
    return np.where(hour == 13, np.nan, 10 * late + hour)


@on_demand(outputs=["risk"])
def or_zero(late: Annotated[np.ndarray, Feature("daily:late")]) -> np.ndarray:
    return np.nan_to_num(2 * late)


def daily(**more: object) -> FeatureView:
    features = [
        Count("flights"),
        Rate("late", where="delay >= 15"),
        Mean("delay", clip=(0, 60)),
        Histogram("delay", edges=[0, 15], name="cells"),
        Filtered("late", "5d", sd=0.1, season=None),
    ]
    return a_view(
        "daily",
        **{"entity": Entity("dest", domain=KEYS), "features": features, "pane": "1d", "windows": ["7d", "28d"], **more},
    )


def sums_of(view: FeatureView) -> np.ndarray:
    """Noised sums by which the rates of one key are rough, and those of another drowned."""
    layout = layout_of(view)
    (sigma,) = {group.variance**0.5 for group in layout.groups_of(view.pane_features[1])[1:]}
    n = np.array([8000.0, 4000.0, 0.4 * sigma, 9 * sigma * 2**0.5]).astype(int)
    slots = np.zeros((DAYS, len(KEYS), layout.slots_per_key), np.int64)
    slots += n[None, :, None]
    slots[:, :, layout.groups_of(view.pane_features[1])[0].slots[0]] = -n // 2
    return slots


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("daily")
    publish(directory, daily(), sums_of(daily()) + noise_of(daily(), DAYS, 3), voids=frozenset({4}))
    return directory


@pytest.fixture
def store(directory: Path) -> Iterator[Store]:
    with Store.open(directory, on_demand=[weighed, or_zero]) as store:
        yield store


def test_a_drowned_feature_has_no_interval_and_a_rough_one_has(store: Store) -> None:
    keys = {"dest": [*KEYS, "nowhere", "calm"]}
    drawn = draws(inputs_of(store, ["daily@v1:late"]), store, keys)
    assert drawn.sure.tolist() == [True, True, False, True, False, True]
    low, high = drawn.ends(drawn.arrays.x[:, 0])
    assert np.isnan(low).tolist() == np.isnan(high).tolist() == [False, False, True, False, True, False]
    assert low[0] < high[0]
    assert low[1] == low[5]
    counts = draws(inputs_of(store, ["daily@v1:flights"]), store, keys)
    assert counts.sure.tolist() == [True, True, True, True, False, True]


def test_one_feature_without_an_interval_leaves_the_prediction_without(store: Store) -> None:
    both = draws(inputs_of(store, ["daily@v1:flights_7d", "daily@v1:late"]), store, {"dest": KEYS})
    assert both.sure.tolist() == [True, True, False, True]


@pytest.mark.parametrize(
    "feature", ["flights", "late", "late_7d", "delay_mean_28d", "cells_7d", "late_pred", "late_dev", "late_n"]
)
def test_copies_lie_about_the_released_value_as_its_error_says(store: Store, feature: str) -> None:
    inputs = inputs_of(store, [f"daily@v1:{feature}"])
    if feature.startswith("cells"):
        inputs = replace(inputs, signature=replace(inputs.signature, names=tuple("abc")))
    keys = {"dest": ["busy"]}
    arrays = released(inputs, store, keys, 1)
    drawn = draws(inputs, store, keys, level=0.999)
    assert drawn.sure.all()
    assert drawn.arrays.x.mean(axis=0) == pytest.approx(arrays.x[0], abs=0.15 * float(arrays.se.max()) + 1e-3)
    if feature not in ("late_pred", "late_dev"):  # whose error has more parts than the noise
        assert drawn.arrays.x.std(axis=0) == pytest.approx(arrays.se[0], rel=0.1)
    assert (drawn.arrays.se == arrays.se).all()


def test_plain_columns_are_the_same_in_all_copies(store: Store) -> None:
    inputs = inputs_of(store, ["daily@v1:late_7d"], ["distance"])
    drawn = draws(inputs, store, {"dest": ["calm", "busy"], "distance": [3.5, None]})
    assert set(drawn.arrays.x[::2, 1].tolist()) == {3.5}
    assert not drawn.arrays.mask[1::2, 1].any()
    assert drawn.sure.all()


def test_on_demand_views_compute_from_the_copies(store: Store) -> None:
    inputs = inputs_of(store, ["weighed:risk", "daily@v1:late_7d"])
    drawn = draws(inputs, store, {"dest": ["busy", "busy", "drowned"], "hour": [5, 13, 5]})
    assert drawn.sure.tolist() == [True, False, False]
    x = drawn.arrays.x.reshape(39, 3, 2)
    assert x[:, 0, 0] == pytest.approx(10 * x[:, 0, 1] + 5, rel=1e-5)
    assert len(np.unique(x[:, 0, 1])) > 30


def test_a_null_input_of_an_on_demand_view_has_no_interval(store: Store) -> None:
    drawn = draws(inputs_of(store, ["or_zero:risk"]), store, {"dest": KEYS})
    assert drawn.sure.tolist() == [True, True, False, True]


def test_one_question_has_one_answer_in_an_epoch_whoever_asks_beside_it(store: Store) -> None:
    inputs = inputs_of(store, ["daily@v1:late_7d", "daily@v1:late_pred"])
    alone = draws(inputs, store, {"dest": ["busy"]}).arrays.x
    beside = draws(inputs, store, {"dest": ["calm", "busy", "rough"]}).arrays.x[1::3]
    assert np.array_equal(alone, beside)
    one = IntervalPlan.of(inputs, store, store.blocks.require())
    arrays = released(inputs, store, {"dest": ["busy"]}, 1)
    for _ in range(2):
        assert np.array_equal(one.draws({"dest": ["busy"]}, 1, arrays, Level.of(0.95)).arrays.x, alone)


def test_a_new_epoch_has_other_noise_and_keeps_the_sums_of_views_without_a_publication(tmp_path: Path) -> None:
    other = a_view("other", entity=Entity("dest", domain=KEYS), features=[Count("flights")], pane="1d", windows=[])
    publish(tmp_path, daily(), sums_of(daily()))
    publish(tmp_path, other, np.full((2, 4, 1), 50))
    with Store.open(tmp_path) as store:
        inputs = inputs_of(store, ["daily@v1:flights_7d", "other@v1:flights"])
        first = IntervalPlan.of(inputs, store, store.blocks.require())
        before = first.draws({"dest": ["busy"]}, 1, released(inputs, store, {"dest": ["busy"]}, 1), Level.of(0.9))
        publish(tmp_path, other, np.full((1, 4, 1), 60), first=2)
        with pytest.raises(ModelNotReady, match="a publication of view 'other' is under way"):
            IntervalPlan.of(inputs, store, store.blocks.require())
        assert store.blocks.refresh()
        second = IntervalPlan.of(inputs, store, store.blocks.require(), first)
        after = second.draws({"dest": ["busy"]}, 1, released(inputs, store, {"dest": ["busy"]}, 1), Level.of(0.9))
    assert second.view_sums["daily@v1"] is first.view_sums["daily@v1"]
    assert second.view_sums["other@v1"] is not first.view_sums["other@v1"]
    assert not np.array_equal(before.arrays.x[:, 0], after.arrays.x[:, 0])


def test_keys_beyond_the_room_take_the_place_of_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.serving.intervals.view_copies.MOST_KEPT", 2 * 39)
    inputs = inputs_of(store, ["daily@v1:flights_7d"])
    one = IntervalPlan.of(inputs, store, store.blocks.require())
    for keys in (["calm"], ["busy", "rough"], KEYS, ["calm", "calm"], KEYS[::-1]):
        entities = {"dest": keys}
        arrays = released(inputs, store, entities, len(keys))
        found = one.draws(entities, len(keys), arrays, Level.of(0.9)).arrays.x.reshape(39, -1)
        for at, key in enumerate(keys):
            assert np.array_equal(found[:, at], draws(inputs, store, {"dest": [key]}).arrays.x[:, 0])


def test_a_retracted_pane_adds_neither_sums_nor_noise(tmp_path: Path) -> None:
    view = daily()
    publish(tmp_path, view, sums_of(view))
    gone = a_release(view, 27 * DAY)
    tombstone = Void(gone.manifest, gone.pane_start, gone.pane_end, NOW, NOW, "live", f"{RETRACTED}: wrong")
    with Publisher(tmp_path, lambda: NOW) as publisher:
        publisher.publish([tombstone])
    with Store.open(tmp_path) as store:
        inputs = inputs_of(store, ["daily@v1:flights_7d", "daily@v1:late_pred"])
        drawn = draws(inputs, store, {"dest": ["busy"]}, level=0.999)
        arrays = released(inputs, store, {"dest": ["busy"]}, 1)
    assert drawn.sure.all()
    assert drawn.arrays.x[:, 0].std() == pytest.approx(arrays.se[0, 0], rel=0.1)


def test_sums_without_noise_have_an_interval_without_width(tmp_path: Path) -> None:
    view = daily()
    with Publisher(tmp_path, lambda: NOW) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, i * DAY, 500) for i in range(DAYS)])
    with Store.open(tmp_path) as store:
        drawn = draws(inputs_of(store, ["daily@v1:flights_28d"]), store, {"dest": ["busy"]})
    low, high = drawn.ends(drawn.arrays.x[:, 0])
    assert low == high == [500 * 28]


def test_a_model_that_gives_no_number_for_a_copy_has_no_interval(store: Store) -> None:
    drawn = draws(inputs_of(store, ["daily@v1:flights_28d"]), store, {"dest": ["busy", "busy"]})
    values = drawn.arrays.x[:, 0].copy()
    values[0] = np.nan  # of the first row, in one copy
    low, high = drawn.ends(values)
    assert np.isnan([low[0], high[0]]).all()
    assert low[1] < high[1]


def test_a_view_without_rows_has_no_interval(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: NOW) as publisher:
        publisher.register(daily())
        publisher.publish([a_void(daily(), 0, "BUDGET_SPENT")])
    with Store.open(tmp_path) as store:
        drawn = draws(inputs_of(store, ["daily@v1:flights_28d"]), store, {"dest": ["busy"]})
    assert not drawn.sure.any()


def test_a_constant_entity_needs_no_key(tmp_path: Path) -> None:
    area = a_view("area", entity=Entity("area", value="NYC"), features=[Count("flights")], pane="1d", windows=["7d"])
    publish(tmp_path, area, np.full((9, 1, 1), 500))
    with Store.open(tmp_path) as store:
        inputs = inputs_of(store, ["area@v1:flights_7d"], ["distance"])
        drawn = draws(inputs, store, {"distance": [1.0, 2.0]})
    assert drawn.sure.all()
    assert np.array_equal(drawn.arrays.x[::2, 0], drawn.arrays.x[1::2, 0])


def test_views_outside_of_memory_have_intervals(tmp_path: Path) -> None:
    (tmp_path / "covey.toml").write_text("[online]\nblock_mib = 0\n")
    publish(tmp_path, daily(), sums_of(daily()))
    with Store.open(tmp_path) as store:
        assert store.blocks.require().find("daily").blocking
        drawn = draws(inputs_of(store, ["daily@v1:flights_7d"]), store, {"dest": ["busy", "nowhere", "calm"]})
        assert drawn.sure.tolist() == [True, False, True]


def test_two_versions_of_a_view_are_refused(tmp_path: Path) -> None:
    publish(tmp_path, daily(), sums_of(daily()))
    with Publisher(tmp_path, lambda: NOW) as publisher:
        publisher.apply([daily(windows=["7d"])])
    with (
        Store.open(tmp_path) as store,
        pytest.raises(InputRefused, match=r"reads daily@v1 and daily@v2, which have noise in common"),
    ):
        draws(inputs_of(store, ["daily@v1:flights_7d", "daily@v2:flights_7d"]), store, {"dest": ["busy"]})


def test_too_many_sums_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = inputs_of(store, ["daily@v1:late_pred"])
    monkeypatch.setattr(newest_sums, "MOST_KEPT", 2 * 4 * DAYS - 1)
    with pytest.raises(InputRefused, match=r"keeps over 240 sums of view 'daily'; the limit is 239"):
        draws(inputs, store, {"dest": ["busy"]})
    monkeypatch.setattr(newest_sums, "MOST_READ", 100)
    with pytest.raises(InputRefused, match=r"sums of view 'daily'; the limit is 100"):
        draws(inputs, store, {"dest": ["busy"]})


def test_too_many_rows_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "MOST_DRAWN", 100)
    with pytest.raises(InputRefused, match=r"3 rows with an interval take 117 predictions; the limit is 100"):
        draws(inputs_of(store, ["daily@v1:late"]), store, {"dest": ["busy"] * 3})


def test_rows_that_do_not_follow_from_the_sums_are_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = inputs_of(store, ["daily@v1:flights_7d"])
    made = IntervalPlan.of(inputs, store, store.blocks.require())
    next(iter(made.view_sums.values())).sums.sums[0] += 1
    arrays = Arrays(*(array[:1] for array in released(inputs, store, {"dest": ["busy"]}, 1)))
    with pytest.raises(StoreCorrupt, match="do not follow from the released sums"):
        made.draws({"dest": ["busy"]}, 1, arrays, Level.of(0.9))


def test_a_feature_that_is_null_without_noise_does_not_prevent_an_interval(tmp_path: Path) -> None:
    """The newest pane is void with and without noise. The windows before it have values."""
    view = daily()
    publish(tmp_path, view, sums_of(view), voids=frozenset({DAYS - 1}))
    with Store.open(tmp_path) as store:
        inputs = inputs_of(store, ["daily@v1:late", "daily@v1:late_28d", "daily@v1:late_n"])
        drawn = draws(inputs, store, {"dest": ["busy", "nowhere"]})
        (void,) = draws(inputs_of(store, ["daily@v1:late"]), store, {"dest": ["busy"]}).sure
    assert drawn.sure.tolist() == [True, False]  # of an unknown key nothing was released
    assert drawn.arrays.mask[::2].tolist() == [[False, True, False]] * 39
    assert len(np.unique(drawn.arrays.x[::2, 1])) > 30
    assert not void  # no feature has a value, so there is no noise that an interval could cover


def test_a_coverage_that_follows_from_noised_counts_prevents_an_interval(tmp_path: Path) -> None:
    for name, privacy, expected in (("plain", {}, True), ("withheld", {"suppress_below": 5}, False)):
        view = a_view(
            "daily",
            entity=Entity("dest", domain=KEYS),
            features=[ClientCount("planes"), Count("flights")],
            pane="1d",
            windows=["7d", "28d"],
            min_coverage=0.5,
            privacy=Privacy(rho=0.5, min_clients=2, **privacy),
        )
        publish(tmp_path / name, view, np.full((9, 4, 2), 5000))
        with Store.open(tmp_path / name) as store:
            found = store.get(["daily:flights_28d"], {"dest": ["busy"]})["flights_28d__status"].to_pylist()
            drawn = draws(inputs_of(store, ["daily@v1:flights_7d", "daily@v1:flights_28d"]), store, {"dest": ["busy"]})
        assert found == ["LOW_COVERAGE"]
        assert drawn.sure.tolist() == [expected]


def test_a_value_that_is_too_old_prevents_an_interval(tmp_path: Path) -> None:
    """Its row still has a value, which is not served."""
    view, other = (
        daily(ttl="3d"),
        a_view("other", entity=Entity("dest", domain=KEYS), features=[Count("flights")], pane="1d", windows=[]),
    )
    publish(tmp_path, view, sums_of(view))
    publish(tmp_path, other, np.full((2, 4, 1), 50))
    with Store.open(tmp_path) as store:
        drawn = draws(inputs_of(store, ["daily@v1:flights_7d", "other@v1:flights"]), store, {"dest": ["busy"]})
    assert not drawn.sure.any()
