from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import covey
from covey import Store, run
from deployment.errors import UsageError
from featurestore.define.views_file import load_views
from tests.covey.conftest import make_events


def test_the_public_names_are_these() -> None:
    assert covey.__all__ == [
        "Bounds", "ClientCount", "Count", "CoveyError", "Entity", "EventLog", "Feature", "FeatureService", "FeatureView", "Filtered", "Histogram", "Input",
        "Mean", "ModelClient", "Privacy", "Rate", "RunReport", "Store", "on_demand", "run",
    ]  # fmt: skip
    for name in covey.__all__:
        assert inspect.getdoc(getattr(covey, name)), name
    assert set(covey.__all__) <= set(dir(covey))
    with pytest.raises(AttributeError):
        covey.nothing  # noqa: B018


def test_the_store_has_these_public_methods() -> None:
    public = {name for name in vars(Store) if not name.startswith("_")}
    assert public == {
        "open", "close", "views", "services", "service", "key_types", "get", "reader", "history", "history_parts", "series", "join", "releases",
        "published", "clocks", "watch", "newest_panes", "release", "tombstone", "evidence", "all_evidence", "registry_problems", "models", "model", "model_names",
        "model_history", "in_force", "models_stamp", "stamp", "newest_snapshot",
        "view", "version_names", "definitions", "pane_ids", "lineages",
    }  # fmt: skip


def test_a_run_and_every_read_from_python(project: Path) -> None:
    views = load_views(project / "views.py")
    report = run(
        views,
        project / "events.parquet",
        store=project / "s",
        client_column="who",
        time_column="at",
        in_process=True,
        budget=1,
    )
    assert report.opened > 0
    with Store.open(project / "s") as store:
        assert [view.name for view in store.views()] == ["everywhere", "visits"]
        table = store.get(["visits:visits", "visits:big_2d"], {"shop": ["a", "b"]})
        assert table.column_names[:2] == ["shop", "visits"]
        assert store.history("visits").num_rows == 9
        labels = pa.table({"shop": ["a"], "t": pa.array([2_000_000_000], pa.timestamp("s"))})
        assert store.join(labels, ["visits:visits"], "t").read_all()["visits__status"].to_pylist() == ["OK"]
        assert store.releases("visits").num_rows == 3


def test_run_takes_one_view_and_a_table(project: Path) -> None:
    view = load_views(project / "views.py")[0]
    import pyarrow.parquet as pq

    table = pq.read_table(project / "events.parquet")
    settings: dict[str, Any] = {"store": project / "s", "client_column": "who", "time_column": "at", "budget": "0.5"}
    assert run(view, table, **settings, in_process=True).opened == 3
    with pytest.raises(UsageError, match="no feature view"):
        run([], table, **settings, in_process=True)


class TestArguments:
    """Wrong arguments of `run` are refused by name before anything is read."""

    @pytest.fixture
    def run_with(self, project: Path) -> Callable[..., str]:
        view = load_views(project / "views.py")[0]
        settings: dict[str, Any] = {
            "views": view,
            "events": make_events(),
            "store": project / "s",
            "client_column": "who",
            "time_column": "at",
            "in_process": True,
        }

        def refused(**changes: Any) -> str:
            with pytest.raises(UsageError) as caught:
                run(**(settings | changes))
            assert not (project / "s").exists()
            return str(caught.value)

        return refused

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"budget": 0}, "`budget`: rho must be above 0"),
            ({"budget": "much"}, "`budget`: rho is a number such as 0.1, got 'much'"),
            ({"budget": float("nan")}, "`budget`: rho is a number"),
            ({"participation": "some"}, "unknown participation 'some': it must be 'active' or 'all'"),
        ],
    )
    def test_budget_and_participation_are_checked(
        self, run_with: Callable[..., str], changes: dict[str, Any], says: str
    ) -> None:
        assert says in run_with(**changes)

    @pytest.mark.parametrize("views", [5, None, "views.py", ["v"], [None]])
    def test_views_are_feature_views(self, run_with: Callable[..., str], views: Any) -> None:
        assert "`views` takes a FeatureView or a list of them" in run_with(views=views)

    def test_a_view_is_given_once(self, run_with: Callable[..., str], project: Path) -> None:
        assert "`views` holds visits twice" in run_with(views=[load_views(project / "views.py")[0]] * 2)

    @pytest.mark.parametrize("events", [5, None, [], {"who": []}, make_events().to_batches()[0]])
    def test_events_are_a_file_or_a_table(self, run_with: Callable[..., str], events: Any) -> None:
        assert "`events` takes a .parquet, .csv or .jsonl file or a pyarrow.Table, got" in run_with(events=events)

    def test_days_are_dates(self, run_with: Callable[..., str]) -> None:
        assert "`start` takes a date" in run_with(start="2020-05-01", end=date(2020, 5, 2))
        assert "`end` takes a date" in run_with(start=date(2020, 5, 1), end="2020-05-02")

    @pytest.mark.parametrize(
        "changes",
        [
            {"client_column": 5},
            {"time_column": None},
            {"site_column": 5},
            {"store": 5},
            {"min_clients": "5"},
            {"noise": 1},
        ],
    )
    def test_anything_else_of_another_type_is_named(
        self, run_with: Callable[..., str], changes: dict[str, Any]
    ) -> None:
        (name,) = changes
        assert name.replace("_", "-") in run_with(**changes).replace("_", "-")
