"""A mechanism and its sampler: the noise to draw, how far it may move a sum, and its scale and price as numbers and text."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, isqrt
from typing import Final, assert_never

from crypto.noise import Noise, NoiseStream
from featurestore.define.mechanism import NOISERS, GaussianMechanism, LaplaceMechanism, NoiseMechanism

GAUSSIAN_TAIL: Final = 16
"""σ of noise for which there is room beside the largest sum: more has probability 2e⁻¹²⁸ < 2⁻¹⁸³, as for a normal (CKS20)."""
LAPLACE_TAIL: Final = 128
"""b of each aggregator's noise for which there is room: more has probability 2e⁻¹²⁸ for each (for both, below 2⁻¹⁸²)."""


def draw(mechanism: NoiseMechanism, stream: NoiseStream, size: int) -> Noise:
    """Noise int64[size] at the mechanism's scale."""
    match mechanism:
        case GaussianMechanism(sigma_sq=sigma_sq):
            return stream.discrete_gaussian(sigma_sq, size)
        case LaplaceMechanism(b=b):
            return stream.discrete_laplace(b, size)
        case _:
            assert_never(mechanism)


def largest_noise(mechanism: NoiseMechanism) -> int:
    """How far both aggregators' noise may move a sum, at the tails above."""
    match mechanism:
        case GaussianMechanism(sigma_sq=sigma_sq):
            return GAUSSIAN_TAIL * (isqrt(ceil(NOISERS * sigma_sq)) + 1)
        case LaplaceMechanism(b=b):
            return NOISERS * LAPLACE_TAIL * ceil(b)
        case _:
            assert_never(mechanism)


def drawn_scale(mechanism: NoiseMechanism) -> Fraction:
    """σ² or b of the drawn noise: noise contexts hold it."""
    match mechanism:
        case GaussianMechanism(sigma_sq=sigma_sq):
            return sigma_sq
        case LaplaceMechanism(b=b):
            return b
        case _:
            assert_never(mechanism)


def price_text(mechanism: NoiseMechanism) -> str:
    """Sensitivity and price in integers, Δ₂²/µρ or Δ₁/µε, for ledgers. Equal texts mean equal noise and price."""
    match mechanism:
        case GaussianMechanism(delta2_sq=delta2_sq, micro_rho=micro_rho):
            return f"{delta2_sq}/{micro_rho}"
        case LaplaceMechanism(delta1=delta1, micro_epsilon=micro_epsilon):
            return f"laplace {delta1}/{micro_epsilon}"
        case _:
            assert_never(mechanism)
