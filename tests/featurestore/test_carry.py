"""Which features a version takes over from panes that were opened for another definition, and in what units of noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from featurestore.define.carry import Carry
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import PaneFeature
from featurestore.define.interval import Ratio
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.values import interval_of, served_features
from featurestore.define.wire import collection_hash
from tests.featurestore.making import a_view

FEATURES: list[PaneFeature] = [
    Count("flights"),
    Rate("late", where="delay >= 15"),
    Mean("delay", clip=(-60, 180)),
    Histogram("delay", edges=[0, 15], nulls=True),
    ClientCount("planes"),
]
OLD = a_view(features=FEATURES)


def carried(old: FeatureView, new: FeatureView) -> list[str]:
    """The names of the new definition's features that are carried."""
    carry = Carry.between(old, new)
    return [feature.name for feature, is_carried in zip(new.collected, carry.carried, strict=True) if is_carried]


def test_a_definition_carries_all_of_itself_in_its_own_units() -> None:
    carry = Carry.between(OLD, OLD)
    slots = np.arange(layout_of(OLD).length).reshape(layout_of(OLD).keys, -1)
    assert carry.any
    assert all(carry.carried)
    assert (carry.units == 1.0).all()
    assert (carry.slots(slots) == slots).all()


@pytest.mark.parametrize(
    "changed",
    [
        {"entity": Entity("dest", domain=["ATL", "LAX", "SFO"])},
        {"entity": Entity("dest", domain=["ATL", "LGA"])},
        {"entity": Entity("airport", domain=["ATL", "LAX"])},
        {"entity": Entity("dest", domain=["ATL", "LAX"], column="to")},
        {"pane": "1d", "windows": ["3d"]},
        {"time": "arrival"},
        {"bounds": Bounds(max_cells=2)},
        {"bounds": Bounds(max_cells=1, max_events_per_cell=2)},
        {"privacy": Privacy(epsilon=1.0, min_clients=2, mechanism="laplace")},
    ],
    ids=str,
)
def test_another_domain_pane_time_bound_or_mechanism_carries_nothing(changed: dict[str, Any]) -> None:
    new = a_view(features=FEATURES, **changed)
    assert carried(OLD, new) == carried(new, OLD) == []
    carry = Carry.between(OLD, new)
    assert not carry.any
    assert not carry.units.any()
    assert not carry.slots(np.ones((2, layout_of(OLD).slots_per_key), dtype=np.int64)).any()


@pytest.mark.parametrize(
    "changed",
    [
        {"windows": ["2h", "24h"], "min_coverage": 0.1, "min_site_coverage": 0.5, "ttl": "3d", "owner": "me"},
        {"privacy": Privacy(rho=0.1, min_clients=50, delta=1e-9, suppress_below=7)},
        {"privacy": Privacy(rho=0.05, min_clients=2, noisers="shared")},
        {"privacy": Privacy(epsilon=1, min_clients=2)},
    ],
    ids=str,
)
def test_windows_texts_thresholds_and_price_carry_everything(changed: dict[str, Any]) -> None:
    assert carried(OLD, a_view(features=FEATURES, **changed)) == [feature.name for feature in FEATURES]


def test_more_cells_than_a_day_has_are_the_same_bound() -> None:
    one = Entity("area", value="NYC")
    day = [a_view(entity=one, pane="1d", windows=[], bounds=Bounds(max_cells=cells)) for cells in (1, 3)]
    assert carried(*day) == ["flights", "late"]
    declared = day[1].as_declared()  # of a version that counted three cells
    carry = Carry.between(declared, day[0])
    assert carry.any
    assert carry.units.tolist() == pytest.approx([3, 3, 3], rel=1e-5)  # Gaussian: σ² grows with the cells


@pytest.mark.parametrize(
    ("feature", "other"),
    [
        (FEATURES[1], replace(FEATURES[1], where="delay > 15")),
        (FEATURES[2], replace(FEATURES[2], clip=(-60, 120))),
        (FEATURES[2], replace(FEATURES[2], resolution=1.0)),
        (FEATURES[2], replace(FEATURES[2], column="dep_delay")),
        (FEATURES[3], replace(FEATURES[3], edges=[0, 20])),
        (FEATURES[3], replace(FEATURES[3], nulls=False)),
    ],
    ids=str,
)
def test_a_feature_with_other_sums_is_not_carried_and_the_others_are(feature: PaneFeature, other: PaneFeature) -> None:
    new = a_view(features=[other if one is feature else one for one in FEATURES])
    assert carried(OLD, new) == [one.name for one in FEATURES if one is not feature]
    assert carried(new, OLD) == [one.name for one in FEATURES if one is not feature]


def test_a_feature_of_another_kind_is_another_feature_whatever_its_name() -> None:
    assert carried(a_view(features=[Count("n"), Count("m")]), a_view(features=[ClientCount("n"), Count("m")])) == ["m"]


def test_names_texts_weights_and_order_do_not_matter() -> None:
    changed = [replace(one, name=f"new_{one.name}", description="text", weight=i + 1) for i, one in enumerate(FEATURES)]
    new = a_view(features=changed[::-1])
    carry, old = Carry.between(OLD, new), layout_of(OLD)
    assert carry.carried == (True,) * 5
    slots = np.arange(old.length).reshape(old.keys, -1)
    moved = carry.slots(slots)
    for feature, renamed in zip(FEATURES, changed, strict=True):
        (mine, theirs) = (
            [slot for group in layout_of(view).groups_of(one) for slot in group.slots]
            for view, one in ((new, renamed), (OLD, feature))
        )
        assert (moved[:, mine] == slots[:, theirs]).all()


def test_features_with_equal_sums_are_paired_in_their_order_and_each_is_carried_once() -> None:
    two, swapped = a_view(features=[Count("a"), Count("b")]), a_view(features=[Count("b"), Count("a")])
    one = a_view(features=[Count("b")])
    slots = np.array([[1, 2], [3, 4]])
    for old in (two, swapped):  # they share a collection, so its sums are the same whatever their names
        assert collection_hash(old) == collection_hash(two)
        assert Carry.between(old, one).slots(slots).tolist() == [[1], [3]]
        assert Carry.between(old, two).slots(slots).tolist() == slots.tolist()
    assert carried(one, two) == ["a"]
    assert Carry.between(one, two).slots(slots[:, :1]).tolist() == [[1, 0], [3, 0]]


def test_a_derived_feature_is_no_feature_of_its_own() -> None:
    read_off = Rate("late", where="delay >= 15", derive=True)
    cells = FEATURES[3]
    assert carried(a_view(features=[cells]), a_view(features=[cells, read_off])) == [cells.name]
    assert carried(a_view(features=[cells, read_off]), a_view(features=[FEATURES[1], cells])) == [cells.name]


@pytest.mark.parametrize(
    "privacy",
    [
        Privacy(rho=0.1, min_clients=2),
        Privacy(rho=0.01, min_clients=2, noisers="shared"),
        Privacy(epsilon=0.7, min_clients=2, delta=1e-7),
    ],
    ids=str,
)
def test_a_unit_is_the_ratio_of_variances_and_the_same_for_both_sums_of_a_ratio(privacy: Privacy) -> None:
    """So the rule of the intervals, which has the ratio of a view's own noises, holds for carried panes, too.

    Prices are whole millionths, so the units differ by up to one part in the smaller price: 249 of them, at ρ = 0.01 here.
    """
    weighed = [replace(one, weight=weight) for one, weight in zip(FEATURES, (3, 1, 2, 5, 1), strict=True)]
    new = a_view(features=weighed, privacy=privacy)
    units = Carry.between(OLD, new).units
    before, after = layout_of(OLD).groups, layout_of(new).groups
    assert units.tolist() == pytest.approx(
        [old.variance / mine.variance for old, mine in zip(before, after, strict=True)]
    )
    for name in ("late", "delay_mean"):
        of_sum, of_count = (unit for unit, group in zip(units, after, strict=True) if group.feature == name)
        assert of_sum == pytest.approx(of_count, rel=5e-3)
        rules = [
            interval_of(view, one) for view in (OLD, new) for one in served_features(view) if one.feature.name == name
        ]
        scales = [rule.shape.scale for rule in rules if isinstance(rule.shape, Ratio)]
        assert len(scales) == 4
        assert scales == pytest.approx([scales[0]] * 4, rel=5e-3)
