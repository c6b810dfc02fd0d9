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

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import Count, Histogram, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.release import Clock, Release, Void
from featurestore.join.memory import Memory
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.examples import examples
from tests.join_oracle import Pane, Replay, Served, Sums, Tombstone

from .making import limited_to, manifest_of

MINUTE = 60_000_000
HOUR = 60 * MINUTE
FIRST = 15_774 * 24 * HOUR + 20 * HOUR  # near a midnight, so that windows span two files
ROOMY = Bounds(max_cells=100, max_events_per_cell=100)
KEYS = ("ATL", "BOS")
TINY = (Memory(rows=1, batch=1), Memory(rows=700, batch=3_000))
"""One row and label at a time; or a part of the views in memory, with some rows and labels at a time."""
STATUS = {
    "ok": "OK",
    "stale": "STALE_BUDGET",
    "no row": "NOT_FOUND",
    "expired": "OUTSIDE_MAX_AGE",
    "void": "VOID",
    "coverage": "LOW_COVERAGE",
    "no events": "DROWNED",
}


@dataclass(frozen=True)
class Item:
    """One pane of one view, or its tombstone, before its publication."""

    view: FeatureView
    pane: Pane | Tombstone
    clock: Clock

    def release(self) -> Release | Void:
        stamps = {
            "manifest": manifest_of(self.view),
            "pane_start": self.pane.start,
            "pane_end": self.pane.start + self.view.pane_us,
            "released_at": self.pane.released_at,
            "published_at": self.pane.released_at,
            "clock": self.clock,
        }
        if isinstance(self.pane, Tombstone):
            return Void(**stamps, reason="RETRACTED")
        if self.pane.sums is None:
            return Void(**stamps, reason="BUDGET_SPENT" if self.pane.spent else "BATCH_TOO_SMALL")
        rows = [[x for sums in self.pane.sums[key] for x in sums] for key in self.view.entity.domain]
        return Release(**stamps, slots=np.array(rows, dtype=np.int64))


@dataclass(frozen=True)
class Label:
    key: str | None
    time: int | None


@st.composite
def views(draw: st.DrawFn) -> list[FeatureView]:
    """One to three views: hours and days by key, quarters of an hour of a constant entity."""
    shapes: dict[str, tuple[Entity, str, list[str], list[ViewFeature]]] = {
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
    windowed = draw(st.sampled_from(["hourly", "quarters", "hourly", "quarters", "daily"]))
    some = dict.fromkeys([windowed, *draw(st.lists(st.sampled_from(sorted(shapes)), max_size=2))])
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
                min_coverage=draw(st.sampled_from([0, 1 / 3, 1 / 3, 0.5, 2 / 3, 0.8, 1])),
            )
        )
    return built


@st.composite
def publications(draw: st.DrawFn, of_views: Sequence[FeatureView]) -> list[list[Item]]:
    """Up to eight panes of each view, some of them void, in any order and grouping. Some are retracted later."""
    items = []
    for view in of_views:
        first = FIRST // view.pane_us * view.pane_us - (2 * view.pane_us if view.pane == "1d" else 0)
        last = 3 if view.pane == "1d" else 7
        numbers = draw(st.lists(st.integers(0, last), min_size=draw(st.integers(1, last + 1)), unique=True))
        for number in numbers:
            start = first + number * view.pane_us
            end = start + view.pane_us
            clock: Clock = draw(st.sampled_from(["replay", "live", "live"]))
            late = draw(
                st.one_of(
                    st.sampled_from([0, 1, view.pane_us - 1, view.pane_us, view.pane_us + 1, 3 * view.pane_us]),
                    st.integers(0, 5 * view.pane_us),
                )
            )
            released_at = end + (view.release_delay_us if clock == "replay" else late)
            kind = draw(st.sampled_from(["open"] * 8 + ["void"] * 2 + ["spent"] * 3))
            sums = draw(opened_sums(view)) if kind == "open" else None
            items.append(Item(view, Pane(start, released_at, sums, kind == "spent"), clock))
    shuffled = draw(st.permutations(items))
    groups: list[list[Item]] = []
    for item in shuffled:
        if not groups or draw(st.booleans()):
            groups.append([])
        groups[-1].append(item)
    for at, item in enumerate(shuffled):
        if isinstance(item.pane, Pane) and item.pane.sums is not None and draw(st.integers(0, 4)) == 4:
            gone_at = item.pane.released_at + draw(st.sampled_from([0, 1, HOUR, 3 * HOUR]))
            first = next(i for i, group in enumerate(groups) if item in group)
            place = draw(st.integers(first, len(groups) - 1))
            groups[place].append(Item(item.view, Tombstone(item.pane.start, gone_at), shuffled[at - 1].clock))
    return groups


@st.composite
def opened_sums(draw: st.DrawFn, view: FeatureView) -> Sums:
    """Sums of a pane: counts that may be negative, as with noise; Means and Rates of possible, mostly few events."""

    def of(feature: ViewFeature) -> tuple[int, ...]:
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
    """Labels at, just before and just after every time at which a value changes."""
    moments = []
    for item in items:
        end = item.pane.start + item.view.pane_us
        moments += [item.pane.released_at] * 4 + [end]
        if item.view.ttl_us is not None:
            moments.append(end + item.view.ttl_us)
    times = st.builds(lambda t, off: t + off, st.sampled_from(sorted(moments)), st.sampled_from([0, 0, -1, 1]))
    anywhere = st.integers(min(moments) - HOUR, max(moments) + HOUR)
    keys = st.sampled_from([*KEYS[:1] * 6, *KEYS[1:] * 4, "ZZZ", "atl", None])
    label = st.builds(Label, keys, st.one_of(times, times, times, times, times, anywhere, st.none()))
    return draw(st.lists(label, min_size=draw(st.sampled_from([1, 10, 20])), max_size=40))


def served_features(view: FeatureView) -> list[tuple[str, ViewFeature, str]]:
    """(name, feature, window) of everything that a view serves; the windows as spelled."""
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
        for memory in TINY:
            with limited_to(memory):
                assert store.join(given, refs, "at", full_names=True).read_all().equals(table), memory
    assert table.select(given.column_names).equals(given)
    for column, served in expected(replays, labels).items():
        got: list[Any] = table[column].to_pylist()
        for i, (mine, theirs) in enumerate(zip(served, got, strict=True)):
            assert theirs == mine.value, (column, labels[i], mine)
        assert table[f"{column}__status"].to_pylist() == [STATUS[mine.reason] for mine in served], column
        assert table[f"{column}__se"].to_pylist() == [None if m.value is None else 0.0 for m in served], column
        if f"{column}__n" in table.column_names:
            assert table[f"{column}__n"].to_pylist() == [mine.n for mine in served], column


@settings(
    max_examples=examples(60),
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
    for reason in {mine.reason for served in expected(replays, labels).values() for mine in served}:
        event(f"reason: {reason}")


# --- by hand: counts of 1, 10, 100 … in successive hours; a sum shows which hours it contains ------------------

BY_HAND = FeatureView(
    "v",
    entity=Entity("area", value="NYC"),
    features=[Count("n")],
    pane="1h",
    windows=["3h"],
    bounds=ROOMY,
    privacy=Privacy(rho=0.1, min_clients=2),
    min_coverage=0,
)


def hour(
    number: int, released_after: int, *, view: FeatureView = BY_HAND, void: bool = False, spent: bool = False
) -> Item:
    """Hour 0, 1, 2 …, released this many µs after the end of hour 0."""
    start = FIRST + number * HOUR
    sums = None if void or spent else {view.entity.domain[0]: [(10**number,)]}
    return Item(view, Pane(start, FIRST + HOUR + released_after, sums, spent), "live")


def joined(directory: Path, groups: Sequence[Sequence[Item]], *after: int) -> list[tuple[int | None, int | None]]:
    """(n, n_3h) this many µs after the end of hour 0. The join and the replay agree on them."""
    view = groups[0][0].view
    replay = Replay(view)
    labels = [Label(None, FIRST + HOUR + t) for t in after]
    with Publisher(directory, clock=lambda: FIRST) as publisher:
        publisher.register(view)
        for group in groups:
            publisher.publish([item.release() for item in group])
            replay.publish([item.pane for item in group])
    compare(directory, {view.name: replay}, labels)
    with Store.open(directory) as store:
        table = store.join(label_table(labels), ["v:n", "v:n_3h"], "at").read_all()
    return list(zip(table["n"].to_pylist(), table["n_3h"].to_pylist(), strict=True))


def test_a_window_does_not_hold_a_pane_before_that_pane_was_released(tmp_path: Path) -> None:
    late = 5 * HOUR
    groups = [[hour(0, late)], [hour(1, HOUR)], [hour(2, 2 * HOUR)]]
    times = (HOUR - 1, HOUR, 2 * HOUR, late - 1, late)
    want = [(None, None), (10, 10), (100, 110), (100, 110), (100, 111)]
    assert joined(tmp_path / "in order", groups, *times) == want
    assert joined(tmp_path / "backwards", groups[::-1], *times) == want
    assert joined(tmp_path / "at once", [[item for group in groups for item in group]], *times) == want


def test_a_pane_that_is_back_filled_joins_rows_that_were_issued_for_later_times(tmp_path: Path) -> None:
    # Hour 2 is released at 2 h and issued again at 6 h because of hour 0. Then hour 1 is back-filled as of 3 h.
    groups = [[hour(2, 2 * HOUR)], [hour(0, 6 * HOUR)], [hour(1, 3 * HOUR)]]
    times = (2 * HOUR, 3 * HOUR - 1, 3 * HOUR, 6 * HOUR - 1, 6 * HOUR)
    assert joined(tmp_path, groups, *times) == [(100, 100), (100, 100), (100, 110), (100, 110), (100, 111)]


def test_an_older_pane_never_replaces_a_newer_one(tmp_path: Path) -> None:
    groups = [[hour(2, 2 * HOUR)], [hour(1, 4 * HOUR)]]
    assert joined(tmp_path, groups, 4 * HOUR, 9 * HOUR) == [(100, 110), (100, 110)]


def test_of_panes_released_at_once_the_latest_counts(tmp_path: Path) -> None:
    groups = [[hour(1, 3 * HOUR)], [hour(2, 3 * HOUR), hour(0, 3 * HOUR)]]
    assert joined(tmp_path, groups, 3 * HOUR - 1, 3 * HOUR) == [(None, None), (100, 111)]


def test_a_void_hides_the_pane_but_not_its_windows(tmp_path: Path) -> None:
    groups = [[hour(0, 0)], [hour(1, HOUR, void=True)]]
    assert joined(tmp_path, groups, 0, HOUR) == [(1, 1), (None, 1)]


def test_a_row_expires_one_microsecond_after_its_ttl_and_no_older_row_takes_its_place(tmp_path: Path) -> None:
    view = FeatureView(
        "v",
        entity=BY_HAND.entity,
        features=BY_HAND.features,
        pane="1h",
        windows=["3h"],
        bounds=ROOMY,
        privacy=BY_HAND.privacy,
        min_coverage=2 / 3,
        ttl="30m",
    )
    groups = [[hour(0, 0, view=view), hour(1, HOUR, view=view)]]
    times = (30 * MINUTE, 30 * MINUTE + 1, 90 * MINUTE, 90 * MINUTE + 1)
    assert joined(tmp_path, groups, *times) == [(1, None), (None, None), (10, 11), (None, None)]


def test_a_pane_without_budget_leaves_the_last_row_and_its_age(tmp_path: Path) -> None:
    groups = [[hour(0, 0), hour(1, HOUR, spent=True)], [hour(2, 2 * HOUR)]]
    times = (HOUR - 1, HOUR, 2 * HOUR - 1, 2 * HOUR)
    assert joined(tmp_path, groups, *times) == [(1, 1), (1, 1), (1, 1), (100, 101)]
    with Store.open(tmp_path) as store:
        labels = label_table([Label(None, FIRST + HOUR + t) for t in times])
        status = store.join(labels, ["v:n"], "at").read_all()["n__status"].to_pylist()
    assert status == ["OK", "STALE_BUDGET", "STALE_BUDGET", "OK"]


def test_a_retracted_pane_is_in_no_window_from_its_tombstone_on(tmp_path: Path) -> None:
    gone = Item(BY_HAND, Tombstone(FIRST + HOUR, FIRST + HOUR + 3 * HOUR), "live")  # hour 1, gone at 3 h
    groups = [[hour(0, 0), hour(1, HOUR), hour(2, 2 * HOUR)], [gone], [hour(3, 4 * HOUR)]]
    times = (2 * HOUR, 3 * HOUR - 1, 3 * HOUR, 4 * HOUR)
    assert joined(tmp_path, groups, *times) == [(100, 111), (100, 111), (100, 101), (1000, 1100)]
