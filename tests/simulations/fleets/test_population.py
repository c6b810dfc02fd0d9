"""The generator: events of a fleet match its description."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from base.times import DAY_US
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Rate
from featurestore.define.privacy import Bounds, Privacy
from simulations.errors import FleetImpossible
from simulations.fleets import population
from simulations.fleets.population import GENERATIONS, Population
from simulations.fleets.spec import Fleet
from tests.simulations.shards.small import DAILY, HOURLY

FLEET = Fleet(clients=4_000, clients_per_site=50, events_per_day=3, regions=1, seed=5)


def table(fleet: Fleet) -> pa.Table:
    return Population(fleet, (DAILY,)).block(0).table


def hours(fleet: Fleet) -> npt.NDArray[np.int64]:
    """The number of events in each hour of the (only) day."""
    us = table(fleet)["time"].cast("int64").to_numpy() % DAY_US
    return np.bincount(us // (DAY_US // 24), minlength=24)


def activity(fleet: Fleet) -> npt.NDArray[np.int64]:
    """The number of events of each client with events, largest first."""
    counts = pc.value_counts(table(fleet)["client"].combine_chunks()).field("counts").to_numpy()
    return np.sort(counts)[::-1]


def test_the_same_description_gives_the_same_events_and_another_seed_others() -> None:
    assert table(FLEET).equals(table(replace(FLEET)))
    assert not table(FLEET).equals(table(replace(FLEET, seed=6)))


def test_the_mean_of_events_is_as_told_whatever_the_tail() -> None:
    for tail in (0.0, 1.0):
        mean = table(replace(FLEET, activity_tail=tail)).num_rows / FLEET.clients
        assert mean == pytest.approx(3, rel=0.1)


def test_a_heavy_tail_gives_the_busiest_clients_more_of_the_events() -> None:
    def busiest(tail: float) -> float:
        counts = activity(replace(FLEET, activity_tail=tail))
        return float(counts[: FLEET.clients // 100].sum() / counts.sum())

    assert busiest(0.0) < 0.035 < 0.06 < busiest(1.0) < busiest(1.5)


def test_sites_are_alike_or_of_log_normal_sizes_and_hold_every_client() -> None:
    alike = Population(replace(FLEET, site_tail=0), (DAILY,)).block(0).enrolled
    assert set(alike.tolist()) <= {49, 50, 51}
    uneven = Population(FLEET, (DAILY,)).block(0).enrolled
    assert (len(uneven), uneven.sum(), uneven.min() >= 1) == (80, FLEET.clients, True)
    assert uneven.max() > 5 * np.median(uneven)


def test_the_day_has_a_peak_and_a_night_as_strong_as_told() -> None:
    flat, strong = hours(replace(FLEET, diurnal=0)), hours(replace(FLEET, diurnal=1))
    assert flat.max() < 1.25 * flat.min()
    assert abs(int(np.argmax(strong)) - population.BUSIEST_HOUR) <= 2
    assert strong[population.BUSIEST_HOUR - 12] < 0.05 * strong.max()


def test_regions_have_their_peaks_at_other_hours() -> None:
    one, many = hours(replace(FLEET, diurnal=1)), hours(replace(FLEET, diurnal=1, regions=8))
    assert many.max() / many.min() < one.max() / max(1, one.min()) / 3


def test_popular_keys_have_most_of_the_events() -> None:
    def shops(tail: float) -> dict[str, int]:
        return {
            one["values"]: one["counts"]
            for one in table(replace(FLEET, key_tail=tail))["shop"].value_counts().to_pylist()
        }

    even, uneven = shops(0.0), shops(2.0)
    assert even["a"] == pytest.approx(even["b"], rel=0.1)
    assert uneven["a"] == pytest.approx(4 * uneven["b"], rel=0.15)  # 1/rank²


def test_churn_replaces_clients_and_never_brings_one_back() -> None:
    fleet = replace(FLEET, churn=0.2, days=3, activity_tail=0)
    block = Population(fleet, (DAILY,)).block(0)
    day = block.table["time"].cast("int64").to_numpy() // DAY_US - fleet.first_day
    client = block.table["client"].to_numpy()
    place, generation = client // GENERATIONS, client % GENERATIONS
    assert len(np.unique(place)) <= FLEET.clients
    assert generation[day == 0].max() == 0
    assert np.mean(generation[day == 1] > 0) == pytest.approx(0.2, abs=0.03)
    order = np.lexsort((day, place))
    same = np.diff(place[order]) == 0
    assert (np.diff(generation[order])[same] >= 0).all()
    joined = block.enrolled.sum() - FLEET.clients
    assert joined == pytest.approx(2 * 0.2 * FLEET.clients, rel=0.1)
    assert len(np.unique(client)) <= block.enrolled.sum()


def test_offline_days_have_no_events() -> None:
    online, half = (
        len(activity(replace(FLEET, activity_tail=0))),
        len(activity(replace(FLEET, activity_tail=0, offline=0.5))),
    )
    assert half == pytest.approx(online / 2, rel=0.1)
    assert table(replace(FLEET, offline=1)).num_rows == 0


def test_a_skewed_clock_moves_every_event_of_its_client_alike() -> None:
    exact, skewed = table(FLEET), table(replace(FLEET, clock_skew_s=100))
    moved = skewed["time"].cast("int64").to_numpy() - exact["time"].cast("int64").to_numpy()
    assert np.std(moved[np.unique(exact["client"].to_numpy(), return_index=True)[1]]) == pytest.approx(100e6, rel=0.05)
    for client in np.unique(exact["client"].to_numpy())[:50]:
        own = moved[exact["client"].to_numpy() == client]
        assert own.max() - own.min() <= 1  # µs, rounded


def test_nulls_are_as_frequent_as_told() -> None:
    values = table(replace(FLEET, nulls=0.3))["spent"]
    assert values.null_count / len(values) == pytest.approx(0.3, abs=0.02)


def test_a_view_more_changes_neither_who_nor_when_nor_where() -> None:
    one, two = (Population(FLEET, views).block(0).table for views in ((DAILY,), (HOURLY, DAILY)))
    for column in ("site", "client", "time", "shop"):
        assert one[column].equals(two[column])


def test_blocks_hold_whole_sites_and_no_client_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(population, "BLOCK_CLIENTS", 1_000)
    population._block_starts.cache_clear()
    try:
        source = Population(FLEET, (DAILY,))
        blocks = [source.block(index) for index in range(source.blocks)]
    finally:
        population._block_starts.cache_clear()
    assert len(blocks) > 2
    sites = [site for block in blocks for site in block.sites]
    assert sites == [f"s{number:07d}" for number in range(FLEET.sites)]
    assert sum(int(block.enrolled.sum()) for block in blocks) == FLEET.clients
    clients = [set(block.table["client"].to_pylist()) for block in blocks]
    assert sum(map(len, clients)) == len(set.union(*clients))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"clients": 0}, "clients 0"),
        ({"clients": 10**8 + 1}, "clients 100,000,001"),
        ({"clients_per_site": 0.5}, "clients_per_site 0.5"),
        ({"clients_per_site": 5_000}, "clients_per_site 5,000"),
        ({"site_tail": -1}, "site_tail -1"),
        ({"events_per_day": float("nan")}, "events_per_day nan"),
        ({"activity_tail": 5}, "activity_tail 5"),
        ({"regions": 0}, "regions 0"),
        ({"diurnal": 1.1}, "diurnal 1.1"),
        ({"churn": -0.1}, "churn -0.1"),
        ({"offline": 2}, "offline 2"),
        ({"nulls": float("inf")}, "nulls inf"),
        ({"key_tail": 11}, "key_tail 11"),
        ({"clock_skew_s": 86_401}, "clock_skew_s 86,401"),
        ({"first_day": -1}, "first_day -1"),
        ({"days": 0}, "days 0"),
        ({"days": 367}, "days 367"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_an_impossible_fleet_is_refused_with_the_value_and_what_it_may_be(change: dict[str, Any], says: str) -> None:
    with pytest.raises(FleetImpossible, match=f"a fleet with {says}: it must be from "):
        replace(FLEET, **change)


@pytest.mark.parametrize("column", ["client", "site", "time"])
def test_a_view_that_reads_what_the_generator_has_for_itself_is_refused(column: str) -> None:
    view = FeatureView(
        "odd",
        entity=Entity("shop", domain=["a"], column=column),
        pane="1d",
        features=[Count("sales")],
        bounds=Bounds(max_cells=1, max_events_per_cell=1),
        privacy=Privacy(rho=0.1, min_clients=5),
    )
    with pytest.raises(FleetImpossible, match=f"reads the column '{column}'"):
        Population(Fleet(10, clients_per_site=5), (view,))


def test_a_predicate_may_look_at_a_join_key_and_a_column_may_have_any_other_name() -> None:
    view = FeatureView(
        "odd",
        entity=Entity("place", domain=["a", "b"]),
        pane="1d",
        features=[Rate("in_a", where="place = 'a'")],
        bounds=Bounds(max_cells=1, max_events_per_cell=1),
        privacy=Privacy(rho=0.1, min_clients=5),
    )
    table = Population(Fleet(200, clients_per_site=50), (view,)).block(0).table
    assert set(table["place"].to_pylist()) == {"a", "b"}
