"""Collections of views that an earlier version registered: every party goes by the registered price."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from base.times import DAY_US
from deployment.coordinator.planning import PlanRequest, make_plan
from deployment.in_process import run as in_process
from deployment.local.processes_run import run_over_wire
from deployment.project.fleet import EventColumns
from deployment.request import CollectionRequest
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.views_file import load_views
from featurestore.define.wire import definition_hash
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from federation.errors import DayBudgetSpent, ViewOverlap
from federation.ledger.operator import LEDGERS, open_operator_ledger
from federation.ledger.state import Budget
from federation.plan import PlannedView
from federation.terms import RequestedTerms
from tests.covey.conftest import make_events
from tests.featurestore.test_earlier import RHO_BY_ZCDP, as_registered
from tests.federation.words import plan_in_words
from tests.ledgers import spent_of
from tests.pipeline import LATER

from .test_in_process import run

VIEWS = """
from covey import Bounds, Count, Entity, FeatureView, Privacy
daily = FeatureView(
    "daily", entity=Entity("shop", value="a"), pane="1d", features=[Count("n")], bounds=Bounds(3),
    privacy=Privacy(epsilon=1.0, min_clients=2),
)
"""
MAY = 18_383  # 2020-05-01, the first of three days
Covey = Callable[..., tuple[int, str, str]]


@pytest.fixture
def views(tmp_path: Path) -> tuple[FeatureView, ...]:
    (tmp_path / "views.py").write_text(VIEWS)
    return load_views(tmp_path / "views.py")


@pytest.fixture
def old(views: tuple[FeatureView, ...], tmp_path: Path) -> FeatureView:
    """The view as the store has it, from an earlier version."""
    registered = as_registered(views[0])
    with Publisher(tmp_path, lambda: LATER) as publisher:
        publisher.register(registered)
    return registered


def manifests(directory: Path) -> list[dict[str, Any]]:
    with Store.open(directory) as store:
        return [json.loads(row["manifest"]) for row in store.releases("daily").to_pylist()]


def test_a_run_collects_a_registered_view_at_its_price_and_its_sensitivity(
    views: tuple[FeatureView, ...], old: FeatureView, tmp_path: Path
) -> None:
    for days in ((MAY, MAY + 1), (MAY, MAY + 3)):
        run(views, tmp_path, days=days, noise_seed=1)
    found = manifests(tmp_path)
    assert [one["micro_rho"] for one in found] == [RHO_BY_ZCDP] * 3
    assert {one["definition_hash"] for one in found} == {definition_hash(old).hex()}
    assert {one["groups"][0]["delta2_sq"] for one in found} == {3}
    with Store.open(tmp_path) as store:
        se = store.history("daily")["n__se"].to_pylist()
    assert se == [pytest.approx(layout_of(old).groups[0].opened_variance ** 0.5)] * 3


def test_a_fresh_store_gets_the_present_price(views: tuple[FeatureView, ...], tmp_path: Path) -> None:
    run(views, tmp_path, noise_seed=1)
    (micro_rho,) = {one["micro_rho"] for one in manifests(tmp_path)}
    assert micro_rho == layout_of(views[0]).micro_rho > 1.1 * RHO_BY_ZCDP


def test_a_budget_in_one_process_counts_the_registered_price(
    views: tuple[FeatureView, ...], old: FeatureView, tmp_path: Path
) -> None:
    with pytest.raises(DayBudgetSpent) as refused:
        run(views, tmp_path, budget=Budget(1_000), noise_seed=1)
    assert refused.value.need == layout_of(old).micro_rho


def test_a_budget_over_the_wire_counts_the_registered_price(
    views: tuple[FeatureView, ...], old: FeatureView, tmp_path: Path
) -> None:
    request = CollectionRequest.make(views, RequestedTerms(), Budget(1_000))
    columns = EventColumns("who", "at", "site")
    with pytest.raises(DayBudgetSpent) as refused:
        run_over_wire(request, make_events(), tmp_path, columns, progress=lambda *_: None)
    assert refused.value.need == layout_of(old).micro_rho


def test_a_coordinator_plans_the_registered_form(covey: Covey, tmp_path: Path) -> None:
    assert covey("init", tmp_path, "--sites", 2)[0] == 0
    (tmp_path / "mine.py").write_text(VIEWS)
    views = load_views(tmp_path / "mine.py")
    request = PlanRequest(views, (MAY * DAY_US, (MAY + 3) * DAY_US))
    fresh = make_plan(tmp_path, request, lambda: LATER)
    with Publisher(tmp_path, lambda: LATER) as publisher:
        publisher.register(registered := as_registered(views[0]))
    plan = make_plan(tmp_path, request, lambda: LATER)
    assert fresh is not None
    assert plan is not None
    assert (fresh.views[0].view, plan.views[0].view) == (views[0], registered)
    assert len(plan.views[0].pane_starts) == 3


def test_explain_shows_both_prices_and_the_command_that_takes_the_present_one(
    covey: Covey, views: tuple[FeatureView, ...], old: FeatureView, tmp_path: Path
) -> None:
    explain = ("explain", tmp_path / "views.py", "--store", tmp_path)
    (label,) = json.loads(covey(*explain, "--json")[1])["views"]
    assert (label["cost"]["micro_rho"], label["max_cells"], label["asked_epsilon"]) == (RHO_BY_ZCDP, 3, 1.0)
    present = label["present"]
    assert (present["micro_rho"], present["max_cells"]) == (layout_of(views[0]).micro_rho, 1)
    assert label["cost"]["epsilon"][0]["aggregator"] < 0.94 < present["epsilon"][0]["aggregator"] <= 1
    text = covey(*explain)[1]
    assert "covey apply VIEWS.py --reprice" in text
    assert "would be 0.54 times as large" in text

    apply = ("apply", tmp_path / "views.py", "--store", tmp_path)
    code, out, _ = covey(*apply, "--json")
    assert (code, json.loads(out)["views"][0]["change"]) == (0, "nothing")
    code, out, _ = covey(*apply, "--reprice", "--json")
    (found,) = json.loads(out)["views"]
    assert (code, found["change"], found["version"], found["from"]) == (0, "new collection", 1, None)
    assert [one["field"] for one in found["changes"]] == ["bounds.max_cells", "privacy.rho"]
    assert found["micro_rho"] == present["micro_rho"]
    (label,) = json.loads(covey(*explain, "--json")[1])["views"]
    assert "present" not in label
    assert label["cost"]["micro_rho"] == present["micro_rho"]


def test_a_directory_that_is_not_there_is_named_and_not_made(
    covey: Covey, views: tuple[FeatureView, ...], tmp_path: Path
) -> None:
    nowhere = tmp_path / "nowhere"
    code, _, err = covey("explain", tmp_path / "views.py", "--store", nowhere)
    assert (code, str(nowhere) in err, nowhere.exists()) == (2, True, False), err


def test_a_view_with_panes_gets_its_present_price_as_its_next_version(
    covey: Covey, views: tuple[FeatureView, ...], old: FeatureView, tmp_path: Path
) -> None:
    run(views, tmp_path, noise_seed=1)
    code, out, _ = covey("apply", tmp_path / "views.py", "--store", tmp_path, "--reprice", "--json")
    (found,) = json.loads(out)["views"]
    assert (code, found["change"], found["before"], found["version"]) == (0, "new collection", 1, 2)
    assert found["from"] is not None
    assert {name: one["keeps_history"] for name, one in found["features"].items()} == {"n": True}
    run(views, tmp_path, noise_seed=1)  # the days of the first version are open


def test_a_view_of_an_interrupted_run_is_not_repriced(
    covey: Covey, views: tuple[FeatureView, ...], old: FeatureView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its panes are charged at the old price, and opened at that or never."""
    monkeypatch.setattr(in_process, "releases_of", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(views, tmp_path, noise_seed=1)
    monkeypatch.undo()
    code, _, err = covey("apply", tmp_path / "views.py", "--store", tmp_path, "--reprice")
    assert (code, "Repeat that run first" in err) == (2, True), err
    run(views, tmp_path, noise_seed=1)
    assert {one["micro_rho"] for one in manifests(tmp_path)} == {RHO_BY_ZCDP}


def test_a_day_that_was_charged_at_the_old_price_is_paid_again_at_the_new_one_if_the_budget_has_that(
    views: tuple[FeatureView, ...], old: FeatureView, tmp_path: Path
) -> None:
    """The view is repriced in the middle of a day: both collections pay for the day, and a site refuses by default."""
    morning, later = (np.array([day * DAY_US]) for day in (MAY, MAY + 1))
    with open_operator_ledger(tmp_path / LEDGERS, "leader", lambda: LATER) as ledger:
        ledger.intend(plan_in_words(bytes(16), (PlannedView(old, morning, 2),), "full"), Budget(10**6))
        new = views[0]
        plan = plan_in_words(b"1" * 16, (PlannedView(new, morning, 2),), "full")
        both = RHO_BY_ZCDP + (present := layout_of(new).micro_rho)
        with pytest.raises(ViewOverlap):
            ledger.intend(plan, Budget(10**6, overlap=False))
        with pytest.raises(DayBudgetSpent):
            ledger.intend(plan, Budget(both - 1))
        ledger.intend(plan, Budget(both))
        ledger.intend(replace(plan, views=(PlannedView(new, later, 2),)), Budget(10**6))
        assert spent_of(ledger.state) == {MAY: both, MAY + 1: present}
