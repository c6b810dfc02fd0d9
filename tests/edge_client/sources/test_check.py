"""What a site understands of its source."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from base.times import to_us
from edge_client.errors import EventsError, SourceAway
from edge_client.event_log.bad_records import BadReason, BadRecord
from edge_client.event_log.log import EventLog
from edge_client.sources import check
from edge_client.sources.check import SourceCheck, check_source
from edge_client.sources.declared_column import AsNumber, AsText, AsTime, AsWhole, Column, Named
from edge_client.sources.mapping import NO_COLUMNS, Mapping
from edge_client.sources.sample import Sample
from edge_client.sources.sampling import sample_of
from edge_client.sources.source import (
    DuckDbFile,
    FilesSource,
    KafkaSource,
    LogSettings,
    LogSource,
    Query,
    Source,
    TableSource,
)
from edge_client.sources.surroundings import Surroundings
from edge_client.sources.units import scale_of
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Mean
from featurestore.define.privacy import Bounds, Privacy

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SURROUNDINGS = Surroundings("a", clock=lambda: to_us(NOW))


def view(name: str = "v", column: str = "km") -> FeatureView:
    return FeatureView(
        name, entity=Entity("place", domain=["p", "q"]), pane="1d", features=[Count("n"), Mean(column, clip=(0, 9))],
        bounds=Bounds(1), privacy=Privacy(rho=0.1),
    )  # fmt: skip


def checked(source: Source, *views: FeatureView, most: int = 100, values: bool = True) -> SourceCheck:
    return check_source(source, views, SURROUNDINGS, most, values=values)


def files(path: Path, columns: Mapping = NO_COLUMNS, client: str = "who", time: str = "at") -> FilesSource:
    return FilesSource(url=str(path), client=client, time=time, columns=columns, path=path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "days").mkdir()
    for day in (1, 2, 3):
        pq.write_table(
            pa.table(
                {
                    "who": ["a", f"b{day}", None],
                    "when": [f"2026-06-0{day}T10:00:00Z", "soon", None],
                    "place": ["p", "q", "q"],
                    "mi": [1.0, None, 2.0],
                }
            ),
            tmp_path / "days" / f"{day}.parquet",
        )
    return tmp_path / "days"


MAPPING = Mapping(
    (Column("at", Named("when"), AsTime()), Column("km", Named("mi"), AsNumber(scale_of("mi", "km"))),
     Column("who", Named("who"), AsText()))
)  # fmt: skip


def test_the_oldest_and_the_newest_file_say_what_a_site_understands(folder: Path) -> None:
    found = checked(files(folder, MAPPING), view(), view("w", "speed"))
    assert (found.kind, found.rows, found.clients, found.without_client) == ("files", 6, 3, 2)
    assert found.parts[0].startswith(f"3 files from {folder / '1.parquet'} to {folder / '3.parquet'}, ")
    at, km, _, place = found.columns
    assert (at.origin, at.found, at.read, at.missing, at.unfit) == (
        "when", "text", "timestamp[us, tz=UTC]", pytest.approx(1 / 3), pytest.approx(1 / 3),
    )  # fmt: skip
    assert (km.origin, km.read, km.missing, km.unfit, km.examples) == (
        "mi", "double", pytest.approx(1 / 3), 0.0, ("1.609344", "3.218688"),
    )  # fmt: skip
    assert (place.name, place.read, place.examples) == ("place", None, ("p", "q"))
    assert found.times is not None
    assert (found.times.earliest, found.times.latest) == ("2026-06-01T10:00:00Z", "2026-06-03T10:00:00Z")
    assert (found.times.unreadable, found.times.future) == (4, 2)
    assert found.views["v"] is None
    assert "'speed'" in str(found.views["w"])
    assert not found.usable
    assert checked(files(folder, MAPPING), view()).usable


def test_no_value_is_shown_where_none_is_asked_for(folder: Path) -> None:
    found = checked(files(folder, MAPPING), values=False)
    assert not any(one.examples for one in found.columns)


def test_an_error_quotes_no_value_where_none_is_asked_for(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "e.duckdb")) as database:
        database.execute("CREATE TABLE e AS SELECT 'planted' AS who")
    query = Query("SELECT who::INTEGER AS who, TIMESTAMP '2026-01-01' AS at FROM e")
    source = TableSource(
        url="duckdb://e", client="who", time="at", database=DuckDbFile(tmp_path / "e.duckdb"), relation=query
    )
    with pytest.raises(EventsError, match="planted"):
        checked(source)
    with pytest.raises(EventsError, match=r"the source duckdb://e cannot be read: \(not shown\)"):
        checked(source, values=False)
    (tmp_path / "e.csv").write_text("who,planted\n")
    found = checked(files(tmp_path / "e.csv", time="who"), view(), values=False)
    assert "planted" not in str(found.views["v"])


@pytest.mark.parametrize(
    ("mapping", "client", "says"),
    [
        (MAPPING, "whom", "no column 'whom'"),
        (Mapping((*MAPPING.columns, Column("n", Named("place"), AsWhole()))), "who", "column 'n': column 'n': the site's file declares a whole number"),
        (Mapping((*MAPPING.columns, Column("n", Named("nowhere"), AsWhole()))), "who", "the source has no 'nowhere'"),
        (Mapping((Column("at", Named("place"), AsTime()),)), "who", "no event of the sample has a time that can be read"),
    ],
)  # fmt: skip
def test_what_a_site_cannot_use_is_a_problem(folder: Path, mapping: Mapping, client: str, says: str) -> None:
    found = checked(files(folder, mapping, client), view())
    assert says in " ".join(found.problems)
    assert (found.usable, found.views) == (False, {})


def test_a_source_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises((EventsError, SourceAway), match="no such file"):
        checked(files(tmp_path / "none.csv"))
    with pytest.raises(SourceAway, match="no such event log"):
        checked(LogSource(url="log://x", client="who", time="at", path=tmp_path / "x"))


def test_the_fields_of_a_csv_file_have_no_type(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("who,at,n\na,2026-06-01,1\nb,2026-06-02,x\n" + "c,2026-06-03,3\n" * 50)
    found = checked(files(tmp_path / "e.csv", Mapping((Column("n", Named("n"), AsWhole()),))), most=10)
    assert (found.rows, found.clients) == (10, 3)
    n, who, at = found.columns
    assert (n.found, n.read, n.unfit, n.examples) == ("text without a type", "int64", 0.1, ("1", "3"))
    assert (who.found, at.examples) == ("text without a type", ("2026-06-01", "2026-06-02", "2026-06-03"))


@pytest.mark.parametrize("form", ["lines", "array"])
def test_the_records_of_a_json_file_name_its_columns(tmp_path: Path, form: str) -> None:
    records = ['{"who": "a", "at": "2026-06-01", "n": 1}', '{"who": "b", "on": true, "n": null}']
    text = f"[{','.join(records)}]" if form == "array" else "\n".join([records[0], "{", records[1]])
    (tmp_path / "e.json").write_text(text)
    found = checked(files(tmp_path / "e.json"))
    assert {one.name: one.found for one in found.columns} == {
        "who": "text", "at": "text", "n": "int64", "on": "bool",
    }  # fmt: skip
    assert found.clients == 2


def test_the_numbers_of_json_files_are_clients_and_a_column_of_several_kinds_of_numbers_is_numbers(
    tmp_path: Path,
) -> None:
    days = tmp_path / "days"
    days.mkdir()
    (days / "1.jsonl").write_text('{"who": 7, "at": "2026-06-01", "n": 1}\n{"who": 8, "at": "2026-06-01", "n": 2}\n')
    (days / "2.jsonl").write_text('{"who": 9, "at": "2026-06-02", "n": 1.5}\n')
    found = checked(files(days))
    assert {one.name: one.found for one in found.columns} == {"who": "int64", "at": "text", "n": "double"}
    assert (found.usable, found.clients) == (True, 3)


def test_the_newest_events_of_a_log_are_a_sample(tmp_path: Path) -> None:
    with EventLog(tmp_path / "e.log", client="who", time="at") as log:
        for number in range(5):
            log.append([{"who": str(number), "at": NOW, "place": "p", "km": 1.0}])
        log.append(bad=[BadRecord(BadReason.NOT_JSON, b"{\x1b", "topic[0]@7")])
    source = LogSource(url="log://e.log", client="who", time="at", path=tmp_path / "e.log")
    found = checked(source, view(), most=2)
    assert (found.rows, found.usable, dict(found.bad)) == (2, True, {"not JSON": 1})
    assert found.bad_examples == ("topic[0]@7: not JSON: {\x1b",)
    assert found.columns[0].examples == ("3", "4")


def test_views_over_a_stream_are_checked_by_its_declared_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = Mapping(
        (Column("who", Named("u"), AsText()), Column("at", Named("t"), AsTime(unit="ms")), Column("place", Named("place"), AsText()),
         Column("km", Named("km"), AsNumber()))
    )  # fmt: skip
    log = LogSettings(tmp_path / "e.log")
    source = KafkaSource(
        url="kafka://localhost:9/t", client="who", time="at", columns=columns, servers=("localhost:9",), topic="t",
        tls=None, login=None, log=log,
    )  # fmt: skip
    raw = pa.table({"u": ["a"], "t": [to_us(NOW) // 1_000], "place": ["p"], "km": [1.5]})
    monkeypatch.setattr(check, "sample_of", lambda *_: Sample(("partition 0",), raw))
    found = checked(source, view(), view("w", "speed"))
    assert (found.views["v"], found.clients) == (None, 1)
    assert "'speed'" in str(found.views["w"])
    assert not log.path.exists()


def test_a_sample_does_not_show_itself() -> None:
    assert repr(Sample((), pa.table({"x": [1]}))) == "Sample(1 events: redacted)"
    assert sample_of is not None
