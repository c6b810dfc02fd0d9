"""A view with shared noise, from events to served values: half of the variance, and releases that state both prices."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Noisers, Privacy
from featurestore.store import Store
from tests.covey.conftest import covey, project, run_arguments
from tests.pipeline import run_views

__all__ = ["covey", "project", "run_arguments"]

Covey = Callable[..., tuple[int, str, str]]
DAYS, KEYS, CLIENTS = 40, 60, 60


def a_view(noisers: Noisers) -> FeatureView:
    return FeatureView(
        "v",
        entity=Entity("k", domain=range(KEYS)),
        features=[Count("n"), ClientCount("c"), Mean("x", clip=(0, 100), resolution=1), Histogram("x", edges=[20, 60])],
        pane="1d",
        windows=["3d"],
        bounds=Bounds(max_cells=1),
        privacy=Privacy(rho=0.12, min_clients=2, noisers=noisers),
    )


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """(shared, each, exact): every client has one event of its own key on every day."""
    rng = np.random.default_rng(3)
    start = int(datetime(2021, 3, 1, tzinfo=UTC).timestamp()) * 10**6
    day, key, who = (a.reshape(-1) for a in np.meshgrid(np.arange(DAYS), np.arange(KEYS), np.arange(CLIENTS)))
    events = pa.table(
        {
            "who": key * CLIENTS + who,
            "k": key,
            "t": pa.array(start + day * 86_400 * 10**6, pa.timestamp("us")),
            "x": rng.uniform(0, 100, len(day)),
        }
    )
    shared, each, exact = (tmp_path_factory.mktemp(name) for name in ("shared", "each", "exact"))
    run_views([a_view("shared")], events, shared, client="who", time="t", noise_seed=11)
    run_views([a_view("each")], events, each, client="who", time="t", noise_seed=11)
    run_views([a_view("shared")], events, exact, client="who", time="t")
    return shared, each, exact


def errors_of(directory: Path, exact: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(errors, served standard errors) of a feature's values."""
    with Store.open(directory) as one, Store.open(exact) as two:
        private, true = one.history("v"), two.history("v")
    shape = (private.num_rows, -1)
    errors = np.array(private[name].to_pylist(), float) - np.array(true[name].to_pylist(), float)
    return errors.reshape(shape), np.array(private[f"{name}__se"].to_pylist(), float).reshape(shape)


@pytest.mark.parametrize("name", ["n", "c", "x_hist"])
def test_opened_sums_have_the_variance_that_the_price_against_outsiders_needs(
    stores: tuple[Path, Path, Path], name: str
) -> None:
    shared, each, exact = stores
    errors, se = errors_of(shared, exact, name)
    stated = {group.feature: group.variance for group in layout_of(a_view("each")).groups}  # σ² = Δ²/2ρ
    assert (se**2).mean() == pytest.approx(stated[name])
    assert errors.var() == pytest.approx(stated[name], rel=0.12)  # 2,400 values or more
    of_each = errors_of(each, exact, name)
    assert of_each[0].var() == pytest.approx(2 * stated[name], rel=0.12)
    assert (of_each[1] ** 2).mean() == pytest.approx(2 * stated[name])


def test_releases_state_both_prices_and_what_the_smaller_one_trusts(
    covey: Covey, stores: tuple[Path, Path, Path]
) -> None:
    def shown(directory: Path) -> tuple[dict[str, Any], str]:
        with Store.open(directory) as store:
            release = store.releases("v")["release_id"][0].as_py()
        text = covey("release", "show", release, "--store", directory)[1]
        return json.loads(covey("release", "show", release, "--store", directory, "--json")[1]), " ".join(text.split())

    shared, each, exact = map(shown, stores)
    assert (shared[0]["manifest"]["noise_split"], "noise_split" in each[0]["manifest"]) == ("shared", False)
    assert shared[0]["manifest"]["micro_rho"] == 2 * each[0]["manifest"]["micro_rho"]
    day, week, month = shared[0]["epsilon"]
    for mine, its in zip((day, week, month), each[0]["epsilon"], strict=True):
        assert mine["outsiders"] == pytest.approx(its["aggregator"])
        assert mine["outsiders"] < mine["aggregator"]
    assert "2 noises of half the variance each" in shared[1]
    assert "against outsiders if both aggregators are honest" in shared[1]
    assert "2 noises of the full scale" in each[1]
    assert "no noise: an exact sum" in exact[1]


def test_a_run_into_a_project_takes_its_default(covey: Covey, project: Path, run_arguments: list[str]) -> None:
    assert covey("init", project, "--budget", "1")[0] == 0
    toml, views = project / "covey.toml", project / "views.py"
    toml.write_text(toml.read_text().replace('noisers = "each"', 'noisers = "shared"'))
    views.write_text(views.read_text().replace("rho=0.5", "rho=0.05"))
    arguments = [str(project) if word == str(project / "store") else word for word in run_arguments]
    assert covey(*arguments, "--from", "2020-05-01", "--to", "2020-05-02")[0] == 0
    with Store.open(project) as store:
        assert {one.privacy.noisers for one in store.views()} == {"shared"}
        charged = json.loads(covey("ledger", "show", "--project", project, "--json")[1])["ledgers"][0]["days"][0]
        prices = {one.name: layout_of(one).micro_rho for one in store.views()}
    assert charged["micro_rho"] == prices
    assert all(99_000 < price <= 100_000 for price in prices.values())  # twice the price
    toml.write_text(toml.read_text().replace('noisers = "shared"', 'noisers = "each"'))
    assert covey(*arguments)[0] == 0
    with Store.open(project) as store:  # a registered view does not change its noisers
        assert {one.privacy.noisers for one in store.views()} == {"shared"}
    days = json.loads(covey("ledger", "show", "--project", project, "--json")[1])["ledgers"][0]["days"]
    assert len(days) > 1
    assert all(day["micro_rho"] == prices for day in days)
