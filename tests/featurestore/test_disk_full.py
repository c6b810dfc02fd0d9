"""A disk that fills up during a publication: readers stay on the last complete epoch, and a repeat heals the store."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from featurestore.errors import StoreWriteFailed
from featurestore.online.rocks import RocksOnline
from featurestore.online.settings import OnlineSettings
from featurestore.publish.publish import Publisher
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view

VIEW, OTHER = a_view(), a_view("others")
PAGE = 4096
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
NO_ROOM = "IO error: No space left on device: While appending to file: 000004.log: No space left on device"

State = tuple[pa.Table, pa.Table]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(params=[1024, 0], ids=["blocks", "stored"])
def settings(request: pytest.FixtureRequest) -> OnlineSettings:
    return OnlineSettings(block_mib=request.param)


def both(pane: int) -> list[Any]:
    return [a_release(view, pane * HOUR, pane + 1) for view in (VIEW, OTHER)]


def register(publisher: Publisher) -> None:
    for view in (VIEW, OTHER):
        publisher.register(view)


def newest(store: Store) -> pa.Table:
    return store.get(["delays:flights", "delays:flights_3h", "others:late"], {"dest": ["ATL", "LAX"]}, full_names=True)


def history(directory: Path) -> pa.Table:
    with Store.open(directory, clock=lambda: DAY) as store:
        return store.history("others").drop_columns(["published_at"])


def state(directory: Path) -> State:
    """What a new reader of the store sees: the newest rows, and the history of the view that is published last."""
    with Store.open(directory, clock=lambda: DAY) as store:
        return newest(store), history(directory)


def expected(directory: Path, panes: int) -> State:
    with Publisher(directory, lambda: DAY) as publisher:
        register(publisher)
        for pane in range(panes):
            publisher.publish(both(pane))
    return state(directory)


def fill_up(path: Path, free: int) -> None:
    """Leave this many bytes free."""
    disk = os.statvfs(path.parent)
    path.write_bytes(bytes(max(0, disk.f_bavail * disk.f_frsize - free)))


@pytest.mark.parametrize("again", ["same publisher", "next start"])
def test_on_a_disk_with_room_for_more_and_more_every_file_fails_once_and_nothing_is_half_there(
    small_disk: Path, tmp_path: Path, settings: OnlineSettings, again: str
) -> None:
    filler, failed, pane = small_disk / "filler", set(), 1
    publisher = Publisher(small_disk, lambda: DAY, settings)
    register(publisher)
    publisher.publish(both(0))
    with Store.open(small_disk, clock=lambda: DAY) as running:
        while True:
            before, seen = state(small_disk), newest(running)
            fill_up(filler, (pane - 1) * PAGE)
            try:
                publisher.publish(both(pane))
                break
            except StoreWriteFailed as error:
                raised = error
            assert f"{raised.path} could not be written (disk full)" in str(raised)
            failed.add(Path(raised.path).relative_to(small_disk / "store").parts[0])
            assert newest(running).equals(seen)
            assert history(small_disk).num_rows in (before[1].num_rows, before[1].num_rows + 2)
            if again == "next start":
                publisher.close()
            if (
                settings.block_mib
            ):  # without blocks a new reader waits for the publisher, because it has no earlier epoch
                assert state(small_disk)[0].equals(before[0])
            filler.unlink()
            if again == "next start":
                publisher = Publisher(small_disk, lambda: DAY, settings)
            report = publisher.publish(both(pane))
            assert report.published + report.repeated == 2
            assert newest(running).equals(state(small_disk)[0])
            pane += 1
    publisher.close()
    filler.unlink()
    assert failed >= {"offline", "registry.db", "blocks"}
    there = state(small_disk)
    assert [a.equals(b) for a, b in zip(there, expected(tmp_path / "roomy", pane + 1), strict=True)] == [True, True]


def test_a_store_on_a_full_disk_is_opened_for_reading_and_refused_for_writing(small_disk: Path) -> None:
    expected(small_disk, 2)
    before = state(small_disk)
    fill_up(small_disk / "filler", 0)
    assert state(small_disk)[0].equals(before[0])
    with pytest.raises(StoreWriteFailed, match="disk full"):
        Publisher(small_disk, lambda: DAY)
    (small_disk / "filler").unlink()
    with Publisher(small_disk, lambda: DAY) as publisher:
        publisher.publish(both(2))


class Nth:
    """Lets a function fail at its n-th call, once only."""

    def __init__(self, function: Callable[..., Any], nth: int, error: Exception) -> None:
        self.function, self.left, self.error = function, nth, error

    def __call__(self, *given: Any, **more: Any) -> Any:
        self.left -= 1
        if self.left == -1:
            raise self.error
        return self.function(*given, **more)


def as_method(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given, **more: function(*given, **more)


def rocks_write(publisher: Publisher, fails: Nth) -> None:
    """RocksDB's own database object accepts no replaced method, so this object stands in front of it."""

    class Database:
        def __getattr__(self, name: str) -> Any:
            return getattr(database, name)

        def write(self, *given: Any) -> None:
            fails("write", *given)

        def flush(self) -> None:
            fails("flush")

        def compact_range(self, *given: Any) -> None:
            fails("compact_range", *given)

    online = publisher._online
    assert isinstance(online, RocksOnline)
    database = online._db
    fails.function = lambda name, *given: getattr(database, name)(*given)
    online._db = Database()  # type: ignore[assignment]


@pytest.mark.parametrize("what", ["fsync", "replace", "mkdir", "rocksdb", "sqlite"])
def test_wherever_there_is_no_room_publishing_again_ends_as_if_there_had_been(
    tmp_path: Path, settings: OnlineSettings, what: str
) -> None:
    want = expected(tmp_path / "roomy", 2)
    for nth in range(40):
        directory = tmp_path / f"{what}-{nth}"
        with Publisher(directory, lambda: DAY, settings) as publisher:
            register(publisher)
            if what != "mkdir":
                publisher.publish(both(0))
            before, running = state(directory), Store.open(directory, clock=lambda: DAY)
            newest(running)
            with pytest.MonkeyPatch.context() as patch:
                match what:
                    case "fsync":
                        patch.setattr(os, "fsync", Nth(os.fsync, nth, FULL))
                    case "replace" | "mkdir":
                        patch.setattr(Path, what, as_method(Nth(getattr(Path, what), nth, FULL)))
                    case "rocksdb":
                        rocks_write(publisher, Nth(print, nth, Exception(NO_ROOM)))
                    case "sqlite":
                        (pages,) = publisher._registry._db.execute("PRAGMA page_count").fetchone()
                        publisher._registry._db.execute(f"PRAGMA max_page_count = {pages + nth}")
                try:
                    publisher.publish([*both(0), *both(1)], [bytes(20_000)])
                    break
                except StoreWriteFailed as error:
                    reason = error.reason
            assert reason == "disk full"
            left = newest(running)
            running.close()
            assert left.equals(before[0]) or (
                what == "fsync" and left.equals(want[0])
            )  # after the last rename the publication is complete
            assert list(publisher._offline.strays(publisher._registry.publications.all_paths())) == []
            if what == "sqlite":
                assert history(directory).equals(before[1])
            publisher._registry._db.execute("PRAGMA max_page_count = 1000000")
            publisher.publish([*both(0), *both(1)])
        there = state(directory)
        assert [a.equals(b) for a, b in zip(there, want, strict=True)] == [True, True], (what, nth)
    assert nth >= {"fsync": 10, "replace": 5, "mkdir": 2, "rocksdb": 6, "sqlite": 3}[what]
