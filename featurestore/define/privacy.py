"""The bounds of a client-day, and the price, noise and k of a view."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import KW_ONLY, dataclass, field
from fractions import Fraction
from typing import Final, Literal, Self, get_args

from base.plain import make_plain

Mechanism = Literal["gaussian", "laplace"]
"""Discrete Gaussian noise with a price in ρ (zCDP), or discrete Laplace noise with a price in ε (pure DP)."""
MECHANISMS: Final[tuple[Mechanism, ...]] = get_args(Mechanism)

Noisers = Literal["each", "shared"]
"""How leader and helper split the noise of a view. `each`: each adds all of it. `shared`: each adds half of its variance."""
NOISER_CHOICES: Final[tuple[Noisers, ...]] = get_args(Noisers)

MAX_MICRO_RHO: Final = 1_000 * 10**6
MAX_MICRO_EPSILON: Final = 1_000 * 10**6


@dataclass(frozen=True)
class Bounds:
    """The most that one client may contribute in one UTC day: cells (join key, pane), and events in each cell.

    A client-day is the unit of privacy.

    Args:
        max_cells: the largest number of cells; further ones of a client are left out. In a view it is at most the number of
            cells that a day has, join keys × panes: more would cost noise, and no client could use them.
        max_events_per_cell: the largest number of events in each cell; further ones are left out.

    Attributes:
        declared_cells: `max_cells` as it was given.
    """

    max_cells: int
    max_events_per_cell: int = 1
    declared_cells: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        make_plain(self, "max_cells", "max_events_per_cell")
        object.__setattr__(self, "declared_cells", self.max_cells)

    def within(self, cells: int) -> Self:
        """The same bounds in a view whose days have this many cells."""
        bounds = copy(self)
        object.__setattr__(bounds, "max_cells", min(self.declared_cells, cells))
        return bounds


@dataclass(frozen=True)
class Privacy:
    """The price of a view, and the noise and thresholds that protect its clients.

    The price is that of a whole client-day, for panes of any width. Give exactly one of `rho` and `epsilon`. Two values are
    equal if their prices are equal in millionths and all else is equal.

    Args:
        rho: zCDP, for Gaussian noise; rounded down to whole micro-ρ.
        epsilon: for Laplace noise pure ε, rounded down to whole micro-ε. For Gaussian noise ε at `delta` of a client-day: the
            view gets the largest whole micro-ρ whose ε, with the noise of its features and bounds, is at most this.
        delta: the δ at which ε is reported; below 1/min_clients.
        min_clients: k, the smallest number of reports of an opened pane.
        suppress_below: withholds the pane features of a key whose noised ClientCount is below this.
        mechanism: `gaussian`, or `laplace` for pure DP. Laplace noise needs no δ, but is far larger in a view with many
            groups.
        noisers: `each`: leader and helper each add all of the noise, so the price holds against everybody if one of them is
            honest. `shared` (Gaussian noise only): each adds half of the variance, so released sums have half of the
            variance that `each` gives. The price, and so `rho` and `epsilon`, then holds against those who see releases only,
            if both are honest. Against one of them, and against everybody if one cheats, a client-day costs 2ρ; ledgers
            charge that. None: the default of the project, else `each`.

    Attributes:
        chosen_noisers: `noisers`, or `each` where it is None.
        micro_rho: for a Gaussian view its ρ in millionths, which its groups share. 0 for a Laplace view, for an invalid price,
            and for an `epsilon` that no view has turned into a ρ yet: read it from `view.privacy`.
        micro_epsilon: for a Laplace view its ε in millionths; else 0.
        unpriced: an `epsilon` that no view has turned into a ρ yet; else None.
    """

    rho: float | Fraction | None = field(default=None, compare=False)
    _: KW_ONLY
    epsilon: float | Fraction | None = field(default=None, compare=False)
    delta: float = 1e-6
    min_clients: int = 50
    suppress_below: int | None = None
    mechanism: Mechanism = "gaussian"
    noisers: Noisers | None = field(default=None, compare=False)
    chosen_noisers: Noisers = field(init=False, repr=False)
    micro_rho: int = field(init=False, repr=False)
    micro_epsilon: int = field(init=False, repr=False)
    unpriced: Fraction | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        make_plain(self, "rho", "epsilon", "delta", "min_clients", "suppress_below", "mechanism", "noisers")
        object.__setattr__(self, "chosen_noisers", "each" if self.noisers is None else self.noisers)
        laplace = self.mechanism == "laplace"
        object.__setattr__(self, "micro_rho", _micro(self.rho) if not laplace and self.epsilon is None else 0)
        object.__setattr__(self, "micro_epsilon", _micro(self.epsilon) if laplace and self.rho is None else 0)
        object.__setattr__(self, "unpriced", None if laplace or self.rho is not None else exact(self.epsilon))

    def by_default(self, noisers: Noisers) -> Self:
        """The same with another default of `noisers`, which it does not name itself."""
        other = copy(self)
        object.__setattr__(other, "chosen_noisers", noisers)
        return other

    def at(self, micro_rho: int) -> Self:
        """The same with the ρ that a view has found for its `epsilon`."""
        priced = copy(self)
        object.__setattr__(priced, "micro_rho", micro_rho)
        object.__setattr__(priced, "unpriced", None)
        return priced


def exact(price: object) -> Fraction | None:
    """A number as a fraction, for a float that of its decimal text; None if it is not a finite number."""
    if isinstance(price, bool) or not isinstance(price, int | float | Fraction):
        return None
    if isinstance(price, float):
        return Fraction(repr(price)) if math.isfinite(price) else None
    return Fraction(price)


def _micro(price: object) -> int:
    """Whole millionths of a number, rounded down (0.29 is 290,000); 0 if it is not a finite number."""
    number = exact(price)
    return 0 if number is None else math.floor(number * 10**6)


def is_delta(delta: object) -> bool:
    """Whether this is a δ: above 0 and below 1."""
    return isinstance(delta, float) and 0 < delta < 1
