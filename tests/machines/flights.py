"""The events of the machines' sites: flights of two airlines in January 2013, and their exact values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from deployment.run import run
from featurestore.define.views_file import load_views
from featurestore.store import Store
from simulations.datasets.flights import CLIENT_COLUMN, SITE_COLUMN, TIME_COLUMN, load_flights

SITES: Final = ("DL", "UA")
FIRST: Final = datetime(2013, 1, 1, tzinfo=UTC)
DAYS: Final = 12
VIEW: Final = "dest_delay"
AIRPORTS: Final = ("ATL", "BOS", "IAH", "LAX", "MIA", "SFO")
VIEWS: Final = f"""
from covey import Bounds, ClientCount, Entity, FeatureView, Histogram, Mean, Privacy, Rate

dest_delay = FeatureView(
    name="dest_delay",
    entity=Entity("dest", domain={list(AIRPORTS)}),
    pane="1d",
    windows=["7d"],
    features=[
        ClientCount("planes"),
        Mean("arr_delay", clip=(-60, 180), resolution=1.0),
        Histogram("arr_delay", edges=[-15, 0, 15, 30, 60, 120]),
        Rate("late", where="arr_delay >= 15", derive=True),
    ],
    bounds=Bounds(max_cells=3, max_events_per_cell=1),
    privacy=Privacy(rho=0.1, min_clients=10),
)
"""
"""The view of docs/quickstart.md, for fewer planes."""


@cache
def flights() -> pa.Table:
    """The flights of both airlines that arrived in the first days of the year."""
    table = load_flights().select([CLIENT_COLUMN, TIME_COLUMN, SITE_COLUMN, "dest", "arr_delay"])
    arrived = table[TIME_COLUMN]
    end = pa.scalar(FIRST + timedelta(DAYS), arrived.type)
    return table.filter(pc.and_(pc.less(arrived, end), pc.is_in(table[SITE_COLUMN], pa.array(SITES)))).combine_chunks()


def reports_of(day: int) -> int:
    """How many planes have an event of the view on a day: each sends one report, from each site."""
    begin = FIRST + timedelta(day)
    planes = {
        (row[SITE_COLUMN], row[CLIENT_COLUMN])
        for row in flights().to_pylist()
        if begin <= row[TIME_COLUMN] < begin + timedelta(1) and row["dest"] in AIRPORTS
    }
    return len(planes)


def write_events(site: str, path: Path) -> None:
    """Write what one airline knows."""
    table = flights()
    pq.write_table(table.filter(pc.equal(table[SITE_COLUMN], site)).drop_columns([SITE_COLUMN]), path)


def exact_values(folder: Path) -> pa.Table:
    """The values of a run in this process without noise, by pane and key."""
    (folder / "views.py").write_text(VIEWS)
    run(
        load_views(folder / "views.py"), flights(), store=folder / "store", client_column=CLIENT_COLUMN,
        time_column=TIME_COLUMN, site_column=SITE_COLUMN, start=FIRST.date(), end=(FIRST + timedelta(DAYS)).date(),
        noise="off", participation="active", in_process=True,
    )  # fmt: skip
    with Store.open(folder / "store") as store:
        return values_of(store.history(VIEW))


def values_of(history: pa.Table) -> pa.Table:
    """A history without what belongs to its collection: times of release and publication, and names of releases."""
    own = ("released_at", "published_at", "seq", "release_id", "clock", "plan_hash")
    return history.select([name for name in history.column_names if name not in own])


def rows_of(table: pa.Table, days: int, first: int = 0) -> list[dict[str, Any]]:
    """The rows of the panes of some days, beginning with the day number `first`."""
    begin = FIRST + timedelta(first)
    rows = table.to_pylist()
    return [row for row in rows if begin < row["pane_end"] <= begin + timedelta(days)]
