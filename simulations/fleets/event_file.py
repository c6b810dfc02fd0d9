"""A fleet from a file of events. The file names the sites; the number of clients of a site is declared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from base.times import DAY_US
from deployment.errors import TooManyClients
from edge_client.events import event_times, make_events
from edge_client.sources.files.reading import read_events
from featurestore.define.definitions import FeatureView
from federation.parties import DEFAULT_SITE_CLIENTS
from federation.plan import FromEvents
from simulations.errors import FleetImpossible

from .block import BLOCK_CLIENTS, Columns, SiteBlock

Ints = npt.NDArray[np.int64]
ONE_SITE = "site"
"""Name of the only site of a file without a column of sites."""


@dataclass(frozen=True)
class EventFile:
    """The events of a .parquet or .csv file, or of the files of a folder or pattern, for these views.

    Attributes:
        site_clients: public maximum of clients of a site; None: `DEFAULT_SITE_CLIENTS`.
    """

    path: Path
    views: tuple[FeatureView, ...]
    columns: Columns
    site_clients: int | None = None

    @property
    def clients(self) -> int:
        """Return the number of distinct (site, client). Secret: only the owner of the file may see it."""
        return int(_read(self).clients.sum())

    @property
    def from_events(self) -> tuple[FromEvents, ...]:
        """Return the days, and the sites if a column names them."""
        return ("days",) if self.columns.site is None else ("days", "sites")

    @property
    def days(self) -> tuple[int, int]:
        """Return the first day with an event and the day after the last."""
        return _read(self).days

    @property
    def blocks(self) -> int:
        """Return the number of blocks."""
        return len(_read(self).starts) - 1

    def block(self, index: int) -> SiteBlock:
        """Make one block."""
        read = _read(self)
        first, last = (int(at) for at in read.starts[index : index + 2])
        rows = np.flatnonzero((read.site >= first) & (read.site < last))
        of_site = DEFAULT_SITE_CLIENTS if self.site_clients is None else self.site_clients
        for site, have in zip(read.sites[first:last], read.clients[first:last].tolist(), strict=True):
            if have > of_site:
                raise TooManyClients(f"site {site!r}", have, of_site)
        enrolled = np.full(last - first, of_site, np.int64)
        return SiteBlock(read.sites[first:last], enrolled, read.table.take(pa.array(rows)), self.columns)


@dataclass(frozen=True, eq=False)
class _LoadedFile:
    """The file in memory, read once a process. Secret. Events without a site or client are left out.

    Attributes:
        site: int64[N], site of each event.
        clients: int64[S], counted clients of each site.
        starts: first site of each block.
    """

    table: pa.Table
    sites: tuple[str, ...]
    site: Ints
    clients: Ints
    starts: Ints
    days: tuple[int, int]


@lru_cache(maxsize=2)
def _read(source: EventFile) -> _LoadedFile:
    """Read the file. Raises EventsError, EventColumnError; FleetImpossible: no event has a client, a site and a time."""
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
        return _LoadedFile(table, (ONE_SITE,), np.zeros(table.num_rows, np.int64), counts, np.array([0, 1]), days)
    encoded = events.identities.field("site").dictionary_encode()
    names = [str(name) for name in encoded.dictionary.to_pylist()]
    order = np.argsort(names)  # the order of events in the file does not matter
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    of_identity = rank[encoded.indices.to_numpy()]
    clients = np.bincount(of_identity, minlength=len(names))
    of_site = (np.cumsum(clients) - clients) // BLOCK_CLIENTS
    starts = np.append(np.flatnonzero(np.diff(of_site, prepend=-1)), len(names))
    return _LoadedFile(table, tuple(names[at] for at in order), of_identity[events.client], clients, starts, days)
