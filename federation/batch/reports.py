"""Reports, and each aggregator's part of them on the way into a sum.

    validity none    Reports ──shard──► LeaderHalf, HelperHalf ──add──► sums
    validity prio3   Reports ──shard──► ProvenHalf, ProvenHalf ──verify──► VerifiedHalf, VerifiedHalf ──add──► sums

The types prevent mistakes: a half whose proofs are not verified cannot be added to a sum of proven reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from crypto.ntt_field import Mask
from crypto.prio3_messages import InputShares, PublicShares
from crypto.sharing import HelperSeeds, LeaderShares, SparseRows
from federation.parties import Aggregator

Randomness = Callable[[int], bytes]
"""n → n random bytes: `os.urandom`, or a seeded stream in simulations."""

REPORT_ID_BYTES: Final = 16
BATCH_ELEMENTS: Final = 2**21
"""Field elements of one batch of reports in memory: 16 MiB of shares."""

Indices = npt.NDArray[np.uint32]
ReportIds = npt.NDArray[np.uint8]


def declared(clients: Indices | None, rows: slice | Mask) -> Indices | None:
    """The declared clients of some reports; None if each report is one client's."""
    return None if clients is None else clients[rows]


@dataclass(frozen=True, eq=False)
class Reports:
    """Reports of one view before they are protected. **Secret**: they never leave the site.

    Attributes:
        view: index of the view in the plan.
        collection: uint32[R], collection indices of the plan.
        slots: the R report vectors.
        clients: uint32[R], the number of clients whose sum each report is, if reports are a site's; None: each is one
            client's.
    """

    view: int
    collection: Indices
    slots: SparseRows
    clients: Indices | None = None

    def __repr__(self) -> str:
        return f"Reports(view={self.view}, {len(self.collection)} reports: redacted)"

    def batches(self, elements: int | None = None) -> Iterator[Reports]:
        """The same reports in batches that fit `BATCH_ELEMENTS`.

        Args:
            elements: the field elements of one protected report; by default those of a share, one a slot.
        """
        rows = max(1, BATCH_ELEMENTS // (elements or self.slots.length))
        for first in range(0, len(self.collection), rows):
            part = slice(first, first + rows)
            yield Reports(self.view, self.collection[part], self.slots[part], declared(self.clients, part))


@dataclass(frozen=True, eq=False)
class Half:
    """One aggregator's part of a batch of reports. This base class has no values, only the identity of the reports.

    Attributes:
        report_ids: uint8[R, 16], from the CSPRNG.
        clients: uint32[R], the clients that the site declares for each report; None if each is one client's.
    """

    view: int
    collection: Indices
    report_ids: ReportIds
    clients: Indices | None = field(default=None, kw_only=True)


@dataclass(frozen=True, eq=False)
class LeaderHalf(Half):
    """The leader's half: one random-looking vector a report."""

    shares: LeaderShares

    def take(self, rows: Mask) -> Self:
        """The same half with only some of its reports."""
        shares, clients = LeaderShares(self.shares.elements[rows]), declared(self.clients, rows)
        return type(self)(self.view, self.collection[rows], self.report_ids[rows], shares, clients=clients)


@dataclass(frozen=True, eq=False)
class HelperHalf(Half):
    """The helper's half: one 32-byte seed a report."""

    seeds: HelperSeeds

    def take(self, rows: Mask) -> Self:
        """The same half with only some of its reports."""
        seeds, clients = HelperSeeds(self.seeds.seeds[rows]), declared(self.clients, rows)
        return type(self)(self.view, self.collection[rows], self.report_ids[rows], seeds, clients=clients)


@dataclass(frozen=True, eq=False)
class ProvenHalf(Half):
    """One aggregator's half of reports with proofs that are not verified yet.

    Attributes:
        wellformed: bool[R]; false if a share is no vector of field elements, or the public share is not the announced one.
    """

    role: Aggregator
    public_shares: PublicShares
    input_shares: InputShares
    wellformed: Mask


@dataclass(frozen=True, eq=False)
class VerifiedHalf(Half):
    """An aggregator's output shares of reports whose proofs hold: uint64[R, slots]. **Secret.**"""

    out_shares: npt.NDArray[np.uint64] = field(repr=False)

    def take(self, rows: Mask) -> Self:
        """The same half with only some of its reports."""
        out_shares, clients = self.out_shares[rows], declared(self.clients, rows)
        return type(self)(self.view, self.collection[rows], self.report_ids[rows], out_shares, clients=clients)


Addable = LeaderHalf | HelperHalf | VerifiedHalf
"""The halves that may enter a sum."""
