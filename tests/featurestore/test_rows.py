"""History, `get` and joins against a naive model: one row at a time, straight from DESIGN §3 and §5."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from base.times import to_us
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import Layout, layout_of
from featurestore.define.privacy import Privacy
from featurestore.define.release import Clock, CountedSites, Release, Void
from featurestore.publish.publish import Publisher
from featurestore.store import Store

from .making import DAY, a_view, manifest_of
from .naive_values import Value, read

WINDOWS = {"1h": ["2h", "3h", "24h", "30h"], "1d": ["2d", "3d", "7d"], "15m": ["30m", "1h", "2h"]}
ENTITIES = [
    Entity("area", value="NYC"),
    Entity("dest", domain=["ATL", "a\x00b", "é"]),
    Entity("gate", domain=[-5, 0, 7]),
    Entity(["a", "b"], domain=[("x", 1), ("x", -2), ("y", 1)]),
    Entity("night", domain=[True, False]),
]
FEATURES: list[ViewFeature] = [
    Count("events"),
    Rate("late", where="delay >= 15"),
    Mean("delay", clip=(-60, 180), resolution=1.0),
    Histogram("delay", edges=[0, 15], nulls=True),
    ClientCount("planes"),
]
DERIVED: list[ViewFeature] = [Rate("late_read_off", where="delay >= 15", derive=True), Count("all", derive=True)]

SITES = [
    None,
    CountedSites(counted=2, enrolled=2, missing=(), clients=7, enrolled_clients=7),
    CountedSites(counted=1, enrolled=2, missing=("b",), clients=1, enrolled_clients=2),
    CountedSites(counted=2, enrolled=3, missing=("c",), clients=2, enrolled_clients=3),
]
Row = dict[str, Value]


@dataclass
class Model:
    """The content of a store after some publications, computed anew for each question."""

    view: FeatureView
    panes: dict[int, Release | Void] = field(default_factory=dict)
    """Those that make rows."""
    spent: list[Void] = field(default_factory=list)
    tombstones: dict[int, Void] = field(default_factory=dict)

    def add(self, items: list[Release | Void]) -> None:
        for item in items:
            match item:
                case Void(reason="BUDGET_SPENT"):
                    self.spent.append(item)
                case Void(reason="RETRACTED"):
                    self.tombstones[item.pane_start] = item
                case _:
                    self.panes[item.pane_start] = item

    def inside(self, start: int, width: int) -> list[Release | Void]:
        first = start - (width - 1) * self.view.pane_us
        return [pane for at, pane in self.panes.items() if first <= at <= start]

    def issues(self) -> list[tuple[int, int]]:
        """(pane start, time of issue): a new issue for each release or retraction of a pane in a row's largest window."""
        largest = max((window.panes for window in self.view.trailing), default=1)
        issues = set()
        for start, own in self.panes.items():
            for pane in self.inside(start, largest):
                issues.add((start, max(own.released_at, pane.released_at)))
                if pane.pane_start in self.tombstones:
                    issues.add((start, max(own.released_at, self.tombstones[pane.pane_start].released_at)))
        return sorted(issues)

    def is_open(self, pane: Release | Void, moment: int) -> bool:
        tombstone = self.tombstones.get(pane.pane_start)
        is_gone = tombstone is not None and tombstone.released_at <= moment
        return isinstance(pane, Release) and pane.released_at <= moment and not is_gone

    def is_enough(self, pane: Release) -> bool:
        return _share(pane) / 10**6 >= self.view.min_site_coverage

    def is_stale(self, start: int, moment: float = math.inf) -> bool:
        return any(void.pane_start > start and void.released_at <= moment for void in self.spent)

    def row(self, start: int, moment: int, key: int) -> tuple[Row, dict[str, float]]:
        layout, own = layout_of(self.view), self.panes[start]
        row = {f.name: _read(layout, f, *self._pane(own, moment, key)) for f in self.view.features}
        coverage = {}
        for window in self.view.trailing:
            panes = [
                pane
                for pane in self.inside(start, window.panes)
                if isinstance(pane, Release) and self.is_open(pane, moment) and self.is_enough(pane)
            ]
            coverage[window.name] = sum(_share(pane) for pane in panes) / (10**6 * window.panes)
            sums = [sum(int(pane.slots[key, j]) for pane in panes) for j in range(layout.slots_per_key)]
            units = sum(pane.manifest.noisers for pane in panes)
            status = "OK" if coverage[window.name] >= self.view.min_coverage else "LOW_COVERAGE"
            for feature in self.view.features:
                if not isinstance(feature, ClientCount):
                    row[f"{feature.name}_{window.name}"] = _read(layout, feature, sums, units, status)
        return row, coverage

    def _pane(self, own: Release | Void, moment: int, key: int) -> tuple[list[int], int, str]:
        layout, limit = layout_of(self.view), self.view.privacy.suppress_below
        if isinstance(own, Void) or not self.is_open(own, moment):
            return [0] * layout.slots_per_key, 0, "VOID"
        sums = own.slots[key].tolist()
        if not self.is_enough(own):
            return sums, own.manifest.noisers, "LOW_COVERAGE"
        clients = next((f for f in self.view.features if isinstance(f, ClientCount)), None)
        small = limit is not None and clients is not None and sums[layout.groups_of(clients)[0].slots[0]] < limit
        return sums, own.manifest.noisers, "SUPPRESSED" if small else "OK"

    def seen_at(self, moment: int) -> tuple[int, int] | None:
        """Among the rows released by then, the one with the greatest (pane end, release time)."""
        return max((issue for issue in self.issues() if issue[1] <= moment), default=None)


def _share(pane: Release) -> int:
    """The share of enrolled clients whose sites are counted, in millionths."""
    sites = pane.manifest.sites
    return 10**6 if sites is None else 10**6 * sites.clients // sites.enrolled_clients


def _read(layout: Layout, feature: ViewFeature, sums: list[int], units: float, status: str) -> Value:
    groups = layout.groups_of(feature)
    x = [sums[slot] for group in groups for slot in group.slots]
    return read(feature, x, [units * group.variance for group in groups], status)


def _a_view(draw: random.Random) -> FeatureView:
    features = draw.sample(FEATURES, draw.randint(1, 5))
    if any(isinstance(feature, Histogram) for feature in features):
        features += DERIVED
    has_clients = any(isinstance(feature, ClientCount) for feature in features)
    pane = draw.choice(sorted(WINDOWS))
    return a_view(
        "v",
        entity=draw.choice(ENTITIES),
        features=features,
        pane=pane,
        windows=draw.sample(WINDOWS[pane], draw.randint(0, 2)),
        privacy=Privacy(rho=0.5, min_clients=2, suppress_below=draw.choice([None, 3]) if has_clients else None),
        ttl=draw.choice([None, "2h", "1d", "3d"]),
        min_coverage=draw.choice([0, 1 / 3, 0.5, 2 / 3, 0.8, 1]),
        min_site_coverage=draw.choice([0, 0, 0.5, 0.7, 1]),
    )


def _publications(draw: random.Random, view: FeatureView) -> Iterator[tuple[int, list[Release | Void]]]:
    """(wall clock, panes): with gaps and voids, replayed and live, noised or not, in any order and grouping."""
    layout, width = layout_of(view), view.pane_us
    first = draw.choice([0, -3 * DAY, 15_700 * DAY])
    starts = [first + i * width for i in range(draw.choice([3, 10, 30, 50])) if draw.random() < draw.choice([0.6, 1])]
    starts = starts or [first]
    match draw.choice(["in order", "in order, two swapped", "reversed", "shuffled"]):
        case "in order, two swapped":
            i, j = draw.randrange(len(starts)), draw.randrange(len(starts))
            starts[i], starts[j] = starts[j], starts[i]
        case "reversed":
            starts.reverse()
        case "shuffled":
            draw.shuffle(starts)
    clocks: list[Clock] = draw.choice([["replay"], ["live"], ["replay", "live"]])  # type: ignore[arg-type]
    now, size = first, draw.choice([1, 3, len(starts)])
    standing: list[Release] = []
    for at in range(0, len(starts), size):
        group = starts[at : at + size]
        now = max(now, max(group) + width) + draw.choice([0, 1, width // 2, 5 * width])
        items: list[Release | Void] = []
        for start in group:
            clock, noise = draw.choice(clocks), draw.choice(["none", "discrete-gaussian"])
            terms = manifest_of(view, noise, sites=draw.choice(SITES))
            end = start + width
            times = (start, end, now if clock == "live" else end + view.release_delay_us, now, clock)
            slots = [[draw.randint(-5, 60) for _ in range(layout.slots_per_key)] for _ in range(layout.keys)]
            reason = draw.choices([None, "TOO_SMALL", "BUDGET_SPENT"], [8, 1, 2])[0]
            items.append(Void(terms, *times, reason) if reason else Release(terms, *times, np.array(slots)))
        standing += [item for item in items if isinstance(item, Release)]
        while standing and draw.random() < 0.2:
            gone = standing.pop(draw.randrange(len(standing)))
            moment = max(now, gone.released_at) + draw.choice([0, 0, 1, 2 * width])
            items.append(
                Void(gone.manifest, gone.pane_start, gone.pane_end, moment, now, draw.choice(clocks), "RETRACTED")
            )
        yield now, items


@pytest.mark.parametrize("seed", range(30))
def test_history_get_and_join_equal_the_naive_model(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    view = _a_view(draw)
    model, now = Model(view), 0
    publications = list(_publications(draw, view))
    looks = {*draw.sample(range(len(publications)), min(2, len(publications))), len(publications) - 1}
    for i, (now, items) in enumerate(publications):
        with Publisher(tmp_path, lambda now=now: now) as publisher:  # type: ignore[misc]
            publisher.register(view)
            publisher.publish(items)
            if draw.random() < 0.2:
                publisher.publish(items)
            model.add(items)
            if i in looks:  # while the writer is open
                with Store.open(tmp_path, clock=lambda now=now: now) as store:
                    _look(store, model, draw, now)


def _look(store: Store, model: Model, draw: random.Random, now: int) -> None:
    view = model.view
    keys, issues = view.entity.domain, model.issues()
    latest = {start: max(moment for at, moment in issues if at == start) for start in sorted(model.panes)}
    history = store.history("v").to_pylist()
    assert len(history) == len(latest) * len(keys)
    places = [(start, key) for start in latest for key in range(len(keys))]
    for stored, (start, key) in zip(history, places, strict=True):
        row, coverage = model.row(start, latest[start], key)
        assert tuple(stored[name] for name in view.entity.keys) == keys[key]
        assert (to_us(stored["pane_start"]), to_us(stored["released_at"])) == (start, latest[start])
        assert {window: stored[f"coverage_{window}"] for window in coverage} == coverage
        _same(stored, _stale(row) if start == max(latest) and model.is_stale(start) else row)

    refs = [f"v:{name}" for name in _names(view)]
    missing = dict.fromkeys(_names(view), (None, None, None, "NOT_FOUND"))
    newest = max(latest, default=None)
    expired = newest is not None and view.ttl_us is not None and now - (newest + view.pane_us) > view.ttl_us
    given = {} if view.entity.constant else dict(zip(view.entity.keys, map(list, zip(*keys, strict=True)), strict=True))
    for key, got in enumerate(store.get(refs, given).to_pylist()):
        if newest is None:
            _same(got, missing)
            continue
        row, _ = model.row(newest, latest[newest], key)
        row = _stale(row) if model.is_stale(newest) else row
        _same(got, dict.fromkeys(row, (None, None, None, "OUTSIDE_MAX_AGE")) if expired else row)

    edges = [moment for _, moment in issues] + [void.released_at for void in model.spent]
    if view.ttl_us is not None:
        edges += [start + view.pane_us + view.ttl_us for start in model.panes]
    times = [None, *(draw.choice(edges) + draw.choice([-1, 0, 0, 1, view.pane_us // 3]) for _ in range(40))]
    asked = [0 if view.entity.constant else draw.randrange(-1, len(keys)) for _ in times]
    labels = {"t": pa.array(times, pa.timestamp("us"))}
    if not view.entity.constant:
        for i, name in enumerate(view.entity.keys):
            labels[name] = pa.array([None if key < 0 else keys[key][i] for key in asked])
    for got, time, key in zip(
        store.join(pa.table(labels), refs, "t").read_all().to_pylist(), times, asked, strict=True
    ):
        seen = None if time is None or key < 0 else model.seen_at(time)
        if seen is None or time is None:
            _same(got, missing)
        elif view.ttl_us is not None and time - (seen[0] + view.pane_us) > view.ttl_us:
            _same(got, dict.fromkeys(missing, (None, None, None, "OUTSIDE_MAX_AGE")))
        else:
            row = model.row(*seen, key)[0]
            _same(got, _stale(row) if model.is_stale(seen[0], time) else row)


def _names(view: FeatureView) -> list[str]:
    windowed = [f"{f.name}_{w.name}" for w in view.trailing for f in view.features if not isinstance(f, ClientCount)]
    return [*(feature.name for feature in view.features), *windowed]


def _stale(row: Row) -> Row:
    return {
        name: (*rest, "STALE_BUDGET" if status in ("OK", "ROUGH_SE") else status)  # type: ignore[misc]
        for name, (*rest, status) in row.items()
    }


def _same(got: dict[str, Any], row: Row) -> None:
    for name, (value, se, n, status) in row.items():
        assert got[f"{name}__status"] == status, name
        assert got[name] == (value if not isinstance(value, float) else pytest.approx(value, rel=1e-9)), name
        assert got[f"{name}__se"] == (None if se is None else pytest.approx(se, rel=1e-9)), name
        assert got.get(f"{name}__n") == n, name
