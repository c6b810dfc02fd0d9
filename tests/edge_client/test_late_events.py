"""Events that come after their pane was reported are counted at the site, logged once, and shown; nobody receives them."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_client import late_events
from edge_client.events import Events
from edge_client.ledger import read_late_events
from edge_client.open_ledgers import KeptOpen
from edge_client.site import SiteSettings, respond
from federation.plan import Plan, PlannedView
from tests.federation.wire import live

from . import making
from .making import HOUR, HOURLY, answered, events, hours, settings_in
from .test_retries import freed, naming

H = 1 / 24
OWN = [("p", 1 * H, "x"), ("q", 1 * H, "y"), ("p", 2 * H, "y")]
LATE = [("q", 1.5 * H, "x"), ("r", 1.1 * H, "y"), ("p", 2.2 * H, "x")]
VIEW = HOURLY.name


@pytest.fixture(params=["opened each time", "kept open"])
def settings(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SiteSettings]:
    with closing(KeptOpen()) as kept:
        if request.param == "kept open":
            monkeypatch.setattr(making, "respond", partial(respond, ledgers=kept))
        yield settings_in(tmp_path)


def of(*rows: tuple[str, float, str]) -> Events:
    return events(*rows)


def late(settings: SiteSettings) -> dict[str, int]:
    return read_late_events(settings.ledger, "a")


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [one.getMessage() for one in caplog.records if "came after their pane" in one.getMessage()]
    caplog.clear()
    return found


def test_late_events_of_reported_panes_are_found_at_the_next_answer_and_said_once(
    settings: SiteSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "covey.site")
    answered(hours(0, 1, 2), of(*OWN), settings)
    assert (late(settings), logged(caplog)) == ({}, [])
    answered(hours(1, 3), of(*OWN, ("s", 3 * H, "x"), *LATE), settings)
    assert late(settings) == {VIEW: 3}
    (line,) = logged(caplog)
    assert f"view {VIEW}: 3 event(s) came after their pane was reported, in 2 pane(s) from 1970-01-01T01:00" in line
    answered(hours(2, 4), of(*OWN, ("s", 3 * H, "x"), *LATE), settings)
    assert (late(settings), logged(caplog)) == ({VIEW: 3}, [])
    answered(hours(3, 5), of(*OWN, ("s", 3 * H, "x"), ("s", 3.5 * H, "x"), *LATE), settings)
    assert late(settings) == {VIEW: 4}
    assert "1 event(s) came after their pane was reported, in 1 pane(s)" in logged(caplog)[0]


def test_events_that_leave_the_file_are_not_late_and_what_was_late_stays_counted(settings: SiteSettings) -> None:
    answered(hours(0, 1, 2), of(*OWN), settings)
    answered(hours(1, 3), of(*OWN, *LATE), settings)
    answered(hours(2, 4), of(("p", 4 * H, "x")), settings)
    assert late(settings) == {VIEW: 3}


def test_a_repeated_answer_and_a_later_attempt_at_the_same_panes(settings: SiteSettings) -> None:
    """A repeat reports the same events as before. A later attempt is a new report, with the events of its time."""
    first = hours(0, 1)
    answered(first, of(*OWN), settings)
    answered(first, of(*OWN, *LATE), settings)
    assert late(settings) == {}
    second: Plan = naming(hours(1, 1), freed(first))
    answered(second, of(*OWN, *LATE), settings)
    answered(hours(2, 3), of(*OWN, *LATE), settings)
    assert late(settings) == {}
    answered(hours(3, 4), of(*OWN, *LATE, ("p", 1.2 * H, "x")), settings)
    assert late(settings) == {VIEW: 1}


def test_events_that_came_before_a_repeated_answer_are_found_at_the_next_plan(settings: SiteSettings) -> None:
    first = hours(0, 1)
    answered(first, of(*OWN), settings)
    answered(first, of(*OWN, *LATE), settings)
    answered(hours(1, 3), of(*OWN, *LATE), settings)
    assert late(settings) == {VIEW: 2}


def test_a_ledger_that_stays_open_looks_up_only_panes_whose_events_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[list[int]] = []
    reported = late_events._reported

    def noted(db: Any, state: Any, plan: bytes, collection: bytes, among: Any) -> Any:
        looked_up.append((among // HOUR).tolist())
        return reported(db, state, plan, collection, among)

    monkeypatch.setattr(late_events, "_reported", noted)
    with closing(KeptOpen()) as kept:
        monkeypatch.setattr(making, "respond", partial(respond, ledgers=kept))
        own = [("p", hour * H, "x") for hour in range(8)]
        for hour in range(1, 4):
            answered(hours(hour, hour), of(*own), settings_in(tmp_path))
        answered(hours(4, 4), of(*own, ("q", 1.5 * H, "y"), ("p", 8 * H, "x")), settings_in(tmp_path))
    assert looked_up == [list(range(8)), [1], [2], [1, 3, 8]]
    assert late(settings_in(tmp_path)) == {VIEW: 1}


def test_a_ledger_from_before_the_counts_finds_nothing_late(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    answered(hours(0, 1), of(*OWN), settings)
    with sqlite3.connect(settings.ledger) as db:
        db.execute("DROP TABLE seen_events")
    db.close()
    answered(hours(1, 3), of(*OWN, *LATE), settings)
    assert late(settings) == {}


def test_each_view_has_its_own_late_events(settings: SiteSettings) -> None:
    """A plan of two views: the second one takes a pane that only it has reported."""
    other = replace(HOURLY, name="g", privacy=replace(HOURLY.privacy, rho=0.25))

    def both(number: int, *starts: tuple[int, ...]) -> Plan:
        views = zip((replace(other, name="f"), other), starts, strict=True)
        planned = tuple(PlannedView(view, np.array(at, np.int64) * HOUR, 2) for view, at in views)
        return live(replace(hours(number, 1), views=planned))

    answered(both(0, (1,), (1, 2)), of(*OWN), settings)
    answered(both(1, (3,), (3,)), of(*OWN, *LATE), settings)
    assert late(settings) == {"f": 2, "g": 3}
