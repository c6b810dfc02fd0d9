"""Runs in one process: their charges, how they continue after a cut, and the reports under `all`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from base.times import DAY_US
from deployment.errors import RunRefused
from deployment.in_process import run as in_process
from featurestore.define.definitions import FeatureView
from featurestore.define.privacy import Privacy
from featurestore.define.views_file import load_views
from featurestore.define.wire import collection_hash
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from federation.errors import DayBudgetSpent, LedgerBroken, LedgersApart, PaneTaken
from federation.ledger.entries import IN_PROCESS
from federation.ledger.operator import (
    LEDGERS,
    OPERATOR,
    charged_plans,
    open_operator_ledger,
    operator_path,
    require_room,
)
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import Budget, LedgerState
from federation.plan import Plan, PlannedView
from tests.covey.conftest import VIEWS, make_events
from tests.federation.words import plan_in_words
from tests.ledgers import spent_of
from tests.pipeline import LATER

from .test_in_process import published, run

ONE = Budget(1_000_000)  # both views: 0.5 ρ each
MAY = 18_383  # 2020-05-01, the first of three days


@pytest.fixture
def views(tmp_path: Path) -> Sequence[FeatureView]:
    (tmp_path / "views.py").write_text(VIEWS)
    return load_views(tmp_path / "views.py")


def state_of(directory: Path) -> LedgerState:
    return read_ledger(operator_path(directory / LEDGERS), OPERATOR, IN_PROCESS).state


class Cut(BaseException):
    """The run is killed here."""


def cut_at(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, *, after: int = 0) -> None:
    """Let a function run this many times; the run ends after the last one."""
    real, calls = getattr(where, name), [0]

    def stop(*arguments: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] > after:
            raise Cut
        return real(*arguments, **more)

    monkeypatch.setattr(where, name, stop)


def test_a_run_charges_each_day_once_and_every_release_is_of_a_plan_in_the_ledger(
    views: Sequence[FeatureView], tmp_path: Path
) -> None:
    run(views, tmp_path, budget=ONE)
    run(views, tmp_path, budget=ONE)
    state = state_of(tmp_path)
    assert spent_of(state) == dict.fromkeys(range(MAY, MAY + 3), 1_000_000)
    assert set(state.completed) == set(state.intended)
    with Store.open(tmp_path) as store:
        hashes = {row["manifest"].split('"plan_hash":"')[1][:64] for row in store.releases("visits").to_pylist()}
    assert hashes <= {plan.hex() for plan in state.completed}


def test_over_budget_nothing_is_computed_charged_or_registered(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_process, "compute", lambda *_, **__: pytest.fail("computed"))
    with pytest.raises(DayBudgetSpent) as refused:
        run(views, tmp_path, budget=Budget(999_999))
    assert (refused.value.view, refused.value.day, refused.value.have) == ("everywhere", MAY, 499_999)
    state = state_of(tmp_path)
    assert (spent_of(state), [one.code for one in state.refused]) == ({}, ["DAY_BUDGET_SPENT"])
    monkeypatch.undo()
    cheaper = [replace(view, privacy=Privacy(rho=0.1, min_clients=5)) for view in views]
    run(cheaper, tmp_path, budget=Budget(999_999))  # the refused view did not take the name


def test_a_later_run_finds_what_an_earlier_one_has_spent(views: Sequence[FeatureView], tmp_path: Path) -> None:
    run(views[:1], tmp_path, budget=Budget(999_999))
    with pytest.raises(DayBudgetSpent):
        run(views, tmp_path, budget=Budget(999_999))
    run(views, tmp_path, budget=ONE)


def test_what_was_spent_over_the_wire_counts(views: Sequence[FeatureView], tmp_path: Path) -> None:
    plan = plan_in_words(bytes(16), (PlannedView(views[0], np.array([MAY * DAY_US]), 5),), "full")
    with open_operator_ledger(tmp_path / LEDGERS, "leader", lambda: LATER) as leader:
        leader.intend(plan, ONE)
    with pytest.raises(DayBudgetSpent) as refused:
        run(views[1:], tmp_path, budget=Budget(999_999))
    assert (refused.value.day, refused.value.have) == (MAY, 499_999)
    run(views[1:], tmp_path, budget=ONE)


def test_a_run_of_another_collection_of_a_view_pays_for_the_day_again(
    views: Sequence[FeatureView], tmp_path: Path
) -> None:
    plan = plan_in_words(bytes(16), (PlannedView(views[1], np.array([MAY * DAY_US]), 5),), "full")
    with open_operator_ledger(tmp_path / LEDGERS, "leader", lambda: LATER) as leader:
        leader.intend(plan, ONE)
    changed = replace(views[1], privacy=Privacy(rho=0.25, min_clients=5))
    with pytest.raises(DayBudgetSpent) as refused:
        run([changed], tmp_path, budget=Budget(749_999))
    assert (refused.value.day, refused.value.have, refused.value.need) == (MAY, 249_999, 250_000)
    for _ in range(2):
        run([changed], tmp_path, budget=ONE)
    assert spent_of(state_of(tmp_path)) == {MAY: 750_000, MAY + 1: 250_000, MAY + 2: 250_000}


@pytest.mark.parametrize("role", ["leader", "helper"])
def test_panes_that_an_aggregator_has_taken_are_not_opened_in_one_process(
    views: Sequence[FeatureView], tmp_path: Path, role: str
) -> None:
    """A run over the wire was cut off before it published. Its panes are opened under its plan, or never."""
    plan = plan_in_words(bytes(16), (PlannedView(views[0], np.array([MAY * DAY_US]), 5),), "full")
    with open_operator_ledger(tmp_path / LEDGERS, role, lambda: LATER) as ledger:
        ledger.intend(plan, ONE)
    with pytest.raises(PaneTaken):
        run(views[:1], tmp_path, budget=ONE)  # the budget covers both
    assert spent_of(state_of(tmp_path)) == {MAY: 500_000}
    assert [one.code for one in state_of(tmp_path).refused] == ["PANE_ALREADY_REPORTED"]


def test_a_ledger_that_was_deleted_has_not_spent_nothing(views: Sequence[FeatureView], tmp_path: Path) -> None:
    plan = plan_in_words(bytes(16), (PlannedView(views[0], np.array([MAY * DAY_US]), 5),), "full")
    with open_operator_ledger(tmp_path / LEDGERS, "leader", lambda: LATER) as leader:
        leader.intend(plan, ONE)
    operator_path(tmp_path / LEDGERS).unlink()
    with pytest.raises(LedgerBroken):
        run(views[1:], tmp_path, budget=ONE)
    with pytest.raises(LedgerBroken):
        require_room(tmp_path / LEDGERS, plan, ONE, LATER)


@pytest.mark.parametrize("role", ["leader", "helper", "keyholder", "in-process"])
@pytest.mark.parametrize("suffix", ["", ".head"])
def test_a_ledger_of_one_role_is_refused_by_name_with_the_mend(
    views: Sequence[FeatureView], tmp_path: Path, role: str, suffix: str
) -> None:
    """The operator's ledger does not contain this role's charges, so nothing is charged beside it."""
    (tmp_path / LEDGERS).mkdir()
    apart = tmp_path / LEDGERS / f"{role}.db"
    apart.with_name(apart.name + suffix).write_bytes(b"")
    with pytest.raises(LedgersApart, match=rf"{role}\.db is the ledger of a single role.*Start with new keys"):
        run(views, tmp_path, budget=ONE)
    with pytest.raises(LedgersApart):
        charged_plans(tmp_path / LEDGERS)
    assert not operator_path(tmp_path / LEDGERS).exists()


class TestRoomForARunOverTheWire:
    def plan(self, view: FeatureView, day: int = MAY) -> Plan:
        panes = np.arange(day * DAY_US, (day + 1) * DAY_US, view.pane_us)
        return plan_in_words(bytes([1]) * 16, (PlannedView(view, panes, 5),), "full")

    def test_of_a_store_without_ledgers_only_the_budget_is_asked(
        self, views: Sequence[FeatureView], tmp_path: Path
    ) -> None:
        require_room(tmp_path / LEDGERS, self.plan(views[0]), Budget(500_000), LATER)
        with pytest.raises(DayBudgetSpent):
            require_room(tmp_path / LEDGERS, self.plan(views[0]), Budget(499_999), LATER)
        assert list(tmp_path.glob("ledgers*")) == []

    def test_what_was_spent_in_one_process_counts_and_its_panes_are_taken(
        self, views: Sequence[FeatureView], tmp_path: Path
    ) -> None:
        run(views[:1], tmp_path, budget=ONE)
        with pytest.raises(PaneTaken):
            require_room(tmp_path / LEDGERS, self.plan(views[0]), Budget(10**9), LATER)
        with pytest.raises(DayBudgetSpent) as refused:
            require_room(tmp_path / LEDGERS, self.plan(views[1]), Budget(999_999), LATER)
        assert refused.value.have == 499_999
        require_room(tmp_path / LEDGERS, self.plan(views[1], MAY + 9), Budget(500_000), LATER)

    def test_what_the_helper_was_charged_for_counts_too(self, views: Sequence[FeatureView], tmp_path: Path) -> None:
        with open_operator_ledger(tmp_path / LEDGERS, "helper", lambda: LATER) as helper:
            helper.intend(self.plan(views[0]), ONE)
        with pytest.raises(DayBudgetSpent):
            require_room(tmp_path / LEDGERS, self.plan(views[1]), Budget(999_999), LATER)


@pytest.mark.parametrize("where", ["compute", "run_collections", "publish", "published"])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_run_that_was_cut_off_goes_on_with_its_own_plans(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, after: int
) -> None:
    """The run dies before it computes, draws noise, publishes, or notes the publication. Nothing is opened twice."""
    monkeypatch.setattr(in_process, "CHUNK_ELEMENTS", 1)  # a plan a day
    home = {"publish": Publisher, "published": in_process.RunLedger}.get(where, in_process)
    run(views, tmp_path / "whole", budget=ONE)
    with monkeypatch.context() as patched:
        cut_at(patched, home, where, after=after)
        try:
            run(views, tmp_path / "cut", budget=ONE)
            assert (where, after) == ("compute", 2)  # there are two views
        except Cut:
            waiting = state_of(tmp_path / "cut")
            assert set(waiting.intended) - set(waiting.completed)
    run(views, tmp_path / "cut", budget=ONE, seed=1)
    state = state_of(tmp_path / "cut")
    assert spent_of(state) == dict.fromkeys(range(MAY, MAY + 3), 1_000_000)
    assert set(state.completed) == set(state.intended)
    assert len(state.intended) == 6  # no new plan was made
    for view in views:
        assert published(tmp_path / "cut", view.name) == published(tmp_path / "whole", view.name)
        assert len(state.plans_of_day(collection_hash(view), MAY)) == 1  # each pane of the day under one plan
    with sqlite3.connect(operator_path(tmp_path / "cut" / LEDGERS)) as db:
        assert db.execute("SELECT count(*) FROM plans").fetchone() == (0,)
    db.close()


@pytest.mark.parametrize(
    "changes",
    [{"noise_seed": 3}, {"min_clients": 7}, {"participation": "all", "site_clients": 40}, {"validity": "prio3"}],
)
def test_a_run_that_was_cut_off_is_not_continued_on_other_terms(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    with monkeypatch.context() as patched:
        cut_at(patched, in_process, "compute")
        with pytest.raises(Cut):
            run(views, tmp_path, days=(MAY, MAY + 2))
    mend = "2020-05-01 … 2020-05-02 was interrupted.*noise off, validity none, participation active, min_clients 5,.*leave these"
    with pytest.raises(RunRefused, match=mend):
        run(views, tmp_path, **changes)
    run(views, tmp_path, days=(MAY + 2, MAY + 3), **changes)  # other days are free
    run(views, tmp_path)
    assert len(state_of(tmp_path).completed) == 4


def test_a_plan_that_was_kept_and_edited_is_noticed(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        cut_at(patched, in_process, "compute")
        with pytest.raises(Cut):
            run(views, tmp_path)
    with sqlite3.connect(operator_path(tmp_path / LEDGERS)) as db:
        db.execute("UPDATE plans SET bytes = substr(bytes, 2)")
    db.close()
    with pytest.raises(LedgerBroken, match="are missing or changed"):
        run(views, tmp_path)


class TestAll:
    def test_every_enrolled_client_of_every_site_reports_every_pane_and_the_values_are_the_same(
        self, views: Sequence[FeatureView], tmp_path: Path
    ) -> None:
        """The declared number of clients reports, whoever has events.

        Only the part of the plan that follows from events is an outside claim.
        """
        table = make_events()
        table = table.filter([at.hour != 5 for at in table["at"].to_pylist()])
        active, every = (
            run(views, tmp_path / kind, table, min_clients=1, participation=kind, site_clients=41)
            for kind in ("active", "all")
        )
        assert [view.reports for view in every] == [3 * 1 * 2 * 41, 3 * 24 * 2 * 41]
        assert all(one.reports < two.reports for one, two in zip(active, every, strict=True))
        assert published(tmp_path / "all", "visits") == published(tmp_path / "active", "visits")
        hours = [published(tmp_path / kind, "everywhere") for kind in ("active", "all")]
        assert [row["all"] or 0 for row in hours[0]] == [row["all"] for row in hours[1]]  # nights are open too
        assert None in [row["all"] for row in hours[0]]
        with Store.open(tmp_path / "all") as store:
            assert '"outside_claim":["days","sites"]' in store.releases("visits").to_pylist()[0]["manifest"]

    def test_reports_of_one_plan_are_bounded(
        self, views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(views, tmp_path / "one", participation="all", site_clients=40)
        monkeypatch.setattr(in_process, "CHUNK_REPORTS", 1)
        run(views, tmp_path / "many", participation="all", site_clients=40)
        assert len(state_of(tmp_path / "one").completed) == 2
        assert len(state_of(tmp_path / "many").completed) == 6
        assert published(tmp_path / "one", "visits") == published(tmp_path / "many", "visits")

    def test_it_is_the_default_where_one_client_a_site_is_declared_whatever_the_events_are(
        self, views: Sequence[FeatureView], tmp_path: Path
    ) -> None:
        table = make_events()
        alone = table.set_column(table.column_names.index("who"), "who", [["me"] * table.num_rows])
        phones = alone.set_column(table.column_names.index("site"), "site", table["who"])
        told = {}
        for name, events, site_clients in (("phones", phones, 1), ("undeclared", phones, None), ("sites", table, 40)):
            run(views[:1], tmp_path / name, events, participation=None, site_clients=site_clients)
            with Store.open(tmp_path / name) as store:
                told[name] = '"participation":"all"' in store.releases("visits").to_pylist()[0]["manifest"]
        assert told == {"phones": True, "undeclared": False, "sites": False}

    def test_it_needs_a_declaration(self, views: Sequence[FeatureView], tmp_path: Path) -> None:
        with pytest.raises(RunRefused, match="declare their number"):
            run(views, tmp_path, participation="all")
        assert not list(tmp_path.glob("store*"))
