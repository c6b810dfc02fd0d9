"""A site answers a later plan for panes that were not opened: the same clients, the whole bounds, one price."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from edge_client.client_names import client_names
from edge_client.policy import Refuse
from edge_client.site import SiteSettings
from federation.attempt import MAX_ATTEMPTS, Attempt
from federation.commitment import Commitment, Outcome
from federation.ledger import ledger as ledger_file
from federation.ledger.snapshot import read_ledger
from federation.plan import Plan
from federation.refusal_codes import RefusalCode
from federation.statement import statement_of
from federation.unopened import sign_never_opened
from tests.federation.wire import COORDINATOR, HELPER, LEADER, live
from tests.ledgers import spent_of

from .making import HOUR, HOURLY, POLICY, answered, ask, events, hours, ids_of, settings_in
from .test_ledger import BOUND, Told, drawn, plain_reports, until

RHO = 500_000
ROLES = (("leader", LEADER), ("helper", HELPER))


@pytest.fixture
def settings(tmp_path: Path) -> SiteSettings:
    return settings_in(tmp_path)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return plain_reports(monkeypatch)


def freed(plan: Plan) -> Attempt:
    return Attempt(plan.hash, tuple(sign_never_opened(role, plan.hash, keys.sign) for role, keys in ROLES))  # type: ignore[arg-type]


def opened(plan: Plan, *outcomes: int, keys: Sequence[Any] = (LEADER, HELPER)) -> Attempt:
    """Both opening statements, which name an outcome for each pane of the only view."""
    none = Commitment((0,) * plan.offsets[-1], (bytes(32),) * plan.offsets[-1])
    said = (statement_of(plan, 0, role, bytes(outcomes), none, bytes(32)) for role, _ in ROLES)  # type: ignore[arg-type]
    return Attempt(plan.hash, tuple(one.sign(key.sign) for one, key in zip(said, keys, strict=True)))


def naming(plan: Plan, *earlier: Attempt) -> Plan:
    return live(replace(plan, earlier=tuple(sorted(earlier, key=lambda one: one.plan_hash))))


def spent(settings: SiteSettings) -> dict[int, int]:
    return spent_of(read_ledger(settings.ledger, "site-a").state)


def code_of(found: Any) -> RefusalCode:
    assert isinstance(found, Refuse), found
    return found.code


OWN = events(("p", 1 / 24, "x"), ("q", 1 / 24, "y"), ("p", 2 / 24, "y"))


def test_a_freed_plan_is_answered_again_under_fresh_ids_for_one_price(settings: SiteSettings, told: Told) -> None:
    first = hours(0, 1, 2)
    before = ids_of(answered(first, OWN, settings))
    of_first, told[:] = Counter(told), []
    assert code_of(ask(hours(1, 1, 2), OWN, settings)) == RefusalCode.PANE_ALREADY_REPORTED
    second = naming(hours(1, 1, 2), freed(first))
    after = ids_of(answered(second, OWN, settings, seed=5))
    assert Counter(told) == of_first
    assert not {one for _, one in before} & {one for _, one in after}
    assert spent(settings) == {0: RHO}
    assert ids_of(answered(second, OWN, settings, seed=6)) == after  # a repeat is a repeat
    assert code_of(ask(first, OWN, settings)) == RefusalCode.PANE_ALREADY_REPORTED
    assert spent(settings) == {0: RHO}


class Killed(BaseException):
    """The process ends here."""


class Writes:
    """Counts the writes of a site's ledger, and ends the process around one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done, self.fatal = 0, 0
        writes = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> Any:
                return writes.around(lambda: sqlite3.Connection.execute(self, sql, *values), sql)

            def executemany(self, sql: str, *rows: Any) -> Any:
                return writes.around(lambda: sqlite3.Connection.executemany(self, sql, *rows), sql)

        connect, replace_file = ledger_file.connect, ledger_file.replace_file
        monkeypatch.setattr(ledger_file, "connect", partial(connect, factory=Connection))
        monkeypatch.setattr(
            ledger_file, "replace_file", lambda *of, **more: writes.around(lambda: replace_file(*of, **more), "COMMIT")
        )

    def around(self, call: Callable[[], Any], sql: str) -> Any:
        if not sql.startswith(("INSERT", "COMMIT")):
            return call()
        self._strike()
        found = call()
        if sql == "COMMIT":
            self._strike()
        return found

    def _strike(self) -> None:
        self.done += 1
        if self.done == self.fatal:
            raise Killed


@pytest.mark.parametrize("carried", [True, False])
def test_a_kill_around_any_write_of_a_later_answer_loses_nothing_and_charges_once(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch, carried: bool
) -> None:
    first, kept = hours(0, 1, 2), tmp_path / "kept"
    kept.mkdir()
    before = ids_of(answered(first, OWN, settings_in(kept)))
    of_first, writes = Counter(told), Writes(monkeypatch)
    attempt = freed(first) if carried else Attempt(first.hash)
    second = naming(hours(1, 1, 2), attempt)
    for fatal in itertools.count(1):
        folder = tmp_path / str(fatal)
        shutil.copytree(kept, folder)
        settings = settings_in(folder)
        writes.done, writes.fatal = 0, fatal
        try:
            answered(second, OWN, settings, seed=1)
        except Killed:
            told.clear()
            after = ids_of(answered(second, OWN, settings, seed=2))
            assert Counter(told) == of_first
            assert not {one for _, one in before} & {one for _, one in after}
            assert code_of(ask(first, OWN, settings)) == RefusalCode.PANE_ALREADY_REPORTED
            assert spent(settings) == {0: RHO if carried else 2 * RHO}
        else:
            break
    assert fatal > 15


def test_a_later_attempt_sends_its_reports_in_another_order(settings: SiteSettings, told: Told) -> None:
    own = events(*((f"client-{number:02d}", 1 / 24, "xy"[number % 2]) for number in range(10)))
    first = hours(0, 1)
    answered(first, own, settings)
    before, told[:] = list(told), []
    orders = set()
    for number, plan in enumerate((naming(hours(1, 1), freed(first)),) * 3):
        answered(plan, own, settings, seed=number)
        assert Counter(told) == Counter(before)
        orders.add(tuple(told))
        told.clear()
    assert tuple(before) not in orders
    assert len(orders) == 3


@pytest.mark.parametrize("which", ["none", "one", "of other keys"])
def test_without_both_statements_the_day_is_paid_again(settings: SiteSettings, told: Told, which: str) -> None:
    first = hours(0, 1, 2)
    answered(first, OWN, settings)
    statements = {
        "none": (),
        "one": freed(first).statements[:1],
        "of other keys": tuple(sign_never_opened(role, first.hash, COORDINATOR.sign) for role, _ in ROLES),  # type: ignore[arg-type]
    }[which]
    before, told[:] = Counter(told), []
    answered(naming(hours(1, 1, 2), Attempt(first.hash, statements)), OWN, settings)
    assert Counter(told) == before
    assert spent(settings) == {0: 2 * RHO}
    answered(hours(2, 5), events(("q", 5 / 24, "x")), settings)  # other panes of the day cost nothing more
    assert spent(settings) == {0: 2 * RHO}
    lost = naming(hours(3, 1, 2), Attempt(first.hash, ()))
    assert code_of(ask(lost, OWN, settings)) == RefusalCode.PANE_ALREADY_REPORTED  # the second attempt holds them


def test_a_day_without_budget_is_not_paid_again(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, replace(POLICY, max_micro_rho=RHO))
    first = hours(0, 1)
    answered(first, OWN, settings)
    assert code_of(ask(naming(hours(1, 1), Attempt(first.hash)), OWN, settings)) == RefusalCode.DAY_BUDGET_SPENT
    answered(naming(hours(2, 1), freed(first)), OWN, settings)
    assert spent(settings) == {0: RHO}


def test_only_the_panes_that_both_call_unopened_are_free(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, replace(POLICY, max_micro_rho=10 * RHO))
    first = hours(0, 1, 2, 3)
    answered(first, OWN, settings)
    small, mine = Outcome.BATCH_TOO_SMALL, Outcome.OPENED
    said = opened(first, mine, small, small)
    answered(naming(hours(1, 2), said), OWN, settings)
    assert spent(settings) == {0: RHO}
    answered(naming(hours(2, 3), opened(first, mine, small, small, keys=(LEADER, LEADER))), OWN, settings)
    assert spent(settings) == {0: 2 * RHO}  # the helper has said nothing
    answered(naming(hours(3, 1), said), OWN, settings)
    assert spent(settings) == {0: 3 * RHO}  # it was opened before, so it is paid again


def test_cells_of_freed_panes_return_and_those_of_opened_panes_do_not(settings: SiteSettings, told: Told) -> None:
    own = events(*(("p", hour / 24, "x") for hour in (1, 2, 3, 4)))  # two cells a day
    first = hours(0, 1, 2)
    answered(first, own, settings)
    told.clear()
    second = naming(hours(1, 2, 3), opened(first, Outcome.OPENED, Outcome.BATCH_TOO_SMALL))
    answered(second, own, settings)
    assert told == [(2 * HOUR, (1, 0))]  # pane 1 has used one cell, so one is left
    told.clear()
    third = naming(hours(2, 3, 4), freed(second))
    answered(third, own, settings)
    assert told == []  # pane 2 is still the second plan's, and used the last cell
    answered(naming(hours(3, 2), freed(second)), own, settings)
    assert told == [(2 * HOUR, (1, 0))]


def test_a_plan_of_a_whole_day_that_opened_some_panes_leaves_the_rest_of_the_bounds(
    settings: SiteSettings, told: Told
) -> None:
    own = events(*(("p", hour / 24, "x") for hour in (1, 2, 3, 4)))
    first = hours(0, *range(24))
    answered(first, own, settings)
    assert told == [(HOUR, (1, 0)), (2 * HOUR, (1, 0))]
    told.clear()
    said = opened(first, *(Outcome.OPENED if hour == 1 else Outcome.BATCH_TOO_SMALL for hour in range(24)))
    answered(naming(hours(1, 2, 3, 4), said), own, settings)
    assert told == [(2 * HOUR, (1, 0))]


def test_under_active_no_client_joins_a_later_attempt(settings: SiteSettings, told: Told) -> None:
    first = hours(0, 1, 2)
    answered(first, OWN, settings)
    told.clear()
    late = events(("p", 1 / 24, "x"), ("late", 1 / 24, "x"), ("q", 1 / 24, "y"), ("p", 2 / 24, "y"), ("q", 2 / 24, "x"))
    second = naming(hours(1, 1, 2), freed(first))
    answered(second, late, settings)
    assert sorted(pane for pane, _ in told) == [HOUR, HOUR, 2 * HOUR]
    told.clear()
    answered(naming(hours(2, 1, 2), freed(second)), late, settings)
    assert sorted(pane for pane, _ in told) == [HOUR, HOUR, 2 * HOUR]


def test_a_first_attempt_of_all_clients_lets_no_client_join_between_two_attempts_of_active_ones(
    settings: SiteSettings, told: Told
) -> None:
    before = [("p", 1 / 24, "x"), ("q", 1 / 24, "y"), ("late", 5 / 24, "x")]
    first = hours(0, 1, participation="all")
    answered(first, events(*before), settings)
    second = naming(hours(1, 1), freed(first))
    told.clear()
    answered(second, events(*before), settings)
    assert len(told) == 2
    told.clear()
    answered(naming(hours(2, 1), freed(second)), events(*before, ("late", 1 / 24, "x")), settings)
    assert len(told) == 2


def test_a_site_that_was_away_at_the_first_attempt_reports_at_the_second(settings: SiteSettings) -> None:
    first = hours(0, 1, 2)
    second = naming(hours(1, 1, 2), freed(first))
    assert len(ids_of(answered(second, OWN, settings))) == 3
    assert spent(settings) == {0: RHO}


def test_a_pane_is_answered_so_often_and_no_more(settings: SiteSettings) -> None:
    plan = hours(0, 1)
    for number in range(1, MAX_ATTEMPTS + 1):
        answered(plan, OWN, settings)
        plan = naming(hours(number, 1), freed(plan))
    assert code_of(ask(plan, OWN, settings)) == RefusalCode.ATTEMPTS_SPENT


@pytest.mark.parametrize("participation", ["active", "all"])
@pytest.mark.parametrize("seed", range(3))
def test_hours_in_any_order_with_freed_attempts_between_them_give_what_a_backfill_gives(
    tmp_path: Path, told: Told, seed: int, participation: str
) -> None:
    """What the opened plans hold equals one plan of two days, whatever was freed before."""
    table, rng = drawn(seed), np.random.default_rng(seed)
    (tmp_path / "stream").mkdir()
    (tmp_path / "backfill").mkdir()
    stream, kept, number, at = settings_in(tmp_path / "stream", clients=12), Counter[Any](), 0, 0
    while at < 48:
        these, earlier = range(at, min(at + int(rng.integers(1, 6)), 48)), ()
        for attempt in range(int(rng.integers(1, 4))):
            plan = naming(hours(number, *these, view=BOUND, participation=participation), *earlier)
            told.clear()
            answered(plan, until(table, these.stop * HOUR), stream)
            number, earlier = number + 1, (freed(plan),)
            assert attempt < 3
        kept += Counter(told)
        at = these.stop
    told.clear()
    whole = hours(99, *range(48), view=BOUND, participation=participation)
    answered(whole, until(table, 48 * HOUR), settings_in(tmp_path / "backfill", clients=12))
    assert kept == Counter(told)
    assert spent_of(read_ledger(stream.ledger, "site-a").state) == {0: RHO, 1: RHO}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("active_hours", [2, 8])
def test_hours_in_a_shuffled_order_with_freed_attempts_fill_the_bounds_and_no_more(
    settings: SiteSettings, told: Told, seed: int, active_hours: int
) -> None:
    """What the opened plans hold: all events where the bounds do not bind; else `max_cells` cells, whichever come first."""
    rng, number, kept = np.random.default_rng(seed), 0, list[Any]()
    own = events(*(("p", hour / 24, "x") for hour in range(active_hours)))
    for hour in rng.permutation(8).tolist():
        earlier: tuple[Attempt, ...] = ()
        for _ in range(int(rng.integers(1, MAX_ATTEMPTS + 1))):
            told.clear()
            plan = naming(hours(number, hour), *earlier)
            answered(plan, own, settings)
            number, earlier = number + 1, (freed(plan),)
        kept += told
    assert [vector for _, vector in kept] == [(1, 0)] * HOURLY.bounds.max_cells
    if active_hours == HOURLY.bounds.max_cells:
        assert {pane // HOUR for pane, _ in kept} == {0, 1}
    assert spent(settings) == {0: RHO}


def test_a_client_has_one_name_whatever_the_type_of_its_id() -> None:
    assert client_names(pa.array([7, 8])) == client_names(pa.array(["7", "8"]))
    assert len(set(client_names(pa.array(["7", "07", "007", " 7"])))) == 4
    both = pa.StructArray.from_arrays([pa.array(["1", "11"]), pa.array(["11", "1"])], ["site", "client"])
    assert len(set(client_names(both))) == 2
