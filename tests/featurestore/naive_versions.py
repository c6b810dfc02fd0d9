"""Panes of several definitions of one view, and its rows calculated pane by pane and feature by feature: an oracle."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import PaneFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.panes import NEVER
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.records import PaneRecord
from featurestore.define.release import RETRACTED, CountedSites, Manifest
from tests.featurestore.making import a_view, manifest_of
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
        counts = [cell(self, feature, key)[0] for feature in self.source.collected if isinstance(feature, ClientCount)]
        return limit is not None and min(counts) < limit


def origin(view: FeatureView, pane: Pane, feature: PaneFeature) -> PaneFeature | None:
    """The feature of the pane's definition with the same sums; None: it has none."""
    return origins(pane.source, view).get((view.source_of(feature) or feature).name)


@lru_cache(maxsize=256)
def origins(old: FeatureView, view: FeatureView) -> dict[str, PaneFeature]:
    """The features of an older definition with the same sums as those of a newer one, by the newer names."""
    if old == view:
        return {feature.name: feature for feature in view.collected}
    same = ("entity", "pane", "time", "bounds")
    if [getattr(old, part) for part in same] != [getattr(view, part) for part in same]:
        return {}
    if old.privacy.mechanism != view.privacy.mechanism:
        return {}
    taken: dict[str, PaneFeature] = {}
    for mine in view.collected:
        for theirs in old.collected:
            bare = replace(theirs, name=mine.name, weight=mine.weight, description=mine.description)
            if bare == mine and mine.name not in taken and theirs not in taken.values():
                taken[mine.name] = theirs
    return taken


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
            others = [pane for pane in usable if not (pane.is_withheld(key) and _is_read(view, pane))]
            lacks = not sum(map(_share, inside)) and sum(map(_share, others)) > 0
            status = "LOW_COVERAGE" if lacks or coverage < view.min_coverage else "OK"
            if not isinstance(feature, ClientCount):
                row[f"{feature.name}_{window.name}"] = _value(view, feature, inside, key, status)
        adding = [feature for feature in features if not isinstance(feature, ClientCount)]
        row[f"coverage_{window.name}"] = max(coverages[feature] for feature in adding or features)
    return row


def _is_small(view: FeatureView, pane: Pane, key: int) -> bool:
    limit = view.privacy.suppress_below
    found = [origin(view, pane, feature) for feature in view.collected if isinstance(feature, ClientCount)]
    counts = [cell(pane, feature, key)[0] for feature in found if feature is not None]
    return limit is not None and any(count < limit for count in counts)


def _value(view: FeatureView, feature: PaneFeature, panes: list[Pane], key: int, status: str) -> Value:
    groups = layout_of(view).groups_of(feature)
    x = [0] * sum(len(group.slots) for group in groups)
    variances = [0.0] * len(groups)
    for pane in panes:
        theirs = origin(view, pane, feature)
        assert theirs is not None
        x = [a + b for a, b in zip(x, cell(pane, theirs, key), strict=True)]
        of_pane = [pane.manifest.noisers * group.variance for group in layout_of(pane.source).groups_of(theirs)]
        variances = [a + b for a, b in zip(variances, of_pane, strict=True)]
    return read(feature, x, variances, status)


def cell(pane: Pane, feature: PaneFeature, key: int) -> list[int]:
    """The opened sums of a feature of the pane's own definition."""
    assert pane.sums is not None
    slots = [slot for group in layout_of(pane.source).groups_of(feature) for slot in group.slots]
    return [int(pane.sums[key, slot]) for slot in slots]


def _is_read(view: FeatureView, pane: Pane) -> bool:
    """Whether any of the view's features is in the pane; otherwise nothing of it is read, not even which cells are withheld."""
    return any(origin(view, pane, feature) is not None for feature in view.collected)


def _share(pane: Pane) -> int:
    return pane.manifest.site_share


def require_same(due: Value, found: Value, name: str) -> None:
    """Check that a value is the expected one; floats may differ in their last digits."""
    assert found[2:] == due[2:], name
    for mine, other in zip(due[:2], found[:2], strict=True):
        assert other == (pytest.approx(mine, rel=1e-9) if isinstance(mine, float) else mine), name


def random_versions(draw: random.Random) -> list[FeatureView]:
    """Two or three definitions of one name; each has one to three changes of the one before."""
    given = first_definition(draw)
    versions = [as_view(given)]
    for _ in range(draw.randint(1, 2)):
        for _ in range(draw.randint(1, 3)):
            given = changed(given, draw)
        versions.append(as_view(given))
    return versions


def first_definition(draw: random.Random) -> dict[str, Any]:
    """The arguments of a small view, for `as_view`."""
    return {
        "features": draw.sample(POOL, draw.randint(1, 4)),
        "entity": Entity("dest", domain=["ATL", "LAX"]),
        "bounds": Bounds(max_cells=1, max_events_per_cell=1),
        "pane": "1d",
        "windows": ["2d", "4d"],
        "min_coverage": draw.choice([0, 0.25, 0.5, 0.8]),
        "privacy": {"rho": 0.5, "min_clients": 2, "suppress_below": draw.choice([None, 10])},
    }


def as_view(given: dict[str, Any]) -> FeatureView:
    """The view of these arguments, with the features that follow from a Histogram."""
    features = list(given["features"])
    if any(isinstance(feature, Histogram) for feature in features):
        features += DERIVED
    privacy = dict(given["privacy"])
    if not any(isinstance(feature, ClientCount) for feature in features):
        privacy["suppress_below"] = None
    return a_view(**(given | {"features": features, "privacy": Privacy(**privacy)}))


def changed(given: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """The arguments with one change."""
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


def random_opening(
    source: FeatureView, draw: random.Random, **given: Any
) -> tuple[Manifest, np.ndarray[Any, Any] | None]:
    """The terms and the sums of a pane, or None if it is void. The finish mpc has zeros in the cells below the limit."""
    noise = draw.choice(["none", "discrete-gaussian", "discrete-gaussian"])
    layout, limit = layout_of(source), source.privacy.suppress_below
    finish = "mpc" if limit is not None and noise != "none" and draw.random() < 0.7 else "open"
    sites = draw.choice([None, None, CountedSites(1, 2, ("b",), 1, 2), CountedSites(0, 2, ("a", "b"), 0, 9)])
    split = source.privacy.chosen_noisers
    manifest = manifest_of(source, noise, finish=finish, sites=sites, noise_split=split, **given)
    if draw.random() < 0.15:
        return manifest, None
    every = [[draw.randint(-5, 60) for _ in range(layout.slots_per_key)] for _ in range(layout.keys)]
    sums = np.array(every, dtype=np.int64)
    if finish == "mpc" and limit is not None:
        sums[sums[:, layout.client_counts].min(axis=1) < limit] = 0
    return manifest, sums
