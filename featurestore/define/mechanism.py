"""Noise mechanisms: the price of a group of sums and its noise, both from the group's sensitivity.

Each scale is an exact fraction of integers. One that is too long for the sampler is rounded up (`noise_scale`):

    Gaussian   ρ = Δ₂²/2σ², in whole micro-ρ:  σ² = Δ₂²·10⁶/(2·µρ)
    Laplace    ε = Δ₁/b,    in whole micro-ε:  b  = Δ₁·10⁶/µε

Under `noisers="shared"` each aggregator adds half of the variance. That is the noise of twice the price, and twice the price is
what a client pays against an aggregator, who knows its own half: `GaussianMechanism.of_price`. All of a mechanism is about one
aggregator's noise.

The prices of groups add up. A ledger charges micro-ρ for both: ε-DP implies (ε²/2)-zCDP (Bun and Steinke 2016, Proposition
1.4), which is the charge for Laplace noise, rounded up. The samplers are in `crypto.noise`; `federation.noise` joins the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import ClassVar, Final, Self, assert_never

from .epsilon import micro_rho_of_pure
from .noise_scale import drawable_scale, drawable_sigma_sq
from .privacy import Mechanism, Noisers

NOISERS: Final = 2
"""Leader and helper each add noise to every sum."""
LEAST_SIGMA_SQ: Final = 8
"""The least σ² of each aggregator's noise at which the sum of both counts as one discrete Gaussian."""
MIN_SIGMA_SQ: Final = Fraction(1, 4)
"""Below σ = ½ most samples of a discrete Gaussian are zero, and below about 0.3 nearly all."""
MIN_SCALE: Final = Fraction(1, 2)
"""The same bound for a discrete Laplace: at σ = ½ and at b = ½ three of four samples are zero, and Δ = 1 costs ρ = 2."""


@dataclass(frozen=True)
class GaussianMechanism:
    """Discrete Gaussian noise for sums with this squared L2 sensitivity, at a price in millionths of ρ (zCDP).

    Attributes:
        micro_rho: the price against an aggregator, which ledgers charge.
    """

    name: ClassVar[Mechanism] = "gaussian"
    delta2_sq: int
    micro_rho: int

    @classmethod
    def of_price(cls, delta2_sq: int, micro_rho: int, noisers: Noisers) -> Self:
        """The mechanism of a group whose part of the view's price is this."""
        match noisers:
            case "each":
                return cls(delta2_sq, micro_rho)
            case "shared":
                return cls(delta2_sq, NOISERS * micro_rho)
            case _:
                assert_never(noisers)

    @property
    def sensitivity(self) -> float:
        """Δ₂."""
        return float(self.delta2_sq**0.5)

    @cached_property
    def sigma_sq(self) -> Fraction:
        """σ² of one aggregator's noise as the sampler draws it. Raises OverflowError: it is too large for the sampler."""
        return _drawn(drawable_sigma_sq, Fraction(self.delta2_sq * 10**6, 2 * self.micro_rho), "σ²")

    @property
    def scale(self) -> float:
        """σ, for people."""
        return math.sqrt(self.sigma_sq)

    @property
    def variance(self) -> float:
        """σ², which bounds the variance of one aggregator's noise from above (CKS20, Corollary 9)."""
        return float(self.sigma_sq)

    @property
    def too_little(self) -> str | None:
        """The scale and the bound that it is below, for an error; None if there is enough noise."""
        return f"σ² = {float(self.sigma_sq):.3g} < 1/4" if self.sigma_sq < MIN_SIGMA_SQ else None


@dataclass(frozen=True)
class LaplaceMechanism:
    """Discrete Laplace noise for sums with this L1 sensitivity, at a price in millionths of ε (pure DP)."""

    name: ClassVar[Mechanism] = "laplace"
    delta1: int
    micro_epsilon: int

    @property
    def micro_rho(self) -> int:
        """The ρ that its ε implies, in millionths, which a ledger charges."""
        return micro_rho_of_pure(self.micro_epsilon)

    @property
    def sensitivity(self) -> float:
        """Δ₁."""
        return self.delta1

    @cached_property
    def b(self) -> Fraction:
        """b of one aggregator's noise as the sampler draws it. Raises OverflowError: it is too large for the sampler."""
        return _drawn(drawable_scale, Fraction(self.delta1 * 10**6, self.micro_epsilon), "b")

    @property
    def scale(self) -> float:
        """b, for people."""
        return float(self.b)

    @property
    def variance(self) -> float:
        """The variance of one aggregator's noise: with q = e^(−1/b) it is 2q/(1 − q)² = 1/(2·sinh²(1/2b))."""
        return 0.5 / math.sinh(0.5 / float(self.b)) ** 2

    @property
    def too_little(self) -> str | None:
        """The scale and the bound that it is below, for an error; None if there is enough noise."""
        return f"b = {float(self.b):.3g} < 1/2" if self.b < MIN_SCALE else None


NoiseMechanism = GaussianMechanism | LaplaceMechanism


def _drawn(drawable: Callable[[Fraction], Fraction | None], exact: Fraction, what: str) -> Fraction:
    """The scale that the sampler draws for an exact one."""
    if (drawn := drawable(exact)) is None:
        raise OverflowError(f"{what} = {float(exact):.3g} is too large for the sampler")
    return drawn
