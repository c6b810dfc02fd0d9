"""The layout: which slot of the reported vector holds what, how far one client-day can move it, and what noise it gets.

A report is one vector of non-negative integers, key-major: slot `key · slots_per_key + j`. Before the aggregators add
noise they apply a public integer map to the slots of each key, the *noise basis*: a Mean's (Σq, n) becomes
(Σq − ⌊q_max/2⌋·n, n), a Rate's (true, false) becomes (true − false, true + false). Each *group* of mapped slots has its
own sensitivity and its own scale, an exact fraction of integers:

    Gaussian   ρ_g = Δ₂²/2σ², held as whole micro-ρ:  σ² = Δ₂²·10⁶/(2·µρ_g)
    Laplace    ε_g = Δ₁/b,    held as whole micro-ε:  b  = Δ₁·10⁶/µε_g

A fraction that the sampler has no room for is rounded up (noise_scale.py).

Both add up over the groups. A ledger holds micro-ρ of both: ε-DP implies (ε²/2)-zCDP (Bun and Steinke 2016, Proposition
1.4), which is what a Laplace group is charged, rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from featurestore.errors import DefinitionError

from .definitions import FeatureView, Mechanism
from .epsilon import micro_rho_of_pure
from .features import ClientCount, Count, Feature, Histogram, Mean, PaneFeature, Rate
from .noise_scale import drawable_scale, drawable_sigma_sq

GroupKind = Literal["count", "client_count", "histogram", "centred_sum", "non_null_count"]

MAX_SLOTS: Final = 2**24
"""Slots of one report: 128 MiB of shares."""
MAX_SLOTS_PER_KEY: Final = 2**11
"""The noise basis has the square of them, and plans from outside are measured by layouts."""
MIN_SIGMA_SQ: Final = Fraction(1, 4)
"""Below σ = ½ a discrete Gaussian is mostly zero, and below about 0.3 hardly anything else."""
MIN_SCALE: Final = Fraction(1, 2)
"""Likewise of a discrete Laplace: at σ = ½ and at b = ½ three samples of four are zero, and Δ = 1 costs ρ = 2."""
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
    """Mapped slots of one feature that share a sensitivity and a scale of noise.

    Attributes:
        slots: their positions within a key.
        delta1, delta2_sq: L1 sensitivity of a client-day, and its squared L2 sensitivity.
        micro_epsilon: this group's part of a Laplace view's ε, in millionths; 0 of a Gaussian view.
        micro_rho: what the group costs, in millionths of ρ: its part of a Gaussian view's ρ, or what its ε implies.
    """

    feature: str
    kind: GroupKind
    slots: tuple[int, ...]
    mechanism: Mechanism
    delta1: int
    delta2_sq: int
    micro_epsilon: int
    micro_rho: int

    @cached_property
    def sigma_sq(self) -> Fraction:
        """σ² of one aggregator's Gaussian noise, as it is drawn."""
        if self.mechanism != "gaussian":
            raise TypeError(f"{self.feature}: Laplace noise has a scale b, not σ²")
        return self._drawn(drawable_sigma_sq, Fraction(self.delta2_sq * 10**6, 2 * self.micro_rho), "σ²")

    @cached_property
    def scale(self) -> Fraction:
        """b of one aggregator's Laplace noise, as it is drawn."""
        if self.mechanism != "laplace":
            raise TypeError(f"{self.feature}: Gaussian noise has σ², not a scale b")
        return self._drawn(drawable_scale, Fraction(self.delta1 * 10**6, self.micro_epsilon), "b")

    def _drawn(self, drawable: Callable[[Fraction], Fraction | None], exact: Fraction, what: str) -> Fraction:
        """What is drawn for this scale; `_group` has refused one that is too large."""
        if (drawn := drawable(exact)) is None:
            raise OverflowError(f"{what} = {float(exact):.3g} is more than the sampler can draw")
        return drawn

    @property
    def opened_sigma_sq(self) -> Fraction:
        """σ² of an opened sum of a Gaussian group: both aggregators' noise."""
        return NOISERS * self.sigma_sq

    @property
    def variance(self) -> float:
        """Of one aggregator's noise: σ² (never below a discrete Gaussian's: CKS20, Corollary 9), or the Laplace's own.

        With q = e^(−1/b) a discrete Laplace has the variance 2q/(1 − q)² = 1/(2·sinh²(1/2b)).
        """
        if self.mechanism == "gaussian":
            return float(self.sigma_sq)
        return 0.5 / math.sinh(0.5 / float(self.scale)) ** 2

    @property
    def opened_variance(self) -> float:
        """Of an opened sum: both aggregators' noise."""
        return NOISERS * self.variance


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
    def client_counts(self) -> tuple[int, ...]:
        """The slots of each ClientCount within a key: what `suppress_below` is compared with, the least of them."""
        return tuple(group.slots[0] for group in self.groups if group.kind == "client_count")

    @property
    def micro_rho(self) -> int:
        """What a client-day costs in zCDP: the sum over the groups; of a Gaussian view at most its ρ."""
        return sum(group.micro_rho for group in self.groups)

    @property
    def micro_epsilon(self) -> int | None:
        """What a client-day costs in pure DP: the sum over the groups, at most the view's ε. None of a Gaussian view."""
        if self.view.privacy.mechanism != "laplace":
            return None
        return sum(group.micro_epsilon for group in self.groups)

    def groups_of(self, feature: Feature) -> tuple[Group, ...]:
        """The groups that hold a feature; for a derived one, those of its histogram."""
        source = self.view.source_of(feature) or feature
        return tuple(group for group in self.groups if group.feature == source.name)


@lru_cache(maxsize=256)
def layout_of(view: FeatureView) -> Layout:
    """The layout that follows from a view; every party derives it itself.

    Raises:
        DefinitionError: the vector is too long, or the price is too small or too large for a group.
    """
    collected = [feature for feature in view.pane_features if not feature.derive]
    shares = _split_price(view, collected)
    slots: list[Slot] = []
    groups: list[Group] = []
    blocks: list[npt.NDArray[np.int64]] = []
    for feature in collected:
        first = len(slots)
        added, kinds, block = _parts(view, feature)
        slots += added
        if len(slots) > MAX_SLOTS_PER_KEY:
            raise DefinitionError(
                view.name, f"more than {MAX_SLOTS_PER_KEY:,} slots a key; use fewer cells, or two views"
            )
        blocks.append(block)
        for (kind, positions, per_cell), price in zip(
            kinds, _parts_of_price(feature, shares[feature.name]), strict=True
        ):
            groups.append(_group(view, feature.name, kind, tuple(first + i for i in positions), per_cell, price))
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


def _parts(view: FeatureView, feature: PaneFeature) -> tuple[list[Slot], _Kinds, npt.NDArray[np.int64]]:
    """Raw slots, (kind, positions, largest norm of one cell) of each group, and the noise-basis block of one feature.

    The norm is that of what one client adds to the group's mapped slots in one cell. A cell holds at most `events`
    events, and an event moves a count, one slot of a histogram, or either group of a Rate by 1, and a centred sum by
    ⌈q_max/2⌉. L1 and L2 norm agree: at their largest, all events move one slot the same way.
    """
    events = view.bounds.max_events_per_cell
    name = feature.name
    match feature:
        case Count():
            return [Slot(name, "count", events)], [("count", (0,), events)], _identity(1)
        case ClientCount():
            return [Slot(name, "client", 1)], [("client_count", (0,), 1)], _identity(1)
        case Histogram():
            added = [Slot(name, f"cell {i}", events) for i in range(feature.cells)]
            return added, [("histogram", tuple(range(feature.cells)), events)], _identity(feature.cells)
        case Mean():
            q_max = feature.q_max
            added = [Slot(name, "sum", events * q_max), Slot(name, "non-null", events)]
            kinds: _Kinds = [("centred_sum", (0,), events * ((q_max + 1) // 2)), ("non_null_count", (1,), events)]
            return added, kinds, np.array([[1, -(q_max // 2)], [0, 1]], dtype=np.int64)
        case Rate():
            added = [Slot(name, "true", events), Slot(name, "false", events)]
            kinds = [("centred_sum", (0,), events), ("non_null_count", (1,), events)]
            return added, kinds, np.array([[1, -1], [1, 1]], dtype=np.int64)


def _identity(size: int) -> npt.NDArray[np.int64]:
    return np.eye(size, dtype=np.int64)


def _group(
    view: FeatureView, feature: str, kind: GroupKind, slots: tuple[int, ...], per_cell: int, price: int
) -> Group:
    """A group with the sensitivities of a client-day, max_cells cells of norm `per_cell`, and its price in millionths.

    Raises:
        DefinitionError: the price is too small or too large.
    """
    mechanism, cells = view.privacy.mechanism, view.bounds.max_cells
    laplace = mechanism == "laplace"
    parameter = "epsilon" if laplace or view.privacy.epsilon is not None else "rho"
    if price < 1:
        raise DefinitionError(view.name, f"`{parameter}` is too small: this feature's part is below 0.000001", feature)
    micro_epsilon, micro_rho = (price, micro_rho_of_pure(price)) if laplace else (0, price)
    group = Group(feature, kind, slots, mechanism, cells * per_cell, cells * per_cell**2, micro_epsilon, micro_rho)
    try:
        drawn = group.scale if laplace else group.sigma_sq
    except OverflowError as error:
        raise DefinitionError(view.name, f"{error}: use a coarser `resolution`, or tighter bounds", feature) from None
    if laplace and drawn < MIN_SCALE:
        raise DefinitionError(view.name, f"`epsilon` is too large: b = {float(drawn):.3g} < 1/2", feature)
    if not laplace and drawn < MIN_SIGMA_SQ:
        raise DefinitionError(view.name, f"`{parameter}` is too large: σ² = {float(drawn):.3g} < 1/4", feature)
    return group


def _split_price(view: FeatureView, collected: list[PaneFeature]) -> dict[str, int]:
    """The view's price over the collected features by weight, each part rounded down to whole millionths."""
    price = view.privacy.micro_epsilon if view.privacy.mechanism == "laplace" else view.privacy.micro_rho
    weights = {feature.name: Fraction(feature.weight) for feature in collected}
    total = sum(weights.values(), Fraction(0))
    return {name: int(price * weight / total) for name, weight in weights.items()}


def _parts_of_price(feature: Feature, price: int) -> list[int]:
    """A Mean and a Rate give 7/10 to the centred sum and 3/10 to the count (measured: DESIGN §3)."""
    if isinstance(feature, Mean | Rate):
        return [price * 7 // 10, price * 3 // 10]
    return [price]
