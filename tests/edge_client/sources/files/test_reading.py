"""Many files of events are one table: a folder or a pattern names them, and a file unlike the others is refused by name."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge_client.errors import EventsError, SourceAway
from edge_client.sources.files import open_files, paths, reading
from edge_client.sources.files.open_files import OpenFiles
from edge_client.sources.files.paths import event_files
from edge_client.sources.files.reading import read_events
from edge_client.sources.source import FilesSource
from edge_client.sources.surroundings import Surroundings
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Mean
from featurestore.define.privacy import Bounds, Privacy

VIEW = FeatureView(
    "v",
    entity=Entity("k", domain=["a", "b"]),
    pane="1d",
    features=(Mean("x", clip=(0, 9)),),
    bounds=Bounds(1),
    privacy=Privacy(rho=0.1),
)


def table(*clients: str, x: pa.DataType | None = None) -> pa.Table:
    count = len(clients)
    values = pa.array([1] * count, x or pa.float64()) if x != pa.null() else pa.nulls(count)
    return pa.table({"c": list(clients), "t": ["2013-01-01"] * count, "k": ["a"] * count, "x": values})


def write(path: Path, rows: pa.Table | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(rows, str):
        path.write_text(rows)
    else:
        pq.write_table(rows, path)
    return path


def clients(path: Path) -> list[str]:
    return list(read_events(path, [VIEW], "c", "t", None)["c"].to_pylist())


def opened(path: Path) -> OpenFiles:
    """The same files as the source of a site."""
    return OpenFiles(FilesSource(url=str(path), client="c", time="t", path=path), Surroundings("a"))


def columns(path: Path) -> pa.Table:
    """What a site finds without reading a value."""
    return opened(path).schema([VIEW])


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """A folder with three days, of which one lies in a folder of its own."""
    write(tmp_path / "days" / "2013-01-02.parquet", table("second"))
    write(tmp_path / "days" / "2013-01-01.parquet", table("first", "first too"))
    write(tmp_path / "days" / "2013-02" / "01.PARQUET", table("third"))
    return tmp_path / "days"


def test_a_folder_stands_for_all_its_files_in_order_of_their_paths(days: Path) -> None:
    assert clients(days) == ["first", "first too", "second", "third"]
    assert columns(days).num_rows == 0


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.parquet", ["first", "first too", "second"]),
        ("2013-01-0[13].parquet", ["first", "first too"]),
        ("2013-??", ["third"]),
        ("*/01.*", ["third"]),
        ("**/*01.*", ["first", "first too", "third"]),
        ("**", ["first", "first too", "second", "third"]),
        ("*/../2013-01-02.parquet", ["second"]),
    ],
)
def test_a_pattern_stands_for_the_files_that_it_matches(days: Path, pattern: str, expected: list[str]) -> None:
    assert clients(days / pattern) == expected


def test_a_pattern_may_be_relative(days: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(days)
    assert clients(Path("*.parquet")) == ["first", "first too", "second"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(days: Path) -> None:
    write(days / "[x].parquet", table("odd"))
    write(days / "x.parquet", table("x"))
    assert clients(days / "[x].parquet") == ["odd"]


def test_hidden_and_unfinished_files_are_skipped(days: Path) -> None:
    names = [".2013-01-03.parquet", "_SUCCESS", "3.parquet.tmp", "3.parquet.PART", "3.parquet~", "_temporary/3.parquet"]
    for name in names:
        write(days / name, "unfinished")
    for path in (days, days / "*", days / "**" / "*", days / "**" / "*.[pP]*"):
        assert "third" in clients(path)
    with pytest.raises(EventsError, match=r"no file of events matches .*\.PART"):
        event_files(days / "*.PART")


def test_a_folder_that_has_grown_is_read_again(days: Path) -> None:
    before = clients(days)
    write(days / "2013-01-03.parquet", table("new"))
    assert sorted(clients(days)) == sorted([*before, "new"])


def test_a_folder_without_files_and_a_pattern_without_match_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(EventsError, match=r"the folder .*empty has no file of events"):
        event_files(tmp_path / "empty")
    for pattern in ("*.csv", "none/*.csv", "**/*.csv"):
        with pytest.raises(EventsError, match=r"no file of events matches .*\.csv"):
            event_files(tmp_path / pattern)
    with pytest.raises(EventsError, match="there is no such file or folder"):
        event_files(tmp_path / "none")


def test_files_of_two_kinds_or_of_another_kind_are_refused_by_name(days: Path) -> None:
    other = write(days / "readme.txt", "read me")
    with pytest.raises(EventsError, match=r"readme\.txt: events are read from .* not '\.txt'\. Move it out of .*days"):
        clients(days)
    other.unlink()
    write(days / "2013-01-03.csv", "c,t,k,x\nmore,2013-01-01,a,1\n")
    with pytest.raises(EventsError, match=r"days has files of two kinds, .*01-01\.parquet and .*01-03\.csv"):
        clients(days)
    assert clients(days / "*.csv") == ["more"]


def test_a_file_with_another_type_for_a_column_is_refused_by_name(days: Path) -> None:
    write(days / "2013-01-03.parquet", table("new", x=pa.int64()))
    why = r"2013-01-03\.parquet, column 'x': its type is int64, but in .*2013-01-01\.parquet it is double"
    for read in (clients, columns):
        with pytest.raises(EventsError, match=why):
            read(days)


def test_a_file_without_a_needed_column_is_refused_by_name(days: Path) -> None:
    write(days / "2013-01-03.parquet", table("new").drop_columns(["x"]))
    with pytest.raises(EventsError, match=r"2013-01-03\.parquet has no column 'x'"):
        clients(days)


def test_a_column_that_no_view_needs_may_differ(days: Path) -> None:
    write(days / "2013-01-03.parquet", table("new").append_column("remark", pa.array(["-"])))
    assert "new" in clients(days)


def test_text_of_any_encoding_is_one_type_and_a_column_of_nulls_is_any(days: Path) -> None:
    encoded = table("new", x=pa.null())
    encoded = encoded.set_column(0, "c", encoded["c"].dictionary_encode()).set_column(
        2, "k", encoded["k"].cast(pa.large_string())
    )
    write(days / "2012-12-31.parquet", encoded)
    read = read_events(days, [VIEW], "c", "t", None)
    assert read["c"].to_pylist()[:2] == ["new", "first"]
    assert read["x"].to_pylist() == [None, 1.0, 1.0, 1.0, 1.0]
    assert read["x"].type == pa.float64()


def test_csv_files_are_one_table_and_one_without_rows_is_allowed(tmp_path: Path) -> None:
    header = "c,t,k,x\n"
    write(tmp_path / "1.csv", header + "one,2013-01-01,a,1\n")
    write(tmp_path / "2.csv", header)
    write(tmp_path / "3.csv", "x,k,t,c\n2,a,2013-01-01,three\n")
    read = read_events(tmp_path, [VIEW], "c", "t", None)
    assert (read["c"].to_pylist(), read["x"].to_pylist()) == (["one", "three"], [1.0, 2.0])
    with pytest.raises(EventsError, match=r"2\.csv holds no events"):
        clients(tmp_path / "2.csv")


def test_a_file_that_vanishes_is_an_error_and_its_events_are_not_left_out(
    days: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = event_files(days)
    found[1].unlink()
    for module in (reading, open_files):
        monkeypatch.setattr(module, "event_files", lambda _: found)
    for read, error in ((clients, EventsError), (columns, SourceAway)):
        with pytest.raises(error, match=r"2013-01-02\.parquet vanished before it was read"):
            read(days)
    csv = write(days / "gone.csv", "")
    csv.unlink()
    monkeypatch.setattr(open_files, "event_files", lambda _: [csv])
    with pytest.raises(SourceAway, match=r"gone\.csv vanished"):
        columns(days)


def test_too_many_files_are_refused(days: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MAX_FILES", 2)
    with pytest.raises(EventsError, match="more than 2 files; merge them"):
        event_files(days)
    assert len(event_files(days / "*.parquet")) == 2


def test_a_link_to_a_folder_is_refused_because_it_may_lead_back(days: Path) -> None:
    (days / "again").symlink_to(days)
    with pytest.raises(EventsError, match="again is a link to a folder"):
        event_files(days)
    assert len(event_files(days / "**" / "*.parquet")) == 2  # a pattern does not follow it either


def test_a_folder_that_cannot_be_read_is_an_error(days: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked, listed = days / "2013-02", Path.iterdir

    def iterdir(folder: Path) -> Iterator[Path]:
        if folder == locked:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    for path in (days, days / "**"):
        with pytest.raises(EventsError, match=re.escape(f"{locked} cannot be read: Permission denied")):
            event_files(path)
