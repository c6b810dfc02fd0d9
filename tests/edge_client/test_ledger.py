"""A site's ledger: bounds hold across panes, plans and restarts, and no edit of it goes unnoticed."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from edge_client.events import Events, make_events
from edge_client.ledger import SiteLedger
from edge_client.policy import Refuse
from edge_client.site import SiteSettings, respond
from featurestore.define.entities import Entity
from featurestore.define.privacy import Bounds
from federation.ledger.snapshot import read_ledger
from federation.plan import Plan
from federation.refusal_codes import RefusalCode
from federation.sharding import shard
from tests.aggregator.world import NOW, make_plan

from . import making
from .making import HOUR, HOURLY, VIEW, answered, answered_empty, ask, events, hours, ids_of, settings_in

KEYS = [f"k{i}" for i in range(6)]
BOUND = replace(HOURLY, entity=Entity("k", domain=KEYS), bounds=Bounds(3, 2))

Told = list[tuple[int, tuple[int, ...]]]


@pytest.fixture
def settings(tmp_path: Path) -> SiteSettings:
    return settings_in(tmp_path)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return plain_reports(monkeypatch)


def plain_reports(monkeypatch: pytest.MonkeyPatch) -> Told:
    """The plain reports that a site shares out: (pane start, vector), in order."""
    reports: Told = []

    def watch(plan: Plan, of: Any, *rest: Any, **more: Any) -> Any:
        starts = plan.views[of.view].pane_starts
        for row, collection in enumerate(of.collection.tolist()):
            vector = np.zeros(of.slots.length, np.int64)
            part = slice(of.slots.indptr[row], of.slots.indptr[row + 1])
            vector[of.slots.columns[part]] = of.slots.values[part]
            reports.append((int(starts[collection - plan.offsets[of.view]]), tuple(vector.tolist())))
        return shard(plan, of, *rest, **more)

    monkeypatch.setattr(making, "respond", partial(respond, protect=watch))
    return reports


def drawn(seed: int, count: int = 400) -> pa.Table:
    """Events of 12 clients over two days, in no order."""
    rng = np.random.default_rng(seed)
    times = rng.integers(0, 48 * HOUR, count)
    return pa.table(
        {
            "who": [f"c{i}" for i in rng.integers(0, 12, count)],
            "t": pa.array(times, pa.timestamp("us")),
            "k": [KEYS[i] for i in rng.integers(0, len(KEYS), count)],
        }
    )


def until(table: pa.Table, end: int) -> Events:
    """The events before a moment."""
    return make_events(table.filter(pa.array(table["t"].cast(pa.int64()).to_numpy() < end)), "who", "t")


@pytest.mark.parametrize("participation", ["active", "all"])
@pytest.mark.parametrize("seed", range(3))
def test_hourly_plans_with_restarts_between_them_give_what_a_backfill_gives(
    tmp_path: Path, told: Told, seed: int, participation: str
) -> None:
    table = drawn(seed)
    rng = np.random.default_rng(seed)
    (tmp_path / "stream").mkdir()
    (tmp_path / "backfill").mkdir()
    at = number = 0
    while at < 48:
        step = int(rng.integers(1, 6))
        plan = hours(number, *range(at, min(at + step, 48)), view=BOUND, participation=participation)
        answered(plan, until(table, (at + step) * HOUR), settings_in(tmp_path / "stream", clients=12))
        at, number = at + step, number + 1
    stream = Counter(told)
    told.clear()
    whole = hours(99, *range(48), view=BOUND, participation=participation)
    answered(whole, until(table, 48 * HOUR), settings_in(tmp_path / "backfill", clients=12))
    assert stream == Counter(told)
    assert sum(stream.values()) > (50 if participation == "active" else 48 * 12 - 1)
    cells = {(pane // (24 * HOUR)): 0 for pane, _ in told}
    for pane, vector in told:
        cells[pane // (24 * HOUR)] += np.count_nonzero(vector)
    assert max(cells.values()) <= 12 * 3  # the bound is effective: 12 clients have 200 events a day
    assert min(cells.values()) > 12 * 2


def test_the_cells_of_earlier_answers_are_gone_in_whatever_order_hours_are_asked_for(
    settings: SiteSettings, told: Told
) -> None:
    own = events(*(("p", hour / 24, key) for hour, key in ((1, "x"), (3, "x"), (5, "y"), (7, "x"))), ("q", 7 / 24, "y"))
    for number, hour in enumerate((5, 1, 7, 3)):  # p has two cells a day
        answered(hours(number, hour), own, settings)
    assert told == [(5 * HOUR, (0, 1)), (1 * HOUR, (1, 0)), (7 * HOUR, (0, 1))]


def test_a_late_event_of_a_reported_pane_is_dropped_and_frees_nothing(settings: SiteSettings, told: Told) -> None:
    answered(hours(0, 0), events(("p", 0.5 / 24, "x")), settings)
    late = [("p", 0.2 / 24, "y"), ("p", 0.5 / 24, "x"), ("p", 1 / 24, "x"), ("p", 1.5 / 24, "y")]
    answered(hours(1, 1), events(*late), settings)
    assert told == [(0, (1, 0)), (HOUR, (1, 0))]  # one cell of two was used before, one was left


def test_a_retry_is_computed_as_its_first_answer_was_whatever_was_answered_since(
    settings: SiteSettings, told: Told
) -> None:
    own = events(*(("p", hour / 24, "x") for hour in range(4)), ("q", 1 / 24, "y"))
    first = [ids_of(answered(hours(hour, hour), own, settings)) for hour in range(4)]
    before, told[:] = list(told), []
    again = [ids_of(answered(hours(hour, hour), own, settings, seed=5)) for hour in (3, 1, 0, 2)]
    assert [again[i] for i in (2, 1, 3, 0)] == first
    assert sorted(told) == sorted(before) == [(0, (1, 0)), (HOUR, (0, 1)), (HOUR, (1, 0))]


def test_a_retry_with_late_events_uses_no_more_cells_than_later_answers_count_on(
    settings: SiteSettings, told: Told
) -> None:
    answered(hours(0, 0), events(("p", 0.5 / 24, "x")), settings)
    answered(hours(1, 1), events(("p", 0.5 / 24, "x"), ("p", 1 / 24, "x"), ("p", 1 / 24, "y")), settings)
    told.clear()
    answered(hours(0, 0), events(("p", 0.2 / 24, "y"), ("p", 0.5 / 24, "x"), ("q", 0.3 / 24, "y")), settings, seed=5)
    assert told == [(0, (0, 1))]  # one cell, as before; q did not report and still does not


def test_an_answer_that_was_cut_off_after_its_charge_counts_what_was_answered_meanwhile(
    settings: SiteSettings, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = events(*(("p", hour / 24, key) for hour in (0, 1) for key in "xy"))

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SiteLedger, "record", crash)
        with pytest.raises(KeyboardInterrupt):
            ask(hours(0, 0), own, settings)
    answered(hours(1, 1), own, settings)
    assert told == [(HOUR, (1, 1))]
    assert answered_empty(hours(0, 0), own, settings)  # both cells of the day are used


def test_two_answers_at_the_same_time_do_not_use_a_cell_twice(
    settings: SiteSettings, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = events(*(("p", hour / 24, key) for hour in (0, 1) for key in "xy"))
    real = SiteLedger.record
    others = [hours(1, 1)]

    def after_another(self: SiteLedger, *arguments: Any) -> bool:
        if others:
            answered(others.pop(), own, settings)
        return real(self, *arguments)

    monkeypatch.setattr(SiteLedger, "record", after_another)
    assert answered_empty(hours(0, 0), own, settings)
    assert told == [(HOUR, (1, 1))]


def test_a_plan_that_takes_whole_days_keeps_no_cells(settings: SiteSettings) -> None:
    answered(hours(0, *range(24), 30), events(("p", 0, "x"), ("p", 30 / 24, "x"), ("q", 31 / 24, "x")), settings)
    with sqlite3.connect(settings.ledger) as db:
        rows = db.execute("SELECT day, length(names), length(cells) FROM cells").fetchall()
        daily = db.execute("SELECT count(*) FROM answers").fetchone()
    db.close()
    assert rows == [(1, 32, 8)]
    assert daily == (1,)


def test_another_definition_or_day_shares_no_cells(settings: SiteSettings, told: Told) -> None:
    own = events(*(("p", day + hour / 24, key) for day in (0, 1) for hour in (0, 1) for key in "xy"))
    other = replace(HOURLY, name="other")
    for number, plan in enumerate((hours(0, 0), hours(1, 0, view=other), hours(2, 24), hours(3, 1))):
        answered(plan, own, settings, number)
    assert [pane for pane, _ in told] == [0, 0, 24 * HOUR]


TAMPER = {
    "a cell more is free": "UPDATE cells SET cells = x'0000000000000000'",
    "another client's": "UPDATE cells SET names = zeroblob(length(names))",
    "another day's": "UPDATE cells SET day = day + 1",
    "no number": "UPDATE cells SET cells = 'abc'",
    "cut": "UPDATE cells SET cells = x'00'",
    "a row gone": "DELETE FROM cells",
    "an answer gone": "DELETE FROM answers",
    "another digest": "UPDATE answers SET reports_digest = zeroblob(32)",
}


@pytest.mark.parametrize("how", TAMPER)
def test_edited_cells_are_noticed_when_the_next_answer_counts_on_them(settings: SiteSettings, how: str) -> None:
    own = events(*(("p", hour / 24, "x") for hour in range(3)))
    answered(hours(0, 0), own, settings)
    _edit(settings, TAMPER[how])
    found = ask(hours(1, 1), own, settings)
    assert isinstance(found, Refuse)
    assert found.code == RefusalCode.LEDGER_BROKEN


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reports SET ids = zeroblob(length(ids))",
        "UPDATE reports SET reporter = zeroblob(2)",
        "UPDATE reports SET names = names || names",
        "DELETE FROM reports",
    ],
)
def test_edited_report_ids_are_noticed_by_a_retry(settings: SiteSettings, statement: str) -> None:
    own = events(("p", 0, "x"), ("q", 0, "y"))
    answered(hours(0, 0), own, settings)
    _edit(settings, statement)
    found = ask(hours(0, 0), own, settings)
    assert isinstance(found, Refuse)
    assert found.code == RefusalCode.LEDGER_BROKEN


def _edit(settings: SiteSettings, statement: str) -> None:
    with sqlite3.connect(settings.ledger) as db:
        assert db.execute(statement).rowcount > 0
    db.close()


def test_the_file_names_no_client(settings: SiteSettings) -> None:
    answered(hours(0, 0), events(("somebody-rare", 0, "x")), settings)
    data = b"".join(path.read_bytes() for path in settings.ledger.parent.iterdir())
    assert b"somebody-rare" not in data


@pytest.mark.parametrize("extra", [0, 3])
def test_under_all_a_retry_keeps_everybodys_seat_when_new_clients_come(
    settings: SiteSettings, told: Told, extra: int
) -> None:
    rows = [(f"c{i}", 0.0, "x" if i % 2 else "y") for i in range(6)]
    few = replace(settings, clients=6 + extra)
    first = ids_of(answered(hours(0, 0, 30, participation="all"), events(*rows), few))
    before, told[:] = list(told), []
    more = [(f"a{i}", 0.0, "x") for i in range(9)]
    assert ids_of(answered(hours(0, 0, 30, participation="all"), events(*more, *rows), few, 4)) == first
    assert told == before
    assert len(first) == 2 * (6 + extra)
    assert Counter(told)[0, (0, 0)] == extra


def test_more_clients_than_are_enrolled_are_left_out_and_the_site_s_log_says_so(
    settings: SiteSettings, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    own = events(*((f"c{i}", 0, "x") for i in range(7)))
    assert len(ids_of(answered(hours(0, 0, participation="all"), own, replace(settings, clients=4)))) == 4
    assert Counter(told) == {(0, (1, 0)): 4}
    assert "3 client(s) beyond the 4 enrolled" in caplog.text


def test_a_refused_plan_is_in_the_ledger_once_with_its_view_and_day(settings: SiteSettings) -> None:
    tight = replace(settings, policy=replace(settings.policy, max_micro_rho=999_999))
    plan = make_plan(VIEW, replace(VIEW, name="w"), noise="full")
    for _ in range(3):
        ask(plan, events(), tight)
    (kept,) = read_ledger(settings.ledger, "site-a").state.refused
    assert (kept.plan, kept.code, kept.view, kept.day) == (plan.hash, "DAY_BUDGET_SPENT", "w", 0)
    answered(plan, events(), settings)  # with a larger budget the same plan is accepted


def test_record_is_refused_on_another_basis(settings: SiteSettings) -> None:
    with SiteLedger(settings.ledger, "a", lambda: NOW) as ledger:
        one, two = hours(0, 0), hours(1, 1)
        for plan in (one, two):
            ledger.intend(plan, settings.policy.budget)
        stale = ledger.basis(two)
        assert [of_day.answers for of_day in stale.days] == [0]
        assert ledger.record(one, ledger.basis(one), [], [], [])
        assert not ledger.record(two, stale, [], [], [])
        assert [(of_day.answers, of_day.last) for of_day in ledger.basis(two).days] == [(1, one.hash)]
        assert ledger.record(two, ledger.basis(two), [], [], [])
        assert not ledger.record(two, stale, [], [], [])
        assert ledger.basis(two).repeated


@pytest.mark.parametrize("participation", ["active", "all"])
def test_a_lost_batch_and_a_retry_with_late_events_use_no_more_cells_than_a_client_day_has(
    settings: SiteSettings, monkeypatch: pytest.MonkeyPatch, participation: str
) -> None:
    """The coordinator withholds the batch of hour 0 and asks again. Hour 0 of the retry and hour 1 of the first answer count."""
    reports: dict[bytes, int] = {}
    lost: set[int] = {0}

    def take(plan: Plan, of: Any, *rest: Any, report_ids: Any, **more: Any) -> Any:
        for row, collection in enumerate(of.collection.tolist()):
            if collection not in lost:
                reports.setdefault(report_ids[row].tobytes(), int(of.slots.indptr[row + 1] - of.slots.indptr[row]))
        return shard(plan, of, *rest, report_ids=report_ids, **more)

    monkeypatch.setattr(making, "respond", partial(respond, protect=take))
    one = replace(settings, clients=1)
    plan = hours(0, 0, 1, participation=participation)
    answered(plan, events(("p", 0.5 / 24, "x"), ("p", 1.5 / 24, "x")), one)
    lost.clear()
    answered(plan, events(("p", 0.5 / 24, "x"), ("p", 0.6 / 24, "y"), ("p", 1.5 / 24, "x")), one, seed=5)
    assert sum(reports.values()) == HOURLY.bounds.max_cells == 2


def test_a_report_that_was_empty_at_first_stays_empty(settings: SiteSettings, told: Told) -> None:
    one = replace(settings, clients=1)
    plan = hours(0, 0, 1, participation="all")
    answered(plan, events(("p", 1.5 / 24, "x"), ("p", 1.5 / 24, "y")), one)
    told.clear()
    answered(plan, events(("p", 0.5 / 24, "x"), ("p", 1.5 / 24, "y")), one, seed=5)
    assert told == [(0, (0, 0)), (HOUR, (0, 1))]
