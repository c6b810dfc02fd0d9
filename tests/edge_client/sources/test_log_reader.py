"""Plans are answered from an event log as from a table of the same events, and do not read what they do not need."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from edge_client.errors import EventsError, LogKeyWrong, SourceAway
from edge_client.event_log.log import EventLog
from edge_client.event_log.sealing import new_log_key
from edge_client.events import Events, make_events
from edge_client.sources.declared_column import AsText, AsTime, Column, Named
from edge_client.sources.log_reader import LogReader
from edge_client.sources.mapping import Mapping
from edge_client.sources.open import open_source
from edge_client.sources.source import LogSource
from edge_client.sources.surroundings import Surroundings
from featurestore.define.entities import Entity
from federation.plan import PlannedView
from tests.edge_client.making import DAY, HOURLY, VIEW, table

NOW = 40 * DAY


def clock() -> int:
    return NOW


def planned(view: Any, *panes: int) -> PlannedView:
    return PlannedView(view, np.array(panes, np.int64) * view.pane_us, 2)


@pytest.fixture
def log(tmp_path: Path) -> Any:
    with EventLog(tmp_path / "e.log", client="who", time="t", clock=clock, days=2, monotonic=clock) as made:
        yield made


def some(count: int, seed: int, start: float = 0, end: float = 30) -> pa.Table:
    """Random events of these days."""
    generator = np.random.default_rng(seed)
    names = [None if one == 5 else f"c{one}" for one in generator.integers(0, 6, count)]
    return table(
        names, list(generator.uniform(start, end, count)), [str(one) for one in generator.integers(0, 3, count)]
    )


def rows_of(events: Events, view: PlannedView) -> list[Any]:
    """The events in the panes of a view."""
    times = events.times(view.view)
    starts = times.us - times.us % view.view.pane_us
    inside = np.isin(starts, view.pane_starts) & times.valid & (events.client >= 0)
    return events.table.filter(pa.array(inside)).select(["who", "k"]).to_pylist()


def counts_of(events: Events, view: Any) -> list[Any]:
    panes, counts = events.pane_counts(view)
    return list(zip(panes.tolist(), counts.tolist(), strict=True))


def test_each_plan_reads_its_rows_and_counts_every_pane_as_from_one_table(log: EventLog) -> None:
    reader, tables = LogReader(log, "log://e.log", "who", "t"), []
    for at in range(12):
        tables.append(some(200, at))
        log.append(tables[-1])
        whole = make_events(pa.concat_tables(tables), "who", "t")
        views = [planned(VIEW, at, at + 1), planned(HOURLY, 24 * at, 24 * at + 5)][: at % 3 + 1]
        found = reader.read(views)
        assert found.table.num_rows < whole.table.num_rows / 2
        for view in views:
            assert rows_of(found, view) == rows_of(whole, view)
            assert counts_of(found, view.view) == counts_of(whole, view.view)


def test_a_plan_reads_the_new_batches_and_those_of_its_panes_only(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(20):
        log.append(some(5_000, day, day, day + 1))
    reader = LogReader(log, "log://e.log", "who", "t")
    read: list[int] = []
    batches = log.batches

    def watched(*args: Any) -> Any:
        for last, part in batches(*args):
            read.append(last)
            yield last, part

    monkeypatch.setattr(log, "batches", watched)
    reader.read([planned(VIEW, 19)])
    assert len(read) == 21
    read.clear()
    reader.read([planned(VIEW, 18)])
    assert len(read) == 1
    read.clear()
    log.append(some(10, 99, 3, 4))
    reader.read([planned(VIEW, 18)])
    assert len(read) == 2
    read.clear()
    reader.read([planned(replace(VIEW, name="w", pane="1h"), 18 * 24)])
    assert len(read) == 22


def test_the_counts_of_erased_events_are_given_up_when_they_are_most(tmp_path: Path) -> None:
    moment = [NOW]
    with EventLog(
        tmp_path / "e.log", client="who", time="t", days=1, clock=lambda: moment[0], monotonic=lambda: moment[0]
    ) as log:
        reader, expected = LogReader(log, "log://e.log", "who", "t"), []
        for at in range(30):
            log.append(table(["a"], [at], ["x"]))
            moment[0] += DAY // 2
            expected.append(len(counts_of(reader.read([planned(VIEW, at)]), VIEW)))
    assert max(expected) > 1
    assert max(expected) <= 7


def test_events_whose_days_are_over_are_erased_by_the_next_plan_although_nothing_is_appended(tmp_path: Path) -> None:
    moment = [NOW]
    with EventLog(
        tmp_path / "e.log", client="who", time="t", days=1, clock=lambda: moment[0], monotonic=lambda: moment[0]
    ) as log:
        log.append(table(["a"], [1.5], ["x"]))
        reader = LogReader(log, "log://e.log", "who", "t")
        assert reader.read([planned(VIEW, 1)]).table.num_rows == 1
        moment[0] += DAY
        assert reader.read([planned(VIEW, 1)]).table.num_rows == 0
        assert log.counts().held == 0


def test_a_view_with_its_own_time_column_finds_its_rows(log: EventLog) -> None:
    view, events = replace(VIEW, time="other"), some(50, 1, 0, 1)
    log.append(events.append_column("other", table(["a"] * 50, [7.5] * 50, ["x"] * 50)["t"]))
    found = LogReader(log, "log://e.log", "who", "t").read([planned(view, 7), planned(HOURLY, 3)])
    assert len(rows_of(found, planned(view, 7))) == 50 - events["who"].null_count
    assert counts_of(found, view) == [(7 * DAY, 50 - events["who"].null_count)]


def test_declared_columns_apply_when_the_log_is_read(log: EventLog) -> None:
    events = some(300, 1)
    log.append(events)
    mapping = Mapping(
        (
            Column("device", Named("who"), AsText()),
            Column("place", Named("k"), AsText()),
            Column("at", Named("t"), AsTime()),
        )
    )
    view = replace(VIEW, entity=Entity("k", domain=["0", "1"], column="place"))
    reader = LogReader(log, "log://e.log", "device", "at", mapping=mapping)
    assert set(reader.schema([view]).column_names) == {"device", "at", "place"}
    whole = make_events(events.rename_columns(["device", "at", "place"]), "device", "at")
    found = reader.read([planned(view, 3, 4)])
    assert found.table.num_rows < 40
    assert counts_of(found, view) == counts_of(whole, view)
    places = [row["place"] for row in found.table.to_pylist()]
    starts = whole.times(view).us // DAY
    inside = np.isin(starts, [3, 4]) & (whole.client >= 0)
    assert places == whole.table.filter(pa.array(inside))["place"].to_pylist()


def test_a_time_that_is_converted_when_it_is_read_is_found_although_the_log_has_another(log: EventLog) -> None:
    log.append(some(100, 1, 3, 4))
    for kind, day in ((AsTime(), 3), (AsTime(zone="Pacific/Kiritimati"), 3)):
        reader = LogReader(log, "log://e.log", "who", "at", mapping=Mapping((Column("at", Named("t"), kind),)))
        assert reader.read([planned(VIEW, day)]).table.num_rows == 100 - some(100, 1)["who"].null_count


def test_a_log_that_lacks_a_column_is_refused_by_its_schema(log: EventLog) -> None:
    reader = LogReader(log, "log://e.log", "who", "t")
    with pytest.raises(EventsError, match="no column 'who'"):
        reader.read([planned(VIEW, 1)])
    log.append(some(10, 1).drop_columns(["k"]))
    with pytest.raises(EventsError, match="no column 'k'"):
        reader.schema([VIEW])


def test_the_declared_columns_of_a_stream_are_there_before_its_first_event_and_null_in_older_ones(
    log: EventLog,
) -> None:
    declared = pa.schema(
        [("who", pa.string()), ("t", pa.timestamp("us", "UTC")), ("k", pa.string()), ("new", pa.float64())]
    )
    reader = LogReader(log, "kafka://h/t", "who", "t", declared=declared)
    assert reader.read([planned(VIEW, 1)]).table.num_rows == 0
    assert counts_of(reader.read([planned(VIEW, 1)]), VIEW) == []
    log.append(table(["a"], [1.5], ["x"]).drop_columns(["k"]))
    assert rows_of(reader.read([planned(VIEW, 1)]), planned(VIEW, 1)) == [{"who": "a", "k": None}]


class TestSource:
    """`log://` of a site's file."""

    def source(self, path: Path, key: Path | None = None) -> LogSource:
        return LogSource(url=f"log://{path}", client="who", time="t", path=path, key=key)

    def test_a_site_reads_what_a_program_appends_meanwhile(self, log: EventLog) -> None:
        log.append(table(["a"], [1.5], ["x"]))
        opened = open_source(self.source(log.path), Surroundings("a", clock))
        assert len(rows_of(opened.read([planned(VIEW, 1)]), planned(VIEW, 1))) == 1
        log.append(table(["a", "b", None], [1.5, 2.5, 1.5], ["x", "y", "y"]))
        opened.ready_for(1)
        assert len(rows_of(opened.read([planned(VIEW, 1)]), planned(VIEW, 1))) == 2
        status = opened.status()
        assert status is not None
        assert (status.kept, status.bad, status.behind, status.full) == (3, 1, None, False)
        opened.close()

    def test_a_log_that_is_missing_is_away_and_one_with_a_key_needs_it(self, tmp_path: Path) -> None:
        with pytest.raises(SourceAway, match="there is no such event log"):
            open_source(self.source(tmp_path / "none.log"), Surroundings("a"))
        new_log_key(tmp_path / "key")
        EventLog(tmp_path / "e.log", client="who", time="t", key=tmp_path / "key").close()
        with pytest.raises(LogKeyWrong):
            open_source(self.source(tmp_path / "e.log"), Surroundings("a"))
        open_source(self.source(tmp_path / "e.log", tmp_path / "key"), Surroundings("a")).close()

    def test_a_log_that_breaks_while_it_is_open_is_away(self, log: EventLog) -> None:
        log.append(table(["a"], [1.5], ["x"]))
        opened = open_source(self.source(log.path), Surroundings("a", clock))
        with sqlite3.connect(log.path) as database:
            database.execute("UPDATE batches SET data = x'00'")
        with pytest.raises(SourceAway, match="not a whole event log"):
            opened.read([planned(VIEW, 1)])
        opened.close()
