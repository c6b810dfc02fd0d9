"""A block: some consecutive sites of a fleet and the events of their clients. Fleets are made block by block, never whole."""

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
"""Approximate clients of a block, because a site is never split. It never changes, because each block has a seed."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Columns:
    """The names of the columns of client, time and site."""

    client: str = CLIENT_COLUMN
    time: str = TIME_COLUMN
    site: str | None = SITE_COLUMN


@dataclass(frozen=True, eq=False)
class SiteBlock:
    """Some sites and their events. Secret: in a simulation one process holds all events.

    Attributes:
        sites: names of the sites, in order.
        enrolled: int64[S], declared clients of each site, with clients that have no event.
        table: the events of these sites only.
    """

    sites: tuple[str, ...]
    enrolled: Ints
    table: pa.Table = field(repr=False)
    columns: Columns = Columns()

    def seated(self) -> SeatedEvents:
        """Number the clients of the events, and give each a seat of its site."""
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
        return SeatedEvents(events, number, starts[number] + rank, self.enrolled)


@dataclass(frozen=True, eq=False)
class SeatedEvents:
    """The events of a block, with numbered clients. Secret.

    Attributes:
        site_of: int64[identities], index of the site of each identity.
        seat_of: int64[identities], seat of each identity in the block.
        enrolled: int64[S], number of seats of each site.
    """

    events: Events = field(repr=False)
    site_of: Ints
    seat_of: Ints
    enrolled: Ints

    @property
    def site_of_seat(self) -> Ints:
        """Return int64[seats]: the site of each seat."""
        return np.repeat(np.arange(len(self.enrolled)), self.enrolled)


class Source(Protocol):
    """A fleet in blocks. It is small and picklable; each worker makes its own blocks from it."""

    @property
    def blocks(self) -> int:
        """Return the number of blocks."""

    @property
    def clients(self) -> int:
        """Return the number of clients of all sites: enrolled clients, or clients in a file."""

    @property
    def from_events(self) -> tuple[FromEvents, ...]:
        """Return the parts of a plan for this fleet that follow from its events."""

    @property
    def days(self) -> tuple[int, int]:
        """Return [from, to), UTC days since the epoch."""

    def block(self, index: int) -> SiteBlock:
        """Make one block. It is the same at each call and in every process."""
