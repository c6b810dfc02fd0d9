"""What a run would collect and charge is what it then collects and charges, and the preview itself changes nothing."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from deployment.errors import OverBudget, RunRefused
from deployment.project.fleet import EventColumns
from deployment.run import run
from deployment.run_preview import RunPreview, preview
from featurestore.define.definitions import FeatureView
from featurestore.define.views_file import load_views
from featurestore.errors import ViewChanged
from federation.errors import LedgerBehind
from federation.ledger.entries import IN_PROCESS
from federation.ledger.operator import LEDGERS, operator_state
from tests.covey.conftest import VIEWS, make_events


@pytest.fixture
def views(tmp_path: Path) -> tuple[FeatureView, ...]:
    (tmp_path / "views.py").write_text(VIEWS)
    pq.write_table(make_events(), tmp_path / "events.parquet")
    return load_views(tmp_path / "views.py")


def previewed(views: tuple[FeatureView, ...], folder: Path, budget: str = "1", **settings: object) -> RunPreview:
    return preview(
        views,
        folder / "events.parquet",
        store=folder / "store",
        columns=EventColumns("who", "at", "site"),
        budget=budget,
        **settings,  # type: ignore[arg-type]
    )


def collect(views: tuple[FeatureView, ...], folder: Path, budget: str = "1", **settings: object) -> object:
    return run(
        views,
        folder / "events.parquet",
        store=folder / "store",
        client_column="who",
        time_column="at",
        site_column="site",
        budget=budget,
        in_process=True,
        **settings,  # type: ignore[arg-type]
    )


def test_a_preview_says_what_the_run_then_collects_and_charges(views: tuple[FeatureView, ...], tmp_path: Path) -> None:
    before = previewed(views, tmp_path)
    assert not (tmp_path / "store").exists()
    report = collect(views, tmp_path)
    assert {one.view: one.panes for one in before.views} == {one.view: one.opened + one.void for one in report.views}  # type: ignore[attr-defined]
    state = operator_state(tmp_path / "store" / LEDGERS, IN_PROCESS)
    budget = before.budget_micro_rho
    assert before.refusal is None
    assert {day.day: day.left_micro_rho - day.micro_rho for day in before.days} == {
        day: budget - price.aggregator.micro_rho for day, price in state.prices.items()
    }
    after = previewed(views, tmp_path)
    assert (after.panes, after.days) == (0, ())
    assert {one.view: one.already_open for one in after.views} == {one.view: one.panes for one in before.views}


def test_a_preview_of_a_run_that_is_refused_says_why_in_the_same_words(
    views: tuple[FeatureView, ...], tmp_path: Path
) -> None:
    found = previewed(views, tmp_path, budget="0.001")
    assert found.refusal is not None
    assert all(day.micro_rho > day.left_micro_rho for day in found.days)
    with pytest.raises(OverBudget) as refused:
        collect(views, tmp_path, budget="0.001")
    assert str(refused.value.__cause__) == str(found.refusal)


def test_a_range_takes_its_panes_only(views: tuple[FeatureView, ...], tmp_path: Path) -> None:
    every = previewed(views, tmp_path)
    first = min(day.day for day in every.days)
    start = date(1970, 1, 1) + timedelta(first)
    one = previewed(views, tmp_path, start=start, end=start + timedelta(1))
    assert [day.day for day in one.days] == [first]


def test_a_day_that_was_paid_for_in_part_is_not_charged_again(views: tuple[FeatureView, ...], tmp_path: Path) -> None:
    (hourly,) = (view for view in views if view.panes_per_day > 1)
    noon = datetime(2020, 5, 2, 12)
    collect((hourly,), tmp_path, start=datetime(2020, 5, 2), end=noon)
    found = previewed((hourly,), tmp_path, start=noon, end=datetime(2020, 5, 3))
    assert (found.panes, found.days) == (12, ())


def test_what_an_interrupted_run_has_charged_is_collected_and_not_charged_again(
    views: tuple[FeatureView, ...], tmp_path: Path
) -> None:
    def interrupt(_view: str, step: str, *_: int) -> None:
        if step == "noise":
            raise KeyboardInterrupt

    before = previewed(views, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        collect(views, tmp_path, progress=interrupt)
    after = previewed(views, tmp_path)
    assert (after.panes, after.refusal) == (before.panes, None)
    assert {day.micro_rho for day in after.days} == {after.views[1].micro_rho}


def test_another_definition_of_a_collected_view_is_refused_as_the_run_does(
    views: tuple[FeatureView, ...], tmp_path: Path
) -> None:
    collect(views, tmp_path)
    other = VIEWS.replace("Bounds(max_cells=2", "Bounds(max_cells=1")
    assert other != VIEWS
    (tmp_path / "views.py").write_text(other)
    with pytest.raises(ViewChanged):
        previewed(load_views(tmp_path / "views.py"), tmp_path)


def test_a_ledger_that_was_lost_is_refused_as_the_run_does(views: tuple[FeatureView, ...], tmp_path: Path) -> None:
    collect(views, tmp_path)
    shutil.rmtree(tmp_path / "store" / LEDGERS)
    for attempt in (previewed, collect):
        with pytest.raises(LedgerBehind):
            attempt(views, tmp_path)


def test_a_range_of_more_panes_than_a_plan_has_is_refused(views: tuple[FeatureView, ...], tmp_path: Path) -> None:
    with pytest.raises(RunRefused, match="the range has 87,635,520 panes of 1h, but a plan has at most 16,777,216"):
        previewed(views, tmp_path, start=date(2, 1, 1), end=date(9999, 6, 1))
