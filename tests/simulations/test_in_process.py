from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from covey.views_file import load_views
from featurestore.definitions import FeatureView
from featurestore.store import Store
from featurestore.times import DAY_US
from simulations import in_process
from simulations.errors import RunRefused
from tests.covey.conftest import VIEWS, make_events
from tests.pipeline import run_views


@pytest.fixture
def views(tmp_path: Path) -> Sequence[FeatureView]:
    (tmp_path / "views.py").write_text(VIEWS)
    return load_views(tmp_path / "views.py")


def run(views: Sequence[FeatureView], directory: Path, table: pa.Table | None = None, **settings: Any) -> Any:
    return run_views(
        views, make_events() if table is None else table, directory, client="who", time="at", site="site", **settings
    )


def published(directory: Path, view: str) -> list[dict[str, Any]]:
    with Store.open(directory) as store:
        rows: list[dict[str, Any]] = store.history(view).drop(["published_at"]).to_pylist()
        return rows


def test_an_interrupted_run_that_is_repeated_ends_as_one_that_was_not(
    views: Sequence[FeatureView], tmp_path: Path, simulation_seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C at random steps, many times; days are small chunks, so that there is something in the middle."""
    monkeypatch.setattr(in_process, "CHUNK_ELEMENTS", 1)
    rng = np.random.default_rng(simulation_seed)
    for _ in range(6):
        left = int(rng.integers(1, 30))

        def stop(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt

        try:
            run(views, tmp_path / "cut", progress=stop, seed=simulation_seed)
        except KeyboardInterrupt:
            continue
    run(views, tmp_path / "cut")
    run(views, tmp_path / "whole")
    for view in ("visits", "everywhere"):
        assert published(tmp_path / "cut", view) == published(tmp_path / "whole", view)


def test_how_days_are_chunked_does_not_matter(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(views, tmp_path / "one")
    monkeypatch.setattr(in_process, "CHUNK_ELEMENTS", 1)
    run(views, tmp_path / "many")
    for view in ("visits", "everywhere"):
        assert published(tmp_path / "one", view) == published(tmp_path / "many", view)


def test_the_same_seed_gives_the_same_releases_and_another_does_not(
    views: Sequence[FeatureView], tmp_path: Path
) -> None:
    for name, noise_seed, seed in (("a", 1, 5), ("b", 1, 6), ("c", 2, 5)):
        run(views, tmp_path / name, noise_seed=noise_seed, seed=seed)
    assert published(tmp_path / "a", "visits") == published(tmp_path / "b", "visits")
    assert published(tmp_path / "a", "visits") != published(tmp_path / "c", "visits")
    with Store.open(tmp_path / "a") as store:
        assert set(store.releases("visits")["noise_source"].to_pylist()) == {"cks20-seeded, cks20-seeded"}


def test_a_pane_is_opened_once_even_if_more_events_come(views: Sequence[FeatureView], tmp_path: Path) -> None:
    run(views, tmp_path, make_events(count=300))
    before = published(tmp_path, "visits")
    reports = run(views, tmp_path, make_events(count=600))
    assert [view.opened + view.void for view in reports] == [0, 0]
    assert published(tmp_path, "visits") == before


def test_without_days_only_days_with_events_close_and_with_them_every_day(
    views: Sequence[FeatureView], tmp_path: Path
) -> None:
    table = make_events()
    day = table["at"].cast(pa.int64()).to_numpy() // DAY_US
    first = int(day.min())
    gap = table.filter(pa.array(day != first + 1))
    run(views, tmp_path / "own", gap)
    run(views, tmp_path / "all", gap, days=(first, first + 4))
    starts = {row["pane_start"].day for row in published(tmp_path / "own", "visits")}
    assert starts == {1, 3}
    rows = published(tmp_path / "all", "visits")
    assert {row["pane_start"].day for row in rows} == {1, 2, 3, 4}
    assert {row["visits__status"] for row in rows if row["pane_start"].day in (2, 4)} == {"VOID"}


def test_a_loosened_k_is_refused_before_anything_is_made(views: Sequence[FeatureView], tmp_path: Path) -> None:
    with pytest.raises(RunRefused, match="may only tighten"):
        run(views, tmp_path / "s", min_clients=2, noise_seed=1)
    assert not (tmp_path / "s").exists()


def test_a_manifest_tells_the_terms(views: Sequence[FeatureView], tmp_path: Path) -> None:
    run(views, tmp_path, noise_seed=3, min_clients=7)
    with Store.open(tmp_path) as store:
        row = store.releases("visits").to_pylist()[0]
    assert (row["noise"], row["trust"], row["clock"], row["min_clients"]) == (
        "discrete-gaussian",
        "in-process",
        "replay",
        7,
    )
    assert '"outside_claim":["activity"]' in row["manifest"]
    assert '"noisers":2' in row["manifest"]
    assert (row["released_at"] - row["pane_end"]).total_seconds() == 1800
