from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from base.errors import NotPrivate, OfNewerVersion
from base.times import DAY_US
from edge_client.errors import (
    EventColumnError,
    EventsError,
    LogBroken,
    LogMissing,
    LogSettingsDiffer,
    LogWriteFailed,
)
from edge_client.event_log.bad_records import BadReason, BadRecord
from edge_client.event_log.log import EventLog
from edge_client.event_log.log_row import Tally
from edge_client.event_log.writing import FUTURE_US

from .conftest import NOW, Clocks, events, numbers_of

Open = Callable[..., EventLog]
NO_POSITION: dict[str, bytes] = {}


def test_what_was_appended_is_read_in_order_also_after_a_restart(open_log: Open) -> None:
    with open_log() as log:
        assert log.append(events(3)).kept == 3
        log.append(events(2, 3), positions={"p": b"5"})
        assert numbers_of(log) == [0, 1, 2, 3, 4]
    with open_log() as log:
        assert numbers_of(log) == [0, 1, 2, 3, 4]
        assert log.positions() == {"p": b"5"}
        assert log.schema.names == ["who", "at", "number"]


def test_events_positions_bad_records_and_lost_ones_are_one_transaction(open_log: Open) -> None:
    log = open_log()
    log.append(events(1), positions={"a": b"1", "b": b""})
    bad = [BadRecord(BadReason.NOT_JSON, b"{", "t[0]@7"), BadRecord(BadReason.TOO_LARGE, b"x" * 5000, "t" * 999)]
    log.append(positions={"a": b"2", "b": None}, bad=bad, lost=4)
    assert log.positions() == {"a": b"2"}
    assert log.counts().life == Tally(kept=1, bad=2, lost=4)
    newest, oldest = log.bad()
    assert oldest == bad[0]
    assert newest == BadRecord(BadReason.TOO_LARGE, b"x" * 1024, "t" * 256)


@pytest.mark.parametrize("wrong", [{"at": [1]}, {"who": [1.5], "at": [datetime.now(UTC)]}, {"who": ["a"]}])
def test_a_batch_that_is_refused_changes_nothing(open_log: Open, wrong: dict[str, Any]) -> None:
    log = open_log()
    with pytest.raises(EventsError):
        log.append(pa.table(wrong), positions={"p": b"1"}, lost=1)
    assert (log.positions(), log.counts().life) == (NO_POSITION, Tally())


def test_a_program_appends_tables_batches_frames_and_dicts(open_log: Open) -> None:
    log, table = open_log(), events(1)
    at = datetime(2027, 1, 1, tzinfo=UTC)
    log.append(table)
    log.append(table.to_batches()[0])
    log.append(pd.DataFrame({"who": ["a"], "at": [at], "number": [1]}))
    log.append([{"who": "b", "at": at, "number": 2}, {"who": "b", "at": at, "extra": True}])
    log.append([])
    assert numbers_of(log) == [0, 0, 1, 2, None]
    assert pa.concat_tables([table for _, table in log.batches()])["extra"].to_pylist() == [None] * 4 + [True]
    for nothing in ("events.parquet", 5, [1], [{"who": {1}, "at": at}], [{5: 1}], [{"who": "a", "at": at, "x": 2**70}]):
        with pytest.raises(EventsError):
            log.append(nothing)
    assert log.counts().held == 5


@pytest.mark.parametrize(
    "at",
    [
        datetime(2020, 1, 2),
        datetime(2020, 1, 2, tzinfo=UTC),
        datetime(2020, 1, 2, 1, tzinfo=UTC).astimezone(),
        date(2020, 1, 2),
        "2020-01-02T00:00:00Z",
        "2020-01-02",
    ],
)
def test_times_of_any_kind_become_utc(open_log: Open, at: Any) -> None:
    log = open_log()
    log.append([{"who": "a", "at": at}])
    ((_, table),) = log.batches()
    assert table.schema.field("at").type == pa.timestamp("us", "UTC")
    assert table["at"].to_pylist()[0].date() == date(2020, 1, 2)


def test_numbers_are_no_times(open_log: Open) -> None:
    with pytest.raises(EventColumnError, match="times must be timestamps, dates or text"):
        open_log().append([{"who": "a", "at": 1_577_923_200}])


def test_an_event_without_a_client_or_a_time_is_put_aside_and_counted(open_log: Open) -> None:
    log, at = open_log(), datetime(2020, 1, 2, tzinfo=UTC)
    rows = [{"who": "a", "at": at}, {"who": None, "at": at}, {"who": "b", "at": None}, {"who": "é", "at": at}]
    appended = log.append(rows)
    assert (appended.kept, appended.bad) == (2, 2)
    assert [one.reason for one in log.bad()] == [BadReason.NO_TIME, BadReason.NO_CLIENT]
    assert log.bad()[0].raw == b'{"who": "b", "at": null}'
    assert log.append(pa.table({"who": ["x"] * 500, "at": pa.nulls(500)})).bad == 500
    assert (len(log.bad(1_000)), log.counts().life.bad) == (102, 502)
    assert log.append([{"who": "c", "at": "never"}]).bad == 1


def test_a_log_keeps_the_newest_thousand_bad_records(open_log: Open) -> None:
    log = open_log()
    for start in range(0, 2_400, 600):
        log.append(bad=[BadRecord(BadReason.EMPTY, b"", str(start + at)) for at in range(600)])
    assert [one.where for one in log.bad(5_000)] == [str(at) for at in range(2_399, 1_399, -1)]
    log.append(bad=[BadRecord(BadReason.EMPTY, b"", str(at)) for at in range(5_000)])
    assert (len(log.bad(5_000)), log.bad(1)[0].where, log.counts().life.bad) == (1_000, "4999", 7_400)


def test_an_event_after_the_clock_is_kept_and_counted(open_log: Open) -> None:
    log = open_log()
    far = pa.table({"who": ["a"] * 3, "at": pa.array([NOW, NOW + FUTURE_US, NOW + FUTURE_US + 1], pa.timestamp("us"))})
    assert log.append(far).future == 1
    assert (log.counts().life.future, log.counts().held) == (1, 3)


def test_reading_goes_on_after_any_event_also_if_batches_were_merged(open_log: Open) -> None:
    log = open_log()
    for at in range(280):
        log.append(events(1, at))
        assert next(log.batches(after=max(0, at - 2)))[1].num_rows <= 3
    for after in (0, 1, 15, 16, 17, 271, 272, 279, 280, 281):
        assert numbers_of(log, after=after) == list(range(after, 280))
    assert [number for number, _ in log.batches()][-1] == 280
    assert len(list(log.batches())) < 40


def test_a_reader_that_waits_between_batches_misses_and_repeats_nothing_while_others_append(open_log: Open) -> None:
    log, other, seen = open_log(), open_log(), []
    log.append(events(1))
    for start, (_, table) in zip(range(1, 150), log.batches(), strict=False):
        seen += table.column("number").to_pylist()
        other.append(events(1, start))
    assert seen == list(range(len(seen)))
    assert len(seen) > 100


def test_batches_without_events_of_the_asked_times_are_left_out(open_log: Open) -> None:
    log = open_log()
    for day in range(5):
        log.append(events(5_000, 5_000 * day, NOW - (5 - day) * DAY_US))
    assert len(list(log.batches())) == 5
    found = numbers_of(log, between=(NOW - 3 * DAY_US - DAY_US // 2, NOW - 2 * DAY_US + DAY_US // 2))
    assert found == list(range(10_000, 20_000))
    first = NOW - 10**9 - 5 * DAY_US
    assert len(numbers_of(log, between=(first - 1, first))) == 0
    assert len(numbers_of(log, between=(first, first + 1))) == 5_000
    assert len(numbers_of(log, between=(first + 4_999, first + 5_000))) == 5_000


def test_only_asked_columns_are_read(open_log: Open) -> None:
    log = open_log()
    log.append(events(2))
    ((_, table),) = log.batches(columns=["number", "none"])
    assert table.to_pydict() == {"number": [0, 1]}
    log.append(events(1, 2, extra=["x"]))
    tables = [table.to_pydict() for _, table in log.batches(columns=["extra"])]
    assert tables == [{"extra": [None, None]}, {"extra": ["x"]}]


def test_two_programs_append_and_read_one_log(open_log: Open) -> None:
    def fill(start: int) -> None:
        log = open_log(event_id="number")
        for at in range(40):
            log.append(events(1, start + at))

    threads = [threading.Thread(target=fill, args=(start,)) for start in (0, 20, 1_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = open_log(event_id="number")
    assert sorted(numbers_of(log)) == [*range(60), *range(1_000, 1_040)]
    assert log.counts().life == Tally(kept=100, duplicates=20)


class TestOpening:
    def test_the_files_are_private(self, open_log: Open, tmp_path: Path) -> None:
        open_log().append(events(1))
        assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}

    def test_columns_are_those_with_which_it_was_made_and_bounds_may_change(self, open_log: Open) -> None:
        open_log().close()
        with pytest.raises(LogSettingsDiffer, match="made with client = 'who', and is opened with 'what'"):
            open_log(client="what")
        with pytest.raises(LogSettingsDiffer, match="made with event_id = None, and is opened with 'number'"):
            open_log(event_id="number")
        assert open_log(days=3, size="100MB", when_full="drop-oldest").counts().bounds.size == 10**8
        assert open_log(days=4).counts().bounds.days == 4

    def test_a_log_is_read_with_the_settings_that_it_has(self, open_log: Open, tmp_path: Path) -> None:
        open_log(days=3, event_id="number").append(events(1))
        with EventLog.existing(tmp_path / "events.log") as log:
            assert (log.columns.client, log.columns.event_id, log.counts().bounds.days) == ("who", "number", 3)
            assert log.append(events(2)).duplicates == 1
        with pytest.raises(LogMissing):
            EventLog.existing(tmp_path / "other.log")
        assert not (tmp_path / "other.log").exists()
        (tmp_path / "empty.log").touch(0o600)
        with pytest.raises(LogBroken, match="it is empty"):
            EventLog.existing(tmp_path / "empty.log")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"days": 0},
            {"days": 1.5},
            {"size": 5},
            {"size": 1e9},
            {"size": "much"},
            {"when_full": "stop"},
            {"client": "at"},
        ],
    )
    def test_wrong_settings_are_refused(self, open_log: Open, tmp_path: Path, wrong: dict[str, Any]) -> None:
        with pytest.raises(
            ValueError, match=r"days is|at least 8 MB|size is a number|not a size|when_full is|different columns"
        ):
            open_log(**wrong)
        assert not (tmp_path / "events.log").exists()

    def test_another_file_is_no_log(self, open_log: Open, tmp_path: Path) -> None:
        path = tmp_path / "events.log"
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE t (x)")
        with pytest.raises(LogBroken, match="another database"):
            open_log()
        path.write_bytes(b"no database " * 1_000)
        with pytest.raises(LogBroken, match="not a database"):
            open_log()
        path.unlink()
        path.mkdir()
        with pytest.raises(NotPrivate):
            open_log()

    def test_a_log_of_a_newer_version_is_left_alone(self, open_log: Open, tmp_path: Path) -> None:
        open_log().close()
        with sqlite3.connect(tmp_path / "events.log") as other:
            other.execute("PRAGMA user_version = 2")
        with pytest.raises(OfNewerVersion):
            open_log()

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(LogWriteFailed, match="No such file or directory"):
            EventLog(tmp_path / "none" / "events.log", client="who", time="at")


class TestDamage:
    def damage(self, path: Path, statement: str) -> None:
        with sqlite3.connect(path) as other:
            other.execute(statement)

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE batches SET data = zeroblob(length(data))",
            "UPDATE batches SET data = x''",
            "UPDATE batches SET data = substr(data, 1, length(data) - 1)",
            "UPDATE batches SET data = (SELECT data FROM batches ORDER BY last DESC LIMIT 1)",
            "UPDATE batches SET first = first - 1",
        ],
    )
    def test_events_that_were_edited_cut_or_moved_are_refused(
        self, open_log: Open, tmp_path: Path, statement: str
    ) -> None:
        log = open_log()
        log.append(events(20))
        log.append(events(5, 20))
        self.damage(tmp_path / "events.log", statement)
        with pytest.raises(LogBroken, match="number"):
            numbers_of(log)

    @pytest.mark.parametrize("statement", ["DELETE FROM log", "UPDATE log SET days = -1", "DROP TABLE batches"])
    def test_a_log_without_its_settings_or_tables_is_refused(
        self, open_log: Open, tmp_path: Path, statement: str
    ) -> None:
        open_log().close()
        self.damage(tmp_path / "events.log", statement)
        with pytest.raises((LogBroken, LogWriteFailed)):
            numbers_of(open_log())

    def test_a_damaged_page_is_named(self, open_log: Open, tmp_path: Path) -> None:
        path = tmp_path / "events.log"
        with open_log() as log:
            log.append(events(200_000))
        with path.open("r+b") as file:
            file.seek(8 * 4096)
            file.write(b"\xff" * 8 * 4096)
        with open_log() as log, pytest.raises(LogBroken):
            numbers_of(log)

    def test_a_write_ahead_log_that_is_cut_loses_its_last_appends_only(
        self, open_log: Open, tmp_path: Path, clocks: Clocks
    ) -> None:
        log = open_log()
        for at in range(10):
            log.append(events(1, at), positions={"p": str(at).encode()})
        for name in ("events.log", "events.log-wal"):
            (tmp_path / f"copy-{name}").write_bytes((tmp_path / name).read_bytes())
            (tmp_path / f"copy-{name}").chmod(0o600)
        wal = tmp_path / "copy-events.log-wal"
        wal.write_bytes(wal.read_bytes()[:-9_000])
        with EventLog(tmp_path / "copy-events.log", client="who", time="at") as cut:
            found = numbers_of(cut)
            assert found == list(range(len(found)))
            assert 0 < len(found) < 10
            assert cut.positions() == {"p": str(found[-1]).encode()}


class TestSchemas:
    """Batches may have different columns and types."""

    def read(self, log: EventLog, column: str) -> list[Any]:
        return [one for _, table in log.batches() for one in table[column].to_pylist()]

    def append(self, log: EventLog, values: pa.Array) -> None:
        log.append(events(len(values), x=values))

    def test_a_type_is_widened(self, open_log: Open) -> None:
        log = open_log()
        for values in (
            pa.nulls(1),
            pa.array([1], pa.int8()),
            pa.array([2**40]),
            pa.array([0.5]),
            pa.array([3], pa.int32()),
        ):
            self.append(log, values)
        assert self.read(log, "x") == [None, 1.0, 2.0**40, 0.5, 3.0]
        assert log.schema.field("x").type == pa.float64()

    def test_a_type_that_was_replaced_is_null_for_older_events_and_nothing_is_lost(self, open_log: Open) -> None:
        log = open_log()
        for at in range(40):
            self.append(log, pa.array([at]) if at % 4 else pa.array([str(at)]))
        values = self.read(log, "x")
        assert values == [one if type(one) is int else None for one in values]
        assert [one for one in values if one is not None] == [at for at in range(40) if at % 4]
        self.append(log, pa.array(["last"]))
        assert [one for one in self.read(log, "x") if one] == [*map(str, range(0, 40, 4)), "last"]

    def test_decimals_that_fit_no_common_type_replace_one_another(self, open_log: Open) -> None:
        log = open_log()
        wide, fine = pa.decimal256(76, 2), pa.decimal128(38, 37)
        for kind in (wide, fine, wide):
            self.append(log, pa.array([1]).cast(pa.decimal256(76, 0)).cast(kind, safe=False))
        assert self.read(log, "x") == [1, 1, 1]

    def test_a_column_that_comes_later_is_null_before(self, open_log: Open) -> None:
        log = open_log()
        log.append(events(1))
        self.append(log, pa.array(["a"]))
        log.append(events(1).drop_columns(["number"]))
        assert self.read(log, "x") == [None, "a", None]
        assert self.read(log, "number") == [0, 0, None]

    def test_dictionaries_and_views_become_plain(self, open_log: Open) -> None:
        log = open_log()
        self.append(log, pa.array(["a", "b", "a"]).dictionary_encode())
        self.append(log, pa.array(["c"], pa.string_view()))
        assert self.read(log, "x") == ["a", "b", "a", "c"]

    def test_columns_are_bounded_and_named_once(self, open_log: Open) -> None:
        log = open_log()
        with pytest.raises(EventsError, match="1,001 columns"):
            log.append(pa.table({"who": ["a"], "at": [datetime.now(UTC)]} | {str(at): [1] for at in range(999)}))
        for start in (0, 600):
            wide = {str(start + at): [1] for at in range(500)}
            table = pa.table({"who": ["a"], "at": [datetime.now(UTC) - timedelta(1)], **wide})
            if start == 0:
                log.append(table)
            else:
                with pytest.raises(EventsError, match="would have 1,002 columns"):
                    log.append(table)
        with pytest.raises(EventsError, match="2 columns named"):
            log.append(pa.table([["a"], ["b"]], ["who", "who"]))
