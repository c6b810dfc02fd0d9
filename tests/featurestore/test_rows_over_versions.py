"""Rows of a version over panes that other definitions opened, against a calculation pane by pane and feature by feature."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featurestore.define.decoded import Decoded, Status, n_is_there, value_is_there
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.filtered import Filtered
from featurestore.define.kinds import Count
from featurestore.define.layout import layout_of
from featurestore.define.panes import NEVER
from featurestore.define.privacy import Privacy
from featurestore.define.values import served_features
from featurestore.errors import StoreCorrupt
from featurestore.offline.window_rows import Issues, issue_times, make_issues
from featurestore.registry.known_panes import known_panes
from tests.featurestore import filter_oracle
from tests.featurestore.making import DAY, HOUR, a_view, manifest_of
from tests.featurestore.naive_values import Value
from tests.featurestore.naive_versions import (
    EVENTS,
    LATE,
    PLANES,
    Pane,
    cell,
    naive_row,
    random_opening,
    random_versions,
    require_same,
)


def rows_of(view: FeatureView, panes: list[Pane]) -> tuple[Issues, list[tuple[int, int]]]:
    """Every issue of the version, and (pane index, time) of each."""
    stored = {pane.start: pane.sums for pane in panes if pane.sums is not None}
    sources = {pane.start: pane.source for pane in panes if pane.source is not view}
    known = known_panes(view, [pane.record for pane in panes], stored, sources)
    ends = np.arange(len(panes))
    pane, released_at = issue_times(view, known, ends, np.full(len(ends), -(2**62)))
    issues = make_issues(view, known, pane, released_at)
    return issues, list(zip(pane.tolist(), released_at.tolist(), strict=True))


def found_value(decoded: Decoded, at: int) -> Value:
    """(value, se, n, status) of one entry, as a reader sees it."""
    status = decoded.status[at : at + 1]
    there = bool(value_is_there(status)[0])
    n = int(decoded.n[at]) if decoded.n is not None and n_is_there(status)[0] else None
    return (
        decoded.value[at].tolist() if there else None,
        float(decoded.se[at]) if there else None,
        n,
        Status(status[0]).name,
    )


def assert_naive(view: FeatureView, panes: list[Pane]) -> None:
    issues, times = rows_of(view, panes)
    keys = len(view.entity.domain)
    served = [one for one in served_features(view) if one.part is None]
    for i, (at, moment) in enumerate(times):
        for key in range(keys):
            due = naive_row(view, panes, at, moment, key)
            for one, decoded in zip(served, issues.features, strict=False):
                require_same(due[one.name], found_value(decoded, i * keys + key), one.name)
            for window, coverage in issues.coverage.items():
                assert coverage[i * keys + key] == pytest.approx(due[f"coverage_{window}"], abs=1e-12)


def random_panes(versions: list[FeatureView], draw: random.Random) -> list[Pane]:
    """Consecutive days with gaps. Most were opened for one version after another; each row of the last one uses all of them."""
    panes: list[Pane] = []
    count = draw.randint(1, 9)
    turns = sorted(draw.randrange(count + 1) for _ in versions[1:])
    late = draw.random() < 0.5
    for i in range(count):
        if draw.random() < 0.1:
            continue
        source = versions[sum(turn <= i for turn in turns)] if draw.random() < 0.8 else draw.choice(versions)
        manifest, sums = random_opening(source, draw)
        released = (i + 1) * DAY + HOUR + (draw.randrange(5 * DAY) if late and draw.random() < 0.3 else 0)
        retracted = released + draw.randrange(4 * DAY) if sums is not None and draw.random() < 0.1 else NEVER
        panes.append(Pane(source, i * DAY, sums, manifest, released, retracted))
    return panes


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))  # hypothesis alone draws few different versions
def test_the_rows_of_every_version_equal_the_naive_calculation(seed: int) -> None:
    draw = random.Random(seed)
    versions = random_versions(draw)
    panes = random_panes(versions, draw)
    for view in versions:
        assert_naive(view, panes)


def pane_of(source: FeatureView, index: int, value: int, **given: Any) -> Pane:
    """An hour whose sums all have one value."""
    start, layout = index * source.pane_us, layout_of(source)
    sums = np.full((layout.keys, layout.slots_per_key), value, dtype=np.int64)
    noise = given.pop("noise", "discrete-gaussian")
    end = start + source.pane_us
    return Pane(source, start, sums, manifest_of(source, noise, **given), end, NEVER)


def column(view: FeatureView, panes: list[Pane], name: str, key: int = 0) -> list[Value]:
    """One feature of one key in the only issue of each pane."""
    issues, times = rows_of(view, panes)
    assert [at for at, _ in times] == list(range(len(panes)))
    (decoded,) = (
        one for served, one in zip(served_features(view), issues.features, strict=True) if served.name == name
    )
    keys = len(view.entity.domain)
    return [found_value(decoded, i * keys + key) for i in range(len(panes))]


def test_a_window_over_a_change_of_price_has_the_noise_of_each_pane() -> None:
    old = a_view(features=[EVENTS], privacy=Privacy(rho=0.5, min_clients=2))
    new = a_view(features=[EVENTS], privacy=Privacy(rho=0.02, min_clients=2))
    before, after = (layout_of(view).groups[0].variance for view in (old, new))
    assert after == pytest.approx(25 * before)
    panes = [pane_of(old, 0, 10), pane_of(old, 1, 20, noise="none"), pane_of(new, 2, 30), pane_of(new, 3, 40)]
    found = column(new, panes, "events_3h")
    assert [value for value, *_ in found] == [None, None, 60, 90]
    assert found[2][1] == pytest.approx(math.sqrt(2 * before + 2 * after))
    assert found[3][1] == pytest.approx(math.sqrt(0 + 2 * after + 2 * after))
    assert [se for _, se, *_ in column(new, panes, "events")] == pytest.approx(
        [math.sqrt(2 * before), 0, math.sqrt(2 * after), math.sqrt(2 * after)]
    )
    assert column(old, panes, "events_3h")[2][1] == pytest.approx(found[2][1])  # in the units of the older version, too


def test_a_new_feature_has_windows_as_soon_as_enough_panes_have_it_and_the_others_have_them_all_along() -> None:
    old = a_view(features=[EVENTS], min_coverage=0.6)
    new = a_view(features=[EVENTS, LATE], min_coverage=0.6)
    panes = [pane_of(old, 0, 100), pane_of(old, 1, 100), *(pane_of(new, i, 100) for i in (2, 3, 4))]
    assert [status for *_, status in column(new, panes, "late")] == ["VOID", "VOID", *["OK"] * 3]
    assert [status for *_, status in column(new, panes, "late_3h")] == [*["LOW_COVERAGE"] * 3, "OK", "OK"]
    assert [n for _, _, n, _ in column(new, panes, "late_3h")] == [None, None, None, 200, 300]
    assert [value for value, *_ in column(new, panes, "events_3h")] == [None, 200, 300, 300, 300]
    issues, _ = rows_of(new, panes)
    assert issues.coverage["3h"][::2].tolist() == [1 / 3, 2 / 3, 1, 1, 1]  # of the feature that has the most


@pytest.mark.parametrize("min_coverage", [0.0, 0.3])
def test_a_feature_that_no_pane_of_a_window_has_is_null_and_never_zero(min_coverage: float) -> None:
    old = a_view(features=[EVENTS], min_coverage=min_coverage)
    new = a_view(features=[EVENTS, Count("more"), PLANES], min_coverage=min_coverage)
    panes = [pane_of(old, i, 7) for i in range(3)]
    assert {status for *_, status in column(new, panes, "more_3h")} == {"LOW_COVERAGE"}
    assert {status for *_, status in column(new, panes, "planes")} == {"VOID"}


@pytest.mark.parametrize("limit", [None, 1, 5, 30])
def test_a_withheld_cell_stays_suppressed_under_any_other_limit(limit: int | None) -> None:
    features = [EVENTS, PLANES]
    old = a_view(features=features, privacy=Privacy(rho=0.5, min_clients=2, suppress_below=10), min_coverage=0.0)
    privacy = Privacy(rho=0.5, min_clients=2, suppress_below=limit)
    new = a_view(features=features, privacy=privacy, min_coverage=0.0)
    first, second = pane_of(old, 0, 20, finish="mpc"), pane_of(old, 1, 20, finish="mpc")
    assert first.sums is not None
    first.sums[1] = 0  # the sums of a cell that nobody opened
    assert [status for *_, status in column(new, [first, second], "events", key=1)] == [
        "SUPPRESSED",
        "SUPPRESSED" if limit == 30 else "OK",
    ]
    assert [(value, status) for value, _, _, status in column(new, [first, second], "events_3h", key=1)] == [
        (0, "OK"),  # the view demands no coverage
        (20, "OK"),
    ]
    without = a_view(features=[EVENTS], min_coverage=0.0)  # a version that has dropped ClientCount and limit
    assert [status for *_, status in column(without, [first, second], "events", key=1)] == ["SUPPRESSED", "OK"]


def test_a_limit_suppresses_nothing_in_panes_that_count_no_clients() -> None:
    old = a_view(features=[EVENTS])
    new = a_view(features=[EVENTS, PLANES], privacy=Privacy(rho=0.5, min_clients=2, suppress_below=5))
    panes = [pane_of(old, 0, 3), pane_of(new, 1, 3), pane_of(new, 2, 6)]
    assert [status for *_, status in column(new, panes, "events")] == ["OK", "SUPPRESSED", "OK"]
    assert [status for *_, status in column(new, panes, "planes")] == ["VOID", "SUPPRESSED", "OK"]


def test_a_pane_of_another_domain_is_void_and_its_sums_are_not_read() -> None:
    old = a_view(entity=Entity("dest", domain=["ATL"]), features=[EVENTS])
    new = a_view(features=[EVENTS])
    assert column(new, [pane_of(old, 0, 5), pane_of(new, 1, 6)], "events")[0][3] == "VOID"
    panes = [replace(pane_of(new, 0, 5), sums=np.zeros((1, 1), dtype=np.int64))]
    with pytest.raises(StoreCorrupt, match=r"its slots have the shape \(1, 1\), not \(2, 1\)"):
        rows_of(new, panes)


TREND = Filtered("late", "4h", sd=0.1, season=None)


class TestFiltered:
    """A filter over a hand-over: each pane with its own noise, and none without the Rate."""

    OLD = a_view(features=[EVENTS, LATE, TREND], privacy=Privacy(rho=0.5, min_clients=2))
    NEW = a_view(features=[LATE, Count("more"), TREND], privacy=Privacy(rho=0.05, min_clients=2))
    WITHOUT = a_view(features=[EVENTS], privacy=Privacy(rho=0.5, min_clients=2))

    def panes(self) -> list[Pane]:
        rng = random.Random(5)
        sources = [self.OLD] * 6 + [self.WITHOUT] * 3 + [self.NEW] * 6
        panes = [pane_of(source, i, 0) for i, source in enumerate(sources)]
        for pane in panes:
            assert pane.sums is not None
            for key in range(2):
                pane.sums[key] = [rng.randint(-60, 200) for _ in pane.sums[key]]
        return panes

    @pytest.mark.parametrize("key", [0, 1])
    def test_the_rows_are_those_of_the_transcription(self, key: int) -> None:
        panes = self.panes()
        opened = {}
        for pane in panes:
            if pane.source is not self.WITHOUT:
                s, n = cell(pane, LATE, key)
                sums, counts = (2 * group.variance for group in layout_of(pane.source).groups_of(LATE))
                opened[pane.start] = filter_oracle.Pane(pane.start, s, n, sums, counts)
        every = [pane.start for pane in panes]
        due = filter_oracle.served(TREND, HOUR, every, opened)
        for part in ("dev", "pred", "n"):
            found = column(self.NEW, panes, f"late_{part}", key)
            for row, (value, se, _, status) in zip(due, found, strict=True):
                expected = getattr(row, part)
                if math.isnan(expected):
                    assert status == "VOID"
                else:
                    assert (value, se) == pytest.approx((expected, getattr(row, f"{part}_se")), rel=1e-9)

    def test_a_pane_with_a_withheld_cell_is_passed_over(self) -> None:
        limited = a_view(features=[LATE, PLANES], privacy=Privacy(rho=0.5, min_clients=2, suppress_below=10))
        view = a_view(features=[LATE, TREND])
        panes = [pane_of(view, 0, 50), pane_of(limited, 1, 50, finish="mpc"), pane_of(limited, 2, 50, finish="mpc")]
        assert panes[1].sums is not None
        panes[1].sums[1] = 0
        assert [status for *_, status in column(view, panes, "late_n")] == ["OK", "VOID", "OK"]
