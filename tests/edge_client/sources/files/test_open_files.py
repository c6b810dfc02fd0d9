"""A site reads of its files what a plan asks for: the rows of its panes, and how many events every pane has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_client.errors import EventColumnError, EventsError, SourceAway
from edge_client.sources.declared_column import AsNumber, AsText, AsTime, Column, Named
from edge_client.sources.files import open_files, parquet_file
from edge_client.sources.files.open_files import OpenFiles
from edge_client.sources.mapping import Mapping
from edge_client.sources.open import open_source
from edge_client.sources.source import FilesSource
from edge_client.sources.surroundings import Surroundings
from edge_client.sources.units import Scale
from tests.edge_client.sources.making import counted, day, naive_counts, naive_rows, planned, row, table_of, view

Rows = Sequence[dict[str, Any]]


class Folder:
    """A growing folder of a site, which is open, and the files that are read of it. Its files have not changed for a minute."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, columns: Mapping | None = None) -> None:
        self.path, self.was_read = path, list[str]()
        source = FilesSource(url=str(path), client="c", time="t", path=path, columns=columns or Mapping())
        self.source = OpenFiles(source, Surroundings("a", self._clock))
        read = open_files.file_batches

        def noted(file: Path, needed: Any) -> Any:
            self.was_read.append(file.name)
            return read(file, needed)

        monkeypatch.setattr(open_files, "file_batches", noted)

    def _clock(self) -> int:
        return max(file.stat().st_ctime_ns for file in self.path.iterdir()) // 1_000 + 60 * 10**6

    def write(self, name: str, *rows: dict[str, Any]) -> None:
        pq.write_table(table_of(rows), self.path / name)

    def clients(self, *days: int) -> tuple[list[str], list[str]]:
        """The clients of the events of these days, and the files that were read for them."""
        self.was_read.clear()
        events = self.source.read([planned(days)])
        return events.table["c"].to_pylist(), list(self.was_read)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    made = Folder(tmp_path, monkeypatch)
    made.write("1.parquet", row("a", day(0)), row("b", day(1)), row(None, day(1)), row("c", None))
    made.write("2.parquet", row("d", day(1, 86_399)), row("e", day(2)))
    return made


def test_the_rows_of_the_planned_panes_are_read_and_all_panes_are_counted(folder: Folder) -> None:
    events = folder.source.read([planned([1])])
    assert events.table["c"].to_pylist() == ["b", "d"]
    assert events.clients == 2
    assert counted(events, view()) == {0: 1, 1: 2, 2: 1}


def test_a_file_without_an_event_in_the_planned_panes_is_not_read_again(folder: Folder) -> None:
    assert folder.clients(0) == (["a"], ["1.parquet", "2.parquet"])
    assert folder.clients(2) == (["e"], ["2.parquet"])
    assert folder.clients(1) == (["b", "d"], ["1.parquet"])  # the other one is kept, because a plan asked for it
    assert folder.clients(1, 2) == (["b", "d", "e"], [])
    assert folder.clients(9) == ([], [])
    assert counted(folder.source.read([planned([9])]), view()) == {0: 1, 1: 2, 2: 1}


def test_a_file_that_arrives_between_two_plans_is_read_and_a_deleted_one_is_forgotten(folder: Folder) -> None:
    assert folder.clients(1)[0] == ["b", "d"]
    folder.write("3.parquet", row("new", day(1)))
    assert folder.clients(1) == (["b", "d", "new"], ["1.parquet", "2.parquet", "3.parquet"])
    folder.write("2.parquet", row("D", day(1)))
    assert folder.clients(1) == (["b", "D", "new"], ["2.parquet", "3.parquet"])
    (folder.path / "1.parquet").unlink()
    assert folder.clients(1)[0] == ["D", "new"]
    assert counted(folder.source.read([planned([1])]), view()) == {1: 2}


def test_panes_of_another_length_or_time_are_counted_of_their_own(folder: Folder) -> None:
    folder.write("3.parquet", row("f", day(0), u=day(5)), row("g", None, u=day(2)))
    plan = [planned([25], view("1h")), planned([2], view(time="u"))]
    events = folder.source.read(plan)
    assert events.table["c"].to_pylist() == ["g"]
    assert counted(events, view("1h")) == {0: 2, 24: 1, 47: 1, 48: 1}
    assert counted(events, view(time="u")) == {2: 1, 5: 1}
    assert folder.clients(0)[0] == ["a", "f"]  # another grid: each file is read once more
    assert len(folder.was_read) == 3


def test_a_file_that_is_too_large_to_be_kept_is_read_for_each_plan_that_asks_for_its_panes(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "WHOLE", 0)
    folder.clients(0)
    for _ in range(2):
        assert folder.clients(2) == (["e"], ["2.parquet"])


def test_a_small_file_whose_table_is_too_large_to_be_kept_is_read_in_batches(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compressed file may hold a thousand times its size."""
    monkeypatch.setattr(open_files, "MOST_BYTES", 0)
    folder.clients(0)
    for _ in range(2):
        assert folder.clients(2) == (["e"], ["2.parquet", "2.parquet"])  # given up, and then read in batches


def test_a_folder_that_may_not_be_read_is_away(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", denied)
    with pytest.raises(SourceAway, match="cannot be read: Permission denied"):
        folder.source.read([planned([0])])


def test_a_pipe_or_a_dangling_link_among_the_files_is_away_and_nobody_waits_for_it(folder: Folder) -> None:
    odd = folder.path / "3.parquet"
    for make in (lambda: os.mkfifo(odd), lambda: odd.symlink_to("none")):
        make()
        with pytest.raises(SourceAway, match=r"3\.parquet is no regular file"):
            folder.source.read([planned([0])])
        odd.unlink()


TIMES = st.none() | st.builds(day, st.integers(-2, 3), st.sampled_from([0, 1, 3_599.999999, 3_600, 86_399.999999]))
ROWS = st.lists(st.builds(row, st.sampled_from(["a", "b", None]), TIMES, u=TIMES), max_size=8)


@settings(max_examples=40)
@given(
    files=st.lists(ROWS, min_size=1, max_size=3),
    panes=st.sets(st.integers(-30, 70), min_size=1),
    days=st.sets(st.integers(-3, 3), min_size=1),
    size=st.integers(1, 5),
)
def test_every_plan_gets_what_a_naive_reader_finds_whatever_was_read_before(
    tmp_path_factory: pytest.TempPathFactory, files: list[Rows], panes: set[int], days: set[int], size: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(parquet_file, "BATCH_ROWS", size)
        folder = Folder(tmp_path_factory.mktemp("files"), patched)
        for number, rows in enumerate(files):
            folder.write(f"{number}.parquet", *rows)
        every = [one for rows in files for one in rows]
        hours, other = view("1h"), view(time="u")
        for plan in ([planned(panes, hours), planned(days, other)], [planned(days, other)], [planned(panes, hours)]):
            events = folder.source.read(plan)
            names = events.table.column_names
            assert events.table.to_pylist() == [{name: one[name] for name in names} for one in naive_rows(every, plan)]
            for one in plan:
                assert counted(events, one.view) == naive_counts(every, one.view)


def _as_csv(path: Path, rows: pa.Table) -> None:
    pa_csv.write_csv(rows, path)


def _as_json(path: Path, rows: pa.Table) -> None:
    lines = [
        '{{"c": "{}", "t": "{}", "k": "{}", "x": {}}}\n'.format(one["c"], one["t"].isoformat(), one["k"], one["x"])
        for one in rows.to_pylist()
    ]
    path.write_text("".join(lines))


@pytest.mark.parametrize(("suffix", "write"), [("csv", _as_csv), ("jsonl", _as_json)])
def test_csv_and_json_are_read_as_parquet_is(
    tmp_path: Path, suffix: str, write: Callable[[Path, pa.Table], None]
) -> None:
    rows = [row("a", day(0, 5)), row("b", day(1)), row("c", day(1, 0.000001))]
    for name, part in (("1", rows[:2]), ("2", rows[2:])):
        write(tmp_path / f"{name}.{suffix}", table_of(part))
    (tmp_path / f"3.{suffix}").write_bytes(b"c,t,k,x\n\xff\n" if suffix == "csv" else b"{\n\xff\n")
    source = open_source(FilesSource(url="here", client="c", time="t", path=tmp_path), Surroundings("a"))
    events = source.read([planned([1])])
    assert events.table["c"].to_pylist() == ["b", "c"]
    assert events.table["x"].to_pylist() == [1.0, 1.0]
    assert counted(events, view()) == {0: 1, 1: 2}


def test_declared_columns_are_renamed_and_converted_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = Mapping(
        (
            Column("c", Named("tail"), AsText()),
            Column("t", Named("arr"), AsTime(zone="America/New_York")),
            Column("x", Named("miles"), AsNumber(Scale(2.0, 1.0))),
        )
    )
    folder = Folder(tmp_path, monkeypatch, columns)
    (tmp_path / "1.csv").write_text("tail,arr,miles,k,more\n7,2013-01-01 19:30:00,3,a,-\n8,2013-01-01 18:30:00,4,b,-\n")
    events = folder.source.read([planned([1])])
    assert events.table.select(["c", "k", "x"]).to_pylist() == [{"c": "7", "k": "a", "x": 7.0}]
    assert counted(events, view()) == {0: 1, 1: 1}
    assert sorted(folder.source.schema([view()]).column_names) == ["c", "k", "t", "x"]
    with pytest.raises(EventsError, match=r"no column 'miles': \[source.columns\] gives it another name"):
        folder.source.schema([view(column="miles")])


def test_a_source_without_files_is_away_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path / "days", monkeypatch)
    for why in ("there is no such file or folder", "has no file of events"):
        for read in (lambda: folder.source.schema([view()]), lambda: folder.source.read([planned([0])])):
            with pytest.raises(SourceAway, match=why):
                read()
        folder.path.mkdir(exist_ok=True)
    folder.write("1.parquet", row("a", day(0)))
    assert folder.clients(0)[0] == ["a"]


def test_a_file_that_is_half_written_is_refused_by_name_until_it_is_whole(folder: Folder) -> None:
    whole = (folder.path / "1.parquet").read_bytes()
    (folder.path / "3.parquet").write_bytes(whole[: len(whole) // 2])
    for _ in range(2):
        with pytest.raises(EventsError, match=r"3\.parquet cannot be read as Parquet"):
            folder.clients(0)
    (folder.path / "3.parquet").write_bytes(whole)
    assert folder.clients(0)[0] == ["a", "a"]


@pytest.mark.parametrize(
    "change", [lambda rows: rows.drop_columns(["x"]), lambda rows: rows.set_column(4, "x", rows["k"])]
)
def test_a_schema_that_changes_between_two_plans_is_refused_by_name(
    folder: Folder, change: Callable[[pa.Table], pa.Table]
) -> None:
    assert folder.clients(0)[0] == ["a"]
    pq.write_table(change(table_of([row("f", day(7))])), folder.path / "3.parquet")
    with pytest.raises(EventsError, match=r"3\.parquet(, column 'x': its type is large_string| has no column 'x')"):
        folder.clients(0)  # also where the plan needs no event of the new file
    (folder.path / "3.parquet").unlink()
    assert folder.clients(0)[0] == ["a"]


def test_a_time_of_another_type_is_refused(folder: Folder) -> None:
    for file in folder.path.iterdir():
        file.unlink()
    rows = table_of([row("f", day(7))])
    pq.write_table(rows.set_column(1, "t", pa.array([1.5])), folder.path / "1.parquet")
    with pytest.raises(EventColumnError, match="column 't': times must be"):
        folder.clients(0)


def test_what_was_kept_of_deleted_files_leaves_the_memory(folder: Folder) -> None:
    folder.clients(0)
    folder.clients(0)
    caches = (folder.source._tables, folder.source._counts)
    assert all(len(cache.files) == 2 for cache in caches)
    (folder.path / "2.parquet").unlink()
    folder.clients(0)
    assert all([file.name for file in cache.files] == ["1.parquet"] for cache in caches)
    (folder.path / "notes.txt").write_text("no events")
    with pytest.raises(EventsError):
        folder.clients(0)
    assert all(cache.files == [] for cache in caches)


READ = """
import resource, sys
from pathlib import Path
from edge_client.sources.files.open_files import OpenFiles
from edge_client.sources.surroundings import Surroundings
from edge_client.sources.source import FilesSource
from tests.edge_client.sources.making import planned
path = Path(sys.argv[1])
source = OpenFiles(FilesSource(url="", client="c", time="t", path=path), Surroundings("a"))
kept = source.read([planned([0])]).table.num_rows
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
links = path / "more"
for number in range(int(sys.argv[2])):
    (links / f"{number}.parquet").hardlink_to(path / "1.parquet")
assert source.read([planned([0])]).table.num_rows == kept * (1 + int(sys.argv[2]))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize("files", [12, pytest.param(400, marks=pytest.mark.long)])
def test_memory_does_not_grow_with_the_files(tmp_path: Path, files: int) -> None:
    import numpy as np

    rows = 1_000_000  # 40 MB as a table
    times = np.arange(rows) * 10**6 + 15_706 * 86_400 * 10**6  # twelve days; a plan asks for one
    table = pa.table(
        {
            "c": pa.array(np.arange(rows) % 1000).cast(pa.string()),
            "t": pa.array(times, pa.timestamp("us")),
            "k": ["a"] * rows,
            "x": np.ones(rows),
        }
    )
    few = table.filter(pa.array((np.arange(rows) < 100) | (times >= 15_707 * 86_400 * 10**6)))
    pq.write_table(few, tmp_path / "1.parquet")
    (tmp_path / "more").mkdir()
    run = [sys.executable, "-c", READ, str(tmp_path), str(files)]
    grown = float(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    assert grown < 150
