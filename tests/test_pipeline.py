"""With noise off, the pipeline equals the oracle exactly. Every other test relies on this."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from base.times import DAY_US, to_us
from edge_client.compute import UsedCells, compute, days_with_events
from edge_client.events import make_events
from featurestore.store import Store
from simulations.datasets.flights import CLIENT_COLUMN, SITE_COLUMN, TIME_COLUMN, flight_views, load_flights
from tests.edge_client.used_after import used_after
from tests.examples import examples
from tests.oracle import oracle
from tests.pipeline import assert_equal_to_oracle, run_views
from tests.strategies import Case, cases

SUMMER, YEAR = ("2013-06-01", "2013-09-01"), ("2013-01-01", "2014-01-01")


@pytest.mark.parametrize("period", [SUMMER, pytest.param(YEAR, marks=pytest.mark.long)], ids=["summer", "year"])
@pytest.mark.parametrize("index", [0, 1, 2], ids=["area_delay", "carrier_delay", "dest_delay"])
def test_flights_equal_the_oracle(tmp_path: Path, index: int, period: tuple[str, str]) -> None:
    since, until = (pa.scalar(to_us(datetime.fromisoformat(day))) for day in period)
    flights = load_flights()
    at = flights[TIME_COLUMN].cast("int64")
    flights = flights.filter(pc.and_(pc.greater_equal(at, since), pc.less(at, until)))
    view = flight_views(flights)[index]
    run_views([view], flights, tmp_path, client=CLIENT_COLUMN, time=TIME_COLUMN, site=SITE_COLUMN)
    days = days_with_events(view, make_events(flights, CLIENT_COLUMN, TIME_COLUMN)).tolist()
    expected = oracle(
        view,
        flights,
        client_column=CLIENT_COLUMN,
        time_column=TIME_COLUMN,
        site_column=SITE_COLUMN,
        days=days,
        min_clients=view.privacy.min_clients,
    )
    with Store.open(tmp_path) as store:
        assert_equal_to_oracle(store.history(view.name), expected, view.entity.keys)


@settings(
    deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(case=cases())
def test_random_events_equal_the_oracle(case: Case) -> None:
    _assert_equals_the_oracle(case)


@settings(
    deadline=None, max_examples=examples(10), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(case=cases(panes=("5s", "15s")))
def test_random_events_in_panes_of_seconds_equal_the_oracle(case: Case) -> None:
    _assert_equals_the_oracle(case)


def _assert_equals_the_oracle(case: Case) -> None:
    with tempfile.TemporaryDirectory() as directory:
        run_views(
            [case.view],
            case.events,
            Path(directory),
            client=case.client_column,
            time=case.time_column,
            site=case.site_column,
            days=(min(case.days), max(case.days) + 1),
            min_clients=case.min_clients,
        )
        with Store.open(directory) as store:
            mine = store.history(case.view.name)
    expected = oracle(
        case.view,
        case.events,
        client_column=case.client_column,
        time_column=case.time_column,
        site_column=case.site_column,
        days=case.days,
        min_clients=case.min_clients,
    )
    assert_equal_to_oracle(mine, expected, case.view.entity.keys)


@settings(
    deadline=None, max_examples=examples(15), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(case=cases(panes=("1h", "1d", "15m")), step_panes=st.integers(1, 9))
def test_a_day_computed_pane_by_pane_is_the_day_computed_at_once(case: Case, step_panes: int) -> None:
    events = make_events(case.events, case.client_column, case.time_column, case.site_column)
    start, end = min(case.days) * DAY_US, (max(case.days) + 1) * DAY_US
    whole = compute(case.view, events, interval=(start, end))
    used = UsedCells.none()
    parts = []
    step = step_panes * case.view.pane_us * (8 if case.view.pane == "15m" else 1)
    for first in range(start, end, step):
        part = compute(case.view, events, used, (first, min(first + step, end)))
        used = used_after(used, part)
        parts.append(part)
    assert np.array_equal(np.concatenate([p.pane_start for p in parts]), whole.pane_start)
    assert np.array_equal(np.concatenate([p.client for p in parts]), whole.client)
    assert np.array_equal(np.concatenate([p.slots.columns for p in parts]), whole.slots.columns)
    assert np.array_equal(np.concatenate([p.slots.values for p in parts]), whole.slots.values)
    assert np.array_equal(used.cells, used_after(UsedCells.none(), whole).cells)
