"""A compaction changes files, and nothing that is read: before, meanwhile and after a crash."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from featurestore.errors import StoreInUse, StoreNotFound, StoreWriteFailed
from featurestore.offline.parquet import Offline
from featurestore.publish.compact import compact
from featurestore.publish.publish import Publisher
from featurestore.publish.verify import check_store
from featurestore.registry.upkeep import Upkeep
from featurestore.store import Store
from tests.featurestore.making import DAY, HOUR, a_release, a_view
from tests.featurestore.whole_store import fill
from tests.fixtures.reads import read_store

VIEW = a_view()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Three days with a gap each, so that no day is complete: a file for each publication."""
    with Publisher(tmp_path, lambda: 10 * DAY) as publisher:
        publisher.register(VIEW)
        for hour in (1, 2, 5, 6, 25, 26, 30, 49, 50):
            publisher.publish([a_release(VIEW, hour * HOUR, hour)])
    return tmp_path


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "store" / "offline").rglob("*.parquet"))


def test_each_day_but_the_newest_becomes_one_file_and_every_read_stays_the_same(store: Path) -> None:
    before, had = read_store(store), len(files(store))
    done = compact(store)
    assert files(store)[:2] == ["1970-01-01-00000004-merged.parquet", "1970-01-02-00000007-merged.parquet"]
    assert (done.merged, len(files(store))) == (7, had - 5)
    assert done.after_bytes < done.before_bytes
    assert read_store(store) == before
    assert not check_store(store).damaged
    assert compact(store).merged == 0


def test_a_day_that_gets_a_pane_after_its_compaction_is_compacted_again(store: Path) -> None:
    compact(store)
    with Publisher(store, lambda: 10 * DAY) as publisher:
        publisher.publish([a_release(VIEW, 15 * HOUR, 4)])
    before = read_store(store)
    assert compact(store).merged > 1
    assert read_store(store) == before
    assert not check_store(store).damaged


def test_a_store_with_an_example_of_everything_reads_as_before(tmp_path: Path) -> None:
    fill(tmp_path)
    before = read_store(tmp_path)
    compact(tmp_path)
    assert read_store(tmp_path) == before
    assert not check_store(tmp_path).damaged


def test_readers_go_on_while_files_are_merged(store: Path) -> None:
    expected, failed, stop = history(store), list[BaseException](), threading.Event()

    def read() -> None:
        try:
            with Store.open(store) as reader:
                while not stop.is_set():
                    assert reader.history("delays").equals(expected)
        except BaseException as error:  # noqa: BLE001 - raised in the test
            failed.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    compact(store)
    stop.set()
    thread.join()
    assert not failed
    assert history(store).equals(expected)


def history(directory: Path) -> pa.Table:
    with Store.open(directory) as store:
        return store.history("delays")


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("where", ["written", "listed", "vacuumed"])
def test_a_compaction_that_ends_anywhere_loses_nothing_and_the_next_start_cleans_up(
    store: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    before = read_store(store)

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if where == "listed":
            patch.setattr(Offline, "remove", die)
        else:
            patch.setattr(Upkeep, "merge" if where == "written" else "vacuum", die)
        with pytest.raises(Killed):
            compact(store)
    assert read_store(store) == before
    Publisher(store, lambda: 10 * DAY).close()
    assert not check_store(store).damaged
    compact(store)
    assert read_store(store) == before
    assert not check_store(store).damaged


def test_a_full_disk_ends_it_by_name_and_loses_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_store(store)

    def full(self: Upkeep) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(Upkeep, "vacuum", full)
    with pytest.raises(StoreWriteFailed, match="disk full"):
        compact(store)
    assert read_store(store) == before


def test_the_registry_gives_unused_pages_back(store: Path) -> None:
    path = store / "store" / "registry.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE large AS SELECT zeroblob(3000000) AS x")
        database.execute("DROP TABLE large")
        database.commit()
    size = path.stat().st_size
    compact(store)
    assert path.stat().st_size < size - 2_900_000


def test_a_store_in_use_or_a_folder_without_one_is_named(store: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with Publisher(store, lambda: 10 * DAY), pytest.raises(StoreInUse):
        compact(store)
    with pytest.raises(StoreNotFound):
        compact(tmp_path_factory.mktemp("none"))
