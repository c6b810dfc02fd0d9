"""Encodings: what one client adds to the slots of a key. They are a small closed union.

A feature kind has one encoding. The layout takes slots, sensitivities and noise basis from it. The site takes its SQL from
it (`edge_client.compute`), and the proof its circuit (`federation.circuit.cell`). A new kind with one of these encodings
needs no code in any of those places.

A group states the largest norm of one cell, that is, of the vector that one client adds to the group's mapped slots in the
cell. A cell has at most `max_events_per_cell` events. The largest L1 norm and the largest L2 norm are equal: both are reached
when all events move the same slot in the same direction.
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
"""Tenths of a ratio's price that its centred sum gets; its count gets the rest (measured: DESIGN §3)."""


@dataclass(frozen=True)
class Slot:
    """One raw slot of a key.

    Attributes:
        max_value: the most that a client adds to it in one cell.
    """

    feature: str
    part: str
    max_value: int

    @property
    def bits(self) -> int:
        """Number of bits of `max_value`."""
        return self.max_value.bit_length()


@dataclass(frozen=True)
class GroupShape:
    """Mapped slots that share a sensitivity and a scale of noise.

    Attributes:
        positions: the places of its slots within the feature.
        per_cell: the largest norm of one client's cell.
        tenths: its share of the feature's price, in tenths.
    """

    kind: GroupKind
    positions: tuple[int, ...]
    per_cell: int
    tenths: int = 10

    @property
    def is_split(self) -> bool:
        """Whether a client may spread the largest move of a cell over several sums of the group; see `is_split`."""
        return is_split(self.kind, self.per_cell)


@dataclass(frozen=True)
class EachEvent:
    """One slot: the number of events."""

    def slots(self, feature: str, events: int) -> list[Slot]:
        """The raw slots, for cells of at most `events` events."""
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
    """A slot for each interval of a column: an event adds 1 to the slot of the interval that contains its value.

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
        """Whether every event, also one with a null value, adds to one of the slots."""
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
    """Two slots: the numbers of events for which a condition is true and is false. An event for which it is null adds nothing."""

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
        """See `EachEvent`. An event moves each group by 1."""
        return _ratio_groups(events, events)

    @property
    def basis(self) -> Basis:
        """(true, false) becomes (true − false, true + false)."""
        return np.array([[1, -1], [1, 1]], dtype=np.int64)


@dataclass(frozen=True)
class OffsetSum:
    """Two slots: the sum of q(x) = ⌊(x − low)/step + ½⌋ over the non-null values of a column, and their number.

    A value is first clipped to [low, high], so 0 ≤ q ≤ q_max. All of it is computed in float64.
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
        """The number that is subtracted from each q to centre the sum."""
        return self.q_max // 2

    def slots(self, feature: str, events: int) -> list[Slot]:
        """See `EachEvent`."""
        return [Slot(feature, "sum", events * self.q_max), Slot(feature, "non-null", events)]

    def groups(self, events: int) -> list[GroupShape]:
        """See `EachEvent`. An event moves the centred sum by at most ⌈q_max/2⌉."""
        return _ratio_groups(events * ((self.q_max + 1) // 2), events)

    @property
    def basis(self) -> Basis:
        """(Σq, n) becomes (Σq − ⌊q_max/2⌋·n, n)."""
        return np.array([[1, -self.middle], [0, 1]], dtype=np.int64)


Divided = OneHot | TrueOrFalse
"""Encodings in which an event adds to at most one of `cells` slots."""
Encoding = EachEvent | EachClient | OneHot | TrueOrFalse | OffsetSum


def is_split(kind: str, per_cell: int) -> bool:
    """Whether a client may spread the largest move of a cell over several sums of the group: events in a histogram."""
    return kind == "histogram" and per_cell > 1


def _ratio_groups(sum_per_cell: int, events: int) -> list[GroupShape]:
    return [
        GroupShape("centred_sum", (0,), sum_per_cell, SUM_TENTHS),
        GroupShape("non_null_count", (1,), events, 10 - SUM_TENTHS),
    ]
