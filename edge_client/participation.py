"""The reports that a site sends: one per active client, one per enrolled client, or their sum.

Under `active`, the clients with a kept event of a pane report, so the number of reports reveals how many were active. Under
`all`, the site sends exactly `enrolled` reports per pane, whatever the events are. Its clients have numbered seats. A seat without
a client, or whose client has no event, reports zeros. Only the site knows which seats these are.

Under `report_per="site"` these reports are bounded one by one and then summed per pane.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crypto.sharing import SparseRows

from .compute import Contributions

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PaneReports:
    """Reports of one view, by pane, then reporter. Secret.

    Attributes:
        pane: int64[R], index of the pane among the plan's panes.
        reporter: int64[R], index of the client, or of the seat.
        slots: the R sparse report vectors.
    """

    pane: Ints
    reporter: Ints
    slots: SparseRows

    def __repr__(self) -> str:
        return f"PaneReports({len(self.pane)} reports: redacted)"


def of_active_clients(pane_starts: Ints, made: Contributions) -> PaneReports:
    """The contributions to the given panes (int64[P] starts, increasing)."""
    pane, asked = _panes_of(pane_starts, made)
    return PaneReports(pane, made.client[asked].astype(np.int64), made.slots.take(asked))


def of_every_client(pane_starts: Ints, made: Contributions, seat_of: Ints, enrolled: int) -> PaneReports:
    """`enrolled` reports per pane, in order of the seats: each is a client's contribution or zeros.

    Args:
        seat_of: int64[clients], the seat of each client, or −1 if it has none. No two clients share a seat.
    """
    pane, asked = _panes_of(pane_starts, made)
    seat = seat_of[made.client[asked]]
    row, contribution = pane[seat >= 0] * enrolled + seat[seat >= 0], asked[seat >= 0]
    order = np.argsort(row)
    kept = made.slots.take(contribution[order])
    rows = len(pane_starts) * enrolled
    filled = np.zeros(rows, np.int64)
    filled[row[order]] = np.diff(kept.indptr)
    slots = SparseRows(np.concatenate(([0], np.cumsum(filled))), kept.columns, kept.values, kept.length)
    return PaneReports(np.repeat(np.arange(len(pane_starts)), enrolled), np.arange(rows) % enrolled, slots)


@dataclass(frozen=True, eq=False)
class SiteReports:
    """Sums of clients' reports, by pane, then site. Secret.

    Attributes:
        first: int64[R], index of the first report of each sum.
        clients: uint32[R], number of reports in each sum, each of another client.
        slots: the R sparse report vectors.
    """

    first: Ints
    clients: npt.NDArray[np.uint32]
    slots: SparseRows

    def __repr__(self) -> str:
        return f"SiteReports({len(self.first)} reports: redacted)"


def of_sites(pane: Ints, site: Ints, slots: SparseRows) -> SiteReports:
    """Sum the reports of each (pane, site) that has one. `pane` and `site` are int64[R], one entry per report."""
    (_, first, row, clients) = np.unique(
        np.stack((pane, site), axis=1), axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    entry = np.repeat(row.reshape(-1), np.diff(slots.indptr)) * slots.length + slots.columns
    entries, at = np.unique(entry, return_inverse=True)
    values = np.zeros(len(entries), np.int64)
    np.add.at(values, at, slots.values)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(entries // slots.length, minlength=len(first)))))
    summed = SparseRows(indptr.astype(np.int64), (entries % slots.length).astype(np.int32), values, slots.length)
    return SiteReports(first, clients.astype(np.uint32), summed)


@dataclass(frozen=True, eq=False)
class Seats:
    """The seats of a site's clients under `all`. Secret.

    Attributes:
        names: the stable name of each seat's reporter: a client, or a placeholder for an empty seat.
        seat_of: int64[clients], the seat of each client. −1: there are more clients than enrolled; its events are dropped.
    """

    names: Sequence[bytes]
    seat_of: Ints

    def __repr__(self) -> str:
        return f"Seats({len(self.names)}: redacted)"

    @property
    def left_out(self) -> int:
        """The number of clients without a seat. It never leaves the site."""
        return int(np.count_nonzero(self.seat_of < 0))


def seats_for(clients: Sequence[bytes], enrolled: int) -> Seats:
    """Give seats to the site's clients in the order of their stable names. The remaining seats stay empty.

    The claim of DESIGN §4 assumes that `enrolled` is at least the number of the site's clients. With more clients, the events of
    one client would decide whether another client has a seat.
    """
    order = sorted(range(len(clients)), key=lambda index: clients[index])[:enrolled]
    nobody = [hashlib.sha256(b"covey-1 nobody %d" % number).digest() for number in range(enrolled - len(order))]
    return seats_of(clients, [*(clients[index] for index in order), *nobody])


def seats_of(clients: Sequence[bytes], names: Sequence[bytes]) -> Seats:
    """Give the clients the seats that they had before."""
    seat = {name: number for number, name in enumerate(names)}
    return Seats(names, np.array([seat.get(client, -1) for client in clients], dtype=np.int64))


def _panes_of(pane_starts: Ints, made: Contributions) -> tuple[Ints, Ints]:
    """For the contributions to these panes: the index of the pane, and the index of the contribution."""
    at = np.minimum(np.searchsorted(pane_starts, made.pane_start), len(pane_starts) - 1)
    asked = np.flatnonzero(pane_starts[at] == made.pane_start)
    return at[asked], asked
