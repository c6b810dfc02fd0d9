"""What one client adds to the slots of a key: a small closed algebra, from which everything below a feature follows.

A feature kind names one encoding. The layout takes slots, sensitivities and noise basis from it, the site its SQL
(`edge_client.compute`), and the proof its circuit (`federation.circuit.cell`). A new kind that is read off one of these
needs no code in any of those places.

Every group gives the largest norm of one cell: of what one client adds to the group's mapped slots there. A cell holds at
most E events, E being `max_events_per_cell`. L1 and L2 norm agree: at their largest, all events move one slot the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from .expressions import ColumnType, parse

GroupKind = Literal["count", "client_count", "histogram", "centred_sum", "non_null_count"]
Basis = npt.NDArray[np.int64]
SUM_TENTHS = 7
"""Of a ratio's part of the price the centred sum gets 7/10, the count the rest (measured: DESIGN §3)."""


@dataclass(frozen=True)
class Slot:
    """One raw slot of a key: what a client adds to it in one cell, at most."""

    feature: str
    part: str
    max_value: int

    @property
    def bits(self) -> int:
        """Bits of the largest value that one cell can hold."""
        return self.max_value.bit_length()


@dataclass(frozen=True)
class GroupShape:
    """Mapped slots that share a sensitivity and a scale of noise.

    Attributes:
        positions: of the slots within the feature.
        per_cell: the largest norm of one client's cell.
        tenths: its part of the feature's price.
    """

    kind: GroupKind
    positions: tuple[int, ...]
    per_cell: int
    tenths: int = 10


@dataclass(frozen=True)
class EachEvent:
    """One slot: the number of events."""

    def slots(self, feature: str, events: int) -> list[Slot]:
        """The raw slots, each cell holding at most so many events."""
        return [Slot(feature, "count", events)]

    def groups(self, events: int) -> list[GroupShape]:
        """The noise groups over the mapped slots."""
        return [GroupShape("count", (0,), events)]

    @property
    def basis(self) -> Basis:
        """mapped = basis @ raw."""
        return np.eye(1, dtype=np.int64)


@dataclass(frozen=True)
class EachClient:
    """One slot: 1 where the client has an event."""

    def slots(self, feature: str, events: int) -> list[Slot]:
        """See `EachEvent`."""
        return [Slot(feature, "client", 1)]

    def groups(self, events: int) -> list[GroupShape]:
        """See `EachEvent`."""
        return [GroupShape("client_count", (0,), 1)]

    @property
    def basis(self) -> Basis:
        """See `EachEvent`."""
        return np.eye(1, dtype=np.int64)


@dataclass(frozen=True)
class OneHot:
    """A slot for each interval of a column: an event adds 1 to the one that holds its value.

    The intervals are (−∞, e0), [e0, e1), …, [en, ∞); with `nulls` a last slot counts the null values.
    """

    column: str
    edges: tuple[float, ...]
    nulls: bool

    @property
    def cells(self) -> int:
        """Number of slots."""
        return len(self.edges) + 1 + self.nulls

    @property
    def counts_all(self) -> bool:
        """Whether every event, null or not, falls into one of the slots."""
        return self.nulls

    def slots(self, feature: str, events: int) -> list[Slot]:
        """See `EachEvent`."""
        return [Slot(feature, f"cell {i}", events) for i in range(self.cells)]

    def groups(self, events: int) -> list[GroupShape]:
        """See `EachEvent`. An event moves one slot by 1, however many there are."""
        return [GroupShape("histogram", tuple(range(self.cells)), events)]

    @property
    def basis(self) -> Basis:
        """See `EachEvent`."""
        return np.eye(self.cells, dtype=np.int64)


@dataclass(frozen=True)
class TrueOrFalse:
    """Two slots: the events for which a condition is true, and those for which it is false; none where it is null."""

    where: str
    cells = 2
    counts_all = False

    @property
    def columns(self) -> tuple[tuple[str, ColumnType], ...]:
        """The columns that the condition reads, each with its use. Raises ExpressionError."""
        return parse(self.where).columns

    def slots(self, feature: str, events: int) -> list[Slot]:
        """See `EachEvent`."""
        return [Slot(feature, "true", events), Slot(feature, "false", events)]

    def groups(self, events: int) -> list[GroupShape]:
        """See `EachEvent`. An event moves either group by 1."""
        return _ratio_groups(events, events)

    @property
    def basis(self) -> Basis:
        """(true, false) becomes (true − false, true + false)."""
        return np.array([[1, -1], [1, 1]], dtype=np.int64)


@dataclass(frozen=True)
class OffsetSum:
    """Two slots: the sum of q(x) = ⌊(x − low)/step + ½⌋ over the non-null values of a column, and how many there are.

    A value is clipped to [low, high] first, so that 0 ≤ q ≤ q_max; all in float64.
    """

    column: str
    low: float
    high: float
    step: float

    @cached_property
    def q_max(self) -> int:
        """q(high)."""
        return math.floor((self.high - self.low) / self.step + 0.5)

    @property
    def middle(self) -> int:
        """What is taken from each q, so that the sum is centred."""
        return self.q_max // 2

    def slots(self, feature: str, events: int) -> list[Slot]:
        """See `EachEvent`."""
        return [Slot(feature, "sum", events * self.q_max), Slot(feature, "non-null", events)]

    def groups(self, events: int) -> list[GroupShape]:
        """See `EachEvent`. An event moves the centred sum by ⌈q_max/2⌉ at most."""
        return _ratio_groups(events * ((self.q_max + 1) // 2), events)

    @property
    def basis(self) -> Basis:
        """(Σq, n) becomes (Σq − ⌊q_max/2⌋·n, n)."""
        return np.array([[1, -self.middle], [0, 1]], dtype=np.int64)


Divided = OneHot | TrueOrFalse
"""An event falls into at most one of `cells` slots."""
Encoding = EachEvent | EachClient | OneHot | TrueOrFalse | OffsetSum


def _ratio_groups(sum_per_cell: int, events: int) -> list[GroupShape]:
    return [
        GroupShape("centred_sum", (0,), sum_per_cell, SUM_TENTHS),
        GroupShape("non_null_count", (1,), events, 10 - SUM_TENTHS),
    ]
