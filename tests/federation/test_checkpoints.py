"""A ledger opens from its last checkpoint. It knows what all entries say, and notices whatever was noticed without checkpoints."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from base.errors import OfOlderVersion
from featurestore.define.definitions import FeatureView
from federation.errors import DayBudgetSpent, LedgerBehind, LedgerBroken, PaneTaken
from federation.ledger import checkpoint_table
from federation.ledger.checkpoint import Checkpoint, checkpoint_of, state_of
from federation.ledger.entries import CheckpointEntry, Entry, Head, genesis
from federation.ledger.ledger import FORMAT, Ledger
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import Budget
from federation.plan import Plan, PlannedView
from tests.federation.words import plan_in_words
from tests.ledgers import spent_of

from .wire import DAY, TERMS, view

ONE = Budget(1_000_000)
MINUTE = 60 * 10**6
A = replace(view("a", 2), pane="1m")
EVERY = 10


def minute_plan(number: int, of: FeatureView = A) -> Plan:
    panes = np.array([number * MINUTE], dtype=np.int64)
    return plan_in_words(number.to_bytes(16, "big"), (PlannedView(of, panes, 2),), "full", wire=TERMS)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_table, "EVERY", EVERY)


Open = Callable[..., Ledger]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens the same ledger; all are closed at the end."""
    ledgers: list[Ledger] = []
    now = iter(range(100 * DAY, 101 * DAY))

    def opening(role: str = "", *, whole: bool = False) -> Ledger:
        ledgers.append(Ledger(tmp_path / "one.db", "one", lambda: next(now), role=role, whole=whole))
        return ledgers[-1]

    yield opening
    for ledger in ledgers:
        ledger.close()


def filled(ledger: Ledger, plans: int = 12) -> Ledger:
    for number in range(plans):
        ledger.intend(minute_plan(number), ONE)
        ledger.complete(minute_plan(number).hash, bytes([number]) * 32)
    with pytest.raises(PaneTaken):
        ledger.intend(replace(minute_plan(3), plan_id=bytes([9]) * 16), ONE)
    with pytest.raises(DayBudgetSpent):
        ledger.intend(minute_plan(plans, replace(A, name="b")), Budget(500_000))
    ledger.intend(minute_plan(plans), ONE)
    ledger.free(minute_plan(plans).hash)
    return ledger


def edit(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as db:
        for statement in statements:
            assert db.execute(statement).rowcount
    db.close()


def checkpoints(ledger: Ledger) -> list[int]:
    """The numbers of the entries that are checkpoints."""
    return [seq for seq, entry in enumerate(ledger.entries(), 1) if isinstance(entry, CheckpointEntry)]


def test_a_ledger_that_opens_from_its_checkpoint_knows_what_all_entries_say(opened: Open) -> None:
    first = filled(opened())
    assert checkpoints(first) == [11, 22]
    for found in (opened(), opened(whole=True)):
        assert (found.head, checkpoint_of(found.state)) == (first.head, checkpoint_of(first.state))
        assert (found.state.completed, spent_of(found.state)) == (first.state.completed, {0: 500_000})
        assert list(found.state.refused) == list(first.state.refused)
        assert found.state.freed == first.state.freed
        assert found.state.budget == Budget(1_000_000)
        with pytest.raises(PaneTaken):
            found.check(replace(minute_plan(5), plan_id=bytes([8]) * 16), ONE)


def test_it_reads_the_entries_since_the_checkpoint_only(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(opened())
    read: list[str] = []

    def counted(line: str) -> Entry:
        read.append(line)
        return entry_from_line(line)

    from federation.ledger import ledger as module

    entry_from_line = module.entry_from_line
    monkeypatch.setattr(module, "entry_from_line", counted)
    head = opened().head
    assert len(read) == head.seq - 22
    opened(whole=True)
    assert len(read) == 2 * head.seq - 22


def test_another_role_opens_from_the_same_checkpoint_with_its_own_plans(opened: Open) -> None:
    leader, helper = opened("leader"), opened("helper")
    for number in range(8):
        leader.intend(minute_plan(number), ONE)
        helper.intend(minute_plan(number), ONE)
        helper.complete(minute_plan(number).hash, bytes(32))
    assert checkpoints(leader)
    for role, before in (("leader", leader), ("helper", helper)):
        again = opened(role)
        before.look()
        assert (again.state.intended, again.state.completed) == (before.state.intended, before.state.completed)
    assert not opened("leader").state.completed
    assert opened("keyholder").state.charged_by == leader.state.charged_by


def test_a_failed_transaction_goes_back_to_the_entries_on_disk(opened: Open) -> None:
    ledger = filled(opened())
    before = ledger.head, checkpoint_of(ledger.state)

    def fails() -> None:
        with ledger.transaction():
            ledger.intend_within(minute_plan(40), ONE)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert (ledger.head, checkpoint_of(ledger.state)) == before
    for number in range(40, 60):
        ledger.intend(minute_plan(number), ONE)
    assert checkpoint_of(opened(whole=True).state) == checkpoint_of(ledger.state)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE pieces SET bytes = zeroblob(length(bytes))",
        "DELETE FROM pieces",
        "UPDATE checkpoint SET manifest = x'7b7d'",
        "UPDATE checkpoint SET seq = 21",
        "DELETE FROM checkpoint",
    ],
)
def test_a_damaged_checkpoint_is_not_used(opened: Open, tmp_path: Path, damage: str) -> None:
    before = checkpoint_of(filled(opened()).state)
    edit(tmp_path / "one.db", damage)
    with sqlite3.connect(tmp_path / "one.db") as db:
        assert checkpoint_table.load(db, genesis("one"), "") is None
    db.close()
    again = opened()
    assert checkpoint_of(again.state) == before
    for number in range(40, 60):
        again.intend(minute_plan(number), ONE)
    with sqlite3.connect(tmp_path / "one.db") as db:
        assert checkpoint_table.load(db, genesis("one"), "") is not None  # the next checkpoint replaces it
    db.close()


@pytest.mark.parametrize("seq", [22, 23])
def test_an_edit_from_the_checkpoint_on_is_noticed_when_the_ledger_opens(
    opened: Open, tmp_path: Path, seq: int
) -> None:
    filled(opened()).close()
    edit(tmp_path / "one.db", f"UPDATE entries SET line = replace(line, 'plan', 'palm') WHERE seq = {seq + 1}")
    with pytest.raises(LedgerBroken, match=f"entry {seq + 1} was edited"):
        opened()


def test_an_edit_before_the_checkpoint_changes_nothing_and_is_noticed_when_all_entries_are_read(
    opened: Open, tmp_path: Path
) -> None:
    before = checkpoint_of(filled(opened()).state)
    edit(tmp_path / "one.db", "UPDATE entries SET line = replace(line, '500000', '400000') WHERE seq = 1")
    assert checkpoint_of(opened().state) == before
    with pytest.raises(LedgerBroken, match="entry 1 was edited"):
        opened(whole=True)
    with pytest.raises(LedgerBroken, match="entry 1 was edited"):
        read_ledger(tmp_path / "one.db", "one", whole=True)


def forge(path: Path) -> None:
    """Write a checkpoint whose state lacks a pane, with a right chain and a right head file, as a program could."""
    with Ledger(path, "one", lambda: 100 * DAY) as ledger, ledger.transaction():
        true = checkpoint_of(ledger.state)
        lacking = state_of(true.manifest, true.pieces.__getitem__, "")
        lacking.taken.clear()
        false: Checkpoint = checkpoint_of(lacking)
        ledger._append(CheckpointEntry(100 * DAY, 1, false.digest))
        checkpoint_table.store(ledger._db, ledger.head.seq, false)
        ledger._due = 10**9


def test_a_false_checkpoint_is_noticed_when_all_entries_are_read_and_by_whoever_follows(
    opened: Open, tmp_path: Path
) -> None:
    follower = filled(opened())
    forge(tmp_path / "one.db")
    with pytest.raises(LedgerBroken, match="the checkpoint of entry 31 differs from the entries before it"):
        opened(whole=True)
    with pytest.raises(LedgerBroken, match="the checkpoint of entry 31"):
        follower.look()


def test_a_checkpoint_after_the_head_file_is_not_used(opened: Open, tmp_path: Path) -> None:
    """Whoever can write the database only appends no state: the entries are read, and the false checkpoint is noticed."""
    filled(opened()).close()
    head = (tmp_path / "one.db.head").read_bytes()
    forge(tmp_path / "one.db")
    opened().check(replace(minute_plan(3), plan_id=bytes([9]) * 16), ONE)  # it needs both files, and is used then
    (tmp_path / "one.db.head").write_bytes(head)
    with pytest.raises(LedgerBroken, match="the checkpoint of entry 31 differs from the entries before it"):
        opened()


def test_a_ledger_that_is_rolled_back_while_it_is_open_is_not_used(opened: Open, tmp_path: Path) -> None:
    ledger = filled(opened())
    before = checkpoint_of(ledger.state)
    edit(tmp_path / "one.db", "DELETE FROM entries WHERE seq > 15")
    for _ in range(2):
        with pytest.raises(LedgerBehind, match="which was read before, is missing or was edited"):
            ledger.intend(minute_plan(50), ONE)
        assert checkpoint_of(ledger.state) == before
    with pytest.raises(LedgerBehind, match="which was read before"):
        ledger.look()


def test_a_head_that_another_party_remembers_stays_a_link_of_the_chain(opened: Open, tmp_path: Path) -> None:
    ledger = filled(opened())
    remembered, later_one = (_head_at(tmp_path / "one.db", seq) for seq in (5, 8))
    ledger.close()
    opened().require_known(remembered)
    edit(tmp_path / "one.db", "UPDATE entries SET line = replace(line, '500000', '400000') WHERE seq = 7")
    later = opened()
    with pytest.raises(LedgerBehind, match="its entries after entry 5, which another party remembers, were edited"):
        later.require_known(remembered)
    later.require_known(later_one)
    later.require_known(later.head)


def test_a_ledger_of_version_3_is_migrated_and_keeps_its_chain(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_table, "EVERY", 10**9)
    old = filled(opened())
    head = old.head
    old.close()
    with sqlite3.connect(tmp_path / "one.db") as db:
        for statement in ("DROP TABLE checkpoint", "DROP TABLE pieces", "PRAGMA user_version = 3"):
            db.execute(statement)
    db.close()
    with pytest.raises(OfOlderVersion):
        opened()
    FORMAT.migrate(tmp_path / "one.db", private=True)
    monkeypatch.setattr(checkpoint_table, "EVERY", EVERY)
    again = opened()
    assert again.head == head
    again.intend(minute_plan(40), ONE)
    assert checkpoints(again)


def test_the_pieces_of_an_older_checkpoint_are_deleted(opened: Open, tmp_path: Path) -> None:
    filled(opened())
    with sqlite3.connect(tmp_path / "one.db") as db:
        manifest = json.loads(db.execute("SELECT manifest FROM checkpoint").fetchone()[0])
        pieces = {digest.hex(): data for digest, data in db.execute("SELECT digest, bytes FROM pieces")}
    db.close()
    named = {digest for rows in manifest["columns"].values() for digest in rows[1:]} | set(manifest["rest"])
    assert named == pieces.keys()
    assert all(hashlib.sha256(data).hexdigest() == digest for digest, data in pieces.items())


def _head_at(path: Path, seq: int) -> Head:
    with sqlite3.connect(path) as db:
        head = genesis("one")
        for line, _ in zip(db.execute("SELECT line FROM entries ORDER BY seq"), range(seq), strict=False):
            head = head.next(line[0])
    db.close()
    return head
