"""What a site answers to a plan: the code of each refusal, and retries that count once."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_client.policy import Refuse
from edge_client.site import SiteSettings
from featurestore.define.entities import Entity
from featurestore.define.privacy import Bounds
from federation.batch import sealing as batches_module
from federation.batch.batch import SealedBatch
from federation.batch.reports import LeaderHalf
from federation.batch.sealing import open_half
from federation.ledger.snapshot import read_ledger
from federation.parties import Roster, RosterEntry
from federation.plan import Plan
from federation.refusal_codes import RefusalCode
from tests.aggregator.world import NOW, make_plan
from tests.federation.wire import HELPER_SEAL, LEADER_SEAL, SITE
from tests.ledgers import spent_of

from .making import VIEW, answered, answered_empty, ask, events, ids_of, plan_with, settings_in, table
from .refused_plans import REFUSED

ROSTER = Roster([RosterEntry("a", SITE.public.sign, 10_000)])


@pytest.fixture
def settings(tmp_path: Path) -> SiteSettings:
    return settings_in(tmp_path)


# the plan


@pytest.mark.parametrize("what", REFUSED)
def test_each_refusal_has_its_code_and_the_ledger_keeps_those_of_the_coordinator(
    settings: SiteSettings, what: str
) -> None:
    data, code = REFUSED[what]
    for _ in range(2):
        found = ask(data, events(("p", 0, "x")), settings)
        assert isinstance(found, Refuse)
        assert found.code == code
    kept = read_ledger(settings.ledger, "site-a").state.refused
    expected = [] if code == RefusalCode.PLAN_UNSIGNED else [code]
    assert [one.code for one in kept] == expected  # once, and no plan without a valid signature


# the answer


def opened(plan: Plan, batches: list[SealedBatch]) -> list[LeaderHalf]:
    return [open_half("leader", plan, LEADER_SEAL, ROSTER, one.half("leader")) for one in batches]


def test_a_retry_keeps_every_report_id_and_draws_fresh_shares_and_batch_ids(settings: SiteSettings) -> None:
    plan = plan_with()
    own = events(("p", 0, "x"), ("q", 0, "y"), ("q", 1, "x"))
    first, second = answered(plan, own, settings, 1), answered(plan, own, settings, 2)
    assert ids_of(first) == ids_of(second)
    assert len({report for _, report in ids_of(first)}) == 3
    one, two = opened(plan, first), opened(plan, second)
    for mine, again in zip(one, two, strict=True):
        assert not (mine.shares.elements == again.shares.elements).any()
    seeds = [
        open_half("helper", plan, HELPER_SEAL, ROSTER, batch.half("helper")).seeds.to_bytes()
        for batch in (*first, *second)
    ]
    assert len({seed[at : at + 32] for seed in seeds for at in range(0, len(seed), 32)}) == 6
    batch_ids = [batch.signed.header.batch_id for batch in (*first, *second)]
    assert len(set(batch_ids)) == len(batch_ids)


def test_a_retry_reports_what_was_reported_whatever_happened_since(settings: SiteSettings, tmp_path: Path) -> None:
    plan = plan_with()
    rows = [("p", 0, "x"), ("q", 0, "y"), ("q", 1, "x"), ("r", 1, "y")]

    def ids(*some: tuple[str, float, str]) -> set[tuple[int, bytes]]:
        return set(ids_of(answered(plan, events(*some), settings, len(some))))

    before = ids(*rows)
    assert len(before) == 4
    assert ids(*reversed(rows)) == before
    assert ids(("0 new", 0, "x"), *rows) == before
    assert ids(*rows, ("p", 0, "y"), ("zz", 1, "x"), ("p", 1, "x")) == before  # reported panes are closed
    assert ids(*rows[:1]) < before
    assert ids() == set()
    assert ids(*rows) == before


def test_a_site_that_had_no_events_at_its_first_answer_reports_none_later(settings: SiteSettings) -> None:
    assert answered_empty(plan_with(), events(), settings)
    assert answered_empty(plan_with(), events(("p", 0, "x"), ("q", 1, "y")), settings)


def test_another_plan_gets_other_ids_and_a_new_ledger_too(settings: SiteSettings, tmp_path: Path) -> None:
    own = events(("p", 0, "x"), ("q", 0, "y"))
    plans = [make_plan(VIEW, noise="full", number=i, first=2 * i) for i in range(2)]
    found = [ids_of(answered(plans[0], own, settings)), ids_of(answered(plans[1], events(("p", 2, "x")), settings, 1))]
    found.append(ids_of(answered(plans[0], own, replace(settings, ledger=tmp_path / "fresh.db"), 9)))
    assert len({report for ids in found for _, report in ids}) == 5


def test_charge_ids_and_the_end_are_on_disk_before_a_batch_leaves(
    settings: SiteSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def seal(*arguments: Any) -> Any:
        seen.append(read_ledger(settings.ledger, "site-a").state)
        return batches_module.seal_batch(*arguments)

    monkeypatch.setattr("edge_client.site.seal_batch", seal)
    plan = plan_with()
    (batch,) = answered(plan, events(("p", 0, "x")), settings)
    (state,) = seen
    assert spent_of(state) == {0: 500_000, 1: 500_000}
    assert list(state.completed) == [plan.hash]
    with sqlite3.connect(settings.ledger) as db:
        ((stored,),) = db.execute("SELECT ids FROM reports").fetchall()
    db.close()
    assert stored == batch.signed.header.report_ids.tobytes()
    assert settings.ledger.stat().st_mode & 0o077 == 0


def test_the_charge_is_on_disk_before_anything_is_computed(
    settings: SiteSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    plan, own = plan_with(), events(("p", 0, "x"))
    with monkeypatch.context() as patched:
        patched.setattr("edge_client.site.compute", crash)
        with pytest.raises(KeyboardInterrupt):
            ask(plan, own, settings)
    state = read_ledger(settings.ledger, "site-a").state
    assert (list(state.intended), list(state.completed)) == ([plan.hash], [])
    assert len(ids_of(answered(plan, own, settings))) == 1
    assert spent_of(read_ledger(settings.ledger, "site-a").state) == {0: 500_000, 1: 500_000}  # charged once


def test_nothing_is_charged_for_events_that_do_not_fit(settings: SiteSettings) -> None:
    odd = make_odd()
    found = ask(plan_with(), odd, settings)
    assert isinstance(found, Refuse)
    assert found.code == RefusalCode.SCHEMA
    state = read_ledger(settings.ledger, "site-a").state
    assert spent_of(state) == {}
    assert [one.code for one in state.refused] == ["SCHEMA"]


def make_odd() -> Any:
    from edge_client.events import make_events

    return make_events(table(["p"], [0], ["x"]).drop_columns(["k"]), "who", "t")


def test_the_ledger_s_rules_are_codes(settings: SiteSettings) -> None:
    own = events(("p", 0, "x"))
    answered(plan_with(), own, settings)
    changed = replace(VIEW, entity=Entity("k", domain=["x", "z"]))
    w, u = replace(VIEW, name="w"), replace(VIEW, name="u")
    for plan, code in (
        (make_plan(VIEW, noise="full", number=1, first=1), RefusalCode.PANE_ALREADY_REPORTED),
        (make_plan(changed, noise="full", number=2), RefusalCode.VIEW_OVERLAP),
        (make_plan(w, u, noise="full", number=3), RefusalCode.DAY_BUDGET_SPENT),
    ):
        for _ in range(2):
            found = ask(plan, own, settings)
            assert isinstance(found, Refuse)
            assert found.code == code
    answered(plan_with(), own, settings)
    answered(make_plan(w, noise="full", number=4), own, settings)


def test_a_site_that_allows_overlaps_answers_two_collections_of_a_day_in_full_and_pays_for_both(
    settings: SiteSettings,
) -> None:
    """The cells that the first answer used bound its own collection only: the price of each is that of a whole client-day."""
    own = events(("p", 0, "x"), ("p", 0, "y"), ("q", 0, "x"))
    changed = replace(VIEW, bounds=Bounds(2, 2))
    plan = make_plan(changed, noise="full", number=2)
    settings = replace(settings, policy=replace(settings.policy, overlap=True))
    first = ids_of(answered(plan_with(), own, settings))
    for _ in range(2):
        assert len(ids_of(answered(plan, own, settings))) == len(first) == 2
    assert spent_of(read_ledger(settings.ledger, "site-a").state) == {0: 1_000_000, 1: 1_000_000}
    third = make_plan(replace(VIEW, bounds=Bounds(1, 2)), noise="full", number=3)
    refused = ask(third, own, settings)
    assert isinstance(refused, Refuse)
    assert refused.code == RefusalCode.DAY_BUDGET_SPENT


@pytest.mark.parametrize("how", ["edited", "rolled back", "another site's", "its tables dropped"])
def test_a_broken_ledger_is_a_code_for_every_plan(settings: SiteSettings, how: str) -> None:
    own = events(("p", 0, "x"))
    copy = settings.ledger.with_name("copy.db")
    answered(plan_with(), own, settings)
    copy.write_bytes(settings.ledger.read_bytes())
    answered(make_plan(VIEW, noise="full", number=1, first=5), own, settings)
    if how == "rolled back":
        settings.ledger.write_bytes(copy.read_bytes())
    elif how == "another site's":
        settings = replace(settings, site="b")
    else:
        with sqlite3.connect(settings.ledger) as db:
            if how == "edited":
                db.execute("UPDATE entries SET line = replace(line, '500000', '100000')")
            else:
                db.execute("DROP TABLE answers")
        db.close()
    again = plan_with() if how == "its tables dropped" else make_plan(VIEW, noise="full", number=2, first=9)
    for plan in (again, again):
        found = ask(plan, own, settings)
        assert isinstance(found, Refuse)
        assert found.code == RefusalCode.LEDGER_BROKEN


def test_the_same_client_id_at_two_views_has_its_own_ids(settings: SiteSettings) -> None:
    two = make_plan(VIEW, replace(VIEW, name="w"), noise="full")
    found = ids_of(answered(two, events(("p", 0, "x"), ("p", 1, "x")), settings, 0))
    assert [of for of, _ in found] == [0, 1, 2, 3]
    assert len({report for _, report in found}) == 4


def test_more_reports_than_a_batch_holds_are_split(settings: SiteSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_with()
    size = 7
    monkeypatch.setattr("edge_client.site.max_reports", lambda *_: size)
    own = events(*((f"c{i:03d}", i % 2, "x") for i in range(40)))
    batches = answered(plan, own, settings, 0)
    assert [len(batch.signed.header) for batch in batches] == [7, 7, 7, 7, 7, 5]
    assert len({batch.signed.header.batch_id for batch in batches}) == 6
    assert len(set(ids_of(batches))) == 40
    monkeypatch.undo()
    (whole,) = answered(plan, own, settings, 1)
    assert ids_of([whole]) == ids_of(batches)


def test_a_batch_of_the_largest_size_is_within_the_limit(settings: SiteSettings) -> None:
    long = replace(VIEW, entity=Entity("k", domain=[f"k{i:05d}" for i in range(20_000)]))
    plan = make_plan(long, noise="full")
    most = batches_module.max_reports(plan, 0)
    own = events(*((f"c{i:03d}", 0, "k00001") for i in range(most + 1)))
    sizes = [len(batch.to_bytes()) for batch in answered(plan, own, settings, 0)]
    assert len(sizes) == 2
    assert 0.9 * batches_module.MAX_BATCH_BYTES < sizes[0] <= batches_module.MAX_BATCH_BYTES


def test_panes_that_are_not_asked_for_are_not_reported(settings: SiteSettings) -> None:
    plan = plan_with()
    assert [of for of, _ in ids_of(answered(plan, events(("p", 0, "x"), ("p", 2, "x")), settings, 0))] == [0]
    other = make_plan(VIEW, noise="full", number=1, first=7)
    assert answered_empty(other, events(("p", 5, "x"), ("q", -1, "x")), settings)


def test_a_clock_that_was_ahead_for_a_moment_does_not_stop_a_site_for_good(settings: SiteSettings) -> None:
    ahead = ask(plan_with(), events(), settings, now=NOW + 10**15)
    assert isinstance(ahead, Refuse)
    assert ahead.code == RefusalCode.PLAN_EXPIRED
    answered(plan_with(), events(), settings)
