"""Series of values over time: the same values and statuses as `history`, and the panes that have none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from base.times import from_us
from featurestore.define.release import RETRACTED, Void
from featurestore.define.schema import status_codes
from featurestore.define.values import served_features
from featurestore.errors import SeriesTooLong, UnknownFeature, UnknownVersion, UnknownView
from featurestore.offline import history, series
from featurestore.offline.parquet import Offline, as_us
from featurestore.offline.series import SeriesCache
from featurestore.publish.publish import Publisher
from featurestore.store import Store

from . import whole_store
from .making import DAY, HOUR, a_release, a_view, a_void

ALWAYS = (None, None)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with an example of everything."""
    directory = tmp_path_factory.mktemp("store")
    whole_store.fill(directory)
    with Store.open(directory) as opened:
        yield opened


def numbers(column: pa.ChunkedArray) -> Any:
    """A column as floats, NaN for null."""
    width = column.type.list_size if pa.types.is_fixed_size_list(column.type) else None
    nothing = np.nan if width is None else [np.nan] * width
    found = np.array([nothing if row is None else row for row in column.to_pylist()], dtype=float)
    return found if width is None else found.reshape(-1, width)


def assert_is_history(store: Store, view: str, places: list[int], between: tuple[int | None, int | None]) -> None:
    """Compare every feature of some keys with the rows of `history`."""
    start, end = (None if one is None else from_us(one) for one in between)
    rows, cache = store.history(view, start, end), SeriesCache()
    entity = store.view(view).entity
    for served in served_features(store.view(view)):
        for _ in range(2):  # the second time from the cache
            found = store.series(view, served.name, np.array(places), between, cache)
            for at, place in enumerate(places):
                own = rows
                for name, part in zip(entity.keys, entity.domain[place], strict=True):
                    own = own.filter(pc.equal(own.column(name), part))
                name = served.name
                assert np.array_equal(found.pane_start, as_us(own.column("pane_start")))
                assert np.array_equal(found.released_at, as_us(own.column("released_at")))
                assert list(found.release_id) == own.column("release_id").to_pylist()
                assert np.array_equal(found.status[:, at], status_codes(own.column(f"{name}__status")))
                columns = {name: found.value, f"{name}__lo": found.low, f"{name}__hi": found.high}
                columns[f"{name}__se"] = found.se
                if found.n is not None:
                    columns[f"{name}__n"] = found.n
                for column, values in columns.items():
                    assert np.array_equal(values[:, at], numbers(own.column(column)), equal_nan=True), column


@pytest.mark.parametrize(("view", "places"), [("delays", [1, 0]), ("many", [599, 3, 42]), ("area", [0])])
@pytest.mark.parametrize("between", [ALWAYS, (HOUR, 25 * HOUR), (25 * HOUR, None), (50 * DAY, None)])
def test_a_series_has_the_values_of_history(
    store: Store, view: str, places: list[int], between: tuple[int | None, int | None]
) -> None:
    assert_is_history(store, view, places, between)


@pytest.mark.parametrize("together", [True, False])
def test_a_pane_that_was_reissued_has_its_last_values(tmp_path: Path, *, together: bool) -> None:
    view = a_view()
    releases = [a_release(view, 0, 1), a_release(view, 2 * HOUR, 2)]
    late = replace(a_release(view, HOUR, 40), released_at=20 * HOUR)
    with Publisher(tmp_path, lambda: 30 * HOUR) as publisher, Store.open(tmp_path) as store:
        publisher.register(view)
        for publication in [[*releases, late]] if together else [releases, [late]]:
            publisher.publish(publication)
        assert_is_history(store, "delays", [0, 1], ALWAYS)
        found = store.series("delays", "flights_3h", np.array([0]), ALWAYS, SeriesCache())
    assert (found.value[-1, 0], found.released_at[-1]) == (43, 20 * HOUR)  # it had no value before


def test_of_two_issues_of_one_moment_that_of_the_later_publication_counts(tmp_path: Path) -> None:
    view = a_view()
    newest = a_release(view, 2 * HOUR, 2)
    with Publisher(tmp_path, lambda: 30 * HOUR) as publisher, Store.open(tmp_path) as store:
        publisher.register(view)
        publisher.publish([a_release(view, 0, 1), newest])
        publisher.publish([replace(a_release(view, HOUR, 40), released_at=newest.released_at)])
        assert_is_history(store, "delays", [0, 1], ALWAYS)
        found = store.series("delays", "flights_3h", np.array([0]), ALWAYS, SeriesCache())
    assert (found.value[-1, 0], found.released_at[-1]) == (43, newest.released_at)


def test_a_file_that_is_read_in_batches_gives_the_same_series(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "_BATCH_VALUES", 250)  # fewer than the 600 keys of a pane
    assert_is_history(store, "many", [599, 3, 3, 42], ALWAYS)


def test_a_file_of_long_lists_is_read_in_batches_of_few_rows(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    view = next(view for view in store.views() if any(one.is_list for one in served_features(view)))
    width = max(one.width for one in served_features(view))
    sizes: list[int] = []
    batches = Offline.batches

    def counted(self: Offline, file: Any, schema: pa.Schema, columns: Any, size: int) -> Iterator[pa.RecordBatch]:
        sizes.append(size)
        return batches(self, file, schema, columns, size)

    monkeypatch.setattr(series, "_BATCH_VALUES", 2 * width)
    monkeypatch.setattr(Offline, "batches", counted)
    assert_is_history(store, view.name, [1, 0], ALWAYS)
    assert min(sizes) == 2


def test_a_view_without_a_pane_has_an_empty_series(store: Store) -> None:
    found = store.series("empty", "late_3h", np.array([0, 1]), ALWAYS, SeriesCache())
    assert found.value.shape == found.status.shape == (0, 2)


def test_only_new_files_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    before = Offline.read

    def counted(self: Offline, files: Any, *rest: Any) -> pa.Table:
        read.extend(file.path for file in files)
        return before(self, files, *rest)

    monkeypatch.setattr(Offline, "read", counted)
    view, cache = a_view(), SeriesCache()
    with Publisher(tmp_path, lambda: 9 * DAY) as publisher, Store.open(tmp_path) as store:
        publisher.register(view)
        publisher.publish([a_release(view, day * DAY, day) for day in range(3)])
        read.clear()
        store.series("delays", "flights", np.array([0]), ALWAYS, cache)
        known = list(read)
        publisher.publish([a_release(view, 3 * DAY, 3)])
        read.clear()
        found = store.series("delays", "flights", np.array([1]), ALWAYS, cache)
    assert found.value[:, 0].tolist() == [0, 1, 2, 3]
    assert len(known) == 3
    assert len(read) == 1


def issues(numbers: int) -> series._Issues:
    """Columns of one issue, of `8 * numbers` bytes."""
    none = np.empty(0, np.int64)
    return series._Issues(none, none, none, none, np.zeros((1, numbers)), np.empty((0, 0)), None, np.empty(0, np.uint8))


def test_the_cache_lets_the_least_used_columns_leave() -> None:
    cache, size = SeriesCache(most_bytes=8 * 8 * 10), 10
    for number in range(8):
        cache.put(f"{number}", "n", issues(size))
    assert cache.get("0", "n") is not None
    cache.put("8", "n", issues(size))
    assert [number for number in range(9) if cache.get(f"{number}", "n") is None] == [1]
    cache.put("9", "n", issues(size + 1))  # more than an eighth
    assert cache.get("9", "n") is None


def test_a_small_cache_gives_the_same_series(store: Store) -> None:
    small = SeriesCache(most_bytes=60_000)
    for _ in range(3):
        for name in ("delay_mean", "delay_mean_3h"):
            found = store.series("many", name, np.array([5]), ALWAYS, small)
            assert np.array_equal(
                found.value, store.series("many", name, np.array([5]), ALWAYS, SeriesCache()).value, equal_nan=True
            )


def test_a_series_that_is_too_long_is_refused_before_it_is_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MAX_ROWS", 2_399)
    with pytest.raises(SeriesTooLong) as refused:
        store.series("many", "delay_mean", np.array([0]), ALWAYS, SeriesCache())
    assert (refused.value.rows, refused.value.numbers) == (2_400, 4)
    monkeypatch.setattr(series, "MAX_ROWS", 2_400)
    monkeypatch.setattr(series, "MAX_VALUES", 35)
    with pytest.raises(SeriesTooLong, match="shorter time"):
        store.series("many", "delay_hist", np.arange(3), ALWAYS, SeriesCache())


def test_unknown_names_are_named(store: Store) -> None:
    with pytest.raises(UnknownView):
        store.series("nothing", "late", np.array([0]), ALWAYS, SeriesCache())
    with pytest.raises(UnknownVersion):
        store.series("delays@v7", "late", np.array([0]), ALWAYS, SeriesCache())
    with pytest.raises(UnknownFeature, match="flights_3h"):
        store.series("delays", "delay", np.array([0]), ALWAYS, SeriesCache())


def test_voids_and_retractions_are_listed_by_pane(store: Store) -> None:
    found = [(one.pane_start, one.state, one.reason) for one in store.panes.not_opened("delays", ALWAYS, 9)]
    assert found == [(25 * HOUR, "retracted", "RETRACTED: broken"), (26 * HOUR, "void", "BATCH_TOO_SMALL")]
    assert [one.reason for one in store.panes.not_opened("area", ALWAYS, 9)] == ["BUDGET_SPENT"]
    assert len(store.panes.not_opened("delays", ALWAYS, 1)) == 1
    assert len(store.panes.not_opened("delays", (26 * HOUR, None), 9)) == 1
    assert store.panes.not_opened("delays", (None, 25 * HOUR), 9) == []


def test_the_newest_pane_at_a_moment_is_the_one_that_a_join_reads(store: Store) -> None:
    moments = np.arange(-1, 60) * (HOUR // 2)
    for view, feature in (("delays", "flights"), ("area", "flights")):
        labels = pa.table({"dest": ["ATL"] * len(moments), "at": pa.array(moments).cast(pa.timestamp("us", "UTC"))})
        joined = store.join(labels, [f"{view}:{feature}"], "at").read_all().to_pylist()
        rows = store.history(view).to_pylist()
        by_id = {row["release_id"]: row[feature] for row in rows if row.get("dest", "ATL") == "ATL"}
        for moment, row in zip(moments.tolist(), joined, strict=True):
            pane = store.panes.newest_at(view, moment)
            if pane is None:
                assert row[f"{feature}__status"] == "NOT_FOUND"
            elif pane.pane_start == 25 * HOUR:
                assert (row[feature] is None) == (pane.state == "retracted")
            elif pane.state == "opened":
                assert by_id[pane.release_id.hex()] == row[feature]


def test_a_retracted_pane_is_retracted_from_its_retraction_on(tmp_path: Path) -> None:
    view = a_view()
    gone = a_release(view, 0, 1)
    tombstone = Void(gone.manifest, 0, HOUR, 5 * HOUR, 0, "live", f"{RETRACTED}: broken", b"signed")
    with Publisher(tmp_path, lambda: DAY) as publisher, Store.open(tmp_path) as store:
        publisher.register(view)
        publisher.publish([gone])
        publisher.publish([tombstone])
        found = [store.panes.newest_at("delays", moment) for moment in (5 * HOUR - 1, 5 * HOUR)]
    assert [pane and (pane.state, pane.reason) for pane in found] == [
        ("opened", None),
        ("retracted", "RETRACTED: broken"),
    ]


def test_a_pane_is_in_the_state_that_it_had_at_the_moment(tmp_path: Path) -> None:
    view = a_view()
    late = replace(a_release(view, 2 * HOUR, 3), released_at=20 * HOUR)
    with Publisher(tmp_path, lambda: 9 * DAY) as publisher, Store.open(tmp_path) as store:
        publisher.register(view)
        publisher.publish([a_release(view, 0, 1), a_void(view, HOUR), late, a_void(view, 3 * HOUR, "BUDGET_SPENT")])

        def newest(moment: int) -> tuple[int, str] | None:
            pane = store.panes.newest_at("delays", moment)
            return None if pane is None else (pane.pane_start // HOUR, pane.state)

        assert newest(HOUR) is None
        assert newest(HOUR + HOUR // 2) == (0, "opened")
        assert newest(3 * HOUR) == (1, "void")
        assert newest(20 * HOUR - 1) == (1, "void")
        assert newest(20 * HOUR) == (2, "opened")


@pytest.mark.parametrize("between", [ALWAYS, (HOUR, 25 * HOUR), (None, 2 * HOUR), (50 * DAY, None)])
@pytest.mark.parametrize("size", [1, 10**6])
def test_the_parts_of_a_history_are_the_history(
    store: Store, between: tuple[int | None, int | None], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_PART_ROWS", size)
    whole = store.history("delays", *(None if one is None else from_us(one) for one in between))
    schema, parts = store.history_parts("delays", between, intervals=True)
    tables = list(parts)
    assert pa.concat_tables([schema.empty_table(), *tables]).to_pylist() == whole.to_pylist()
    if between == ALWAYS:
        assert len(tables) == (2 if size < 10**6 else 1)
