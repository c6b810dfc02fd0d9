"""Between zCDP and ε, for people and for `Privacy(epsilon=…)`. The accountant is imported on use: reads do without it.

zCDP is held as whole micro-ρ (ρ·10⁶). ρ-zCDP is (α, ρα)-RDP for all α > 1 (Bun and Steinke 2016), and the RDP accountant
turns that into the least ε at δ (Mironov 2017; Canonne, Kamath and Steinke 2020, Proposition 12). The other way round,
ε-DP implies (ε²/2)-zCDP (Bun and Steinke 2016, Proposition 1.4). Every rounding here is to the side that costs more.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache


@lru_cache(maxsize=1024)
def epsilon_of(micro_rho: int, delta: float) -> float:
    """ε at δ of ρ = micro_rho/10⁶, by dp-accounting's RDP accountant; ρ is never rounded down to a float."""
    from dp_accounting import ZCDpEvent
    from dp_accounting.rdp import RdpAccountant

    exact = Fraction(micro_rho, 10**6)
    rho = float(exact)
    accountant = RdpAccountant()
    accountant.compose(ZCDpEvent(rho if rho >= exact else math.nextafter(rho, math.inf)))
    return float(accountant.get_epsilon(delta))


@lru_cache(maxsize=256)
def largest_micro_rho(epsilon: Fraction, delta: float, most: int) -> int:
    """The largest whole micro-ρ of 0 … most whose ε at δ is at most `epsilon`: what `Privacy(epsilon=…)` holds.

    ε grows with ρ, so a bisection over the integers finds it.
    """
    low, high = 0, most + 1  # ε(low) ≤ epsilon < ε(high), if `most + 1` is taken as too much
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if epsilon_of(middle, delta) <= epsilon else (low, middle)
    return low


def micro_rho_of_pure(micro_epsilon: int) -> int:
    """What ε-DP costs in zCDP, in whole micro-ρ, rounded up: (ε²/2)·10⁶ = µε²/(2·10⁶)."""
    return -(-(micro_epsilon**2) // (2 * 10**6))


def rounded_up(value: float, decimals: int = 2) -> str:
    """A cost as text with so many decimals, never below the shortest decimal that names it: 2.1401 → 2.15, 0.1 → 0.10."""
    unit = Fraction(1, 10**decimals)
    return f"{float(math.ceil(Fraction(repr(float(value))) / unit) * unit):.{decimals}f}"
