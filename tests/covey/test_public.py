from __future__ import annotations

import inspect
from pathlib import Path

import pyarrow as pa
import pytest

import covey
from covey import Store, run
from covey.errors import UsageError
from covey.views_file import load_views


def test_the_public_names_are_these() -> None:
    assert covey.__all__ == [
        "Bounds", "ClientCount", "Count", "Entity", "FeatureView", "Histogram", "Mean", "Privacy", "Rate", "RunReport",
        "Store", "run",
    ]  # fmt: skip
    for name in covey.__all__:
        assert inspect.getdoc(getattr(covey, name)), name
    assert set(covey.__all__) <= set(dir(covey))
    with pytest.raises(AttributeError):
        covey.nothing  # noqa: B018


def test_the_store_has_these_public_methods() -> None:
    public = {name for name in vars(Store) if not name.startswith("_")}
    assert public == {"open", "close", "views", "key_types", "get", "history", "join", "releases"}


def test_a_run_and_every_read_from_python(project: Path) -> None:
    views = load_views(project / "views.py")
    report = run(
        views, project / "events.parquet", store=project / "s", client_column="who", time_column="at", in_process=True
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
    settings = {"store": project / "s", "client_column": "who", "time_column": "at"}
    assert run(view, table, **settings, in_process=True).opened == 3
    with pytest.raises(UsageError, match="no feature view"):
        run([], table, **settings, in_process=True)
