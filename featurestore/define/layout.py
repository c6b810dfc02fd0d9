"""The layout: the meaning of each slot of a report, the most that one client-day can change it, and its noise.

A report is one vector of non-negative integers, key-major: slot `key · slots_per_key + j`. Before the aggregators add noise,
they apply a public integer map, the *noise basis*, to the slots of each key: a Mean's (Σq, n) becomes (Σq − ⌊q_max/2⌋·n, n),
and a Rate's (true, false) becomes (true − false, true + false). Each *group* of mapped slots has its own sensitivity, price
and noise (`mechanism`). The prices of the groups add up.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from typing import Final, assert_never

import numpy as np

from featurestore.errors import DefinitionError

from .accounting import Moves
from .definitions import FeatureView
from .encoding import Basis, GroupKind, GroupShape, Slot, is_split
from .feature import PaneFeature
from .mechanism import LEAST_SIGMA_SQ, NOISERS, GaussianMechanism, LaplaceMechanism, NoiseMechanism
from .price import group_shares

MAX_SLOTS: Final = 2**24
"""The most slots of one report: 128 MiB of shares."""
MAX_SLOTS_PER_KEY: Final = 2**11
"""The most slots of one key. The noise basis has the square of that, and a plan from outside makes its reader build one."""


@dataclass(frozen=True)
class Group:
    """Mapped slots of one feature that share a sensitivity and a scale of noise.

    Attributes:
        slots: their positions within a key.
        cells: the most cells of a client-day.
        per_cell: the largest norm of one cell.
        mechanism: its price, and the noise for that price.
    """

    feature: str
    kind: GroupKind
    slots: tuple[int, ...]
    cells: int
    per_cell: int
    mechanism: NoiseMechanism

    @property
    def delta1(self) -> int:
        """L1 sensitivity of a client-day."""
        return self.cells * self.per_cell

    @property
    def delta2_sq(self) -> int:
        """Squared L2 sensitivity of a client-day."""
        return self.cells * self.per_cell**2

    @property
    def moves(self) -> Moves | None:
        """How far the worst client-day moves its sums; None for Laplace noise."""
        if not isinstance(self.mechanism, GaussianMechanism):
            return None
        return Moves(self.mechanism.sigma_sq, self.per_cell, self.cells, is_split(self.kind, self.per_cell))

    @property
    def variance(self) -> float:
        """The variance of one aggregator's noise."""
        return self.mechanism.variance

    @property
    def opened_variance(self) -> float:
        """The variance of both aggregators' noise, which an opened sum has."""
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
    basis: Basis

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
        """The slot of each ClientCount within a key. `suppress_below` is compared with the smallest of their values."""
        return tuple(group.slots[0] for group in self.groups if group.kind == "client_count")

    @property
    def micro_rho(self) -> int:
        """The price of a client-day in zCDP against an aggregator, which ledgers charge: the sum over the groups.

        For a Gaussian view it is at most the view's ρ, under `noisers="shared"` at most twice that.
        """
        return sum(group.mechanism.micro_rho for group in self.groups)

    @property
    def stated_micro_rho(self) -> int:
        """The part of a Gaussian view's own price that its groups use; the rest is lost by rounding."""
        match self.view.privacy.chosen_noisers:
            case "each":
                return self.micro_rho
            case "shared":
                return self.micro_rho // NOISERS
            case unknown:
                assert_never(unknown)

    @property
    def laplace_micro_epsilon(self) -> int:
        """The price in pure DP of the groups with Laplace noise; at most the view's ε."""
        return sum(one.mechanism.micro_epsilon for one in self.groups if isinstance(one.mechanism, LaplaceMechanism))

    @property
    def micro_epsilon(self) -> int | None:
        """The price of a client-day in pure DP. None for a Gaussian view."""
        return self.laplace_micro_epsilon or None

    def groups_of(self, feature: PaneFeature) -> tuple[Group, ...]:
        """The groups of a feature; for a derived feature those of the feature that it is derived from."""
        source = self.view.source_of(feature) or feature
        return tuple(group for group in self.groups if group.feature == source.name)


@lru_cache(maxsize=256)
def layout_of(view: FeatureView) -> Layout:
    """The layout of a view. Every party computes it from the view.

    Raises:
        DefinitionError: the vector is too long, or the price is too small or too large for a group.
    """
    collected, events = view.collected, view.bounds.max_events_per_cell
    laplace = view.privacy.mechanism == "laplace"
    price = view.privacy.micro_epsilon if laplace else view.privacy.micro_rho
    slots: list[Slot] = []
    groups: list[Group] = []
    blocks: list[Basis] = []
    for feature, shares in zip(collected, group_shares(collected, events), strict=True):
        first, encoding = len(slots), feature.encoding
        slots += encoding.slots(feature.name, events)
        if len(slots) > MAX_SLOTS_PER_KEY:
            raise DefinitionError(
                view.name,
                f"its features have more than {MAX_SLOTS_PER_KEY:,} slots a key; use fewer cells in histograms, or two views",
            )
        blocks.append(encoding.basis)
        groups += [_group(view, feature.name, first, share.shape, share.price(price)) for share in shares]
    basis = np.zeros((len(slots), len(slots)), dtype=np.int64)
    at = 0
    for block in blocks:
        basis[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    basis.flags.writeable = False
    layout = Layout(view, tuple(slots), tuple(groups), basis)
    if layout.length > MAX_SLOTS:
        raise DefinitionError(
            view.name,
            f"{layout.keys:,} keys × {layout.slots_per_key} slots = {layout.length:,} slots a report, but at most "
            f"{MAX_SLOTS:,} are allowed; use a smaller domain, or fewer features",
        )
    if view.privacy.chosen_noisers == "shared":
        _require_shareable(layout)
    return layout


def _group(view: FeatureView, feature: str, first: int, shape: GroupShape, price: int) -> Group:
    """A group with the sensitivity of a client-day, which is that of `max_cells` cells of the shape's norm.

    Args:
        first: the feature's first slot.
        price: in millionths.

    Raises:
        DefinitionError: the price is too small or too large.
    """
    privacy, norm = view.privacy, shape.per_cell
    laplace = privacy.mechanism == "laplace"
    parameter = "epsilon" if laplace or privacy.epsilon is not None else "rho"
    if price < 1:
        raise DefinitionError(
            view.name, f"`{parameter}` is too small: this feature's part of it is below 0.000001", feature
        )
    cells = view.bounds.max_cells
    mechanism = (
        LaplaceMechanism(cells * norm, price)
        if laplace
        else GaussianMechanism.of_price(cells * norm**2, price, privacy.chosen_noisers)
    )
    try:
        too_little = mechanism.too_little
    except OverflowError as error:
        raise DefinitionError(view.name, f"{error}: use a coarser `resolution`, or tighter bounds", feature) from None
    if too_little is not None and privacy.chosen_noisers == "each":  # `_require_shareable` asks for more
        raise DefinitionError(view.name, f"`{parameter}` is too large: {too_little}", feature)
    slots = tuple(first + position for position in shape.positions)
    return Group(feature, shape.kind, slots, cells, norm, mechanism)


def _require_shareable(layout: Layout) -> None:
    """Return if each aggregator's noise is large enough that the sum of both counts as one discrete Gaussian.

    Raises:
        DefinitionError: a group has less noise; the error has the largest ρ at which no group has.
    """
    view, events = layout.view, layout.view.bounds.max_events_per_cell
    each = [(group.moves.sigma_sq, group.feature) for group in layout.groups if group.moves is not None]
    sigma_sq, feature = min(each)
    if sigma_sq >= LEAST_SIGMA_SQ:
        return
    shares = list(chain.from_iterable(group_shares(view.collected, events)))

    def is_too_large(price: int) -> bool:
        return any(
            Fraction(10**6 * view.bounds.max_cells * one.shape.per_cell**2, 2 * NOISERS * LEAST_SIGMA_SQ)
            < one.price(price)
            for one in shares
        )

    instead = "" if view.privacy.epsilon is None else " (in place of `epsilon`)"
    most = bisect_left(range(view.privacy.micro_rho), True, key=is_too_large) - 1
    raise DefinitionError(
        view.name,
        f"noisers='shared' needs noise of σ² ≥ {LEAST_SIGMA_SQ} from each aggregator, but at this price it is "
        f"{float(sigma_sq):.6g}; use a `rho` of at most {most / 10**6}{instead}, or noisers='each'",
        feature,
    )
