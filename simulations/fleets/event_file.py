"""A fleet from a file of events: its sites and clients are those that the file names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from edge_client.events import event_times, make_events, read_events
from featurestore.definitions import FeatureView
from featurestore.times import DAY_US
from simulations.errors import FleetImpossible

from .block import BLOCK_CLIENTS, Block, Columns

Ints = npt.NDArray[np.int64]
ONE_SITE = "site"
"""The one site of a file without a column of sites."""


@dataclass(frozen=True)
class EventFile:
    """The events of a .parquet or .csv file, for these views."""

    path: Path
    views: tuple[FeatureView, ...]
    columns: Columns

    @property
    def clients(self) -> int:
        """Distinct clients, each at its site."""
        return int(_read(self).enrolled.sum())

    @property
    def days(self) -> tuple[int, int]:
        """From the first day with an event to the day after the last."""
        return _read(self).days

    @property
    def blocks(self) -> int:
        """How many there are."""
        return len(_read(self).starts) - 1

    def block(self, index: int) -> Block:
        """One of them."""
        read = _read(self)
        first, last = (int(at) for at in read.starts[index : index + 2])
        rows = np.flatnonzero((read.site >= first) & (read.site < last))
        return Block(read.sites[first:last], read.enrolled[first:last], read.table.take(pa.array(rows)), self.columns)


@dataclass(frozen=True, eq=False)
class _Read:
    """The file in memory, once a process. `site`: int64[N], each event's; events without a site or client are left out."""

    table: pa.Table
    sites: tuple[str, ...]
    site: Ints
    enrolled: Ints
    starts: Ints
    days: tuple[int, int]


@lru_cache(maxsize=2)
def _read(source: EventFile) -> _Read:
    """Read it. Raises EventsError, EventColumnError; FleetImpossible: nothing in it has a client, a site and a time."""
    column = source.columns
    table = read_events(source.path, source.views, column.client, column.time, column.site)
    for name in {column.client, column.site} - {None}:
        table = table.filter(pc.is_valid(table.column(name)))
    times = event_times(table, column.time)
    if not times.valid.any():
        raise FleetImpossible(f"{source.path}: no event has a client, a site and a time")
    days = int(times.us[times.valid].min() // DAY_US), int(times.us[times.valid].max() // DAY_US) + 1
    events = make_events(table, column.client, column.time, column.site)
    if column.site is None:
        counts = np.array([events.clients])
        return _Read(table, (ONE_SITE,), np.zeros(table.num_rows, np.int64), counts, np.array([0, 1]), days)
    encoded = events.identities.field("site").dictionary_encode()
    names = [str(name) for name in encoded.dictionary.to_pylist()]
    order = np.argsort(names)  # the file's order of events does not matter
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    of_identity = rank[encoded.indices.to_numpy()]
    enrolled = np.bincount(of_identity, minlength=len(names))
    of_site = (np.cumsum(enrolled) - enrolled) // BLOCK_CLIENTS
    starts = np.append(np.flatnonzero(np.diff(of_site, prepend=-1)), len(names))
    return _Read(table, tuple(names[at] for at in order), of_identity[events.client], enrolled, starts, days)
