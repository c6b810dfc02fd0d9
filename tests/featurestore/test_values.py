"""The status of a decoded value, and the columns beside it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from featurestore.define.decoded import Status, made_stale, n_is_there, value_is_there
from featurestore.define.definitions import FeatureView
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.values import decode

from .making import a_view

LATE = Rate("late", where="delay >= 15")
READ_OFF = Rate("late", where="delay >= 15", derive=True)
DELAY = Mean("delay", clip=(-60, 180))
CELLS = Histogram("delay", edges=[0, 15])


def decoded_at(
    view: FeatureView, feature: ViewFeature, n: int, noisers: float = 2.0
) -> tuple[Status, float, float, int]:
    """(status, value, se, n) of a feature with n events whose sums put its value at about a half or the middle."""
    layout = layout_of(view)
    sums = np.zeros((1, layout.slots_per_key), dtype=np.int64)
    groups = layout.groups_of(feature)
    if len(groups) == 2:
        sums[0, groups[1].slots[0]] = n
    else:
        sums[0, list(groups[0].slots)[:2]] = n - n // 2, n // 2
    got = decode(layout, feature, sums, np.full(1, noisers), np.zeros(1, dtype=np.uint8))
    assert got.n is not None
    return Status(got.status[0]), float(got.value[0]), float(got.se[0]), int(got.n[0])


def se_of_n(view: FeatureView, feature: ViewFeature) -> float:
    """The standard error of n for two noises, of one group or of three cells."""
    groups = layout_of(view).groups_of(feature)
    return math.sqrt(2 * groups[1].variance if len(groups) == 2 else 3 * 2 * groups[0].variance)


@pytest.mark.parametrize("feature", [LATE, READ_OFF, DELAY], ids=["rate", "derived rate", "mean"])
def test_a_ratio_is_drowned_below_3_rough_below_20_and_sound_from_there(feature: ViewFeature) -> None:
    view = a_view(features=[CELLS, feature] if feature.derive else [feature])
    se = se_of_n(view, feature)
    for factor, below, status in ((3, Status.DROWNED, Status.ROUGH_SE), (20, Status.ROUGH_SE, Status.OK)):
        first = math.ceil(factor * se)
        assert decoded_at(view, feature, first - 1)[0] is below
        got, value, spread, n = decoded_at(view, feature, first)
        assert (got, n) == (status, first)
        assert math.isfinite(value)
        assert math.isfinite(spread)


@pytest.mark.parametrize("n", [1, 2, 1_000])
def test_nothing_is_rough_with_noise_off(n: int) -> None:
    assert decoded_at(a_view(features=[LATE]), LATE, n, noisers=0.0)[0] is Status.OK


def test_counts_and_histograms_are_linear_and_never_rough() -> None:
    view = a_view(features=[Count("flights"), CELLS])
    layout = layout_of(view)
    for feature in view.features:
        sums = np.ones((1, layout.slots_per_key), dtype=np.int64)
        got = decode(layout, feature, sums, np.full(1, 2.0), np.zeros(1, dtype=np.uint8))
        assert got.status.tolist() == [Status.OK]


def test_a_row_that_is_null_stays_so_whatever_its_n() -> None:
    layout = layout_of(a_view(features=[LATE]))
    base = np.array([Status.VOID, Status.LOW_COVERAGE, Status.SUPPRESSED], dtype=np.uint8)
    for n in (0, 60, 10_000):
        got = decode(layout, LATE, np.full((3, 2), n, dtype=np.int64), np.full(3, 2.0), base)
        assert got.status.tolist() == base.tolist()


def test_three_statuses_have_a_value_four_an_n_and_two_become_stale() -> None:
    every = np.array(Status, dtype=np.uint8)
    with_value = {Status.OK, Status.ROUGH_SE, Status.STALE_BUDGET}
    assert {status for status in Status if value_is_there(every)[status]} == with_value
    assert {status for status in Status if n_is_there(every)[status]} == with_value | {Status.DROWNED}
    assert made_stale(every).tolist() == [Status.STALE_BUDGET if s in with_value else s for s in Status]
