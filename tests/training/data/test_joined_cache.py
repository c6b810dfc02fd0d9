from __future__ import annotations

import errno
import json
import logging
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

import training.data.build_cache as build_cache
from base import locks
from featurestore.define.on_demand import Feature, Input, on_demand
from featurestore.store import Store
from training.data.build_cache import CacheRequest, default_cache_dir, joined_cache
from training.data.cache_files import FORMAT, JoinedCache, open_cache
from training.data.store_state import store_state_of
from training.data.training_labels import Roles
from training.errors import (
    CacheBroken,
    CacheGone,
    CacheWriteFailed,
    ColumnMissing,
    ColumnNotNumeric,
    LabelsChanged,
    LabelsRefused,
    NoLabels,
    OutcomeBeforeTime,
    PlainTooLarge,
    StoreBusy,
    TargetMissing,
)

from .training import FEATURES, WIDTH, expected, make_labels, make_store, publish_more

ROWS = 203
ROLES: dict[str, Any] = {
    "time": "at",
    "target": "late",
    "rename": {"dest": "destination"},
    "constants": {},
    "columns": ("distance",),
    "outcome_time": None,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def join(store: Path, tmp_path: Path) -> Callable[..., JoinedCache]:
    def joined(labels: Any = None, features: Any = FEATURES, where: Path = store, **roles: Any) -> JoinedCache:
        given = make_labels(ROWS) if labels is None else labels
        with Store.open(where) as opened:
            asked = CacheRequest(given, features, Roles(**(ROLES | roles)))
            return joined_cache(opened, asked, tmp_path / "cache", lambda _done, _total: None)

    return joined


def _times_distance(
    late: Annotated[np.ndarray, Feature("delays:flights")], distance: Annotated[np.ndarray, Input("float64")]
) -> Any:
    return late * distance


def _plus_distance(
    late: Annotated[np.ndarray, Feature("delays:flights")], distance: Annotated[np.ndarray, Input("float64")]
) -> Any:
    return late + distance


FAR = [on_demand(outputs=["risk"], name="far")(function) for function in (_times_distance, _plus_distance)]


def mask_of(cache: JoinedCache) -> Any:
    return np.unpackbits(cache.small["mask"], axis=1, count=cache.width, bitorder="little").astype(bool)


def caches(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").iterdir())


def test_it_holds_what_the_join_gives_and_nothing_lies_beside_it(
    join: Callable[..., JoinedCache], store: Path, tmp_path: Path
) -> None:
    cache, labels = join(), make_labels(ROWS)
    x, se, mask = expected(store, labels)
    assert (cache.rows, cache.width) == (ROWS, WIDTH)
    np.testing.assert_array_equal(cache.x, x)
    np.testing.assert_array_equal(cache.se, se)
    np.testing.assert_array_equal(mask_of(cache), mask)
    np.testing.assert_array_equal(cache.small["y"], np.asarray(labels["late"]).astype(np.float32))
    assert not cache.x.flags.writeable
    assert caches(tmp_path) == [cache.folder.name]
    assert cache.folder.name == cache.header.key[:32]


def test_labels_of_every_form_give_the_same_rows(join: Callable[..., JoinedCache], tmp_path: Path) -> None:
    table = make_labels(ROWS)
    pq.write_table(table, tmp_path / "labels.parquet", row_group_size=50)
    csv.write_csv(table, tmp_path / "labels.csv")
    forms: list[Any] = [tmp_path / "labels.parquet", str(tmp_path / "labels.csv"), table.to_pandas()]
    forms.append(pa.concat_tables([table.slice(0, 7), table.slice(7)]))
    if (polars := pytest.importorskip("polars", reason="polars is not installed")) is not None:
        forms.append(polars.from_arrow(table))
        forms.append(forms[-1].with_columns(polars.col("destination").cast(polars.Categorical)))
    wanted = join()
    for form in forms:
        cache = join(form)
        np.testing.assert_array_equal(cache.x, wanted.x)
        np.testing.assert_array_equal(cache.small, wanted.small)


def test_it_is_found_again_as_long_as_nothing_differs_and_made_anew_where_something_does(
    join: Callable[..., JoinedCache], tmp_path: Path
) -> None:
    first, again = join(), join()
    assert first.folder == again.folder
    table = make_labels(ROWS)
    others = [
        join(features=FEATURES[:2]),
        join(features=FEATURES[::-1]),
        join(table.slice(0, ROWS - 1)),
        join(table.set_column(2, "late", pa.array([True] * ROWS))),
        join(columns=()),
        join(time="then", labels=table.rename_columns({"at": "then"})),
    ]
    assert len({first.folder, *(one.folder for one in others)}) == 7
    # an unused column changes nothing
    assert join(table.append_column("note", pa.array(["x"] * ROWS))).folder == first.folder


def test_another_state_of_the_store_is_another_cache(join: Callable[..., JoinedCache], tmp_path: Path) -> None:
    one, other = make_store(tmp_path / "one"), make_store(tmp_path / "other")
    assert join(where=one).folder == join(where=other).folder, "a copy of a store has the same releases"
    publish_more(one)
    newer = join(where=one)
    assert newer.folder != join(where=other).folder
    assert join(where=one, features=["delays:late"]).folder == join(where=other, features=["delays:late"]).folder


def test_a_publication_during_the_join_means_that_it_is_joined_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, labels = make_store(tmp_path / "store"), make_labels(ROWS)
    real, calls = Store.join, list[int]()

    def join_and_publish(self: Store, *given: Any, **options: Any) -> Any:
        reader = real(self, *given, **options)
        calls.append(1)
        if len(calls) == 1:
            publish_more(directory)
        return reader

    monkeypatch.setattr(Store, "join", join_and_publish)
    with Store.open(directory) as opened:
        asked = CacheRequest(labels, FEATURES, Roles(**ROLES))
        cache = joined_cache(opened, asked, tmp_path / "cache", lambda _done, _total: None)
        assert joined_cache(opened, asked, tmp_path / "cache", lambda _done, _total: None).folder == cache.folder
    assert len(calls) == 2


def test_what_is_published_once_the_store_was_read_is_of_the_next_cache(tmp_path: Path) -> None:
    directory, labels = make_store(tmp_path / "store"), make_labels(ROWS)
    x, *_ = expected(directory, labels)
    done = list[int]()

    def publish(rows: int, _total: int | None) -> None:
        publish_more(directory)
        done.append(rows)

    with Store.open(directory) as opened:
        asked = CacheRequest(labels, FEATURES, Roles(**ROLES))
        cache = joined_cache(opened, asked, tmp_path / "cache", publish)
        newer = joined_cache(opened, asked, tmp_path / "cache", lambda _done, _total: None)
    assert done == [ROWS]
    np.testing.assert_array_equal(cache.x, x)
    assert newer.folder != cache.folder


def test_a_store_that_never_rests_is_an_error(
    join: Callable[..., JoinedCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = build_cache.store_state_of, list[int]()

    def restless(*given: Any) -> Any:
        calls.append(1)
        snapshot = real(*given)
        return type(snapshot)(snapshot.views[: len(calls) % 2 + 1], snapshot.computed)

    monkeypatch.setattr(build_cache, "store_state_of", restless)
    with pytest.raises(StoreBusy, match="5 joins"):
        join()


class TestBroken:
    """A damaged cache is reported and made again."""

    @pytest.mark.parametrize("name", ["x.f32", "se.f32", "mask.bits", "rows.bin", "cache.json"])
    @pytest.mark.parametrize("how", ["truncated", "edited", "removed"])
    def test_by_whatever_was_done_to_it(
        self,
        join: Callable[..., JoinedCache],
        name: str,
        how: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        cache = join()
        x, path = cache.x.copy(), cache.folder / name
        data = bytearray(path.read_bytes())
        if how == "truncated":
            path.write_bytes(data[:-3])
        elif how == "edited":
            data[10] ^= 1
            path.write_bytes(data)
            os.utime(path, ns=(1, 1))
        else:
            path.unlink()
        with pytest.raises(CacheGone if how == "removed" else CacheBroken):
            open_cache(cache.folder, cache.header.key)
        with caplog.at_level(logging.WARNING):
            again = join()
        assert str(cache.folder) in caplog.text
        np.testing.assert_array_equal(again.x, x)

    @pytest.mark.parametrize(
        "change",
        [
            {"format": FORMAT + 1},
            {"rows": ROWS - 1},
            {"rows": 0},
            {"names": []},
            {"key": "0"},
            {"files": {}},
            {"report": {}},
            {"has_outcome": True},
            {"rows": "many"},
        ],
    )
    def test_by_a_header_that_does_not_fit(self, join: Callable[..., JoinedCache], change: dict[str, Any]) -> None:
        cache = join()
        header = json.loads((cache.folder / "cache.json").read_text())
        (cache.folder / "cache.json").write_text(json.dumps(header | change))
        with pytest.raises(CacheBroken):
            open_cache(cache.folder, cache.header.key)
        assert join().rows == ROWS

    def test_but_a_copy_of_it_is_as_good(self, join: Callable[..., JoinedCache], tmp_path: Path) -> None:
        cache = join()
        shutil.copytree(cache.folder, tmp_path / "copy", copy_function=shutil.copyfile)
        np.testing.assert_array_equal(open_cache(tmp_path / "copy", cache.header.key).x, cache.x)

    def test_one_that_is_deleted_stays_readable_where_it_is_mapped(self, join: Callable[..., JoinedCache]) -> None:
        cache = join()
        x = cache.x.copy()
        shutil.rmtree(cache.folder)
        np.testing.assert_array_equal(cache.x, x)
        with pytest.raises(CacheGone, match="make the dataset again"):
            open_cache(cache.folder, cache.header.key)


def test_many_who_want_the_same_cache_make_it_once(
    join: Callable[..., JoinedCache], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Store.join, list[int]()

    def counted(self: Store, *given: Any, **options: Any) -> Any:
        calls.append(1)
        return real(self, *given, **options)

    monkeypatch.setattr(Store, "join", counted)
    found: list[JoinedCache] = []
    threads = [threading.Thread(target=lambda: found.append(join())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(calls) == 1
    assert caches(tmp_path) == [found[0].folder.name]


def test_without_locks_the_first_rename_counts(
    join: Callable[..., JoinedCache], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks.fcntl, "flock", lambda *_: None)
    barrier = threading.Barrier(2)
    real = build_cache._put

    def together(*given: Any) -> None:
        barrier.wait(60)
        real(*given)

    monkeypatch.setattr(build_cache, "_put", together)
    found: list[JoinedCache] = []
    threads = [threading.Thread(target=lambda: found.append(join())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [cache.rows for cache in found] == [ROWS, ROWS]
    assert caches(tmp_path) == [found[0].folder.name]


def _die_in_the_middle(store: Path, cache_dir: Path) -> None:
    with Store.open(store) as opened:
        asked = CacheRequest(make_labels(ROWS), FEATURES, Roles(**ROLES))
        joined_cache(opened, asked, cache_dir, lambda _done, _total: os._exit(9))


def test_a_builder_that_dies_holds_nobody_up(join: Callable[..., JoinedCache], store: Path, tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_die_in_the_middle, args=(store, tmp_path / "cache"))
    process.start()
    process.join(120)
    assert process.exitcode == 9
    (left,) = (one for one in (tmp_path / "cache").iterdir() if one.is_dir())
    made = join()
    assert made.rows == ROWS
    assert left.is_dir()  # it may belong to another machine
    shutil.rmtree(made.folder)
    yesterday = time.time() - build_cache.LEFT_BEHIND_S - 1
    os.utime(left, (yesterday, yesterday))
    assert join().rows == ROWS
    assert not left.exists()


def test_a_full_disk_is_named_and_leaves_nothing(
    join: Callable[..., JoinedCache], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CacheWriteFailed, match="disk full"):
        join()
    assert caches(tmp_path) == []


def test_a_disk_that_is_full_at_the_last_byte_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.f32").symlink_to("/dev/full")
    with pytest.raises(CacheWriteFailed, match="disk full"), build_cache._Files(tmp_path) as files:
        files.put("x.f32", np.zeros(3, np.float32))


def test_a_place_that_cannot_be_locked_is_named(join: Callable[..., JoinedCache], tmp_path: Path) -> None:
    cache = join()
    shutil.rmtree(cache.folder)
    (tmp_path / "cache" / f".{cache.folder.name}.lock").mkdir()
    with pytest.raises(CacheWriteFailed, match="cannot be written"):
        join()


class TestLabels:
    """Labels that cannot be used for training are refused by name."""

    @pytest.mark.parametrize("missing", ["destination", "at", "late", "distance"])
    def test_that_lack_a_column(self, join: Callable[..., JoinedCache], missing: str) -> None:
        with pytest.raises(ColumnMissing, match=missing) as caught:
            join(make_labels(ROWS).drop_columns([missing]))
        assert ("rename=" in str(caught.value)) == (missing == "destination")

    @pytest.mark.parametrize(
        ("changes", "error", "says"),
        [
            ({"target": "destination"}, ColumnNotNumeric, "target 'destination' must hold numbers"),
            ({"columns": ("destination",)}, ColumnNotNumeric, "plain feature"),
            ({"columns": ("distance", "distance")}, LabelsRefused, "twice"),
            ({"time": "distance"}, LabelsRefused, "must hold timestamps"),
            ({"outcome_time": "distance"}, LabelsRefused, "must hold timestamps"),
            ({"outcome_time": "nothing"}, ColumnMissing, "outcome_time"),
            ({"rename": {"destination": "dest"}}, LabelsRefused, "maps a join key of the store to a column"),
            ({"constants": {"town": "NYC"}}, LabelsRefused, "these features do not need; they need: dest, area"),
            ({"constants": {"area": "BOS"}}, LabelsRefused, "constant entity has 'NYC'"),
            ({"constants": {"dest": "ATL"}}, LabelsRefused, "in rename and in constants"),
            ({"constants": {"dest": 5}, "rename": {}}, LabelsRefused, "it is string"),
        ],
    )
    def test_by_what_they_are_said_to_be(
        self, join: Callable[..., JoinedCache], changes: dict[str, Any], error: type[Exception], says: str
    ) -> None:
        with pytest.raises(error, match=says):
            join(**changes)

    @pytest.mark.parametrize("bad", [None, float("nan"), float("inf"), 1e300])
    def test_without_a_target(self, join: Callable[..., JoinedCache], bad: float | None, tmp_path: Path) -> None:
        target = pa.array([1.0] * 9 + [bad] + [0.0] * (ROWS - 10))
        with pytest.raises(TargetMissing, match="label row 9"):
            join(make_labels(ROWS, late=target))
        assert caches(tmp_path) == []

    @pytest.mark.parametrize("bad", [float("-inf"), 1e300])
    def test_with_an_infinite_feature(self, join: Callable[..., JoinedCache], bad: float) -> None:
        distances = pa.array([1.0] * 9 + [bad, None, float("nan")] + [0.0] * (ROWS - 12))
        with pytest.raises(PlainTooLarge, match="'distance' of label row 9"):
            join(make_labels(ROWS, distance=distances))

    def test_that_do_not_fit_into_arrow(self, join: Callable[..., JoinedCache]) -> None:
        pandas = pytest.importorskip("pandas", reason="pandas is not installed")
        frame = make_labels(ROWS).to_pandas()
        mixed = frame.assign(late=[1, "no", *[0] * (ROWS - 2)])
        for odd in (pandas.concat([frame, frame[["late"]]], axis=1), mixed, frame["late"]):
            with pytest.raises(LabelsRefused):
                join(odd)

    def test_whose_outcome_comes_first(self, join: Callable[..., JoinedCache]) -> None:
        labels = make_labels(ROWS)
        times = np.asarray(labels["at"].cast(pa.int64()))
        outcome = times.copy()
        assert join(labels.append_column("known", pa.array(outcome, pa.timestamp("us"))), outcome_time="known").rows
        outcome[77] -= 1
        with pytest.raises(OutcomeBeforeTime, match="label row 77"):
            join(labels.append_column("known", pa.array(outcome, pa.timestamp("us"))), outcome_time="known")

    def test_that_are_none(self, join: Callable[..., JoinedCache], tmp_path: Path) -> None:
        with pytest.raises(NoLabels):
            join(make_labels(ROWS).slice(0, 0))
        for odd in (5, [1], tmp_path / "no.parquet", tmp_path):
            with pytest.raises(LabelsRefused):
                join(odd)

    def test_that_change_while_they_are_joined(
        self, join: Callable[..., JoinedCache], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "labels.parquet"
        pq.write_table(make_labels(ROWS), path)
        real = Store.join

        def change(self: Store, *given: Any, **options: Any) -> Any:
            reader = real(self, *given, **options)
            os.utime(path, ns=(5, 5))
            return reader

        monkeypatch.setattr(Store, "join", change)
        with pytest.raises(LabelsChanged, match=r"labels\.parquet"):
            join(path)


def test_a_constant_stands_for_a_key_that_the_labels_lack(join: Callable[..., JoinedCache]) -> None:
    labels = make_labels(ROWS)
    atlanta = labels.set_column(0, "destination", pa.array(["ATL"] * ROWS))
    constant = join(labels.drop_columns(["destination"]), rename={}, constants={"dest": "ATL", "area": "NYC"})
    np.testing.assert_array_equal(constant.x, join(atlanta).x)


def test_names_of_labels_are_their_own_affair(join: Callable[..., JoinedCache]) -> None:
    labels = make_labels(ROWS).rename_columns({"distance": "delays__late", "late": "dest"})
    np.testing.assert_array_equal(join(labels, target="dest", columns=("delays__late",)).x, join().x)


def test_outputs_of_transformations_have_no_known_error_and_their_code_is_part_of_the_key(
    store: Path, tmp_path: Path
) -> None:
    made = []
    for view in FAR:
        with Store.open(store, on_demand=[view]) as opened:
            assert isinstance(opened, Store)
            asked = CacheRequest(make_labels(ROWS), ["far:risk", "delays:flights"], Roles(**(ROLES | {"columns": ()})))
            made.append(joined_cache(opened, asked, tmp_path / "cache", lambda _done, _total: None))
    there = mask_of(made[0])
    assert there[:, 0].any()
    assert np.isnan(made[0].se[there[:, 0], 0]).all()
    assert not np.isnan(made[0].se[:, 1]).any()
    assert made[0].header.key != made[1].header.key
    assert not np.array_equal(made[0].x, made[1].x)


SCALE, gettempdir = 1.0, tempfile.gettempdir


def _scaled(values: np.ndarray) -> Any:
    return values * SCALE + len(gettempdir())  # the function has a lock of its own


def _view(factor: float) -> Any:
    @on_demand(outputs=["risk"], name="far")
    def far(late: Annotated[np.ndarray, Feature("delays:flights")]) -> Any:
        return [_scaled(row) * factor for row in late]

    return far


def test_what_a_transformation_refers_to_is_part_of_the_key(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def state(view: Any) -> str:
        with Store.open(store, on_demand=[view]) as opened:
            return store_state_of(opened, ["far:risk"]).digest

    first = state(_view(1.0))
    assert first == state(_view(1.0))
    assert first != state(_view(2.0))
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    assert first != state(_view(1.0))
    monkeypatch.setitem(globals(), "SCALE", threading.Lock())  # a value that cannot be hashed
    assert state(_view(1.0)) != state(_view(1.0))


def test_progress_tells_rows_of_all_rows(store: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    with Store.open(store) as opened:
        asked = CacheRequest(make_labels(ROWS), FEATURES, Roles(**ROLES))
        joined_cache(opened, asked, tmp_path / "cache", lambda done, total: told.append((done, total)))
    assert told[-1] == (ROWS, ROWS)


def test_the_usual_place_is_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "covey" / "joined"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache" / "covey" / "joined"
