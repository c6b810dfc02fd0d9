"""A view with Laplace noise, from events to served values: its standard errors hold and its releases state pure ε."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.store import Store
from tests.pipeline import run_views

DAYS, KEYS, CLIENTS = 60, 60, 100

VIEW = FeatureView(
    "v",
    entity=Entity("k", domain=range(KEYS)),
    features=[Count("n"), ClientCount("c"), Mean("x", clip=(0, 100), resolution=1), Histogram("x", edges=[20, 60])],
    pane="1d",
    windows=["3d"],
    bounds=Bounds(max_cells=1),
    privacy=Privacy(epsilon=8.0, mechanism="laplace", min_clients=2),
)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(private, exact): every client has one event of its own key on every day."""
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
    private, exact = (tmp_path_factory.mktemp(name) for name in ("private", "exact"))
    run_views([VIEW], events, private, client="who", time="t", noise_seed=11)
    run_views([VIEW], events, exact, client="who", time="t")
    return private, exact


@pytest.mark.parametrize("name", ["n", "c", "x_mean", "x_hist", "n_3d", "x_mean_3d"])
def test_values_err_by_their_standard_error(stores: tuple[Path, Path], name: str) -> None:
    """At b = ½ the variance is 0.36. The continuous Laplace's 0.5 would make the standard error wrong by 15 %."""
    with Store.open(stores[0]) as one, Store.open(stores[1]) as two:
        private, exact = one.history("v"), two.history("v")
    opened = np.array(private["coverage_3d"].to_pylist()) == 1.0  # the first days' windows are short
    value, true = (np.array(table[name].to_pylist(), dtype=object)[opened].tolist() for table in (private, exact))
    se = np.array(private[f"{name}__se"].to_pylist(), dtype=float)[opened]
    z = (np.array(value, dtype=float) - np.array(true, dtype=float)).reshape(len(se), -1) / se[:, None]
    # 3,480 values; z² of a sum of two Laplacians has a standard deviation of 1.9 and windows overlap thrice
    assert np.sqrt((z**2).mean()) == pytest.approx(1.0, abs=0.08)
    assert abs(z.mean()) < 0.1


def test_its_releases_say_pure_epsilon_and_what_a_ledger_charges(stores: tuple[Path, Path]) -> None:
    layout = layout_of(VIEW)
    with Store.open(stores[0]) as store:
        manifest = json.loads(store.releases("v")["manifest"][0].as_py())
    assert manifest["noise"] == "discrete-laplace"
    assert (manifest["micro_epsilon"], manifest["micro_rho"]) == (8_000_000, layout.micro_rho)
    assert [group["scale"] for group in manifest["groups"]] == [group.mechanism.scale for group in layout.groups]
