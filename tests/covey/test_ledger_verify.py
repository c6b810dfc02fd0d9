"""`covey ledger verify`: every entry of every ledger, also those before the last checkpoint."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from federation.ledger import checkpoint_table

from .test_ledger_show import Covey, write


@pytest.fixture
def ledgers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checkpoint_table, "EVERY", 2)
    folder = tmp_path / "ledgers"
    write(folder, "operator", "leader")
    write(folder, "site-NA")
    return folder


def test_every_entry_is_counted(ledgers: Path, covey: Covey) -> None:
    code, out, _ = covey("ledger", "verify", "--project", ledgers.parent)
    assert code == 0
    assert [line.partition(":")[0] for line in out.splitlines()] == ["operator", "site-NA"]
    assert "entries are whole; 3 plans were charged" in out
    code, out, _ = covey("ledger", "verify", "--project", ledgers.parent, "--ledger", "site-NA", "--json")
    (found,) = json.loads(out)["ledgers"]
    assert (code, found["ledger"], found["whole"], found["plans"]) == (0, "site-NA", True, 3)


def test_an_edit_before_the_last_checkpoint_is_found(ledgers: Path, covey: Covey) -> None:
    with sqlite3.connect(ledgers / "operator.db") as db:
        db.execute("UPDATE entries SET line = replace(line, '80000', '40000') WHERE seq = 1")
    db.close()
    assert covey("ledger", "show", "--project", ledgers.parent)[0] == 0
    code, out, err = covey("ledger", "verify", "--project", ledgers.parent)
    assert code == 1
    assert "entry 1 was edited" in err
    assert "site-NA: all" in out


def test_a_missing_ledger_is_named(ledgers: Path, covey: Covey) -> None:
    code, _, err = covey("ledger", "verify", "--project", ledgers.parent, "--ledger", "site-XX")
    assert (code, "no ledger of 'site-XX'" in err) == (5, True)
