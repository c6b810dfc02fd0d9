"""Flights as a stream: which record arrives on which day, and what of it counts. The oracle reads the same events from the file.

A flight becomes known on the day of its departure, so its arrival may be in the future. In between come records that nobody can
read, records that a producer sends twice, and flights that arrive after their day was collected.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from base.times import DAY_US
from simulations.datasets.flights import load_flights

CARRIERS: Final = ("UA", "B6", "EV", "DL")
FIRST: Final = 15_706
"""UTC day since the epoch: 2013-01-01."""
GARBAGE: Final = (
    b"no JSON",
    b"",
    b"[1, 2]",
    b'{"tail": "N1"',
    b"\xff\xfe",
    b'{"id": 1}',
    b'{"tail": null, "dep": 1357000000000}',
    b'{"tail": "N1", "dep": "yesterday"}',
)
"""Records that hold no event: none has a client and a time."""
VIEWS: Final = """
from covey import *

arrivals = FeatureView(
    "arrivals",
    entity=Entity("dest", domain=["ATL", "BOS", "LAX", "MCO", "ORD", "SFO"]),
    time="arrived_at",
    pane="1d",
    windows=["7d"],
    features=[ClientCount("planes"), Mean("arr_delay", clip=(-60, 180), resolution=1),
              Histogram("arr_delay", edges=[-15, 0, 15, 60]), Rate("late", where="arr_delay >= 15")],
    bounds=Bounds(max_cells=3, max_events_per_cell=2),
    privacy=Privacy(rho=0.25, min_clients=2),
    min_coverage=0.5,
)
departures = FeatureView(
    "departures",
    entity=Entity("area", value="NYC"),
    pane="1h",
    windows=["3h"],
    features=[Count("flights"), Rate("late", where="dep_delay >= 15")],
    bounds=Bounds(max_cells=2, max_events_per_cell=1),
    privacy=Privacy(rho=0.25, min_clients=2),
    min_coverage=0.25,
)
"""
COLUMNS: Final = """
[source.columns]
tailnum = {from = "tail", type = "text"}
departed_at = {from = "dep", type = "time", unit = "ms"}
arrived_at = {from = "arr", type = "time"}
dest = "text"
dep_delay = "number"
arr_delay = "number"
flight = {from = "id", type = "whole"}
"""


@dataclass(frozen=True)
class Record:
    """A record of a site's stream.

    Attributes:
        flight: its number; None: it holds no event.
    """

    site: str
    value: bytes
    flight: int | None


@dataclass(frozen=True)
class Replay:
    """What arrives day by day.

    Attributes:
        flights: all of them, with their number, moved so that the first day is `first`.
        days: by day, the records that arrive before it is collected, in order.
        late: by day, those flights of this day that arrive after it was collected.
    """

    first: date
    flights: pa.Table
    days: Sequence[Sequence[Record]]
    late: Sequence[Sequence[int]]

    def counted(self) -> pa.Table:
        """The flights that count, in the order in which they arrive first."""
        late = {flight for flights in self.late for flight in flights}
        order = [one.flight for records in self.days for one in records if one.flight is not None]
        return self.flights.take(pa.array([flight for flight in dict.fromkeys(order) if flight not in late]))

    def bad(self, site: str) -> int:
        """The number of records of a site that hold no event."""
        return sum(one.site == site and one.flight is None for records in self.days for one in records)

    def repeated(self, site: str) -> int:
        """The number of records of a site that came before."""
        own = [one.flight for records in self.days for one in records if one.site == site and one.flight is not None]
        return len(own) - len(set(own))

    def late_of(self, site: str) -> int:
        """The number of flights of a site that came late."""
        carriers = self.flights["carrier"]
        return sum(carriers[flight].as_py() == site for flights in self.late for flight in flights)


def replay(days: int, first: date, share: float, carriers: Sequence[str] = CARRIERS, seed: int = 3) -> Replay:
    """The flights of so many days.

    Args:
        first: the day that the first one becomes.
        share: of the flights that are taken.
    """
    chance = np.random.default_rng(seed)
    flights = _flights(days, first, share, carriers, chance)
    of_day = _day(flights["departed_at"]) - (first - date(1970, 1, 1)).days
    arrives = _day(flights["arrived_at"]).astype(np.int64) - (first - date(1970, 1, 1)).days
    values, site_of = _values(flights), flights["carrier"].to_pylist()
    records: list[list[Record]] = []
    late: list[list[int]] = []
    for day in range(days):
        mine = np.flatnonzero(of_day == day)
        held = [flight for flight in mine.tolist() if arrives[flight] == day and chance.random() < 0.04]
        late.append(held if day < days - 2 else [])
        mine = np.setdiff1d(mine, late[-1])
        known = chance.permutation(np.concatenate([mine, *late[day - 2 : day - 1]]).astype(np.int64)).tolist()
        arriving = [Record(site_of[flight], values[flight], flight) for flight in known]
        for again in chance.choice(
            len(arriving), len(arriving) // 10
        ).tolist():  # after the record, perhaps a day after
            arriving.append(arriving[again])
        if day:
            arriving += [one for one in records[-1][:20] if one.flight is not None]
        for number, value in enumerate(GARBAGE):
            site = carriers[(number + day) % len(carriers)]
            arriving.insert(int(chance.integers(len(arriving))), Record(site, value, None))
        records.append(arriving)
    return Replay(first, flights, records, late)


def _flights(days: int, first: date, share: float, carriers: Sequence[str], chance: np.random.Generator) -> pa.Table:
    table = load_flights()
    day = _day(table["departed_at"])
    mine = np.isin(table["carrier"].to_pylist(), carriers) & (day >= FIRST) & (day < FIRST + days)
    table = table.filter(pa.array(mine & (chance.random(len(day)) < share)))
    shift = pa.scalar(((first - date(1970, 1, 1)).days - FIRST) * DAY_US, pa.duration("us"))
    for name in ("departed_at", "arrived_at"):
        table = table.set_column(table.column_names.index(name), name, pc.add(table[name], shift))
    return table.select(["carrier", "tailnum", "dest", "dep_delay", "arr_delay", "departed_at", "arrived_at"])


def _day(times: pa.ChunkedArray) -> Any:
    """int64[N], the UTC day since the epoch; −1 where null."""
    return pc.fill_null(times.cast(pa.int64()), -1).to_numpy() // DAY_US


def _values(flights: pa.Table) -> list[bytes]:
    found = []
    for number, row in enumerate(flights.to_pylist()):
        arrived = None if row["arrived_at"] is None else row["arrived_at"].isoformat()
        departed = int(row["departed_at"].timestamp() * 1_000)
        record = {"id": number, "tail": row["tailnum"], "dest": row["dest"], "dep": departed, "arr": arrived}
        record |= {"dep_delay": row["dep_delay"], "arr_delay": row["arr_delay"], "gate": "not declared"}
        found.append(json.dumps(record).encode())
    return found
