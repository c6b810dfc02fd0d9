"""Late arrival: will this departure arrive more than 15 minutes late? The prediction is made at the scheduled departure.

Own features come from the schedule. The aggregates are private sums over planes: hourly late departures of the whole area, and
daily late arrivals of each airline. Models are trained on January to August and tested on September to December. Settings are
compared on July and August, with models of January to June.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from base.times import day_of_date
from edge_client.events import make_events
from featurestore.define.definitions import FeatureView
from featurestore.define.filtered import Filtered
from simulations.datasets.flights import (
    CLIENT_COLUMN,
    SITE_COLUMN,
    TIME_COLUMN,
    area_delay,
    carrier_delay,
    load_flights,
)

from .prices import Price
from .task import FeatureSet, Task

ZONE: Final = "America/New_York"
LATE_MINUTES: Final = 15
AREA_SHARE: Final = 0.8
"""Share of ρ for the fast signal; the slow signal has the rest."""
OTHER_SHARES: Final = (0.6, 0.7, 0.9)
"""Other shares, which are compared on the training months."""

AREA_FAST: Final = Filtered("late", "12h", sd=0.15, tz=ZONE)
AREA_SLOW: Final = Filtered("late", "24h", sd=0.10, tz=ZONE, name="late_slow")
CARRIER: Final = Filtered(
    "late", "20d", sd=0.06, season=None, tz=ZONE, scaled=False, baseline_half_life="60d", baseline_variance=0.01
)

_WINDOWS: Final = (
    "area_delay:late",
    "area_delay:late_3h",
    "area_delay:late_24h",
    "carrier_delay:late",
    "carrier_delay:late_7d",
    "carrier_delay:late_28d",
)
_FILTERED: Final = (
    "area_delay:late_dev",
    "area_delay:late_pred",
    "area_delay:late_n",
    "area_delay:late_slow_dev",
    "carrier_delay:late_pred",
)
_N: Final = "area_delay:late_n"
SETS: Final = {
    "windows": FeatureSet(_WINDOWS, frozenset(_WINDOWS)),
    "filtered": FeatureSet(_FILTERED, frozenset(_FILTERED) - {_N}),
}

OTHERS: Final = {
    "half-life ÷ 2": replace(AREA_FAST, half_life="6h", name="late_short"),
    "half-life × 2": replace(AREA_FAST, half_life="24h", name="late_long"),
    "s₀ ÷ 2": replace(AREA_FAST, sd=0.075, name="late_calm"),
    "s₀ × 2": replace(AREA_FAST, sd=0.3, name="late_wild"),
    "season in UTC": replace(AREA_FAST, tz="UTC", name="late_utc"),
}
"""Other settings of the fast filter, which cost no privacy. They are compared on the training months."""


def other_set(filtered: Filtered) -> FeatureSet:
    """Replace the fast filter of the filtered features by another filter."""
    fast = tuple(f"area_delay:{name}" for name in filtered.names)
    references = (*fast, *_FILTERED[len(fast) :])
    return FeatureSet(references, frozenset(references) - {fast[-1]})


_CATEGORIES: Final = ("carrier", "origin", "dest")


def late_arrivals(flights: pa.Table | None = None) -> Task:
    """Make the task of these departures; default: the whole year. Raises DataMissing."""
    table = load_flights() if flights is None else flights
    carriers = sorted(pc.unique(table["carrier"]).to_pylist())
    labels = table.filter(pc.is_valid(table["arr_delay"]))
    local = pc.local_timestamp(labels["sched_dep"].cast(pa.timestamp("us", ZONE)))
    codes = [labels[name].combine_chunks().dictionary_encode().indices.to_numpy() for name in _CATEGORIES]
    minute = labels["hour"].to_numpy() * 60 + labels["minute"].to_numpy()
    own = np.column_stack((*codes, minute, pc.day_of_week(local).to_numpy(), labels["distance"].to_numpy()))
    return Task(
        name="flights",
        events=make_events(table, CLIENT_COLUMN, TIME_COLUMN, SITE_COLUMN),
        views=partial(views, carriers),
        labels=labels.select(["carrier", "sched_dep"]),
        time="sched_dep",
        own=own.astype(np.float32),
        categories=len(_CATEGORIES),
        y=pc.greater(labels["arr_delay"], LATE_MINUTES).to_numpy(),
        day=pc.floor_temporal(local, unit="day").cast(pa.date32()).cast(pa.int32()).to_numpy().astype(np.int64),
        choose_from=day_of_date(date(2013, 7, 1)),
        test_from=day_of_date(date(2013, 9, 1)),
        split=datetime(2013, 9, 1, tzinfo=ZoneInfo(ZONE)),
        sets=SETS,
    )


def views(
    carriers: list[str], price: Price | None, *, others: bool = False, area_share: float = AREA_SHARE
) -> tuple[FeatureView, FeatureView]:
    """Make `area_delay` and `carrier_delay` at a price of both, with filtered features; None: for runs without noise.

    Args:
        others: add the filters of `OTHERS`; the collection stays the same.
        area_share: the part of ρ for `area_delay`.
    """
    area, carrier = area_delay(), carrier_delay(carriers)
    area = replace(area, features=(*area.features, AREA_FAST, AREA_SLOW, *(OTHERS.values() if others else ())))
    carrier = replace(carrier, features=(*carrier.features, CARRIER))
    if price is None:
        return area, carrier
    return price.of(area, area_share), price.of(carrier, 1 - area_share)
