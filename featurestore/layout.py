"""The layout: which slot of the reported vector holds what, how far one client-day can move it, and what noise it gets.

A report is one vector of non-negative integers, key-major: slot `key · slots_per_key + j`. Before the aggregators add
noise they apply a public integer map to the slots of each key, the *noise basis*: a Mean's (Σq, n) becomes
(Σq − ⌊q_max/2⌋·n, n), a Rate's (true, false) becomes (true − false, true + false). Each *group* of mapped slots has its
own sensitivity and its own σ: ρ_g = Δ_g²/2σ_g², held as whole micro-ρ, so σ_g² = Δ_g²·10⁶/(2·µρ_g) is an exact fraction.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from .definitions import FeatureView
from .errors import DefinitionError
from .features import ClientCount, Count, Feature, Histogram, Mean, Rate

GroupKind = Literal["count", "client_count", "histogram", "centred_sum", "non_null_count"]

MAX_SLOTS: Final = 2**24
"""Slots of one report: 128 MiB of shares."""
MIN_SIGMA_SQ: Final = Fraction(1, 4)
"""Below σ = ½ a discrete Gaussian is mostly zero, and below about 0.3 OpenDP adds nothing."""
NOISERS: Final = 2
"""Leader and helper each add noise of the full scale, so that either one alone protects."""


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
class Group:
    """Mapped slots of one feature that share a sensitivity and a σ.

    Attributes:
        slots: their positions within a key.
        delta2_sq: squared L2 sensitivity of a client-day.
        micro_rho: this group's part of the view's ρ, in millionths.
    """

    feature: str
    kind: GroupKind
    slots: tuple[int, ...]
    delta2_sq: int
    micro_rho: int

    @property
    def sigma_sq(self) -> Fraction:
        """σ² of one aggregator's noise."""
        return Fraction(self.delta2_sq * 10**6, 2 * self.micro_rho)

    @property
    def opened_sigma_sq(self) -> Fraction:
        """σ² of an opened sum: both aggregators' noise."""
        return NOISERS * self.sigma_sq


@dataclass(frozen=True, eq=False)
class Layout:
    """Slots, groups and noise basis of a view.

    Attributes:
        slots: the raw slots of one key, in order.
        groups: the noise groups over the mapped slots; they partition them.
        basis: int64[slots_per_key, slots_per_key]; mapped = basis @ raw.
    """

    view: FeatureView
    slots: tuple[Slot, ...]
    groups: tuple[Group, ...]
    basis: npt.NDArray[np.int64]

    @property
    def keys(self) -> int:
        """Number of join keys."""
        return len(self.view.entity.domain)

    @property
    def slots_per_key(self) -> int:
        """Number of slots of one key."""
        return len(self.slots)

    @property
    def length(self) -> int:
        """Number of slots of a report."""
        return self.keys * self.slots_per_key

    @property
    def micro_rho(self) -> int:
        """What a client-day costs: the sum over the groups, at most the view's ρ."""
        return sum(group.micro_rho for group in self.groups)

    def groups_of(self, feature: Feature) -> tuple[Group, ...]:
        """The groups that hold a feature; for a derived one, those of its histogram."""
        source = self.view.source_of(feature) or feature
        return tuple(group for group in self.groups if group.feature == source.name)


@lru_cache(maxsize=256)
def layout_of(view: FeatureView) -> Layout:
    """The layout that follows from a view; every party derives it itself.

    Raises:
        DefinitionError: the vector is too long, or ρ is too small or too large for a group.
    """
    collected = [feature for feature in view.features if not feature.derive]
    shares = _split_rho(view, collected)
    slots: list[Slot] = []
    groups: list[Group] = []
    blocks: list[npt.NDArray[np.int64]] = []
    for feature in collected:
        first = len(slots)
        added, kinds, block = _parts(view, feature)
        slots += added
        blocks.append(block)
        for (kind, positions, delta2_sq), micro_rho in zip(
            kinds, _parts_of_rho(feature, shares[feature.name]), strict=True
        ):
            groups.append(Group(feature.name, kind, tuple(first + i for i in positions), delta2_sq, micro_rho))
    for group in groups:
        if group.micro_rho < 1:
            raise DefinitionError(view.name, "`rho` is too small: this feature's part is below 0.000001", group.feature)
        if group.sigma_sq < MIN_SIGMA_SQ:
            raise DefinitionError(
                view.name, f"`rho` is too large: σ² = {float(group.sigma_sq):.3g} < 1/4", group.feature
            )
    basis = np.zeros((len(slots), len(slots)), dtype=np.int64)
    at = 0
    for block in blocks:
        basis[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    basis.flags.writeable = False
    layout = Layout(view, tuple(slots), tuple(groups), basis)
    if layout.length > MAX_SLOTS:
        raise DefinitionError(
            view.name, f"{layout.keys:,} keys × {layout.slots_per_key} slots = {layout.length:,}; at most {MAX_SLOTS:,}"
        )
    return layout


_Kinds = list[tuple[GroupKind, tuple[int, ...], int]]


def _parts(view: FeatureView, feature: Feature) -> tuple[list[Slot], _Kinds, npt.NDArray[np.int64]]:
    """Raw slots, (kind, positions, Δ²) of each group, and the noise-basis block of one feature.

    Δ² = max_cells · (largest L2 norm of one cell after the map)². One cell holds at most `events` events, and an event
    moves a count, one cell of a histogram, or either group of a Rate by 1, and a centred sum by ⌈q_max/2⌉.
    """
    cells, events = view.bounds.max_cells, view.bounds.max_events_per_cell
    per_event = cells * events**2
    name = feature.name
    match feature:
        case Count():
            return [Slot(name, "count", events)], [("count", (0,), per_event)], _identity(1)
        case ClientCount():
            return [Slot(name, "client", 1)], [("client_count", (0,), cells)], _identity(1)
        case Histogram():
            added = [Slot(name, f"cell {i}", events) for i in range(feature.cells)]
            return added, [("histogram", tuple(range(feature.cells)), per_event)], _identity(feature.cells)
        case Mean():
            q_max = feature.q_max
            added = [Slot(name, "sum", events * q_max), Slot(name, "non-null", events)]
            largest = cells * (events * ((q_max + 1) // 2)) ** 2
            kinds: _Kinds = [("centred_sum", (0,), largest), ("non_null_count", (1,), per_event)]
            return added, kinds, np.array([[1, -(q_max // 2)], [0, 1]], dtype=np.int64)
        case Rate():
            added = [Slot(name, "true", events), Slot(name, "false", events)]
            kinds = [("centred_sum", (0,), per_event), ("non_null_count", (1,), per_event)]
            return added, kinds, np.array([[1, -1], [1, 1]], dtype=np.int64)


def _identity(size: int) -> npt.NDArray[np.int64]:
    return np.eye(size, dtype=np.int64)


def _split_rho(view: FeatureView, collected: list[Feature]) -> dict[str, int]:
    """ρ over the collected features by weight, each part rounded down to a whole micro-ρ."""
    weights = {feature.name: Fraction(feature.weight) for feature in collected}
    total = sum(weights.values(), Fraction(0))
    return {name: int(view.privacy.micro_rho * weight / total) for name, weight in weights.items()}


def _parts_of_rho(feature: Feature, micro_rho: int) -> list[int]:
    """A Mean and a Rate give 7/10 to the centred sum and 3/10 to the count (measured: DESIGN §3)."""
    if isinstance(feature, Mean | Rate):
        return [micro_rho * 7 // 10, micro_rho * 3 // 10]
    return [micro_rho]
