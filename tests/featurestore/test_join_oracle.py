"""The store's point-in-time join against `tests.join_oracle`, over random publications."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from featurestore.definitions import Bounds, FeatureView, Privacy
from featurestore.entities import Entity
from featurestore.features import Count, Feature, Histogram, Mean, Rate
from featurestore.publish import Publisher
from featurestore.release import Clock, Manifest, Release, Void
from featurestore.store import Store
from featurestore.wire import definition_hash
from tests.join_oracle import Pane, Replay, Served, Sums

MINUTE = 60_000_000
HOUR = 60 * MINUTE
FIRST = 15_774 * 24 * HOUR + 20 * HOUR  # near a midnight, so that windows reach over two files
ROOMY = Bounds(max_cells=100, max_events_per_cell=100)
KEYS = ("ATL", "BOS")
STATUS = {
    "ok": "OK",
    "no row": "NOT_FOUND",
    "expired": "OUTSIDE_MAX_AGE",
    "void": "VOID",
    "coverage": "LOW_COVERAGE",
    "no events": "DROWNED",
}


@dataclass(frozen=True)
class Item:
    """One pane of one view, as it will be published."""

    view: FeatureView
    pane: Pane
    clock: Clock

    def release(self) -> Release | Void:
        stamps = {
            "manifest": _manifest(self.view),
            "pane_start": self.pane.start,
            "pane_end": self.pane.start + self.view.pane_us,
            "released_at": self.pane.released_at,
            "published_at": self.pane.released_at,
            "clock": self.clock,
        }
        if self.pane.sums is None:
            return Void(**stamps, reason="BATCH_TOO_SMALL")
        rows = [[x for sums in self.pane.sums[key] for x in sums] for key in self.view.entity.domain]
        return Release(**stamps, slots=np.array(rows, dtype=np.int64))


@dataclass(frozen=True)
class Label:
    key: str | None
    time: int | None


def _manifest(view: FeatureView) -> Manifest:
    return Manifest(
        view=view.name,
        view_version=1,
        definition_hash=definition_hash(view).hex(),
        plan_hash="00" * 32,
        protection="shares",
        validity="none",
        noise="none",
        noise_source="seeded",
        noisers=0,
        groups=(),
        micro_rho=view.privacy.micro_rho,
        delta=view.privacy.delta,
        min_clients=view.privacy.min_clients,
        participation="active",
        outside_claim=("activity",),
        trust="in-process",
    )


@st.composite
def views(draw: st.DrawFn) -> list[FeatureView]:
    """One to three views: hours and days by key, quarters of an hour of a constant entity."""
    shapes: dict[str, tuple[Entity, str, list[str], list[Feature]]] = {
        "hourly": (
            Entity("dest", domain=KEYS),
            "1h",
            ["2h", "3h"],
            [Count("n"), Mean("delay", clip=(-60, 180), resolution=1.0)],
        ),
        "quarters": (Entity("area", value="NYC"), "15m", ["45m"], [Rate("late", where="x"), Count("n")]),
        "plain": (Entity("dest", domain=KEYS[:1]), "1h", [], [Histogram("delay", edges=[0]), Count("n")]),
        "daily": (Entity("dest", domain=KEYS), "1d", ["2d"], [Mean("delay", clip=(0, 1), resolution=0.1)]),
    }
    some = draw(st.lists(st.sampled_from(sorted(shapes)), min_size=1, max_size=3, unique=True))
    built = []
    for name in some:
        entity, pane, windows, features = shapes[name]
        built.append(
            FeatureView(
                name,
                entity=entity,
                features=features,
                pane=pane,
                windows=windows,
                bounds=ROOMY,
                privacy=Privacy(rho=0.1, min_clients=2),
                release_delay=draw(st.sampled_from(["0s", "5m", "1h"])),
                ttl=draw(st.sampled_from([None, None, None, "30m", "3h", "1d"])),
                min_coverage=draw(st.sampled_from([0, 1 / 3, 0.5, 2 / 3, 0.8, 1])),
            )
        )
    return built


@st.composite
def publications(draw: st.DrawFn, of_views: Sequence[FeatureView]) -> list[list[Item]]:
    """Up to eight panes of each view, voids among them, in any order and any grouping."""
    items = []
    for view in of_views:
        first = FIRST // view.pane_us * view.pane_us - (2 * view.pane_us if view.pane == "1d" else 0)
        last = 3 if view.pane == "1d" else 7
        numbers = draw(st.lists(st.integers(0, last), min_size=draw(st.integers(1, 4)), unique=True))
        for number in numbers:
            start = first + number * view.pane_us
            end = start + view.pane_us
            clock: Clock = draw(st.sampled_from(["replay", "live"]))
            late = draw(
                st.one_of(
                    st.sampled_from([0, 1, view.pane_us - 1, view.pane_us, view.pane_us + 1, 3 * view.pane_us]),
                    st.integers(0, 5 * view.pane_us),
                )
            )
            released_at = end + (view.release_delay_us if clock == "replay" else late)
            sums = None if draw(st.integers(0, 3)) == 3 else draw(opened_sums(view))
            items.append(Item(view, Pane(start, released_at, sums), clock))
    shuffled = draw(st.permutations(items))
    groups: list[list[Item]] = []
    for item in shuffled:
        if not groups or draw(st.booleans()):
            groups.append([])
        groups[-1].append(item)
    return groups


@st.composite
def opened_sums(draw: st.DrawFn, view: FeatureView) -> Sums:
    """Sums of a pane: counts that may be negative, as noised ones are; Means and Rates of possible, mostly few events."""

    def of(feature: Feature) -> tuple[int, ...]:
        match feature:
            case Mean():
                values = draw(st.lists(st.integers(0, feature.q_max), max_size=3))
                return sum(q - feature.q_max // 2 for q in values), len(values)
            case Rate():
                n = draw(st.integers(0, 3))
                return 2 * draw(st.integers(0, n)) - n, n
            case Histogram():
                return tuple(draw(st.integers(-1, 5)) for _ in range(feature.cells))
        return (draw(st.integers(-2, 9)),)

    return {key: [of(feature) for feature in view.features] for key in view.entity.domain}


@st.composite
def labels_of(draw: st.DrawFn, items: Iterable[Item]) -> list[Label]:
    """Labels at, just before and just after every time that could matter."""
    moments = set()
    for item in items:
        end = item.pane.start + item.view.pane_us
        moments |= {end, item.pane.released_at}
        if item.view.ttl_us is not None:
            moments.add(end + item.view.ttl_us)
    times = st.builds(lambda t, off: t + off, st.sampled_from(sorted(moments)), st.sampled_from([0, -1, 1]))
    anywhere = st.integers(min(moments) - HOUR, max(moments) + HOUR)
    keys = st.sampled_from([*KEYS[:1] * 6, *KEYS[1:] * 4, "ZZZ", "atl", None])
    label = st.builds(Label, keys, st.one_of(times, times, times, times, times, anywhere, st.none()))
    return draw(st.lists(label, min_size=draw(st.sampled_from([1, 10, 20])), max_size=40))


def served_features(view: FeatureView) -> list[tuple[str, Feature, str]]:
    """(name, feature, window) of all that a view serves; the windows as spelled."""
    names = [(feature.name, feature, "") for feature in view.features]
    return names + [(f"{f.name}_{w}", f, w) for w in view.windows for f in view.features]


def expected(replays: Mapping[str, Replay], labels: Sequence[Label]) -> dict[str, list[Served]]:
    answer = {}
    for replay in replays.values():
        view = replay.view
        for name, feature, window in served_features(view):
            served = []
            for label in labels:
                key = view.entity.domain[0] if view.entity.constant else (label.key,) if label.key is not None else None
                served.append(replay.at(key, label.time, feature, window))  # type: ignore[arg-type]
            answer[f"{view.name}__{name}"] = served
    return answer


def label_table(labels: Sequence[Label]) -> pa.Table:
    return pa.table(
        {
            "dest": pa.array([label.key for label in labels], pa.string()),
            "at": pa.array([label.time for label in labels], pa.timestamp("us", "UTC")),
            "row": pa.array(range(len(labels)), pa.int64()),
        }
    )


def compare(directory: Path, replays: Mapping[str, Replay], labels: Sequence[Label]) -> None:
    refs = [f"{replay.view.name}:{name}" for replay in replays.values() for name, _, _ in served_features(replay.view)]
    given = label_table(labels)
    with Store.open(directory) as store:
        table = store.join(given, refs, "at", full_names=True).read_all()
    assert table.select(given.column_names).equals(given)
    for column, served in expected(replays, labels).items():
        got: list[Any] = table[column].to_pylist()
        for i, (mine, theirs) in enumerate(zip(served, got, strict=True)):
            assert theirs == mine.value, (column, labels[i], mine)
        assert table[f"{column}__status"].to_pylist() == [STATUS[mine.reason] for mine in served], column
        assert table[f"{column}__se"].to_pylist() == [None if m.value is None else 0.0 for m in served], column
        if f"{column}__n" in table.column_names:
            assert table[f"{column}__n"].to_pylist() == [mine.n for mine in served], column
        for mine in served:
            event(f"reason: {mine.reason}")


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
@given(st.data())
def test_the_join_is_that_of_a_literal_replay_of_the_publications(data: st.DataObject) -> None:
    of_views = data.draw(views())
    groups = data.draw(publications(of_views))
    labels = data.draw(labels_of(item for group in groups for item in group))
    stop = data.draw(st.integers(0, len(groups) - 1))
    replays = {view.name: Replay(view) for view in of_views}
    now = max(item.pane.released_at for group in groups for item in group)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with Publisher(directory, clock=lambda: now) as publisher:
            for view in of_views:
                publisher.register(view)
            for i, group in enumerate(groups):
                publisher.publish([item.release() for item in group])
                for replay in replays.values():
                    replay.publish([item.pane for item in group if item.view is replay.view])
                if i == stop:
                    compare(directory, replays, labels)
        compare(directory, replays, labels)
