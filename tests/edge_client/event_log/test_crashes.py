"""A program that fills a log is killed, or meets a full disk, at any of its writes. The log is as before the append or after it."""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edge_client.event_log.sealing import new_log_key
from tests.killing import Ended, count_writes, every_write, killed_in_forks, require_strace

from .appender import STEPS, Appender

PLACES = 20


APPENDER = "tests.edge_client.event_log.appender"


def arguments(path: Path, key: Path | None) -> list[str]:
    return [str(path), *([] if key is None else [str(key)])]


def command(path: Path, key: Path | None) -> list[str]:
    return [sys.executable, "-m", APPENDER, *arguments(path, key)]


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the log holds after each step of a program that nothing stops."""
    appender = Appender(tmp_path_factory.mktemp("whole") / "e.log", None)
    found = [appender.state()]
    while appender.step < STEPS:
        appender.append()
        found.append(appender.state())
    appender.log.close()
    return found


def check(ended: Ended, path: Path, key: Path | None, states: Sequence[dict[str, Any]]) -> None:
    """The log holds what a program appended that said how far it was, or one append more; and it can go on to the end."""
    said = len(ended.out.split())
    assert ended.killed or ended.code, "the program was not stopped"
    appender = Appender(path, key)
    assert appender.state() in states[said : said + 2], (said, appender.step)
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (ids,) = database.execute("SELECT count(*) FROM ids").fetchone()
    database.close()
    assert ids == len(appender.state()["ids"])
    while appender.step < STEPS:
        appender.append()
    assert appender.state() == states[-1]
    appender.log.close()


def places(counts: dict[str, int], *, every: bool) -> list[tuple[str, int]]:
    """Each place where the program can be stopped, or some of them: at the beginning, at the end, and between."""
    found = list(every_write(counts))
    return found if every else [found[0], found[-1], *random.Random(21).sample(found[1:-1], PLACES - 2)]


def test_the_appender_merges_batches_drops_duplicates_and_erases_events(states: list[dict[str, Any]]) -> None:
    tally = states[-1]["tally"]
    assert tally.kept > len(states[-1]["ids"]) > 0
    assert (tally.duplicates, tally.bad, tally.lost) == (STEPS - 1, 9, STEPS // 2)


@pytest.mark.parametrize(
    ("every", "encrypted"),
    [(False, True), *(pytest.param(True, encrypted, marks=pytest.mark.long) for encrypted in (False, True))],
)
def test_a_program_that_is_killed_at_any_write_loses_and_doubles_nothing(
    tmp_path: Path, states: list[dict[str, Any]], *, every: bool, encrypted: bool
) -> None:
    require_strace()
    key = tmp_path / "key" if encrypted else None
    if key is not None:
        new_log_key(key)
    counts = count_writes(command(tmp_path / "counted.log", key))
    assert set(counts) >= {"pwrite64", "fdatasync", "ftruncate", "unlink"}
    assert counts["fdatasync"] >= STEPS, "an append is on disk when it returns"

    chosen = places(counts, every=every)
    paths = [tmp_path / f"{call}-{n}.log" for call, n in chosen]
    runs = [(*place, arguments(path, key)) for place, path in zip(chosen, paths, strict=True)]
    for ended, path in zip(killed_in_forks(APPENDER, runs, tmp_path), paths, strict=True):
        assert ended.killed
        check(ended, path, key, states)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_disk_that_is_full_at_any_write_fails_the_append_whole(
    tmp_path: Path, states: list[dict[str, Any]], *, every: bool
) -> None:
    require_strace()
    counts = count_writes(command(tmp_path / "counted.log", None))
    found = [place for place in places(counts, every=True) if place[0] != "unlink"]
    chosen = found if every else random.Random(21).sample(found, 8)

    paths = [tmp_path / f"{call}-{n}.log" for call, n in chosen]
    runs = [(*place, arguments(path, None)) for place, path in zip(chosen, paths, strict=True)]
    failed = killed_in_forks(APPENDER, runs, tmp_path, injection="error=ENOSPC")
    for ended, path, (call, _) in zip(failed, paths, chosen, strict=True):
        if ended.code:
            assert "LogWriteFailed" in ended.err, ended.err
            assert "(disk full)" in ended.err or call != "pwrite64", ended.err
            check(ended, path, None, states)
        else:  # a write that the program can do later, such as that of a checkpoint
            assert len(ended.out.split()) == STEPS
