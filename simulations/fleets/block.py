"""A block: some consecutive sites of a fleet and what their clients did. Fleets are made block by block, never whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from edge_client.events import Events, make_events
from federation.plan import FromEvents

CLIENT_COLUMN: Final = "client"
SITE_COLUMN: Final = "site"
TIME_COLUMN: Final = "time"
BLOCK_CLIENTS: Final = 16_384
"""Clients of a block, more or less: a site is never split. A constant of the format: seeds are those of blocks."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Columns:
    """Which column of the events is whose."""

    client: str = CLIENT_COLUMN
    time: str = TIME_COLUMN
    site: str | None = SITE_COLUMN


@dataclass(frozen=True, eq=False)
class SiteBlock:
    """Some sites and their events. Secret: in a simulation one process sees everything.

    Attributes:
        sites: their names, in order.
        enrolled: int64[S], clients that each site may have, with those that are quiet: declared, not counted from events.
        table: the events of these sites, no others'.
    """

    sites: tuple[str, ...]
    enrolled: Ints
    table: pa.Table = field(repr=False)
    columns: Columns = Columns()

    def seated(self) -> Seated:
        """The events with their clients numbered, each on a seat of its site."""
        column = self.columns
        events = make_events(self.table, column.client, column.time, column.site)
        number = np.zeros(events.clients, np.int64)
        if column.site is not None:
            names = events.identities.field("site").dictionary_encode()
            index = {name: at for at, name in enumerate(self.sites)}
            of_name = np.array([index[str(name)] for name in names.dictionary.to_pylist()], np.int64)
            number = of_name[names.indices.to_numpy()]
        order = np.argsort(number, kind="stable")
        first = np.searchsorted(number[order], np.arange(len(self.sites)))
        rank = np.empty(len(number), np.int64)
        rank[order] = np.arange(len(number)) - first[number[order]]
        starts = np.cumsum(self.enrolled) - self.enrolled
        return Seated(events, number, starts[number] + rank, self.enrolled)


@dataclass(frozen=True, eq=False)
class Seated:
    """A block's events, its clients in their places. Secret.

    Attributes:
        site_of: int64[identities], index of each identity's site.
        seat_of: int64[identities], its seat in the block.
        enrolled: int64[S], seats of each site, in order of the sites.
    """

    events: Events = field(repr=False)
    site_of: Ints
    seat_of: Ints
    enrolled: Ints

    @property
    def site_of_seat(self) -> Ints:
        """int64[seats], each seat's site."""
        return np.repeat(np.arange(len(self.enrolled)), self.enrolled)


class Source(Protocol):
    """A fleet, block by block. Small and picklable: each worker makes its own blocks from it."""

    @property
    def blocks(self) -> int:
        """How many there are."""

    @property
    def clients(self) -> int:
        """Clients of all sites that there are: enrolled, or named by a file."""

    @property
    def from_events(self) -> tuple[FromEvents, ...]:
        """What of a plan for this fleet follows from its events."""

    @property
    def days(self) -> tuple[int, int]:
        """[from, to), UTC days since the epoch."""

    def block(self, index: int) -> SiteBlock:
        """One of them; the same at each call, in any process."""
