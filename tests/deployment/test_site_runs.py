"""A run whose sites report sums publishes the same values as a run in which every client reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from deployment.errors import RunRefused, UsageError
from featurestore.define.definitions import FeatureView
from featurestore.define.views_file import load_views
from featurestore.store import Store
from tests.covey.conftest import VIEWS, make_events
from tests.pipeline import run_views


@pytest.fixture
def views(tmp_path: Path) -> Sequence[FeatureView]:
    (tmp_path / "views.py").write_text(VIEWS)
    return load_views(tmp_path / "views.py")


def run(views: Sequence[FeatureView], directory: Path, **settings: Any) -> Any:
    return run_views(views, make_events(), directory, client="who", time="at", site="site", **settings)


def published(directory: Path, view: str) -> pa.Table:
    with Store.open(directory) as store:
        return store.history(view).drop(["published_at"])


@pytest.mark.parametrize(
    ("participation", "validity"), [("active", "none"), ("all", "none"), ("active", "prio3"), ("all", "prio3")]
)
def test_sums_of_sites_publish_what_the_reports_of_their_clients_do(
    views: Sequence[FeatureView], tmp_path: Path, participation: Any, validity: Any
) -> None:
    """Two sites and 3 days. The daily view opens; many panes of the hourly view have too few clients."""
    terms = {"participation": participation, "site_clients": 40, "min_clients": 7}
    of_clients = run(views, tmp_path / "client", **terms)
    of_sites = run(views, tmp_path / "site", **terms, validity=validity, report_per="site")
    for one, many in zip(of_sites, of_clients, strict=True):
        assert (one.opened, one.void, one.rejected) == (many.opened, many.void, 0)
        assert published(tmp_path / "site", one.view) == published(tmp_path / "client", one.view)
        assert one.reports <= 2 * (3 if one.view == "visits" else 72)
        assert one.reports < many.reports
    assert of_clients[0].opened == 3
    assert (of_clients[1].void > 0) == (participation == "active")
    with Store.open(tmp_path / "site") as store:
        manifests = [
            store.release(bytes.fromhex(one)).manifest for one in store.releases("visits")["release_id"].to_pylist()
        ]
    assert {(one.report_per, one.min_clients) for one in manifests} == {("site", 7)}


def test_clients_of_one_site_are_one_report_a_pane(views: Sequence[FeatureView], tmp_path: Path) -> None:
    made = run_views(views[:1], make_events(), tmp_path, client="who", time="at", report_per="site")
    assert [one.reports for one in made] == [3]


def test_what_cannot_be_summed_is_refused_before_anything_is_registered(
    views: Sequence[FeatureView], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="report_per 'site' requires protection 'shares'"):
        run(views, tmp_path / "store", report_per="site", protection="he")
    assert not (tmp_path / "store").exists()


def test_a_run_of_sites_that_was_cut_off_is_repeated_as_such(views: Sequence[FeatureView], tmp_path: Path) -> None:
    def stop(view: str, step: str, *_: int) -> None:
        if step == "protect":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(views[:1], tmp_path / "store", report_per="site", progress=stop)
    with pytest.raises(RunRefused, match="report_per site"):
        run(views[:1], tmp_path / "store")
    assert run(views[:1], tmp_path / "store", report_per="site")[0].opened == 3
