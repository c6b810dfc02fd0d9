"""Values of a `Filtered` in history, `get`, joins and the online store: the bits of the oracle, wherever they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.define.layout import layout_of
from featurestore.define.panes import NEVER, Panes
from featurestore.define.release import BUDGET_SPENT, RETRACTED, Release, Void
from featurestore.define.schema import feature_arrays, offline_schema
from featurestore.define.values import served_features
from featurestore.offline.parquet import Offline, as_us
from featurestore.offline.window_rows import issue_times, make_issues
from featurestore.publish.publish import Publisher
from featurestore.publish.rebuild import rebuild_online
from featurestore.registry.registry import Registry
from featurestore.store import Store
from tests.featurestore.filter_cases import AREA, NAMES, PARTS, VIEW, expected, some_panes
from tests.featurestore.making import DAY, HOUR, MINUTE, a_release, a_void, manifest_of


def noisy(release: Release, slots: np.ndarray[Any, Any]) -> Release:
    return replace(release, manifest=manifest_of(VIEW, noise="full"), slots=slots)


def a_history(count: int = 60, seed: int = 1) -> list[Release | Void]:
    """Replayed panes of the view since the epoch; every fourth is void."""
    panes = some_panes(VIEW, 0, count, seed)
    return [noisy(a_release(VIEW, i * HOUR), panes.slots[i]) if i % 4 else a_void(VIEW, i * HOUR) for i in range(count)]


def as_panes(items: Sequence[Release | Void]) -> Panes:
    layout = layout_of(VIEW)
    zero = np.zeros((layout.keys, layout.slots_per_key), dtype=np.int64)
    return Panes(
        np.array([item.pane_start for item in items]),
        np.array([isinstance(item, Release) for item in items]),
        np.full(len(items), 10**6),
        np.array([item.slots if isinstance(item, Release) else zero for item in items]),
        np.zeros((len(items), 1), dtype=bool),
        np.full((len(items), 1), 2.0),
        np.ones((len(items), 1), dtype=bool),
        np.array([item.released_at for item in items]),
        np.full(len(items), NEVER),
    )


def publish(directory: Path, *calls: Sequence[Release | Void]) -> None:
    """Each call has a publisher of its own, as after a restart."""
    for items in calls:
        with Publisher(directory, lambda: 100 * DAY) as publisher:
            publisher.register(VIEW)
            publisher.publish(items)


COLUMNS = [column for name in NAMES for column in (name, f"{name}__se")]


def bits(table: pa.Table, *names: str) -> dict[str, bytes]:
    """The numbers of some columns as bytes; null is NaN."""
    return {
        name: np.asarray(table[name].combine_chunks().fill_null(float("nan")), dtype=np.float64).tobytes()
        for name in names or COLUMNS
    }


def transcribed(panes: Panes, known: Sequence[bool], at: int | slice = slice(None)) -> dict[str, bytes]:
    """The oracle's bytes of `COLUMNS` for the rows of some panes, pane-major."""
    by_key = [expected(VIEW, AREA, panes, known, key) for key in range(2)]
    rows = np.array([[[getattr(row, part) for part in PARTS] for row in of_key] for of_key in by_key])
    chosen = np.swapaxes(rows, 0, 1)[at].reshape(-1, len(PARTS))
    return {column: np.ascontiguousarray(chosen[:, i]).tobytes() for i, column in enumerate(COLUMNS)}


def newest(directory: Path) -> pa.Table:
    with Store.open(directory) as store:
        return store.get([f"delays:{name}" for name in NAMES], {"dest": ["ATL", "LAX"]})


def joined(directory: Path, times: list[int]) -> pa.Table:
    """The rows of both keys for each time."""
    labels = pa.table(
        {"dest": ["ATL", "LAX"] * len(times), "at": pa.array(np.repeat(times, 2), pa.timestamp("us", "UTC"))}
    )
    with Store.open(directory) as store:
        return store.join(labels, [f"delays:{name}" for name in NAMES], "at").read_all()


def stored_panes(directory: Path) -> tuple[Panes, Offline, Registry, int]:
    """The input of a recomputation: the registry's panes and the slots in the Parquet files."""
    registry = Registry(directory / "store" / "registry.db", read_only=True)
    offline = Offline(directory / "store" / "offline")
    registered = registry.view("delays")
    slots = offline.slots(registry.publications.files(registered.view_id), offline_schema(VIEW), 2)
    records = [record for record in registry.panes(registered) if record.makes_row]
    zero = np.zeros((2, layout_of(VIEW).slots_per_key), dtype=np.int64)
    panes = Panes(
        np.array([record.pane_start for record in records]),
        np.array([record.opened for record in records]),
        np.array([record.manifest.site_share for record in records]),
        np.array([slots.get(record.pane_start, zero) for record in records]),
        np.zeros((len(records), 1), dtype=bool),
        np.array([[float(record.manifest.noisers)] for record in records]),
        np.ones((len(records), 1), dtype=bool),
        np.array([record.released_at for record in records]),
        np.array([record.retracted_at for record in records]),
    )
    return panes, offline, registry, registered.view_id


def assert_recomputed(directory: Path) -> None:
    """Check that every issue in the files equals the one that the whole history gives when it is computed at once."""
    panes, offline, registry, view_id = stored_panes(directory)
    ends = np.arange(len(panes.start))
    pane, released_at = issue_times(VIEW, panes, ends, np.full(len(ends), -(2**63)))
    issues = make_issues(VIEW, panes, pane, released_at)
    again = {}
    for served_, decoded in zip(served_features(VIEW), issues.features, strict=True):
        again |= dict(zip((served_.name, f"{served_.name}__se"), feature_arrays(served_, decoded)[:2], strict=False))
    schema = offline_schema(VIEW)
    stored = offline.read(registry.publications.files(view_id), schema, schema.names)
    registry.close()
    # of issues with equal (pane, release time), the last published counts
    place = {
        key: row
        for row, key in sorted(
            enumerate(
                zip(as_us(stored["pane_start"])[::2].tolist(), as_us(stored["released_at"])[::2].tolist(), strict=True)
            ),
            key=lambda one: stored["seq"][2 * one[0]].as_py(),
        )
    }
    wanted = [place.pop((int(panes.start[i]), int(r))) for i, r in zip(pane, released_at, strict=True)]
    assert not place
    rows = stored.take(pa.array([2 * row + key for row in wanted for key in range(2)]))
    assert bits(rows) == bits(pa.table({name: pa.chunked_array([again[name]]) for name in COLUMNS}))


class TestStore:
    def test_history_get_join_and_recomputation_have_the_transcriptions_bits(self, tmp_path: Path) -> None:
        items = a_history()
        publish(tmp_path, items)
        panes = as_panes(items)
        known = panes.opened.tolist()
        with Store.open(tmp_path) as store:
            history = store.history("delays")
        assert bits(history) == transcribed(panes, known)
        assert bits(newest(tmp_path)) == transcribed(panes, known, slice(-1, None))
        times = panes.released_at.tolist()
        assert bits(joined(tmp_path, times)) == transcribed(panes, known)
        assert joined(tmp_path, [times[0] - 1])["late_dev__status"].to_pylist() == ["NOT_FOUND"] * 2
        assert history["late_n__status"].to_pylist()[:4] == ["VOID", "VOID", "OK", "OK"]
        assert {*history["late_dev__status"].to_pylist()} == {*history["late_pred__status"].to_pylist()} == {"OK"}
        assert_recomputed(tmp_path)

    def test_pane_by_pane_with_restarts_gives_the_same_files_as_at_once(self, tmp_path: Path) -> None:
        items = a_history(30)
        publish(tmp_path / "once", items)
        publish(tmp_path / "parts", items[:7], *([item] for item in items[7:20]), items[20:])
        with Store.open(tmp_path / "once") as once, Store.open(tmp_path / "parts") as parts:
            assert bits(once.history("delays")) == bits(parts.history("delays"))
        assert bits(newest(tmp_path / "once")) == bits(newest(tmp_path / "parts"))

    def test_a_late_pane_changes_the_rows_of_later_panes_from_its_release_on(self, tmp_path: Path) -> None:
        items = a_history(30)
        late = replace(items[9], released_at=items[20].released_at + MINUTE, clock="live")
        publish(tmp_path, [*items[:9], *items[10:25]], [late], items[25:])
        panes = as_panes([*items[:9], late, *items[10:]])
        known = panes.opened.tolist()
        without = [*known[:9], False, *known[10:]]
        # rows before its release do not contain it; all later rows do, the newest online row too
        before = joined(tmp_path, [items[20].released_at])
        assert bits(before) == transcribed(panes, without, slice(20, 21))
        after = joined(tmp_path, [late.released_at])
        assert bits(after) == transcribed(panes, known, slice(20, 21)) != bits(before)
        with Store.open(tmp_path) as store:
            assert bits(store.history("delays")) == transcribed(panes, known)
        assert bits(newest(tmp_path)) == transcribed(panes, known, slice(-1, None))
        assert_recomputed(tmp_path)

    def test_a_late_void_changes_no_row(self, tmp_path: Path) -> None:
        items = a_history(30)
        late = replace(items[8], released_at=items[20].released_at + MINUTE, clock="live")
        assert isinstance(late, Void)
        publish(tmp_path, [*items[:8], *items[9:25], late], items[25:])
        panes = as_panes(items)
        known = panes.opened.tolist()
        for moment in (items[20].released_at, late.released_at):
            assert bits(joined(tmp_path, [moment])) == transcribed(panes, known, slice(20, 21))
        assert_recomputed(tmp_path)

    def test_online_a_late_pane_refreshes_the_newest_row_and_does_not_replace_it(self, tmp_path: Path) -> None:
        items = a_history(30)
        late = replace(items[9], released_at=items[29].released_at + MINUTE, clock="live")
        publish(tmp_path, [*items[:9], *items[10:]])
        was = newest(tmp_path)
        publish(tmp_path, [late])
        now = newest(tmp_path)
        assert now["delays__pane_end"] == was["delays__pane_end"]
        panes = as_panes([*items[:9], late, *items[10:]])
        assert bits(now) == transcribed(panes, panes.opened.tolist(), slice(-1, None)) != bits(was)

    def test_a_retracted_pane_is_void_from_its_tombstone_on(self, tmp_path: Path) -> None:
        items = a_history(30)
        moment = items[25].released_at + MINUTE
        tombstone = Void(manifest_of(VIEW), 9 * HOUR, 10 * HOUR, moment, moment, "live", RETRACTED)
        publish(tmp_path, items[:26], [tombstone], items[26:])
        panes = as_panes(items)
        known = panes.opened.tolist()
        without = [*known[:9], False, *known[10:]]
        assert bits(joined(tmp_path, [moment - 1])) == transcribed(panes, known, slice(25, 26))
        assert bits(joined(tmp_path, [moment])) == transcribed(panes, without, slice(25, 26))
        with Store.open(tmp_path) as store:
            history = store.history("delays")
        assert bits(history) == transcribed(panes, without)
        assert history["late_n__status"].to_pylist()[18:20] == ["VOID", "VOID"]
        assert bits(newest(tmp_path)) == transcribed(panes, without, slice(-1, None))
        assert_recomputed(tmp_path)

    def test_after_panes_without_budget_the_filter_has_gone_on(self, tmp_path: Path) -> None:
        items = a_history(30)
        spent = [a_void(VIEW, start * HOUR, BUDGET_SPENT) for start in range(12, 20)]
        publish(tmp_path, items[:12], spent)
        assert {*newest(tmp_path)["late_dev__status"].to_pylist()} == {"STALE_BUDGET"}
        publish(tmp_path, items[20:])
        panes = as_panes([*items[:12], *items[20:]])
        with Store.open(tmp_path) as store:
            assert bits(store.history("delays")) == transcribed(panes, panes.opened.tolist())

    def test_the_rows_are_made_again_with_the_same_bits(self, tmp_path: Path) -> None:
        publish(tmp_path, a_history(30))
        was = bits(newest(tmp_path))
        rebuild_online(tmp_path)
        assert bits(newest(tmp_path)) == was

    def test_clamping_holds_predictions_to_a_rate_and_leaves_deviations(self, tmp_path: Path) -> None:
        low = np.array([[-500, 400]] * 2)
        publish(tmp_path, [noisy(a_release(VIEW, i * HOUR), low) for i in range(24 * 8)])
        with Store.open(tmp_path) as store:
            refs = [f"delays:{name}" for name in NAMES]
            free, held = (store.get(refs, {"dest": ["ATL"]}, clamp=clamp).to_pylist()[0] for clamp in (False, True))
        assert free["late_pred"] < 0
        assert free["late_dev"] < 0
        assert held["late_pred"] == 0
        assert held["late_dev"] == free["late_dev"]
