"""Which reports a site sends of what its clients contribute: those of active clients, one of every enrolled client, or a sum.

Under `active`, clients with a kept event of a pane report, so the number of reports tells how many were active. Under `all`
exactly `enrolled` reports a pane are sent, whatever the events are: the site's clients sit on numbered seats, and what has
no client, or whose client has no event, is a report of zeros. Nobody but the site knows which those are.

Where a report is a site's (`report_per="site"`), these reports are summed pane by pane, each bounded as it is.
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
        pane: int64[R], index of the pane among those that were asked for.
        reporter: int64[R], index of the client, or of the seat.
        slots: the R sparse report vectors.
    """

    pane: Ints
    reporter: Ints
    slots: SparseRows

    def __repr__(self) -> str:
        return f"PaneReports({len(self.pane)} reports: redacted)"


def of_active_clients(pane_starts: Ints, made: Contributions) -> PaneReports:
    """The contributions to these panes (int64[P] of starts, increasing)."""
    pane, asked = _panes_of(pane_starts, made)
    return PaneReports(pane, made.client[asked].astype(np.int64), made.slots.take(asked))


def of_every_client(pane_starts: Ints, made: Contributions, seat_of: Ints, enrolled: int) -> PaneReports:
    """`enrolled` reports of each pane, in order of the seats: of a client's contribution, or of zeros.

    Args:
        seat_of: int64[clients], the seat of each client, −1 where it has none; no two on one.
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
    """The sums of reports of clients, by pane, then site. Secret.

    Attributes:
        first: int64[R], the first of the reports that each is the sum of.
        clients: uint32[R], of how many reports, each another client's.
        slots: the R sparse report vectors.
    """

    first: Ints
    clients: npt.NDArray[np.uint32]
    slots: SparseRows

    def __repr__(self) -> str:
        return f"SiteReports({len(self.first)} reports: redacted)"


def of_sites(pane: Ints, site: Ints, slots: SparseRows) -> SiteReports:
    """One report of each pane and site that has a report of a client; `pane`, `site`: int64[R], of those reports."""
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
    """Who sits where under `all`. Secret.

    Attributes:
        names: the stable name of each seat's reporter, a client's or nobody's.
        seat_of: int64[clients], −1: more clients than are enrolled; this one's events are dropped.
    """

    names: Sequence[bytes]
    seat_of: Ints

    def __repr__(self) -> str:
        return f"Seats({len(self.names)}: redacted)"

    @property
    def left_out(self) -> int:
        """How many clients have no seat. For the site's own eyes."""
        return int(np.count_nonzero(self.seat_of < 0))


def seats_for(clients: Sequence[bytes], enrolled: int) -> Seats:
    """Seats for the site's clients, by their stable names, in the names' order; the seats that are left are nobody's.

    The claim of DESIGN §4 presumes that `enrolled` is at least the number of the site's clients: where there are more, whether
    one has events decides about the seat of another.
    """
    order = sorted(range(len(clients)), key=lambda index: clients[index])[:enrolled]
    nobody = [hashlib.sha256(b"covey-1 nobody %d" % number).digest() for number in range(enrolled - len(order))]
    return seats_of(clients, [*(clients[index] for index in order), *nobody])


def seats_of(clients: Sequence[bytes], names: Sequence[bytes]) -> Seats:
    """The clients on seats that were given before."""
    seat = {name: number for number, name in enumerate(names)}
    return Seats(names, np.array([seat.get(client, -1) for client in clients], dtype=np.int64))


def _panes_of(pane_starts: Ints, made: Contributions) -> tuple[Ints, Ints]:
    """Of the contributions to these panes: index of the pane, and which they are."""
    at = np.minimum(np.searchsorted(pane_starts, made.pane_start), len(pane_starts) - 1)
    asked = np.flatnonzero(pane_starts[at] == made.pane_start)
    return at[asked], asked
