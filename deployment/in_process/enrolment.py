"""The enrolment of a run over a table of events: each site has its declared number of clients, never the number in its events.

Plans, rosters and the sizes of messages reveal the declared numbers to other parties, so one more client in the events must
not change them (ADR 0020). A run over more clients than are declared is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deployment.errors import TooManyClients
from edge_client.events import Events

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Enrolment:
    """The seats of a run: `site_clients` for each site, in order of the sites.

    Attributes:
        sites: the number of sites. With a site column it comes from the events, and plans say so in `from_events`.
        site_clients: the declared number of seats of each site.
        site_of, seat_of: int64[clients], each client's site and seat. Secret.
    """

    sites: int
    site_clients: int
    site_of: Ints
    seat_of: Ints

    def __repr__(self) -> str:
        return f"Enrolment({self.sites} sites of {self.site_clients} clients: redacted)"

    @property
    def declared(self) -> list[int]:
        """The declared number of clients of each site."""
        return [self.site_clients] * self.sites

    @property
    def clients(self) -> int:
        """The number of seats of all sites."""
        return self.sites * self.site_clients


def enrol(events: Events, site_clients: int) -> Enrolment:
    """Give each client of the events a seat at its site. Raises TooManyClients."""
    site_of, names = np.zeros(events.clients, np.int64), ["the only site"]
    if by_site(events):
        encoded = events.identities.field("site").dictionary_encode()
        site_of = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        names = [f"site {name!r}" for name in encoded.dictionary.to_pylist()]
    counts = np.bincount(site_of, minlength=len(names))
    for name, have in zip(names, counts.tolist(), strict=True):
        if have > site_clients:
            raise TooManyClients(name, have, site_clients)
    order = np.argsort(site_of, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - (np.cumsum(counts) - counts)[site_of[order]]
    return Enrolment(max(1, len(names)), site_clients, site_of, site_of * site_clients + rank)


def by_site(events: Events) -> bool:
    """Whether a column of the events names the sites."""
    return bool(pa.types.is_struct(events.identities.type))
