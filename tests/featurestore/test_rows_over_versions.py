"""Rows of a version over panes that other definitions opened, against a calculation pane by pane and feature by feature."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featurestore.define.decoded import Decoded, Status, n_is_there, value_is_there
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import PaneFeature
from featurestore.define.filtered import Filtered
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.panes import NEVER
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.records import PaneRecord
from featurestore.define.release import RETRACTED, CountedSites, Manifest
from featurestore.define.values import served_features
from featurestore.errors import StoreCorrupt
from featurestore.offline.window_rows import Issues, issue_times, make_issues
from featurestore.registry.known_panes import known_panes
from tests.featurestore import filter_oracle
from tests.featurestore.making import DAY, HOUR, a_view, manifest_of
from tests.featurestore.naive_values import Value, read

EVENTS, LATE, DELAY = Count("events"), Rate("late", where="delay >= 15"), Mean("delay", clip=(-60, 180))
CELLS, PLANES = Histogram("delay", edges=[0, 15], nulls=True), ClientCount("planes")
DERIVED = [Rate("late_read_off", where="delay >= 15", derive=True), Count("all", derive=True)]
POOL: list[PaneFeature] = [EVENTS, LATE, DELAY, CELLS, PLANES, Count("more"), Rate("far", where="distance > 500")]


@dataclass(frozen=True, eq=False)
class Pane:
    """One pane as the registry has it: the definition that opened it, its sums (None: void) and times."""

    source: FeatureView
    start: int
    sums: np.ndarray[Any, Any] | None
    manifest: Manifest
    released_at: int
    retracted_at: int

    @property
    def record(self) -> PaneRecord:
        reason = None if self.sums is not None else "BATCH_TOO_SMALL"
        end = self.start + self.source.pane_us
        ids = b"", self.sums is not None, reason, b"", self.released_at, self.released_at
        one = PaneRecord(self.start, *ids, "live", b"", self.manifest)
        if self.retracted_at == NEVER:
            return one
        gone = replace(one, opened=False, reason=RETRACTED, released_at=self.retracted_at, published_at=end)
        return replace(one, tombstone=gone)

    def is_open(self, moment: int) -> bool:
        return self.sums is not None and self.released_at <= moment < self.retracted_at

    def is_withheld(self, key: int) -> bool:
        """Whether the finish mpc of its own definition kept a cell closed. Its sums are zeros then."""
        limit = self.source.privacy.suppress_below
        if not self.manifest.suppressed or self.sums is None or key >= len(self.sums):  # its domain may be smaller
            return False
        counts = [_cell(self, feature, key)[0] for feature in self.source.collected if isinstance(feature, ClientCount)]
        return limit is not None and min(counts) < limit


def rows_of(view: FeatureView, panes: list[Pane]) -> tuple[Issues, list[tuple[int, int]]]:
    """Every issue of the version, and (pane index, time) of each."""
    stored = {pane.start: pane.sums for pane in panes if pane.sums is not None}
    sources = {pane.start: pane.source for pane in panes if pane.source is not view}
    known = known_panes(view, [pane.record for pane in panes], stored, sources)
    ends = np.arange(len(panes))
    pane, released_at = issue_times(view, known, ends, np.full(len(ends), -(2**62)))
    issues = make_issues(view, known, pane, released_at)
    return issues, list(zip(pane.tolist(), released_at.tolist(), strict=True))


def origin(view: FeatureView, pane: Pane, feature: PaneFeature) -> PaneFeature | None:
    """The feature of the pane's definition with the same sums; None: it has none."""
    old, source = pane.source, view.source_of(feature) or feature
    if old is view:
        return source
    same = ("entity", "pane", "time", "bounds")
    if [getattr(old, part) for part in same] != [getattr(view, part) for part in same]:
        return None
    if old.privacy.mechanism != view.privacy.mechanism:
        return None
    taken: dict[str, PaneFeature] = {}
    for with_equal_name in (True, False):
        for mine in view.collected:
            for theirs in old.collected:
                bare = replace(theirs, name=mine.name, weight=mine.weight, description=mine.description)
                free = mine.name not in taken and theirs not in taken.values()
                if free and bare == mine and (theirs.name == mine.name or not with_equal_name):
                    taken[mine.name] = theirs
    return taken.get(source.name)


def naive_row(view: FeatureView, panes: list[Pane], at: int, moment: int, key: int) -> dict[str, Any]:
    """The row of one pane end at one time: the value of each feature by name, and the coverages."""
    own, row = panes[at], dict[str, Any]()
    features = [feature for feature in view.features if isinstance(feature, PaneFeature)]
    for feature in features:
        theirs, status = origin(view, own, feature), "OK"
        if not own.is_open(moment) or theirs is None:
            status = "VOID"
        elif _share(own) < view.min_site_coverage * 10**6:
            status = "LOW_COVERAGE"
        elif own.is_withheld(key) or _is_small(view, own, key):
            status = "SUPPRESSED"
        inside = [] if status == "VOID" else [own]
        row[feature.name] = _value(view, feature, inside, key, status)
    for window in view.trailing:
        reach = own.start - (window.panes - 1) * view.pane_us
        usable = [
            pane
            for pane in panes
            if reach <= pane.start <= own.start
            and pane.is_open(moment)
            and _share(pane) >= view.min_site_coverage * 10**6
        ]
        coverages = {}
        for feature in features:
            inside = [pane for pane in usable if not pane.is_withheld(key) and origin(view, pane, feature) is not None]
            coverage = sum(map(_share, inside)) / (10**6 * window.panes)
            coverages[feature] = coverage
            lacks = not sum(map(_share, inside)) and sum(map(_share, usable)) > 0
            status = "LOW_COVERAGE" if lacks or coverage < view.min_coverage else "OK"
            if not isinstance(feature, ClientCount):
                row[f"{feature.name}_{window.name}"] = _value(view, feature, inside, key, status)
        adding = [feature for feature in features if not isinstance(feature, ClientCount)]
        row[f"coverage_{window.name}"] = max(coverages[feature] for feature in adding or features)
    return row


def _is_small(view: FeatureView, pane: Pane, key: int) -> bool:
    limit = view.privacy.suppress_below
    found = [origin(view, pane, feature) for feature in view.collected if isinstance(feature, ClientCount)]
    counts = [_cell(pane, feature, key)[0] for feature in found if feature is not None]
    return limit is not None and any(count < limit for count in counts)


def _value(view: FeatureView, feature: PaneFeature, panes: list[Pane], key: int, status: str) -> Value:
    groups = layout_of(view).groups_of(feature)
    x = [0] * sum(len(group.slots) for group in groups)
    variances = [0.0] * len(groups)
    for pane in panes:
        theirs = origin(view, pane, feature)
        assert theirs is not None
        x = [a + b for a, b in zip(x, _cell(pane, theirs, key), strict=True)]
        of_pane = [pane.manifest.noisers * group.variance for group in layout_of(pane.source).groups_of(theirs)]
        variances = [a + b for a, b in zip(variances, of_pane, strict=True)]
    return read(feature, x, variances, status)


def _cell(pane: Pane, feature: PaneFeature, key: int) -> list[int]:
    """The opened sums of a feature of the pane's own definition."""
    assert pane.sums is not None
    slots = [slot for group in layout_of(pane.source).groups_of(feature) for slot in group.slots]
    return [int(pane.sums[key, slot]) for slot in slots]


def _share(pane: Pane) -> int:
    return pane.manifest.site_share


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
                _same(due[one.name], found_value(decoded, i * keys + key), one.name)
            for window, coverage in issues.coverage.items():
                assert coverage[i * keys + key] == pytest.approx(due[f"coverage_{window}"], abs=1e-12)


def _same(due: Value, found: Value, name: str) -> None:
    assert found[2:] == due[2:], name
    for mine, other in zip(due[:2], found[:2], strict=True):
        assert other == (pytest.approx(mine, rel=1e-9) if isinstance(mine, float) else mine), name


def random_versions(draw: random.Random) -> list[FeatureView]:
    """Two or three definitions of one name; each has one to three changes of the one before."""
    given: dict[str, Any] = {
        "features": draw.sample(POOL, draw.randint(1, 4)),
        "entity": Entity("dest", domain=["ATL", "LAX"]),
        "bounds": Bounds(max_cells=1, max_events_per_cell=1),
        "pane": "1d",
        "windows": ["2d", "4d"],
        "min_coverage": draw.choice([0, 0.25, 0.5, 0.8]),
        "privacy": {"rho": 0.5, "min_clients": 2, "suppress_below": draw.choice([None, 10])},
    }
    versions = [_a_view(given)]
    for _ in range(draw.randint(1, 2)):
        for _ in range(draw.randint(1, 3)):
            given = _changed(given, draw)
        versions.append(_a_view(given))
    return versions


def _a_view(given: dict[str, Any]) -> FeatureView:
    features = list(given["features"])
    if any(isinstance(feature, Histogram) for feature in features):
        features += DERIVED
    privacy = dict(given["privacy"])
    if not any(isinstance(feature, ClientCount) for feature in features):
        privacy["suppress_below"] = None
    return a_view(**(given | {"features": features, "privacy": Privacy(**privacy)}))


def _changed(given: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    features, privacy = list(given["features"]), given["privacy"]
    i = draw.randrange(len(features))
    match draw.choice(
        ["add", "drop", "rename", "clip", "weight", "rho", "limit", "coverage", "windows", "order", "noisers"] * 2
        + ["domain", "bounds", "time", "mechanism"]
    ):
        case "add":
            features += [one for one in draw.sample(POOL, 2) if one.name not in {two.name for two in features}][:1]
        case "drop" if len(features) > 1:
            del features[i]
        case "rename":
            features[i] = replace(features[i], name=f"{features[i].name}_x")
        case "clip":
            features = [replace(one, clip=(0, 120)) if isinstance(one, Mean) else one for one in features]
        case "weight":
            features[i] = replace(features[i], weight=draw.choice([2, 5]))
        case "order":
            draw.shuffle(features)
        case "rho":
            privacy = privacy | ({"rho": 0.01} if "rho" in privacy else {"epsilon": 2.0})
        case "limit":
            privacy = privacy | {"suppress_below": draw.choice([None, 1, 5, 20])}
        case "noisers" if "rho" in privacy:
            privacy = privacy | {"noisers": draw.choice(["each", "shared"]), "rho": 0.004}
        case "mechanism" if "rho" in privacy:
            privacy = {key: value for key, value in privacy.items() if key not in ("rho", "noisers")}
            privacy |= {"epsilon": 1.0, "mechanism": "laplace"}
        case "coverage":
            given = given | {"min_coverage": draw.choice([0, 0.5, 1]), "min_site_coverage": draw.choice([0, 0.6])}
        case "windows":
            given = given | {"windows": draw.choice([[], ["3d"], ["2d", "4d"]])}
        case "domain":
            given = given | {"entity": Entity("dest", domain=["ATL", "LAX", "SFO"])}
        case "bounds":
            given = given | {"bounds": Bounds(max_cells=2, max_events_per_cell=draw.choice([1, 3]))}
        case "time":
            given = given | {"time": "arrival"}
    return given | {"features": features, "privacy": privacy}


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
        start, noise = i * DAY, draw.choice(["none", "discrete-gaussian", "discrete-gaussian"])
        counts = layout_of(source).client_counts
        limit = source.privacy.suppress_below
        finish = "mpc" if limit is not None and noise != "none" and draw.random() < 0.7 else "open"
        sites = draw.choice([None, None, CountedSites(1, 2, ("b",), 1, 2), CountedSites(0, 2, ("a", "b"), 0, 9)])
        manifest = manifest_of(source, noise, finish=finish, sites=sites)
        layout, sums = layout_of(source), None
        if draw.random() < 0.85:
            every = [[draw.randint(-5, 60) for _ in range(layout.slots_per_key)] for _ in range(layout.keys)]
            sums = np.array(every, dtype=np.int64)
            if finish == "mpc" and limit is not None:
                sums[sums[:, counts].min(axis=1) < limit] = 0
        released = start + DAY + HOUR + (draw.randrange(5 * DAY) if late and draw.random() < 0.3 else 0)
        retracted = released + draw.randrange(4 * DAY) if sums is not None and draw.random() < 0.1 else NEVER
        panes.append(Pane(source, start, sums, manifest, released, retracted))
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
        (None, "LOW_COVERAGE"),
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
                s, n = _cell(pane, LATE, key)
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
