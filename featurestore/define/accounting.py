"""ε at δ of discrete noise, by the bounds that hold for it. All of them are upper bounds, and all rounding is upwards.

`ledger_epsilon`    for charges that follow each other, each chosen with the releases before it in sight
`schedule_epsilon`  for charges that are fixed beforehand, such as one view on each of some days

The Gaussian trade-off at µ = Δ/σ is no upper bound for the discrete Gaussian, so neither uses it. The rounding bound is one.
Adding N_ℤ(0, σ²) to an integer differs by a known factor from adding N(0, σ² − 1) and then rounding at random by N_ℤ(x, 1):
with e = 2·Σ_k exp(−2π²k²), each probability lies within 1 ± e of the other (Peikert 2010, Theorem 3.1, and the smoothing
bound of Micciancio and Regev 2007, Lemma 3.3). Rounding is post-processing, so the mechanism over s moved coordinates has
δ(ε) ≤ (1 + e)^s · δ_GDP(µ′; ε − s·ln((1 + e)/(1 − e))), µ′² = Σ Δ²/(σ² − 1), and GDP composes adaptively (Dong, Roth and
Su 2022, Theorem 4; the filter: Smith and Thakurta 2022).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

from .epsilon import epsilon_of

ROUNDING_VARIANCE: Final = 1
"""r², the variance of the rounding that the bound splits from σ²."""
_E: Final = 2 * math.exp(-2 * math.pi**2) * (1 + 1e-9)
"""e above; the terms of k ≥ 2 are below a billionth of the first."""
_LOSS: Final = math.log1p(_E) - math.log1p(-_E)
HALVES_RATIO: Final = 1e-16
"""More than the log ratio between the sum of two discrete Gaussians of σ² ≥ 8 and one of 2σ², for each moved sum: 2e^(−π²σ²)."""
_FLOAT_ERROR: Final = 1e-13
"""More than the relative float error of a tail probability; it is added to each δ."""
_COMPOSED_ERROR: Final = 1e-14
"""More than the absolute float error of δ of composed distributions, whose convolution is a Fourier transform (seen: 10⁻¹⁶)."""
_LARGEST_EXPONENT: Final = 700
_LARGEST_SIGMA_SQ: Final = 2**12
_LARGEST_SIZE: Final = 2**12
"""Beyond these no distribution is computed: it has a probability for each integer in reach of the noise and the move."""
_INTERVALS: Final = 4096
"""The privacy losses up to ε that are told apart: more gain less than a ten-thousandth."""
_EXACT_ENOUGH: Final = 1.005
"""`schedule_epsilon` does not look for less if the rounding bound is within this factor of the Gaussian trade-off."""


@dataclass(frozen=True, order=True)
class Moves:
    """How far the worst client-day moves sums that get the same noise.

    Attributes:
        sigma_sq: σ² of the noise.
        size: how far each sum moves, at least 1.
        count: the number of sums that move.
        split: whether a client may also spread a move of this size over up to `size` sums. That has a smaller norm, but for
            discrete noise it may cost more, so no exact distribution is used.
    """

    sigma_sq: Fraction
    size: int
    count: int
    split: bool = False

    @property
    def delta2_sq(self) -> int:
        """The squared L2 norm, an upper bound if the moves are split."""
        return self.size**2 * self.count

    @property
    def coordinates(self) -> int:
        """The largest number of sums that move."""
        return self.count * self.size if self.split else self.count


def merged(moves: Iterable[Moves], times: int = 1) -> tuple[Moves, ...]:
    """The moves in their normal form, each `times` times: equal ones are one, in order."""
    counts = Counter[tuple[Fraction, int, bool]]()
    for one in moves:
        counts[one.sigma_sq, one.size, one.split] += one.count * times
    return tuple(sorted(Moves(sigma_sq, size, count, split) for (sigma_sq, size, split), count in counts.items()))


def ledger_epsilon(micro_rho: int, micro_rho_rounded: int | None, coordinates: int, delta: float) -> float:
    """ε at δ of Gaussian charges that were chosen one after the other: the smaller of zCDP and the rounding bound.

    Args:
        micro_rho: Σ ρ in millionths.
        micro_rho_rounded: Σ ρσ²/(σ² − 1) in millionths, which is µ′²/2; None if one σ² is at most 1.
        coordinates: s, the number of sums that all the charges move.
    """
    by_zcdp = epsilon_of(micro_rho, delta)
    if micro_rho_rounded is None:
        return by_zcdp
    return min(by_zcdp, _rounding_epsilon(Fraction(micro_rho_rounded, 10**6), coordinates, delta))


def rounded_micro_rho(delta2_sq: int, sigma_sq: Fraction) -> int | None:
    """⌈10⁶·Δ²/2(σ² − 1)⌉, the charge of the rounding bound; None if σ² is at most 1."""
    if sigma_sq <= ROUNDING_VARIANCE:
        return None
    return math.ceil(Fraction(10**6 * delta2_sq) / (2 * (sigma_sq - ROUNDING_VARIANCE)))


def rounded_micro_rho_of(moves: Iterable[Moves]) -> int | None:
    """The charge of the rounding bound for all of these moves; None if one σ² is at most 1."""
    whole = 0
    for one in moves:
        if (rounded := rounded_micro_rho(one.delta2_sq, one.sigma_sq)) is None:
            return None
        whole += rounded
    return whole


@lru_cache(maxsize=1024)
def schedule_epsilon(moves: tuple[Moves, ...], delta: float) -> float:
    """ε at δ of a list of Gaussian charges that is fixed beforehand: the smallest of three bounds.

    Beside those of `ledger_epsilon` there is the composed privacy loss distribution (`dp-accounting`, connect-the-dots,
    pessimistic: Doroshenko et al. 2022). It is computed where the rounding bound leaves something to gain, for small σ.

    Args:
        moves: in their normal form (`merged`); none cost nothing.
    """
    if not moves:
        return 0.0
    by_rounding = rounding_epsilon(moves, delta)
    if is_exact_enough(by_rounding, continuous_epsilon(moves, delta)):
        return (
            by_rounding  # zCDP gives no less than the Gaussian trade-off, because it holds for continuous noise as well
        )
    least = min(by_rounding, epsilon_of(math.ceil(10**6 * _rho(moves)), delta))
    if all(one.sigma_sq <= _LARGEST_SIGMA_SQ and one.size <= _LARGEST_SIZE and not one.split for one in moves):
        return min(least, _composed_epsilon(moves, least, delta))
    return least


def rounding_epsilon(moves: Sequence[Moves], delta: float) -> float:
    """ε at δ of Gaussian charges by the rounding bound alone, which needs no library; infinite if one σ² is at most 1."""
    if any(one.sigma_sq <= ROUNDING_VARIANCE for one in moves):
        return math.inf
    rho = sum((one.delta2_sq / (2 * (one.sigma_sq - ROUNDING_VARIANCE)) for one in moves), Fraction(0))
    return _rounding_epsilon(rho, sum(one.coordinates for one in moves), delta)


def continuous_epsilon(moves: Sequence[Moves], delta: float) -> float:
    """ε at δ if the noise was continuous. It is close to the truth for discrete noise, but no bound."""
    return _epsilon_of_gdp(_rho(moves), delta)


def is_exact_enough(by_rounding: float, continuous: float) -> bool:
    """Whether `schedule_epsilon` is the rounding bound, because hardly anything is left to gain."""
    return by_rounding <= _EXACT_ENOUGH * continuous


def _rho(moves: Iterable[Moves]) -> Fraction:
    """zCDP of Gaussian charges."""
    return sum((one.delta2_sq / (2 * one.sigma_sq) for one in moves), Fraction(0))


def _rounding_epsilon(rho: Fraction, coordinates: int, delta: float) -> float:
    """ε by the rounding bound, with rho = µ′²/2."""
    loss = coordinates * _LOSS
    return loss + _epsilon_of_gdp(rho, delta * math.exp(-coordinates * math.log1p(_E)))


def _epsilon_of_gdp(rho: Fraction, delta: float) -> float:
    """ε at δ of µ-GDP with µ² = 2ρ (Dong, Roth and Su 2022, Corollary 1), rounded up."""
    mu = math.nextafter(math.sqrt(2 * rho), math.inf)
    high = 1.0
    while _gdp_delta(mu, high) > delta:
        high *= 2
    low = 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _gdp_delta(mu, middle) > delta else (low, middle)
    return high


def _gdp_delta(mu: float, epsilon: float) -> float:
    """δ at ε of µ-GDP, rounded up."""
    if mu == 0:
        return 0.0
    root = mu * math.sqrt(2)
    likely = math.erfc((epsilon - mu * mu / 2) / root) / 2
    unlikely = math.erfc((epsilon + mu * mu / 2) / root) / 2
    less = math.exp(epsilon) * unlikely if epsilon < _LARGEST_EXPONENT else 0.0
    return likely * (1 + _FLOAT_ERROR) - less


def _composed_epsilon(moves: tuple[Moves, ...], upper: float, delta: float) -> float:
    if delta <= _COMPOSED_ERROR:
        return math.inf
    from dp_accounting.pld import privacy_loss_distribution as pld

    interval = max(1e-4, upper / _INTERVALS)
    composed = None
    for one in moves:
        sigma = math.nextafter(math.sqrt(one.sigma_sq), 0)
        single = pld.from_discrete_gaussian_mechanism(
            sigma, one.size, value_discretization_interval=interval, use_connect_dots=True
        )
        part = single.self_compose(one.count) if one.count > 1 else single
        composed = part if composed is None else composed.compose(part)
    assert composed is not None
    return float(composed.get_epsilon_for_delta(delta - _COMPOSED_ERROR))
