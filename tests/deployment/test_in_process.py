from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from base.times import DAY_US
from crypto.noise import SeededNoise
from deployment.errors import RunRefused
from deployment.in_process import progress
from deployment.in_process import run as in_process
from deployment.request import CollectionRequest
from edge_client.errors import EventsError
from edge_client.events import make_events as make_edge_events
from featurestore.define.definitions import FeatureView
from featurestore.define.privacy import Bounds
from featurestore.define.views_file import load_views
from featurestore.errors import BadReference
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from federation.ledger.state import Budget
from federation.terms import RequestedTerms
from tests.covey.conftest import VIEWS, make_events
from tests.pipeline import LATER, run_views


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
    """Ctrl-C at random steps, many times. Days are small chunks, so that runs end in the middle of a day."""
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
    with pytest.raises(RunRefused, match="may only be larger"):
        run(views, tmp_path / "s", min_clients=2, noise_seed=1)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("spent", pa.array(["1"] * 600), "use it as number"),
        ("shop", pa.array([1] * 600), "join key 'shop'"),
        ("at", pa.array([1] * 600), "times must be"),
        ("at", pa.array(["soon"] * 600), "none of 600 value.s. is an ISO 8601 time; the first is .soon. in row 1"),
    ],
)
def test_events_that_do_not_fit_leave_no_store(
    views: Sequence[FeatureView], tmp_path: Path, column: str, values: pa.Array, message: str
) -> None:
    table = make_events()
    table = table.set_column(table.column_names.index(column), column, values)
    with pytest.raises((EventsError, BadReference), match=message):
        run(views, tmp_path / "s", table)
    assert not (tmp_path / "s").exists()


def test_the_last_views_missing_column_leaves_no_store(views: Sequence[FeatureView], tmp_path: Path) -> None:
    with pytest.raises(EventsError, match="no column 'spent'"):
        run(list(views)[::-1], tmp_path / "s", make_events().drop(["spent"]))
    assert not (tmp_path / "s").exists()


def test_odd_times_do_not_fail_a_run(views: Sequence[FeatureView], tmp_path: Path) -> None:
    table = make_events()
    at = table["at"].cast(pa.int64()).to_pylist()
    at[:3] = [2**62, -(2**63), -62_135_596_800 * 10**6]  # the last one is 0001-01-01, the zero of many clocks
    table = table.set_column(2, "at", pa.array(at).cast(pa.timestamp("us", "UTC")))
    visits, everywhere = run(views, tmp_path, table)
    assert (visits.dropped.null_time, everywhere.dropped.null_time) == (1, 1)  # event 0 has no client
    assert visits.opened > 0


def test_no_day_is_split_between_the_plans_of_a_run(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The panes of a day are computed together, in order of time."""
    monkeypatch.setattr(in_process, "CHUNK_ELEMENTS", 1)
    starts: dict[str, list[int]] = {}
    real = in_process.run_collections

    def watch(plan: Any, *rest: Any, **more: Any) -> Any:
        (planned,) = plan.views
        day, panes = np.unique(planned.pane_starts // DAY_US, return_counts=True)
        assert set(panes.tolist()) == {planned.view.panes_per_day}
        starts.setdefault(planned.view.name, []).extend(day.tolist())
        return real(plan, *rest, **more)

    monkeypatch.setattr(in_process, "run_collections", watch)
    run(views, tmp_path)
    assert {name: len(days) for name, days in starts.items()} == {"visits": 3, "everywhere": 3}


def test_a_rerun_computes_only_what_is_to_do(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make_events()
    whole = run(views, tmp_path / "whole")
    first = int(table["at"].cast(pa.int64()).to_numpy().min()) // DAY_US
    middle = run(views, tmp_path / "cut", days=(first + 1, first + 2))
    rest = run(views, tmp_path / "cut")
    for every, one, two in zip(whole, middle, rest, strict=True):
        assert every.reports == one.reports + two.reports
        assert vars(every.dropped) == {k: v + vars(two.dropped)[k] for k, v in vars(one.dropped).items()}
    for view in ("visits", "everywhere"):
        assert published(tmp_path / "cut", view) == published(tmp_path / "whole", view)
    monkeypatch.setattr(in_process, "compute", lambda *_, **__: pytest.fail("computed again"))
    again = run(views, tmp_path / "cut")
    assert {(one.reports, one.opened, one.void, sum(vars(one.dropped).values())) for one in again} == {(0, 0, 0, 0)}


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
    assert '"outside_claim":["activity","days","sites"]' in row["manifest"]
    assert '"noisers":2' in row["manifest"]
    assert (row["released_at"] - row["pane_end"]).total_seconds() == 1800


def test_ctrl_c_while_noise_is_drawn_does_not_wait_for_the_rest(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "NOISE_CHUNK", 1)
    calls = 0

    class Slow(SeededNoise):
        def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> np.ndarray:
            nonlocal calls
            calls += 1
            if calls == 20:
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.02)
            return super().discrete_gaussian(sigma_sq, size)

    pair = in_process.NoisePair(Slow(1, "leader"), Slow(1, "helper"))
    with pytest.raises(KeyboardInterrupt):
        in_process.run_in_process(
            CollectionRequest.make(views[:1], RequestedTerms(), Budget(10**6)),
            make_edge_events(make_events(), "who", "at", "site"),
            tmp_path,
            in_process.Surroundings(pair, os.urandom, lambda: LATER),
        )
    drawn = calls
    time.sleep(0.2)
    assert calls <= drawn + 2  # the threads end at their next chunk
    assert calls < 60  # of 162: 2 aggregators × 3 panes × 3 keys × 9 slots
    with Store.open(tmp_path) as store:
        assert store.releases("visits").num_rows == 0


def test_a_run_by_an_ended_version_opens_no_day_of_its_successor(views: Sequence[FeatureView], tmp_path: Path) -> None:
    days = make_events()["at"].cast("int64").to_numpy() // DAY_US
    first, last = int(days.min()), int(days.max())
    one = next(view for view in views if view.name == "visits")
    run([one], tmp_path, between=(first * DAY_US, (first + 1) * DAY_US))
    successor = replace(one, bounds=Bounds(one.bounds.max_cells, one.bounds.max_events_per_cell + 1))
    with Publisher(tmp_path, lambda: LATER) as publisher:
        publisher.apply([successor], start=(first + 1) * DAY_US)
    with pytest.raises(RunRefused, match="is scheduled for another version of it"):
        run([one], tmp_path, between=(first * DAY_US, (last + 1) * DAY_US))
    run([successor], tmp_path, between=((first + 1) * DAY_US, (last + 1) * DAY_US))
    with Store.open(tmp_path) as store:
        assert store.releases("visits@v1").num_rows == 1
        assert store.releases("visits@v2").num_rows == last - first
