"""Where a mechanism meets its sampler: what is drawn for it, how far that may reach, and how its scale is spelled in bytes."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, isqrt
from typing import Final, assert_never

from crypto.noise import Noise, NoiseStream
from featurestore.define.mechanism import NOISERS, GaussianMechanism, LaplaceMechanism, NoiseMechanism

GAUSSIAN_TAIL: Final = 16
"""σ of an opened sum's noise that must fit beside the largest sum: beyond lies 2e⁻¹²⁸ < 2⁻¹⁸³, as of a normal (CKS20)."""
LAPLACE_TAIL: Final = 128
"""b of each aggregator's noise that must fit likewise: beyond lies, of either, 2e⁻¹²⁸ (of both, less than 2⁻¹⁸²)."""


def draw(mechanism: NoiseMechanism, stream: NoiseStream, size: int) -> Noise:
    """int64[size] at the mechanism's full scale."""
    match mechanism:
        case GaussianMechanism(sigma_sq=sigma_sq):
            return stream.discrete_gaussian(sigma_sq, size)
        case LaplaceMechanism(b=b):
            return stream.discrete_laplace(b, size)
        case _:
            assert_never(mechanism)


def farthest(mechanism: NoiseMechanism) -> int:
    """How far both aggregators' noise may move a sum, at the tails above."""
    match mechanism:
        case GaussianMechanism(sigma_sq=sigma_sq):
            return GAUSSIAN_TAIL * (isqrt(ceil(NOISERS * sigma_sq)) + 1)
        case LaplaceMechanism(b=b):
            return NOISERS * LAPLACE_TAIL * ceil(b)
        case _:
            assert_never(mechanism)


def drawn_scale(mechanism: NoiseMechanism) -> Fraction:
    """σ² or b, as it is drawn: what noise contexts hold."""
    match mechanism:
        case GaussianMechanism(sigma_sq=sigma_sq):
            return sigma_sq
        case LaplaceMechanism(b=b):
            return b
        case _:
            assert_never(mechanism)


def price_text(mechanism: NoiseMechanism) -> str:
    """Sensitivity and price in integers, Δ₂²/µρ or Δ₁/µε: equal texts, equal noise and price. Ledgers hold it."""
    match mechanism:
        case GaussianMechanism(delta2_sq=delta2_sq, micro_rho=micro_rho):
            return f"{delta2_sq}/{micro_rho}"
        case LaplaceMechanism(delta1=delta1, micro_epsilon=micro_epsilon):
            return f"laplace {delta1}/{micro_epsilon}"
        case _:
            assert_never(mechanism)
