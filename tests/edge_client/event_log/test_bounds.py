"""A log stays within its days and its size, and what it erased is gone from its files."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from base.times import DAY_US
from edge_client.errors import LogFull
from edge_client.event_log import log as log_module
from edge_client.event_log.bad_records import BadReason, BadRecord
from edge_client.event_log.log import EventLog
from edge_client.event_log.log_row import Tally

from .conftest import Clocks, events, numbers_of

Open = Callable[..., EventLog]
LEAST = 8 * 10**6


def noise(rows: int, size: int = 1_000) -> pa.Array:
    """Values that do not compress."""
    return pa.array([os.urandom(size) for _ in range(rows)])


def fill(log: EventLog) -> None:
    """Append 50 MB, in batches of 500 events."""
    for at in range(100):
        log.append(events(500, at * 500, text=noise(500)), positions={"p": str(at).encode()})


def raw_bytes(folder: Path) -> bytes:
    """What the log's files hold. They are copied first: a closed handle of a file would end SQLite's locks on it."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for file in folder.glob("events.log*"):
        subprocess.run(["cp", file, copy], check=True)
    return b"".join(file.read_bytes() for file in sorted(copy.iterdir()))


class TestDays:
    def test_an_event_is_erased_when_it_has_been_in_the_log_for_its_days_whatever_its_own_time(
        self, open_log: Open, clocks: Clocks
    ) -> None:
        log = open_log(days=3)
        log.append(events(2, 0, clocks.wall_us - 400 * DAY_US))
        log.append(events(1, 2, clocks.wall_us + 400 * DAY_US))
        clocks.pass_days(2.9)
        log.append(events(1, 3))
        assert numbers_of(log) == [0, 1, 2, 3]
        clocks.pass_days(0.1)
        assert log.append(events(1, 4)).kept == 1
        assert numbers_of(log) == [3, 4]
        assert log.counts().life == Tally(kept=5, expired=3, future=1)
        assert log.counts().held == 2

    def test_a_log_that_is_trimmed_erases_also_while_nothing_is_appended(self, open_log: Open, clocks: Clocks) -> None:
        log = open_log(days=1)
        for at in range(40):
            log.append(events(5_000, at * 5_000), bad=[BadRecord(BadReason.EMPTY, b"", "")])
        clocks.pass_days(0.5)
        assert log.trim() == 0
        clocks.pass_days(0.5)
        assert log.trim() == 200_000
        assert (numbers_of(log), log.bad(), log.counts().oldest_us) == ([], [], None)
        assert log.append(events(1)).kept == 1

    def test_small_appends_of_an_hour_are_erased_in_the_hour_after_their_days(
        self, open_log: Open, clocks: Clocks
    ) -> None:
        log = open_log(days=2)
        for at in range(24 * 6):
            clocks.pass_days(1 / 24 / 2)
            log.append(events(1, at))
            if at % 5 == 0:
                found = numbers_of(log)
                assert found == list(range(found[0], at + 1))
                assert 96 <= len(found) <= 99 or at < 99

    def test_a_clock_that_jumps_by_years_erases_nothing(self, open_log: Open, clocks: Clocks) -> None:
        log = open_log(days=2)
        log.append(events(1, 0))
        for jump in (4_000, -9_000, 20_000):
            clocks.wall_us += jump * DAY_US
            log.append(events(1, jump % 7))
            log.trim()
            log.close()
            log = open_log(days=2)
        assert log.counts().held == 4

    def test_what_was_erased_is_in_none_of_the_files(self, open_log: Open, clocks: Clocks, tmp_path: Path) -> None:
        log = open_log(days=1, event_id="id")
        log.append(
            events(30, text=noise(30), id=[f"id-{at}" for at in range(30)]),
            bad=[BadRecord(BadReason.EMPTY, b"a bad record", "")],
        )
        with sqlite3.connect(tmp_path / "events.log") as database:
            (data,) = database.execute("SELECT data FROM batches").fetchone()
            ids = [one for (one,) in database.execute("SELECT id FROM ids")]
        database.close()
        markers = [data[at : at + 32] for at in range(1_000, 30_000, 4_000)] + ids + [b"a bad record"]
        before = raw_bytes(tmp_path)
        assert all(marker in before for marker in markers)
        clocks.pass_days(1)
        log.append(events(1, 99))
        after = raw_bytes(tmp_path)
        assert not [marker for marker in markers if marker in after]
        assert numbers_of(log) == [99]

    def test_a_process_that_was_killed_after_an_expiry_leaves_nothing_once_the_log_is_opened(
        self, open_log: Open, tmp_path: Path, clocks: Clocks
    ) -> None:
        marker = os.urandom(40)
        log = open_log()
        log.append(bad=[BadRecord(BadReason.EMPTY, marker, "")])
        for file in ("events.log", "events.log-wal"):
            subprocess.run(["cp", tmp_path / file, tmp_path / f"left{file[6:]}"], check=True)
        assert marker in (tmp_path / "left.log-wal").read_bytes()
        with EventLog(tmp_path / "left.log", client="who", time="at", clock=clocks.wall):
            assert (tmp_path / "left.log-wal").stat().st_size == 0


class TestSize:
    def test_a_full_log_refuses_a_batch_whole_and_takes_what_has_no_events(self, open_log: Open) -> None:
        log = open_log(size=LEAST, event_id="number")
        with pytest.raises(LogFull) as caught:
            fill(log)
        held = len(numbers_of(log))
        assert caught.value.size == LEAST < caught.value.need
        assert 6_000 <= held < 8_000
        assert log.positions() == {"p": str(held // 500 - 1).encode()}
        assert log.counts().bytes <= LEAST
        again = log.append(
            events(500, text=noise(500)), positions={"p": b"x"}, bad=[BadRecord(BadReason.EMPTY, b"", "")]
        )
        assert (again.kept, again.duplicates) == (0, 500)
        assert (log.positions(), log.counts().life.bad) == ({"p": b"x"}, 1)
        assert log.append(events(1, 10**6)).kept == 1

    def test_a_full_log_has_room_again_when_events_expire_or_its_size_is_raised(
        self, open_log: Open, clocks: Clocks
    ) -> None:
        log = open_log(size=LEAST, days=1)
        with pytest.raises(LogFull):
            fill(log)
        log.close()
        with open_log(size=2 * LEAST, days=1) as log:
            log.append(events(500, text=noise(500)))
        clocks.pass_days(1)
        with open_log(size=LEAST, days=1) as log:
            log.trim()
            log.append(events(500, text=noise(500)))
            assert log.counts().held == 500

    def test_a_full_log_erases_all_that_is_too_old_before_it_refuses_a_batch(
        self, open_log: Open, clocks: Clocks
    ) -> None:
        log = open_log(size=LEAST, days=2)
        for _ in range(20):  # more than one append erases, and too small to make room
            log.append(events(1))
            clocks.pass_days(0.05)
        log.append(events(5_500, text=noise(5_500)))
        clocks.pass_days(2.1)
        assert log.append(events(5_500, 10**6, text=noise(5_500))).kept == 5_500
        assert log.counts().held == 5_500

    def test_a_log_that_drops_the_oldest_keeps_the_newest_in_order(self, open_log: Open) -> None:
        log = open_log(size=LEAST, when_full="drop-oldest", event_id="number")
        for at in range(36):
            assert log.append(events(500, at * 500, text=noise(500))).kept == 500
            assert log.counts().bytes <= LEAST
        found = numbers_of(log)
        assert found == list(range(found[0], 18_000))
        assert 5_000 <= len(found) < 8_000
        assert log.counts().life == Tally(kept=18_000, expired=18_000 - len(found))
        assert log.append(events(2, found[0] - 1, text=noise(2))).duplicates == 1

    def test_a_write_ahead_log_that_others_keep_from_being_emptied_erases_no_events(
        self, open_log: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log = open_log(size=LEAST, when_full="drop-oldest")
        log.append(events(1_000, text=noise(1_000)))
        monkeypatch.setattr(log_module, "wal_bytes", lambda _: 2 * LEAST)
        monkeypatch.setattr(log_module, "empty_wal", lambda _: False)
        log.append(events(10, 1_000))
        assert numbers_of(log) == list(range(1_010))

    def test_a_batch_that_is_larger_than_the_log_is_refused_and_erases_nothing(self, open_log: Open) -> None:
        log = open_log(size=LEAST, when_full="drop-oldest")
        log.append(events(10))
        with pytest.raises(LogFull):
            log.append(events(10_000, text=noise(10_000)))
        assert numbers_of(log) == list(range(10))

    def test_fifty_rounds_of_fill_and_expiry_do_not_grow_the_files(
        self, open_log: Open, clocks: Clocks, tmp_path: Path
    ) -> None:
        log, sizes = open_log(days=1, event_id="number"), []
        for round_ in range(50):
            for part in range(4):
                log.append(events(100, 400 * round_ + 100 * part, text=noise(100)))
            clocks.pass_days(1)
            assert log.trim() == 400
            sizes.append(sum(file.stat().st_size for file in tmp_path.iterdir()))
        assert max(sizes[3:]) <= sizes[2]
        assert log.counts().bytes < 200_000
