"""95 % intervals from a value and its standard error: the mathematics, and their coverage of decoded values."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from featurestore.define.decoded import Floats, Ints, value_is_there
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.filtered import Filtered
from featurestore.define.interval import (
    NORMAL,
    Estimate,
    Interval,
    IntervalShape,
    Ratio,
    WholeNumber,
    critical_value,
)
from featurestore.define.kinds import Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Mechanism, Privacy
from featurestore.define.values import ServedFeature, decode, interval_of, served_features

VIEW = FeatureView(
    "v",
    entity=Entity("k", domain=range(3)),
    features=[
        Count("n"),
        Mean("x", clip=(-20, 100), resolution=1),
        Rate("late", where="x >= 60"),
        Histogram("x", edges=[20, 60], nulls=True),
        Rate("late_x", where="x >= 60", derive=True),
        Filtered("late", "4h", sd=0.1, name="smooth"),
    ],
    pane="1h",
    windows=["10h"],
    bounds=Bounds(max_cells=1, max_events_per_cell=1),
    privacy=Privacy(rho=0.1),
    min_coverage=0.7,
)


def served(name: str, view: FeatureView = VIEW) -> ServedFeature:
    return next(one for one in served_features(view) if one.name == name)


def lattice(mechanism: Mechanism, scale: float, noises: int) -> tuple[Ints, Floats]:
    """Every value of a sum of discrete noises, and its exact probability. `scale` is σ² or b."""
    width = int(40 * scale if mechanism == "laplace" else 9 * math.sqrt(scale)) + 3
    x = np.arange(-width, width + 1)
    one = np.exp(-np.abs(x) / scale) if mechanism == "laplace" else np.exp(-(x**2) / (2 * scale))
    one /= one.sum()
    total = one
    for _ in range(noises - 1):
        total = np.convolve(total, one)
    return np.arange(len(total)) - len(total) // 2, total


@pytest.mark.parametrize("noises", [2, 6, 14])
@pytest.mark.parametrize(
    ("mechanism", "scale"),
    [
        *(("gaussian", scale) for scale in (0.25, 1.0, 2.0, 8.0, 30.0, 400.0)),
        *(("laplace", scale) for scale in (0.5, 0.8, 1.5, 5.0, 20.0)),
    ],
)
def test_the_interval_of_a_sum_holds_95_percent_of_discrete_noise_and_not_much_more(
    mechanism: Mechanism, scale: float, noises: int
) -> None:
    x, mass = lattice(mechanism, scale, noises)
    variance = scale if mechanism == "gaussian" else 0.5 / math.sinh(0.5 / scale) ** 2
    se = np.array([math.sqrt(noises * variance)])
    interval = Interval(WholeNumber(), critical_value(mechanism, noises))
    (low,), (high,) = interval.bounds(np.array([100.0]), se)
    assert low == 200 - high == int(low)
    held = mass[np.abs(x) <= high - 100].sum()
    assert 0.9495 <= held <= (0.972 if se[0] >= 3 else 1.0)


def test_the_critical_value_of_laplace_noise_holds_95_percent_of_a_sum() -> None:
    t = np.linspace(1e-6, 150, 200_001)
    for noises in (2, 4, 6, 14, 28):
        of_sum = (1 + t**2 / (2 * noises)) ** -noises  # the characteristic function, with variance 1
        z = critical_value("laplace", noises)
        assert 2 / np.pi * np.trapezoid(np.sin(t * z) / t * of_sum, t) == pytest.approx(0.95, abs=2e-5)
    assert critical_value("laplace", 1_000) == critical_value("laplace", 28) < critical_value("laplace", 2)
    assert critical_value("gaussian", 2) == NORMAL


def test_an_interval_is_of_the_least_number_of_panes_that_a_window_is_served_with() -> None:
    view = FeatureView(
        "v",
        entity=VIEW.entity,
        features=[Count("n")],
        pane="1h",
        windows=["25h"],
        bounds=VIEW.bounds,
        privacy=Privacy(epsilon=1.0, mechanism="laplace"),
        min_coverage=0.28,
    )
    assert interval_of(view, served("n", view)).critical == critical_value("laplace", 2)
    assert interval_of(view, served("n_25h", view)).critical == critical_value("laplace", 14)


def brute_force(s: float, n: float, variances: tuple[float, float], r: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The least and the greatest r of a grid for which S − r·n is within z standard deviations."""
    held = np.abs(s - r * n) <= NORMAL * np.sqrt(variances[0] + r**2 * variances[1])
    return r[held].min(), r[held].max()


@pytest.mark.parametrize("n", [40, 60, 500])
@pytest.mark.parametrize("share", [-0.2, 0.0, 0.3, 1.0])
def test_the_interval_of_a_mean_and_of_a_rate_is_fiellers_over_the_noised_sums(n: int, share: float) -> None:
    layout = layout_of(VIEW)
    fine = np.linspace(-4, 5, 900_001)
    for name, low, high in (("x_mean", -20.0, 100.0), ("late", 0.0, 1.0)):
        feature = served(name)
        groups = layout.groups_of(feature.feature)
        sums = np.zeros((1, layout.slots_per_key), np.int64)
        span = 120 if name == "x_mean" else 2
        s = round((share - 0.5) * n * span)
        sums[0, groups[0].slots[0]], sums[0, groups[1].slots[0]] = s, n
        decoded = decode(layout, feature.feature, sums, np.array([2.0]), np.zeros(1, np.uint8))
        ends = interval_of(VIEW, feature).bounds(np.asarray(decoded.value, np.float64), decoded.se)
        variances = (groups[0].opened_variance / span**2, groups[1].opened_variance)
        expected = brute_force(s / span, n, variances, fine)
        for end, r in zip(ends, expected, strict=True):
            assert end[0] == pytest.approx(low + (high - low) * (r + 0.5), abs=3e-5 * (high - low))


@pytest.mark.parametrize(("true", "false"), [(0, 70), (40, 40), (300, -5), (-10, 90)])
def test_the_interval_of_a_derived_rate_is_fiellers_over_the_cells(true: int, false: int) -> None:
    layout, feature = layout_of(VIEW), served("late_x")
    (cells,) = layout.groups_of(feature.feature)
    sums = np.zeros((1, layout.slots_per_key), np.int64)
    sums[0, list(cells.slots)] = [false - 7, 7, true, 1_000]  # the last cell counts nulls
    decoded = decode(layout, feature.feature, sums, np.array([2.0]), np.zeros(1, np.uint8))
    (low,), (high,) = interval_of(VIEW, feature).bounds(np.asarray(decoded.value, np.float64), decoded.se)
    r = np.linspace(-1, 2, 600_001)
    v = cells.opened_variance
    held = np.abs((1 - r) * true - r * false) <= NORMAL * np.sqrt((1 - r) ** 2 * v + r**2 * 2 * v)
    assert (low, high) == (pytest.approx(r[held].min(), abs=1e-5), pytest.approx(r[held].max(), abs=1e-5))


@pytest.mark.parametrize(
    "shape", [WholeNumber(), Estimate(), Ratio(0.5, 0.3, 0.0, 1.0), Ratio(0.5, 0.3, 0.0, 1.0, apart=False)]
)
def test_no_noise_gives_the_value_and_no_value_gives_no_interval(shape: IntervalShape) -> None:
    interval = Interval(shape, critical_value("laplace", 2))
    low, high = interval.bounds(np.array([0.1, 0.7, np.nan]), np.array([0.0, 0.0, np.nan]))
    assert low[:2].tolist() == high[:2].tolist() == [0.1, 0.7]
    assert np.isnan((low[2], high[2])).all()


def test_a_list_has_an_interval_for_each_cell() -> None:
    low, high = Interval(WholeNumber(), NORMAL).bounds(np.array([[5.0, -1.0], [0.0, 9.0]]), np.array([1.0, 10.0]))
    assert low.tolist() == [[3.0, -3.0], [-20.0, -11.0]]
    assert high.tolist() == [[7.0, 1.0], [20.0, 29.0]]


def test_an_unbounded_interval_is_the_whole_range() -> None:
    """No served value has one: DROWNED removes every value whose n is below 3 standard errors."""
    ratio = Ratio(0.5, 0.3, 0.0, 1.0)
    for relative in (0.2, 0.4):  # var(n)/n² beyond 1/1.96² = 0.26 is unbounded
        se = np.array([math.sqrt(relative * (0.3**2 + 0.1**2))])
        (low,), (high,) = Interval(ratio, NORMAL).bounds(np.array([0.6]), se)
        assert ((low, high) == (0.0, 1.0)) == (relative > 0.26)
        assert low <= 0.6 <= high


def test_laplace_tails_are_lighter_in_a_mix_of_two_sums_and_not_where_both_come_from_the_same_cells() -> None:
    z = critical_value("laplace", 2)
    value, se = np.array([0.5 + 0.3, 0.5]), np.array([1e-6, 1e-6])  # S − r·n has half of its variance from n, and none
    widths = []
    for apart in (True, False):
        low, high = Interval(Ratio(0.5, 0.3, 0.0, 1.0, apart), z).bounds(value, se)
        widths.append((high - low) / 2e-6)
    assert widths[0] == pytest.approx([(z + NORMAL) / 2, z], abs=1e-4)
    assert widths[1] == pytest.approx([z, z], abs=1e-4)


def test_a_filtered_feature_has_the_interval_of_its_own_estimate() -> None:
    for part in ("dev", "pred", "n"):
        interval = interval_of(VIEW, served(f"smooth_{part}"))
        assert interval == Interval(Estimate(), NORMAL)
    assert interval.bounds(np.array([2.0]), np.array([0.5]))[1] == pytest.approx(2 + 0.98, abs=1e-4)


@pytest.mark.parametrize("one", served_features(VIEW), ids=lambda one: one.name)
def test_the_rule_of_an_interval_survives_plain_data(one: ServedFeature) -> None:
    interval = interval_of(VIEW, one)
    assert Interval.from_dict(interval.to_dict()) == interval


@pytest.mark.parametrize(
    "wrong", [{"shape": "Other"}, {"critical": "1.96"}, {"centre": 1}, {"more": 1.0}, {"scale": None}]
)
def test_other_data_are_no_rule(wrong: dict[str, object]) -> None:
    data = Interval(Ratio(0.5, 0.3, 0.0, 1.0), NORMAL).to_dict() | wrong
    with pytest.raises((KeyError, TypeError, ValueError)):
        Interval.from_dict(data)


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
@pytest.mark.parametrize("name", ["x_mean", "late", "late_x"])
def test_intervals_of_ratios_hold_for_every_n_that_drowned_serves(name: str, mechanism: Mechanism) -> None:
    """The share of intervals that hold the exact value, given that a value is served. ±1.96 se holds 87 to 91 % at the limit.

    40,000 draws each: a standard error of 0.0011 to 0.0015.
    """
    privacy = Privacy(rho=0.1) if mechanism == "gaussian" else Privacy(epsilon=1.0, mechanism="laplace")
    view = FeatureView("v", entity=VIEW.entity, features=VIEW.features, pane="1h", bounds=VIEW.bounds, privacy=privacy)
    layout, feature = layout_of(view), served(name, view)
    groups = layout.groups_of(feature.feature)
    interval = interval_of(view, feature)
    rng = np.random.default_rng(4)
    counted = groups[-1].opened_variance * (3 if name == "late_x" else 1)
    by_se = []
    for times in (1.0, 1.25, 1.5, 2.0, 5.0):
        for share in (0.0, 0.5, 1.0):
            n = math.ceil(3 * math.sqrt(counted) * times)
            true = round(share * n)
            raw = {"x_mean": [120 * true, n], "late": [true, n - true], "late_x": [n - true, 0, true, 0]}[name]
            exact = np.zeros(layout.slots_per_key, np.int64)
            exact[[slot for group in groups for slot in group.slots]] = raw
            mapped = layout.basis @ exact
            sums = np.tile(mapped, (40_000, 1)) + drawn(rng, view, 40_000)
            decoded = decode(layout, feature.feature, sums, np.full(len(sums), 2.0), np.zeros(len(sums), np.uint8))
            value = np.asarray(decoded.value, np.float64)
            low, high = interval.bounds(value, decoded.se)
            is_there = value_is_there(decoded.status)
            truth = -20 + 120 * true / n if name == "x_mean" else true / n
            held = ((low <= truth) & (truth <= high))[is_there].mean()
            assert 0.944 <= held <= 0.974, (times, share)
            by_se.append((np.abs(value - truth) <= NORMAL * decoded.se)[is_there].mean())
    assert min(by_se) < 0.91  # so the test would find the delta method


def drawn(rng: np.random.Generator, view: FeatureView, count: int) -> Ints:
    """int64[count, slots_per_key]: the noise of both aggregators, rounded to whole numbers."""
    layout = layout_of(view)
    noise = np.empty((2, count, layout.slots_per_key))
    for group in layout.groups:
        size = (2, count, len(group.slots))
        scale = group.mechanism.scale
        of_group = rng.laplace(0, scale, size) if view.privacy.mechanism == "laplace" else rng.normal(0, scale, size)
        noise[:, :, list(group.slots)] = np.rint(of_group)
    return noise.sum(axis=0).astype(np.int64)
