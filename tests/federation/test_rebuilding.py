"""A ledger that lost entries: what it refuses after it was rebuilt, who accepts it, and crashes while it is rebuilt."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from federation.errors import ClockWentBack, DayBudgetSpent, LedgerBehind, LedgerBroken, PaneBeforeRebuild, PaneTaken
from federation.ledger import rebuilding
from federation.ledger.ledger import CLOCK_SLACK_US, Ledger, head_path
from federation.ledger.rebuilding import rebuild_ledger
from federation.ledger.snapshot import read_ledger

from .test_ledger import ONE, A, B, Clock, plan_of
from .wire import DAY

OWNER = "operator"
TODAY = 100


def opened(path: Path, clock: Clock | None = None) -> Ledger:
    return Ledger(path, OWNER, clock or Clock())


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "synchronous", "OFF")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with one plan that is done, and one that is only charged."""
    found = tmp_path / "operator.db"
    with opened(found) as ledger:
        ledger.intend(plan_of(1, A), ONE)
        ledger.complete(plan_of(1, A).hash, bytes(32))
        ledger.intend(plan_of(2, A, days=(5,)), ONE)
    return found


def older_copy(path: Path) -> None:
    for each in path.parent.glob("operator.db*"):
        each.unlink()
    with opened(path) as ledger:
        ledger.intend(plan_of(1, A), ONE)


def nothing_left(path: Path) -> None:
    for each in path.parent.glob("operator.db*"):
        each.unlink()


def without_its_head(path: Path) -> None:
    head_path(path).unlink()


def edited(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE entries SET line = replace(line, '500000', '400000')")
    db.close()


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all, but long enough to be read as one")


@pytest.mark.parametrize("lose", [older_copy, nothing_left, without_its_head, edited, garbage])
def test_after_a_rebuild_every_pane_that_had_ended_is_taken_and_every_day_until_today_spent(
    path: Path, lose: Callable[[Path], None]
) -> None:
    lose(path)
    rebuild_ledger(path, OWNER, Clock(), 0)
    with opened(path) as ledger:
        for plan in (plan_of(1, A), plan_of(2, A, days=(5,)), plan_of(3, B, days=(TODAY - 1, TODAY + 1))):
            assert ledger.state.precedes_rebuild(plan)
            with pytest.raises(PaneBeforeRebuild, match="had ended when the ledger was rebuilt on 1970-04-11T00"):
                ledger.intend(plan, ONE)
        with pytest.raises(DayBudgetSpent) as refused:
            ledger.intend(plan_of(4, B, days=(TODAY,)), ONE)
        assert (refused.value.day, refused.value.have) == (TODAY, 0)
        ledger.intend(plan_of(5, A, B, days=(TODAY + 1, TODAY + 2)), ONE)
        with pytest.raises(PaneTaken):
            ledger.intend(plan_of(6, A, days=(TODAY + 1,)), ONE)
        assert [ledger.state.left(day, ONE) for day in (0, TODAY, TODAY + 1, TODAY + 3)] == [0, 0, 0, 1_000_000]
    assert read_ledger(path, OWNER).head == opened_head(path)


def opened_head(path: Path) -> object:
    with opened(path) as ledger:
        return ledger.head


def test_plans_that_were_only_charged_are_never_opened_and_results_are_kept(path: Path) -> None:
    rebuild_ledger(path, OWNER, Clock(), 0)
    with opened(path) as ledger:
        assert (ledger.state.intended, set(ledger.state.completed)) == ({}, {plan_of(1, A).hash})
        assert all(all(ended.values()) for ended in ledger.state.charged_by.values())
        assert ledger.state.length == 4


@pytest.mark.parametrize("lose", [older_copy, nothing_left])
def test_a_party_that_remembers_a_lost_entry_accepts_a_rebuilt_ledger_and_no_other(
    path: Path, tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    with opened(path) as ledger:
        remembered = ledger.head
    with Ledger(tmp_path / "peer.db", "peer", Clock()) as peer:
        assert peer.see_peer("us", remembered, None) == remembered
        lose(path)
        with opened(path) as ledger:
            for index in range(9):  # it grows again, beyond what is remembered
                ledger.intend(plan_of(20 + index, B, days=(20 + index,)), ONE)
            with pytest.raises(LedgerBehind):
                ledger.require_known(remembered)
            assert peer.see_peer("us", ledger.head, None) == remembered
        rebuild_ledger(path, OWNER, Clock(), 0)
        with opened(path) as ledger:
            ledger.require_known(remembered)
            assert ledger.head.seq > remembered.seq
            assert peer.see_peer("us", ledger.head, remembered) == ledger.head
            ledger.complete(plan_of(9, B).hash, bytes(32))
            assert ledger.covers(ledger.head, plan_of(9, B).hash)
            assert not ledger.covers(peer.peer("us"), plan_of(9, B).hash)


def test_a_copy_from_before_the_rebuild_is_noticed(path: Path, tmp_path: Path) -> None:
    for each in path.parent.glob("operator.db*"):
        shutil.copy(each, tmp_path / f"copy-{each.name}")
    rebuild_ledger(path, OWNER, Clock(), 0)
    with opened(path) as ledger:
        remembered = ledger.head
    for each in path.parent.glob("copy-*"):
        shutil.copy(each, path.with_name(each.name.removeprefix("copy-")))
    with opened(path) as ledger, pytest.raises(LedgerBehind):
        ledger.require_known(remembered)


def test_a_clock_that_is_behind_cannot_rebuild(path: Path) -> None:
    """Panes between its time and the last one that is known would stay open."""
    clock = Clock()
    clock.now = 3 * DAY
    with pytest.raises(ClockWentBack):
        rebuild_ledger(path, OWNER, clock, 0)
    nothing_left(path)
    with pytest.raises(ClockWentBack):
        rebuild_ledger(path, OWNER, clock, 3 * DAY + 2 * CLOCK_SLACK_US)
    rebuild_ledger(path, OWNER, clock, 3 * DAY)


class Killed(BaseException):
    """The process has ended."""


@pytest.mark.parametrize("lose", [edited, garbage, without_its_head])
@pytest.mark.parametrize("at", range(6))
def test_a_crash_in_the_middle_leaves_a_ledger_that_is_refused_until_it_is_rebuilt(
    path: Path, monkeypatch: pytest.MonkeyPatch, lose: Callable[[Path], None], at: int
) -> None:
    lose(path)
    real, left = Path.replace, [at]

    def replace(self: Path, target: Path) -> Path:
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        return real(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replace)
        try:
            rebuild_ledger(path, OWNER, Clock(), 0)
        except Killed:
            with pytest.raises(LedgerBroken):
                opened(path)
    rebuild_ledger(path, OWNER, Clock(), 0)
    with opened(path) as ledger, pytest.raises(PaneBeforeRebuild):
        ledger.intend(plan_of(1, A), ONE)
    assert path.with_name(f"operator.db{rebuilding.BROKEN}").exists()
