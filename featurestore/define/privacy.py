"""The bounds of a client-day, and the price, noise and k of a view."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field
from fractions import Fraction
from typing import Final, Literal, get_args

from base.plain import make_plain

from .epsilon import largest_micro_rho

Mechanism = Literal["gaussian", "laplace"]
"""Discrete Gaussian noise, priced in ρ (zCDP), or discrete Laplace noise, priced in ε (pure DP)."""
MECHANISMS: Final[tuple[Mechanism, ...]] = get_args(Mechanism)

MAX_MICRO_RHO: Final = 1_000 * 10**6
MAX_MICRO_EPSILON: Final = 1_000 * 10**6


@dataclass(frozen=True)
class Bounds:
    """What one client may add in one UTC day, the privacy unit: cells (join key, pane), and events in each of them."""

    max_cells: int
    max_events_per_cell: int = 1

    def __post_init__(self) -> None:
        make_plain(self, "max_cells", "max_events_per_cell")


@dataclass(frozen=True)
class Privacy:
    """The price and the protection of a view. Two are equal if they hold the same values, however they are spelled.

    The price is that of a whole client-day, whatever the pane: give `rho` or `epsilon`, exactly one.

    Args:
        rho: zCDP, for Gaussian noise; held as whole micro-ρ, rounded down.
        epsilon: with Laplace noise, pure ε; held as whole micro-ε, rounded down. With Gaussian noise, ε at `delta`: the
            view gets the largest whole micro-ρ whose ε is not above it.
        delta: the δ at which ε is reported; below 1/min_clients.
        min_clients: k, the fewest reports of an opened pane.
        suppress_below: pane features of a key are withheld where its noised ClientCount is below this.
        mechanism: `gaussian`, or `laplace` for pure DP: no δ, but far more noise where a view has many groups.

    Attributes:
        micro_rho: ρ of a Gaussian view in millionths: what its groups share. 0 of a Laplace view, and where the price is
            none that a view takes.
        micro_epsilon: the same of a Laplace view, ε in millionths.
    """

    rho: float | Fraction | None = field(default=None, compare=False)
    _: KW_ONLY
    epsilon: float | Fraction | None = field(default=None, compare=False)
    delta: float = 1e-6
    min_clients: int = 50
    suppress_below: int | None = None
    mechanism: Mechanism = "gaussian"
    micro_rho: int = field(init=False, repr=False)
    micro_epsilon: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        make_plain(self, "rho", "epsilon", "delta", "min_clients", "suppress_below", "mechanism")
        laplace = self.mechanism == "laplace"
        object.__setattr__(self, "micro_rho", 0 if laplace else self._micro_rho())
        object.__setattr__(self, "micro_epsilon", _micro(self.epsilon) if laplace and self.rho is None else 0)

    def _micro_rho(self) -> int:
        if self.epsilon is None:
            return _micro(self.rho)
        epsilon = _exact(self.epsilon)
        if self.rho is not None or epsilon is None or epsilon <= 0 or not is_delta(self.delta):
            return 0
        return largest_micro_rho(epsilon, self.delta, MAX_MICRO_RHO + 1)


def _exact(price: object) -> Fraction | None:
    """A number as a fraction, a float by its decimal text; None if it is not a finite number."""
    if isinstance(price, bool) or not isinstance(price, int | float | Fraction):
        return None
    if isinstance(price, float):
        return Fraction(repr(price)) if math.isfinite(price) else None
    return Fraction(price)


def _micro(price: object) -> int:
    """Whole millionths of a number, rounded down (0.29 is 290,000); 0 if it is not a finite number."""
    exact = _exact(price)
    return 0 if exact is None else math.floor(exact * 10**6)


def is_delta(delta: object) -> bool:
    """Whether this is a δ: above 0 and below 1."""
    return isinstance(delta, float) and 0 < delta < 1
