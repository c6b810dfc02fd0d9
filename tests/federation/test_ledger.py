"""The privacy ledger: its rules, its chain, and the tampering that is noticed from outside."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.define.definitions import FeatureView
from featurestore.define.privacy import Privacy
from federation.attempt import Attempt
from federation.errors import (
    ClockWentBack,
    DayBudgetSpent,
    LedgerBehind,
    LedgerBroken,
    LedgerWriteFailed,
    PaneTaken,
    PlanOpenedBefore,
    ViewOverlap,
)
from federation.ledger.entries import (
    CompletionEntry,
    Entry,
    FreedEntry,
    Head,
    IntentEntry,
    RebuiltEntry,
    RefusalEntry,
    Retry,
    ViewIntent,
    entry_from_line,
    entry_to_line,
    genesis,
)
from federation.ledger.ledger import CLOCK_SLACK_US, Ledger
from federation.ledger.rebuilding import rebuild_ledger
from federation.ledger.state import Budget
from federation.plan import Plan, PlannedView
from federation.price import Observer, Price, Rho
from tests.federation.costs import prices
from tests.federation.words import plan_in_words
from tests.ledgers import spent_of

from .wire import DAY, TERMS, view

HALF = Budget(500_000)
ONE = Budget(1_000_000)


def plan_of(number: int, *views: FeatureView, days: tuple[int, ...] = (0, 1)) -> Plan:
    panes = np.array(days, dtype=np.int64) * DAY
    return plan_in_words(bytes([number]) * 16, tuple(PlannedView(one, panes, 2) for one in views), "full", wire=TERMS)


A, B = view("a", 2), view("b", 2)  # 0.5 ρ each
A_CHANGED = view("a", 3)


def replace_pane(of: FeatureView, pane: str) -> FeatureView:
    return FeatureView(
        of.name,
        entity=of.entity,
        features=of.features,
        pane=pane,
        bounds=of.bounds,
        privacy=Privacy(0.5, min_clients=2),
    )


OLD, NEW = replace_pane(A, "1h"), replace_pane(A_CHANGED, "1h")


def hours_of(number: int, one: FeatureView, days: tuple[int, ...], hour: int) -> Plan:
    """A plan for one hour of each day."""
    panes = np.array(days, dtype=np.int64) * DAY + hour * DAY // 24
    return plan_in_words(bytes([number]) * 16, (PlannedView(one, panes, 2),), "full", wire=TERMS)


class Clock:
    def __init__(self) -> None:
        self.now = 100 * DAY

    def __call__(self) -> int:
        self.now += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    with Ledger(tmp_path / "leader.db", "leader", clock) as opened:
        yield opened


def again(ledger: Ledger, clock: Clock | None = None) -> Ledger:
    """The same file, opened as by a new process."""
    ledger.close()
    return Ledger(ledger.path, ledger.owner, clock or Clock())


def test_a_day_is_charged_once_and_its_panes_are_taken(ledger: Ledger) -> None:
    first = plan_of(1, A)
    ledger.intend(first, HALF)
    ledger.intend(first, HALF)
    assert spent_of(ledger.state) == {0: 500_000, 1: 500_000}
    assert ledger.head.seq == 1
    with pytest.raises(PaneTaken) as refused:
        ledger.intend(plan_of(2, A, days=(1, 2)), ONE)
    assert refused.value.pane_start == DAY
    assert "13.5" in str(refused.value)  # the reason: the differencing attack


def test_a_later_pane_of_a_day_that_was_paid_costs_nothing(ledger: Ledger) -> None:
    hourly = replace_pane(A, "1h")
    morning = plan_in_words(bytes(16), (PlannedView(hourly, np.array([0, 3_600_000_000]), 2),), "full", wire=TERMS)
    noon = plan_in_words(bytes([1]) * 16, (PlannedView(hourly, np.array([43_200_000_000]), 2),), "full", wire=TERMS)
    ledger.intend(morning, HALF)
    ledger.intend(noon, HALF)
    assert spent_of(ledger.state) == {0: 500_000}
    assert ledger.state.plans_of_day(definition(hourly), 0) == (morning.hash, noon.hash)
    assert ledger.state.pane_taken(definition(hourly), np.array([7_200_000_000, 43_200_000_000])).tolist() == [
        43_200_000_000
    ]


def test_a_day_never_costs_more_than_its_budget(ledger: Ledger) -> None:
    ledger.intend(plan_of(1, A), HALF)
    with pytest.raises(DayBudgetSpent) as refused:
        ledger.intend(plan_of(2, B, days=(1, 2)), HALF)
    assert (refused.value.view, refused.value.day, refused.value.have, refused.value.need) == ("b", 1, 0, 500_000)
    assert 2 not in spent_of(ledger.state)  # a plan is charged completely or not at all
    assert [(one.code, one.view, one.day) for one in ledger.state.refused] == [("DAY_BUDGET_SPENT", "b", 1)]
    with pytest.raises(DayBudgetSpent):
        ledger.intend(plan_of(2, B, days=(1, 2)), HALF)
    assert len(ledger.state.refused) == 1  # a repeat is recorded once
    with pytest.raises(DayBudgetSpent):  # the views of one plan add up
        ledger.intend(plan_of(3, A, B, days=(7,)), replace(ONE, micro_rho=999_999))
    ledger.intend(plan_of(2, B, days=(1, 2)), ONE)
    assert spent_of(ledger.state) == {0: 500_000, 1: 1_000_000, 2: 500_000}


def test_a_quota_binds_one_view_only(ledger: Ledger) -> None:
    tight = Budget(1_000_000, {"a": 400_000})
    with pytest.raises(DayBudgetSpent) as refused:
        ledger.check(plan_of(1, A), tight)
    assert refused.value.have == 400_000
    ledger.intend(plan_of(2, B), tight)


def test_a_budget_that_counts_outsiders_prices_is_exact_at_its_limit(ledger: Ledger) -> None:
    counts = Observer.OUTSIDERS  # σ² = 18 of each aggregator: 0.25 ρ each against outsiders
    with pytest.raises(DayBudgetSpent) as refused:
        ledger.check(plan_of(1, A, B), Budget(499_999, counts=counts))
    assert (refused.value.view, refused.value.have, refused.value.need) == ("b", 249_999, 250_000)
    with pytest.raises(DayBudgetSpent):
        ledger.check(plan_of(1, A), Budget(500_000, {"a": 249_999}, counts))
    ledger.intend(plan_of(1, A, B), Budget(500_000, {"a": 250_000}, counts))
    assert spent_of(ledger.state) == {0: 1_000_000, 1: 1_000_000}
    assert [ledger.state.left(0, Budget(500_000, counts=one)) for one in Observer] == [-500_000, 0]
    with again(ledger) as found:
        assert found.state.budget == Budget(500_000, counts=counts)


def test_two_views_of_different_noisers_are_charged_with_what_an_aggregator_learns(ledger: Ledger) -> None:
    shared = replace(view("s", 2), privacy=Privacy(rho=0.5, min_clients=2, noisers="shared"))
    ledger.check(plan_of(1, A, shared), Budget(1_500_000))
    with pytest.raises(DayBudgetSpent) as refused:
        ledger.check(plan_of(1, A, shared), Budget(1_499_999))
    assert (refused.value.view, refused.value.have, refused.value.need) == ("s", 999_999, 1_000_000)
    with pytest.raises(DayBudgetSpent) as refused:
        ledger.check(plan_of(1, A, shared), Budget(749_999, counts=Observer.OUTSIDERS))
    assert (refused.value.have, refused.value.need) == (499_999, 500_000)
    ledger.intend(plan_of(1, A, shared), Budget(1_500_000))
    assert ledger.state.prices[0].outsiders.micro_rho == 750_000


def test_a_ledger_of_an_earlier_version_is_refused_by_its_name_and_can_be_rebuilt(ledger: Ledger, clock: Clock) -> None:
    ledger.intend(plan_of(1, A), HALF)
    ledger.close()
    with sqlite3.connect(ledger.path) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    with pytest.raises(LedgerBroken, match="a version that cannot be migrated"):
        Ledger(ledger.path, ledger.owner, clock)
    rebuild_ledger(ledger.path, ledger.owner, clock, 0)
    with Ledger(ledger.path, ledger.owner, clock) as found:
        assert found.state.left(1, ONE) == 0


def test_several_plans_are_charged_together_or_not_at_all(ledger: Ledger) -> None:
    def charge(budget: Budget) -> None:
        with ledger.transaction():
            for plan in (plan_of(1, A), plan_of(2, B)):
                ledger.intend_within(plan, budget)

    with pytest.raises(DayBudgetSpent):
        charge(HALF)
    assert (spent_of(ledger.state), ledger.head.seq) == ({}, 0)
    charge(ONE)
    assert spent_of(ledger.state) == {0: 1_000_000, 1: 1_000_000}


def test_a_day_knows_the_plans_that_took_panes_of_it_in_the_order_of_their_charges(ledger: Ledger) -> None:
    plans = [plan_of(number, A, days=days) for number, days in ((3, (0,)), (1, (1, 2)), (2, (3,)))]
    for plan in plans:
        ledger.intend(plan, ONE)
    hourly = replace_pane(A, "1h")
    assert [ledger.state.plans_of_day(definition(A), day) for day in (0, 2, 4)] == [
        (plans[0].hash,),
        (plans[1].hash,),
        (),
    ]
    assert ledger.state.plans_of_day(definition(hourly), 0) == ()


def test_a_second_collection_of_a_view_is_refused_on_a_day_of_the_first_where_overlap_is_not_allowed(
    ledger: Ledger,
) -> None:
    alone = Budget(2_000_000, overlap=False)
    ledger.intend(plan_of(1, A), alone)
    with pytest.raises(ViewOverlap, match=r"another collection of it was charged on 1970-01-02.*overlap = true"):
        ledger.intend(plan_of(2, A_CHANGED, days=(1,)), alone)
    assert spent_of(ledger.state) == {0: 500_000, 1: 500_000}
    ledger.intend(plan_of(2, A_CHANGED, days=(2,)), alone)
    ledger.intend(plan_of(3, A_CHANGED, B, days=(0,)), Budget(2_000_000))
    assert spent_of(ledger.state) == {0: 1_500_000, 1: 500_000, 2: 500_000}


def test_each_collection_of_a_view_pays_for_a_day_once_and_in_full(ledger: Ledger) -> None:
    """By hand: days 0 to 2 are collected for the old version, and days 2 to 4 for the new one. Panes are hours."""
    for number, (one, days, hour) in enumerate(
        ((OLD, (0, 1, 2), 0), (OLD, (0, 1, 2), 1), (NEW, (2, 3, 4), 0), (NEW, (2,), 1), (OLD, (0, 1, 2), 2))
    ):
        for _ in range(2):  # a repeat of a plan is no second charge
            ledger.intend(hours_of(number, one, days, hour), ONE)
    assert spent_of(ledger.state) == {0: 500_000, 1: 500_000, 2: 1_000_000, 3: 500_000, 4: 500_000}
    charged = [ledger.state.collections_of("a", day) for day in (1, 2, 5)]
    assert charged == [{definition(OLD)}, {definition(OLD), definition(NEW)}, set()]
    with pytest.raises(PaneTaken):
        ledger.intend(hours_of(9, NEW, (2,), 1), ONE)


def test_an_overlap_is_limited_by_the_budget_and_by_the_quota_of_the_view(ledger: Ledger) -> None:
    ledger.intend(plan_of(1, A), ONE)
    for limit, have in ((HALF, 0), (Budget(999_999), 499_999), (Budget(10**7, {"a": 700_000}), 200_000)):
        with pytest.raises(DayBudgetSpent) as refused:
            ledger.intend(plan_of(2, A_CHANGED, days=(1,)), limit)
        assert (refused.value.day, refused.value.have, refused.value.need) == (1, have, 500_000)
    ledger.intend(plan_of(2, A_CHANGED, days=(1,)), Budget(1_000_000, {"a": 1_000_000}))
    assert spent_of(ledger.state) == {0: 500_000, 1: 1_000_000}


def test_a_collection_that_has_paid_for_a_day_goes_on_when_overlaps_are_no_longer_allowed(ledger: Ledger) -> None:
    for number, one in enumerate((OLD, NEW)):
        ledger.intend(hours_of(number, one, (0,), 0), ONE)
    for number, one in enumerate((OLD, NEW), 5):
        ledger.intend(hours_of(number, one, (0,), 1), replace(ONE, overlap=False))
    assert spent_of(ledger.state) == {0: 1_000_000}


def test_a_check_writes_nothing(ledger: Ledger) -> None:
    ledger.check(plan_of(1, A), HALF)
    with pytest.raises(DayBudgetSpent):
        ledger.check(plan_of(1, A), Budget(1))
    assert ledger.head == genesis("leader")


def test_a_plan_comes_to_one_end(ledger: Ledger) -> None:
    plan = plan_of(1, A)
    ledger.intend(plan, ONE)
    ledger.complete(plan.hash, bytes(32))
    ledger.complete(plan.hash, bytes(32))
    assert ledger.head.seq == 2
    with pytest.raises(PlanOpenedBefore):
        ledger.complete(plan.hash, bytes([1]) * 32)


def test_everything_is_there_again_after_a_restart(ledger: Ledger) -> None:
    ledger.intend(plan_of(1, A), HALF)
    ledger.complete(plan_of(1, A).hash, bytes(32))
    with pytest.raises(DayBudgetSpent):
        ledger.intend(plan_of(2, B), HALF)
    with again(ledger) as found:
        assert (found.head, spent_of(found.state), found.state.completed) == (
            ledger.head,
            spent_of(ledger.state),
            ledger.state.completed,
        )
        assert [type(entry) for entry in found.entries()] == [IntentEntry, CompletionEntry, RefusalEntry]
        with pytest.raises(PaneTaken):
            found.intend(plan_of(3, A), ONE)


def test_two_processes_on_one_file_see_what_the_other_spent(ledger: Ledger, clock: Clock) -> None:
    with Ledger(ledger.path, "leader", clock) as other:
        other.intend(plan_of(1, A), HALF)
        with pytest.raises(DayBudgetSpent):
            ledger.intend(plan_of(2, B), HALF)


def test_a_failed_transaction_leaves_neither_file_nor_memory_changed(ledger: Ledger) -> None:
    ledger.intend(plan_of(1, A), HALF)
    before = ledger.head

    def fails() -> None:
        with ledger.transaction():
            ledger.complete_within(plan_of(1, A).hash, bytes(32))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert (ledger.head, ledger.state.completed) == (before, {})
    assert spent_of(ledger.state) == {0: 500_000, 1: 500_000}


def test_a_clock_that_went_back_is_refused(ledger: Ledger, clock: Clock) -> None:
    ledger.intend(plan_of(1, A), ONE)
    clock.now -= CLOCK_SLACK_US // 2
    ledger.intend(plan_of(2, A, days=(5,)), ONE)  # a clock may be set back by seconds
    clock.now -= 2 * CLOCK_SLACK_US
    with pytest.raises(ClockWentBack, match="behind the ledger's last entry"):
        ledger.intend(plan_of(3, A, days=(7,)), ONE)


# tampering that is noticed


def two_entries(ledger: Ledger) -> None:
    ledger.intend(plan_of(1, A), ONE)
    ledger.complete(plan_of(1, A).hash, bytes(32))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entries SET line = replace(line, '500000', '400000') WHERE seq = 1",
        "UPDATE entries SET head = zeroblob(32) WHERE seq = 1",
        "DELETE FROM entries WHERE seq = 1",
        "DELETE FROM entries WHERE seq = 2",
        "DELETE FROM entries",
        "UPDATE ledger SET owner = 'helper'",
        "DROP TABLE entries",
    ],
)
def test_an_edit_or_a_cut_is_noticed(ledger: Ledger, sql: str) -> None:
    two_entries(ledger)
    ledger.close()
    with sqlite3.connect(ledger.path) as db:
        db.execute(sql)
    db.close()
    with pytest.raises(LedgerBroken) as broken:
        again(ledger)
    assert "Put the newest copies" in str(broken.value)  # how to recover


def test_an_edit_with_a_new_chain_is_noticed_by_the_second_file(ledger: Ledger) -> None:
    two_entries(ledger)
    ledger.close()
    with sqlite3.connect(ledger.path) as db:
        head = genesis("leader")
        for seq, line in db.execute("SELECT seq, line FROM entries ORDER BY seq").fetchall():
            line = line.replace("500000", "400000")
            head = head.next(line)
            db.execute("UPDATE entries SET line = ?, head = ? WHERE seq = ?", (line, head.digest, seq))
    db.close()
    with pytest.raises(LedgerBroken, match="a different entry 2"):
        again(ledger)


def test_an_older_copy_is_noticed(ledger: Ledger, tmp_path: Path) -> None:
    ledger.intend(plan_of(1, A), ONE)
    ledger.close()
    shutil.copy(ledger.path, tmp_path / "copy.db")
    with again(ledger) as later:
        later.complete(plan_of(1, A).hash, bytes(32))
    shutil.copy(tmp_path / "copy.db", ledger.path)
    with pytest.raises(LedgerBehind, match="it has 1 entries, but its head file names 2"):
        again(ledger)


def test_a_file_that_is_gone_is_noticed(ledger: Ledger) -> None:
    two_entries(ledger)
    ledger.close()
    ledger.path.unlink()
    with pytest.raises(LedgerBehind):
        again(ledger)


@pytest.mark.parametrize("fails", ["content", "name"])
def test_a_head_file_that_cannot_be_written_is_named_and_written_later(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    sync = os.fsync

    def full(number: int) -> None:
        if stat.S_ISDIR(os.fstat(number).st_mode) == (fails == "name"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(number)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        patched.setattr(Ledger, "synchronous", "FULL")
        with pytest.raises(LedgerWriteFailed, match=r"leader\.db\.head could not be written \(disk full\)"):
            ledger.intend(plan_of(1, A), ONE)
    ledger.close()
    with again(ledger) as later:
        assert plan_of(1, A).hash in later.state.intended  # the charge was on disk
    assert json.loads(ledger.path.with_name("leader.db.head").read_text())["seq"] == 1


def test_a_head_file_that_is_gone_or_nonsense_is_noticed(ledger: Ledger) -> None:
    two_entries(ledger)
    ledger.close()
    outside = ledger.path.with_name("leader.db.head")
    assert json.loads(outside.read_text())["seq"] == 2
    outside.write_text("{}")
    with pytest.raises(LedgerBroken, match="head file cannot be read"):
        again(ledger)
    outside.unlink()
    with pytest.raises(LedgerBroken, match="head file is missing"):
        again(ledger)


def test_a_crash_between_commit_and_second_file_is_no_damage(ledger: Ledger) -> None:
    ledger.intend(plan_of(1, A), ONE)
    outside = ledger.path.with_name("leader.db.head")
    old = outside.read_bytes()
    ledger.complete(plan_of(1, A).hash, bytes(32))
    outside.write_bytes(old)
    with again(ledger) as found:
        assert found.head.seq == 2
    assert json.loads(outside.read_text())["seq"] == 2  # otherwise a later cut would go unnoticed


def test_no_ledger_passes_for_another_ones(ledger: Ledger, clock: Clock) -> None:
    two_entries(ledger)
    ledger.close()
    with pytest.raises(LedgerBroken, match="not of 'helper'"):
        Ledger(ledger.path, "helper", clock)
    ledger.path.write_bytes(b"no database at all, but long enough to be read as one")
    with pytest.raises(LedgerBroken, match="not a ledger"):
        Ledger(ledger.path, "leader", clock)


def test_the_other_party_remembers(ledger: Ledger) -> None:
    two_entries(ledger)
    first = genesis("leader").next(entry_to_line(next(ledger.entries())))
    ledger.require_known(None)
    ledger.require_known(first)
    ledger.require_known(ledger.head)
    for remembered in (Head(3, bytes(32)), Head(2, bytes(32)), Head(0, bytes(32))):
        with pytest.raises(LedgerBehind, match="another party remembers"):
            ledger.require_known(remembered)


def test_a_peer_that_goes_back_is_noticed(ledger: Ledger) -> None:
    seen = Head(5, bytes([1]) * 32)
    assert ledger.see_peer("helper", seen, None) == seen
    assert ledger.see_peer("helper", seen, None) == seen
    with again(ledger) as found:
        assert found.peer("helper") == seen
        for behind in (Head(4, bytes([1]) * 32), Head(5, bytes([2]) * 32)):
            with pytest.raises(LedgerBehind, match="the helper's ledger"):
                found.see_peer("helper", behind, seen)
        assert found.see_peer("helper", Head(6, bytes(32)), seen) == Head(6, bytes(32))


def test_a_peer_that_does_not_confirm_what_is_remembered_replaces_nothing(ledger: Ledger) -> None:
    """A ledger that was rolled back and has grown again is longer. Only its owner can notice that an entry is missing."""
    seen, longer = Head(5, bytes([1]) * 32), Head(9, bytes([2]) * 32)
    ledger.see_peer("helper", seen, None)
    for confirmed in (None, Head(5, bytes([2]) * 32), longer):
        assert ledger.see_peer("helper", longer, confirmed) == seen
    assert ledger.peer("helper") == seen


def test_a_head_covers_a_plan_from_its_end_on(ledger: Ledger) -> None:
    one, other = plan_of(1, A), plan_of(2, A, days=(5,))
    heads = [ledger.head]
    for step in (
        lambda: ledger.intend(one, ONE),
        lambda: ledger.complete(one.hash, bytes(32)),
        lambda: ledger.intend(other, ONE),
    ):
        step()
        heads.append(ledger.head)
    assert [ledger.covers(head, one.hash) for head in (None, *heads)] == [False, False, False, True, True]
    assert not ledger.covers(heads[-1], other.hash)
    with again(ledger) as found:
        assert found.covers(heads[2], one.hash)
        with pytest.raises(LedgerBehind):
            found.covers(Head(2, bytes(32)), one.hash)


# the lines

hashes = st.binary(min_size=32, max_size=32)
times = st.integers(-(2**62), 2**62)
increasing = st.lists(st.integers(-(2**40), 2**40), unique=True, max_size=30).map(
    lambda values: np.array(sorted(values), dtype=np.int64)
)
intents = st.builds(
    ViewIntent, st.text(max_size=5), hashes, hashes, st.text(max_size=9), prices(), increasing, increasing
)
roles = st.sampled_from(["", "leader", "in-process"])
entries = st.one_of(
    st.builds(
        IntentEntry,
        times,
        hashes,
        st.integers(0, 2**40),
        st.lists(intents, max_size=3).map(tuple),
        roles,
        st.lists(hashes, max_size=2).map(tuple),
        st.lists(st.builds(Retry, hashes, st.booleans()), max_size=3).map(tuple),
        st.sampled_from(Observer),
    ),
    st.builds(FreedEntry, times, hashes, roles),
    st.builds(RebuiltEntry, st.integers(1, 2**62)),
    st.builds(CompletionEntry, times, hashes, hashes, roles),
    st.builds(
        RefusalEntry,
        times,
        hashes,
        st.text("ABC_", max_size=9),
        st.none() | st.text(max_size=3),
        st.none() | times,
        roles,
    ),
)


@given(entries)
def test_an_entry_is_one_line_and_comes_back(entry: Entry) -> None:
    line = entry_to_line(entry)
    assert "\n" not in line
    found = entry_from_line(line)
    assert entry_to_line(found) == line
    if isinstance(entry, IntentEntry) and isinstance(found, IntentEntry):
        assert (entry.keys, entry.retries, entry.counts) == (found.keys, found.retries, found.counts)
        for one, other in zip(entry.views, found.views, strict=True):
            assert (one.view, one.collection, one.schema, one.scales, one.price) == (
                other.view, other.collection, other.schema, other.scales, other.price,
            )  # fmt: skip
            assert np.array_equal(one.panes, other.panes)
            assert np.array_equal(one.days, other.days)
    else:
        assert found == entry


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{}",
        '{"at":1,"kind":"spent","plan":"' + "00" * 32 + '"}',
        '{"at":1,"digest":"00","kind":"done","plan":"' + "00" * 32 + '"}',
        '{"at":1, "digest":"' + "00" * 32 + '","kind":"done","plan":"' + "00" * 32 + '"}',
    ],
)
def test_a_line_that_is_no_entry_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        entry_from_line(line)


def an_intent(price: Price) -> str:
    nothing = np.empty(0, np.int64)
    return entry_to_line(
        IntentEntry(1, bytes(32), 5, (ViewIntent("v", bytes(32), bytes(32), "1/2", price, nothing, nothing),))
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"leak":3', '"leak":"3"'),
        ('"leak":3', '"leak":-3'),
        ('"leak":3', '"leak":true'),
        ('"leak":3', '"leak":3.0'),
        ('"leak":3,', ""),
        ('"leak":3', '"leak":3,"more":0'),
        ('"micro_rho":10,', ""),
        ('"micro_rho":10', '"micro_rho":21'),
        ('"rounded":11', '"rounded":-11'),
        ('"rounded":11', '"rounded":"none"'),
        ('"counts":"aggregator"', '"counts":"nobody"'),
        ('"counts":"aggregator",', ""),
    ],
)
def test_a_price_that_is_not_written_as_one_is_refused(old: str, new: str) -> None:
    line = an_intent(Price(Rho(23, None), Rho(10, 11), 4, 5, 3))
    entry_from_line(line)
    assert old in line
    with pytest.raises(ValueError, match=r".+"):
        entry_from_line(line.replace(old, new))


def definition(of: FeatureView) -> bytes:
    from featurestore.define.wire import collection_hash

    return collection_hash(of)


def test_a_plan_that_repeats_an_attempt_may_have_a_view_that_is_new(ledger: Ledger) -> None:
    budget, first = Budget(2_000_000), plan_of(1, A, days=(0,))
    ledger.intend(first, budget)
    both = replace(plan_of(2, A, B, days=(0,)), earlier=(Attempt(first.hash),))
    ledger.check(both, budget)
    ledger.intend(both, budget)
    assert spent_of(ledger.state) == {0: 1_500_000}
