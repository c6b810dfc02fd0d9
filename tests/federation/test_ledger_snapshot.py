"""A snapshot of a ledger is checked like any other opening, and changes no file."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from federation.errors import DayBudgetSpent, LedgerBehind, LedgerBroken
from federation.ledger.entries import Head
from federation.ledger.ledger import Ledger
from federation.ledger.snapshot import read_ledger
from tests.ledgers import spent_of

from .test_ledger import HALF, A, B, Clock, plan_of


def files(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        path.name: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()) for path in folder.iterdir()
    }


def written(path: Path) -> Ledger:
    ledger = Ledger(path, "leader", Clock())
    ledger.intend(plan_of(1, A), HALF)
    with pytest.raises(DayBudgetSpent):
        ledger.intend(plan_of(2, B), HALF)
    ledger.see_peer("helper", Head(3, bytes(32)), None)
    return ledger


@pytest.mark.parametrize("open_elsewhere", [False, True])
def test_it_reads_all_and_touches_nothing(tmp_path: Path, open_elsewhere: bool) -> None:
    ledger = written(tmp_path / "leader.db")
    head = ledger.head
    if not open_elsewhere:
        ledger.close()
    assert (tmp_path / "leader.db-wal").exists() == open_elsewhere
    before = files(tmp_path)
    found = read_ledger(tmp_path / "leader.db", "leader")
    assert files(tmp_path) == before
    assert (found.head, spent_of(found.state)) == (head, {0: 500_000, 1: 500_000})
    assert [one.code for one in found.state.refused] == ["DAY_BUDGET_SPENT"]
    assert found.peers == {"helper": Head(3, bytes(32))}
    ledger.close()


def test_what_was_never_there_is_not_made(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / "leader.db", "leader").head.seq == 0
    assert list(tmp_path.iterdir()) == []


def test_damage_is_told_with_the_path_of_the_original(tmp_path: Path) -> None:
    written(tmp_path / "leader.db").close()
    with sqlite3.connect(tmp_path / "leader.db") as db:
        db.execute("UPDATE entries SET line = replace(line, '500000', '400000') WHERE seq = 1")
    db.close()
    with pytest.raises(LedgerBroken, match="entry 1 was edited") as broken:
        read_ledger(tmp_path / "leader.db", "leader")
    assert str(broken.value).startswith(f"{tmp_path / 'leader.db'}: ")
    (tmp_path / "leader.db").unlink()
    with pytest.raises(LedgerBehind, match="head file exists"):
        read_ledger(tmp_path / "leader.db", "leader")
