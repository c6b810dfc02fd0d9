"""The levels with real processes under further terms: encrypted reports, proofs and noise, the finish mpc."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.privacy import Privacy
from simulations.levels.collect import STORE, TRUTH
from tests.simulations.shards.small import DAILY, slots_of

from .lab_fleet import TINY, collected, collection, tiny, values

pytestmark = pytest.mark.long


def test_active_clients_over_flower_are_those_of_memory(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="a simulated fleet needs flwr[simulation]")
    collected(collection(), tmp_path / "memory")
    collected(collection(level="flower"), tmp_path / "flower")
    assert values(tmp_path / "flower") == values(tmp_path / "memory")


def test_a_key_holder_opens_what_memory_opens(tmp_path: Path) -> None:
    pytest.importorskip("tenseal")
    memory = collected(tiny(), tmp_path / "memory")
    real = collected(tiny(level="processes", protection="he"), tmp_path / "processes")
    assert (real.opened, real.void, real.tally.reports) == (memory.opened, memory.void, memory.tally.reports)
    mine, its = (values(tmp_path / folder, (DAILY,)) for folder in ("memory", "processes"))
    for name, table in mine.items():
        assert table.drop_columns("release_id") == its[name].drop_columns("release_id")


def test_with_proofs_and_the_services_own_noise_the_truth_stays_what_it_is(tmp_path: Path) -> None:
    memory, proven = tiny(), tiny(level="processes", noise="on", noise_seed=None, validity="prio3")
    collected(memory, tmp_path / "memory")
    found = collected(proven, tmp_path / "processes")
    assert found.tally.rejected == {0: 0}
    exact, noisy = (values(tmp_path / folder, (DAILY,)) for folder in ("memory", "processes"))
    for column in ("people", "shop", "pane_start"):
        assert noisy[TRUTH, "daily"][column] == exact[TRUTH, "daily"][column]
    assert noisy[STORE, "daily"]["people"] != exact[STORE, "daily"]["people"]


@pytest.mark.skipif(importlib.util.find_spec("crypten") is None, reason="CrypTen is not installed (see docs/mpc.md)")
def test_the_services_finish_by_mpc_and_withhold_what_is_small(tmp_path: Path) -> None:
    view = FeatureView(
        DAILY.name,
        entity=DAILY.entity,
        pane=DAILY.pane,
        features=list(DAILY.features),
        bounds=DAILY.bounds,
        privacy=Privacy(rho=0.5, min_clients=5, suppress_below=1_000),
    )
    whole = collection((view,), TINY, level="processes", noise="on", noise_seed=None, finish="mpc")
    collected(whole, tmp_path)
    (slots,) = slots_of(tmp_path / STORE, "daily").values()
    assert not slots.any()  # of forty clients no cell has a thousand
