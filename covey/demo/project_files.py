"""What the console of the demo has beside the store: the flights as a file of events, and the demo's views as views.py."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from simulations.datasets.flights import load_flights

EVENTS: Final = "flights.parquet"
VIEWS: Final = "views.py"

_TEXT: Final = '''"""Views of the departures from New York's airports in 2013: airlines are the sites, their planes the clients."""

from covey import Bounds, ClientCount, Entity, FeatureView, Histogram, Mean, Privacy, Rate

CARRIERS = {carriers}
DESTINATIONS = {destinations}

# The fast signal, of the whole area. Nights are void: too few planes fly.
area_delay = FeatureView(
    "area_delay",
    entity=Entity("area", value="NYC"),
    time="departed_at",
    pane="1h",
    windows=["3h", "24h"],
    features=[Rate("late", where="dep_delay >= 15")],
    bounds=Bounds(max_cells=2, max_events_per_cell=1),
    privacy=Privacy(rho=0.08, min_clients=20),
    release_delay="5m",
    min_coverage=0.5,
    description="Share of departures from the area that leave 15 minutes late or more.",
)

# The slow signal, by airline.
carrier_delay = FeatureView(
    "carrier_delay",
    entity=Entity("carrier", domain=CARRIERS),
    time="arrived_at",
    pane="1d",
    windows=["7d", "28d"],
    features=[Rate("late", where="arr_delay >= 15")],
    bounds=Bounds(max_cells=1, max_events_per_cell=1),
    privacy=Privacy(rho=0.02, min_clients=50),
    release_delay="30m",
    description="Share of an airline's arrivals that are 15 minutes late or more.",
)

dest_delay = FeatureView(
    "dest_delay",
    entity=Entity("dest", domain=DESTINATIONS),
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
'''
_WIDTH: Final = 112


def write_project_files(directory: Path) -> None:
    """Write the events, and views.py if there is none: a file that was edited stays."""
    flights = load_flights()
    pq.write_table(flights, directory / EVENTS)
    if not (directory / VIEWS).exists():
        carriers, destinations = (sorted(pc.unique(flights[name]).to_pylist()) for name in ("carrier", "dest"))
        (directory / VIEWS).write_text(views_text(carriers, destinations), encoding="utf-8")


def views_text(carriers: Sequence[str], destinations: Sequence[str]) -> str:
    """The views of `simulations.datasets.flights.flight_views` as a file to read and edit."""
    return _TEXT.format(carriers=_listed(carriers), destinations=_listed(destinations))


def _listed(names: Sequence[str]) -> str:
    lines = textwrap.wrap(", ".join(f'"{name}"' for name in names) + ",", _WIDTH)
    return "\n".join(("[", *(f"    {line}" for line in lines), "]"))
