"""A site forgets the reports of old plans: nobody repeats them, and nothing that they limit changes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest

from edge_client import old_reports
from edge_client.old_reports import KEPT_US
from edge_client.policy import Refuse
from edge_client.site import SiteSettings, respond
from federation.plan import Plan
from federation.refusal_codes import RefusalCode
from tests.aggregator.world import NOW
from tests.federation.wire import DAY, live

from .making import HOUR, answered, ask, events, hours, ids_of, settings_in, sign
from .test_ledger import BOUND, Told, drawn, plain_reports, until
from .test_retries import RHO, code_of, freed, naming, spent

OWN = events(*(("p", hour / 24, "x") for hour in range(6)), *(("p", day, "x") for day in (98, 99)))
LATER = NOW + KEPT_US + DAY


@pytest.fixture
def settings(tmp_path: Path) -> SiteSettings:
    return settings_in(tmp_path)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return plain_reports(monkeypatch)


def due_at(plan: Plan, deadline_us: int) -> Plan:
    assert plan.wire is not None
    return live(replace(plan, wire=replace(plan.wire, deadline_us=deadline_us)))


def later(plan: Plan) -> Plan:
    """The plan of a coordinator that makes it long afterwards."""
    return due_at(plan, LATER + DAY)


def with_reports(settings: SiteSettings) -> int:
    with closing(sqlite3.connect(settings.ledger)) as db:
        (count,) = db.execute("SELECT count(DISTINCT plan) FROM reports").fetchone()
    return int(count)


def test_old_reports_are_forgotten_with_the_next_answer_and_their_cells_count_on(
    settings: SiteSettings, told: Told
) -> None:
    answered(hours(0, 0), OWN, settings)
    answered(hours(1, 99 * 24), OWN, settings)
    assert with_reports(settings) == 2
    answered(later(hours(2, 1)), OWN, settings, now=LATER)
    assert with_reports(settings) == 1
    told.clear()
    answered(later(hours(3, 2)), OWN, settings, now=LATER)
    assert not any(sum(slots) for _, slots in told)  # p has used its two cells of the day
    assert spent(settings) == {0: RHO, 99: RHO}


def test_reports_are_kept_until_their_time(settings: SiteSettings) -> None:
    answered(hours(0, 0), OWN, settings)
    answered(later(hours(1, 1)), OWN, settings, now=NOW + KEPT_US - 1)
    assert with_reports(settings) == 2
    answered(later(hours(2, 2)), OWN, settings, now=NOW + KEPT_US)
    assert with_reports(settings) == 2


def test_the_panes_of_a_forgotten_answer_are_closed_for_later_attempts(settings: SiteSettings) -> None:
    first = hours(0, 0, 1)
    answered(first, OWN, settings)
    answered(later(hours(1, 5)), OWN, settings, now=LATER)
    again = later(naming(hours(2, 1, 2), freed(first)))
    assert code_of(ask(again, OWN, settings, now=LATER)) == RefusalCode.PANE_ALREADY_REPORTED
    assert spent(settings) == {0: RHO}
    answered(later(naming(hours(3, 3), freed(first))), OWN, settings, now=LATER)  # it takes no pane of the first


def test_a_plan_that_lives_for_months_is_not_repeated_from_a_forgotten_answer(tmp_path: Path) -> None:
    policy = replace(settings_in(tmp_path).policy, max_plan_hours=24 * 365)
    settings = replace(settings_in(tmp_path), policy=policy)
    long = due_at(hours(0, 0), LATER + DAY)
    answered(long, OWN, settings)
    answered(long, OWN, settings, now=NOW + DAY)
    answered(later(hours(1, 1)), OWN, settings, now=LATER)
    assert code_of(ask(long, OWN, settings, now=LATER)) == RefusalCode.PANE_ALREADY_REPORTED


def test_a_plan_of_which_panes_were_taken_again_keeps_its_reports(settings: SiteSettings, told: Told) -> None:
    """They say which of its cells have returned: those of the panes that a later plan has."""
    first = hours(0, 0, 1)
    answered(first, OWN, settings)
    answered(naming(hours(1, 1), freed(first)), OWN, settings)
    one = later(hours(2, 5))
    answered(one, OWN, settings, now=LATER)
    assert with_reports(settings) == 2  # those of `first` and of `one`
    told.clear()
    answered(later(naming(hours(3, 5), freed(one))), OWN, settings, now=LATER)  # it reads every answer of the day
    assert not any(sum(slots) for _, slots in told)  # p has used its two cells of the day


def test_reports_that_are_missing_before_their_time_are_noticed(settings: SiteSettings) -> None:
    first = hours(0, 0)
    answered(first, OWN, settings)
    with closing(sqlite3.connect(settings.ledger)) as db:
        db.execute("DELETE FROM reports")
        db.commit()
    assert code_of(ask(first, OWN, settings)) == RefusalCode.LEDGER_BROKEN
    assert code_of(ask(naming(hours(1, 0), freed(first)), OWN, settings)) == RefusalCode.LEDGER_BROKEN


@pytest.mark.parametrize("before", range(1, 4))
def test_a_clock_that_jumps_ahead_during_an_answer_forgets_nothing(settings: SiteSettings, before: int) -> None:
    answered(hours(0, 0), OWN, settings)
    times = chain([NOW] * before, repeat(LATER))
    answer = respond(sign(hours(1, 1)), settings, lambda _: OWN, lambda: next(times), np.random.default_rng(0).bytes)
    assert not isinstance(answer, Refuse)
    assert with_reports(settings) == 2
    assert next(times) == LATER


def test_what_is_forgotten_leaves_the_file(settings: SiteSettings) -> None:
    ((_, ident),) = ids_of(answered(hours(0, 0), OWN, settings))
    assert ident in settings.ledger.read_bytes()
    answered(later(hours(1, 1)), OWN, settings, seed=1, now=LATER)
    assert ident not in settings.ledger.read_bytes()


def test_each_answer_forgets_a_few_and_goes_on_after_a_restart(
    settings: SiteSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_reports, "_AT_ONCE", 3)
    for hour in range(6):
        answered(hours(hour, hour), OWN, settings)
    kept = []
    for number, hour in enumerate(range(6, 9)):
        answered(later(hours(10 + number, hour)), OWN, settings, now=LATER)
        kept.append(with_reports(settings))
    assert kept == [4, 2, 3]


def test_a_day_that_is_answered_over_half_a_year_gives_what_a_day_of_one_week_gives(tmp_path: Path, told: Told) -> None:
    order, found = np.random.default_rng(0).permutation(12).tolist(), []
    for name, step in (("slow", KEPT_US // 4), ("quick", DAY // 24)):
        (tmp_path / name).mkdir()
        site = settings_in(tmp_path / name, clients=12)
        told.clear()
        for number, hour in enumerate(order):
            now = NOW + number * step
            plan = due_at(hours(number, hour, view=BOUND), now + DAY)
            answered(plan, until(drawn(0), 48 * HOUR), site, now=now)
        found.append(list(told))
        assert with_reports(site) == (4 if name == "slow" else 12)
    assert found[0] == found[1]
