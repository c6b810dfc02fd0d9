"""A running site keeps what it found in a file, until the file changes."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge_client.errors import EventsError
from edge_client.sources.files.cache import MOST_OF_A_FILE, SETTLED_NS, EventCache
from tests.edge_client.sources.files.test_reading import table, write

S = 10**9


class Files:
    """A folder of event files, the files that are read of it, and a clock that is far ahead of their last changes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ahead = folder, 60 * S
        self.was_read: list[str] = []

    def read(self, path: Path) -> pa.Table:
        self.was_read.append(path.name)
        return pq.read_table(path)

    def clock(self) -> int:
        return max(path.stat().st_ctime_ns for path in self.folder.iterdir()) + self.ahead

    def clients(self, cache: EventCache[pa.Table], what: object = "rows") -> tuple[list[str], list[str]]:
        """The clients of all events, and the files that were read for them."""
        self.was_read.clear()
        paths = sorted(self.folder.iterdir())
        cache.forget_all_but(paths)
        found = [client for path in paths for client in cache.read(path, what, self.read)["c"].to_pylist()]
        return found, list(self.was_read)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    write(tmp_path / "1.parquet", table("a"))
    write(tmp_path / "2.parquet", table("b", "c"))
    return Files(tmp_path)


def test_unchanged_files_are_read_once_and_a_new_or_changed_one_again(files: Files) -> None:
    cache = EventCache(files.clock)
    assert files.clients(cache) == (["a", "b", "c"], ["1.parquet", "2.parquet"])
    assert files.clients(cache) == (["a", "b", "c"], [])
    write(files.folder / "3.parquet", table("d"))
    assert files.clients(cache) == (["a", "b", "c", "d"], ["3.parquet"])
    write(files.folder / "1.parquet", table("A"))
    assert files.clients(cache) == (["A", "b", "c", "d"], ["1.parquet"])
    (files.folder / "2.parquet").unlink()
    assert files.clients(cache) == (["A", "d"], [])
    assert "A" not in repr(cache)


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_another_file(files: Files) -> None:
    cache = EventCache(files.clock)
    assert files.clients(cache)[0] == ["a", "b", "c"]
    old = (files.folder / "1.parquet").stat()
    new = write(files.folder / ".new", table("z"))
    os.utime(new, ns=(old.st_atime_ns, old.st_mtime_ns))
    new.rename(files.folder / "1.parquet")
    assert (files.folder / "1.parquet").stat().st_size == old.st_size
    assert files.clients(cache) == (["z", "b", "c"], ["1.parquet"])


def test_a_file_that_changed_just_now_is_read_each_time_until_its_times_would_show_a_change(files: Files) -> None:
    cache = EventCache(files.clock)
    files.ahead = SETTLED_NS
    for _ in range(2):
        assert "2.parquet" in files.clients(cache)[1]  # the newest
    files.ahead += 1
    assert "2.parquet" in files.clients(cache)[1]
    assert files.clients(cache)[1] == []


def test_a_file_that_changes_while_it_is_read_is_not_kept(files: Files) -> None:
    cache, path = EventCache(files.clock), files.folder / "1.parquet"

    def read(file: Path) -> pa.Table:
        found = pq.read_table(file)
        write(path, table("later"))
        return found

    cache.read(path, "x", read)
    assert cache.read(path, "x", pq.read_table)["c"].to_pylist() == ["later"]


def test_it_keeps_what_was_used_last_within_its_bytes(files: Files) -> None:
    size = pq.read_table(files.folder / "1.parquet").nbytes
    cache = EventCache(files.clock, most_bytes=3 * size)
    files.clients(cache)
    assert files.clients(cache)[1] == []
    write(files.folder / "0.parquet", table("e"))
    files.clients(cache)  # there is no room for all three
    assert files.clients(cache)[1] != []


def test_what_a_file_had_leaves_the_memory_with_it(files: Files) -> None:
    cache, (first, second) = EventCache(files.clock), sorted(files.folder.iterdir())
    files.clients(cache)
    write(first, table("A"))
    files.ahead = 0  # it changed just now
    files.clients(cache)
    assert cache.files == [second]
    second.unlink()
    files.clients(cache)
    assert cache.files == []
    files.ahead = 60 * S
    files.clients(cache)
    assert cache.files == [first]


def test_it_keeps_a_bounded_number_of_things_of_a_file(files: Files) -> None:
    cache, path, were_read = EventCache(files.clock), files.folder / "1.parquet", list[int]()
    for what in (*range(MOST_OF_A_FILE + 1), 1, 0):
        cache.read(path, what, lambda file, what=what: were_read.append(what) or pq.read_table(file))
    assert were_read == [*range(MOST_OF_A_FILE + 1), 0]


def test_different_things_are_kept_apart_and_errors_are_not_kept(files: Files) -> None:
    cache, path = EventCache(files.clock), files.folder / "1.parquet"
    for what in ("columns", "rows"):
        assert files.clients(cache, what)[1] == ["1.parquet", "2.parquet"]
    for what in ("columns", "rows"):
        assert files.clients(cache, what)[1] == []

    def broken(_: Path) -> pa.Table:
        raise EventsError("broken")

    for _ in range(2):
        with pytest.raises(EventsError, match="broken"):
            cache.read(path, "more", broken)
