"""Conversion between zCDP and ε. It imports the accountant on use; reads need none.

zCDP is in whole micro-ρ (ρ·10⁶). ρ-zCDP is (α, ρα)-RDP for all α > 1 (Bun and Steinke 2016), and the RDP accountant
turns that into the least ε at δ (Mironov 2017; Canonne, Kamath and Steinke 2020, Proposition 12). In the other direction,
ε-DP implies (ε²/2)-zCDP (Bun and Steinke 2016, Proposition 1.4). Every rounding here is towards the higher price.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache


@lru_cache(maxsize=1024)
def epsilon_of(micro_rho: int, delta: float) -> float:
    """ε at δ of ρ = micro_rho/10⁶, by dp-accounting's RDP accountant. ρ as a float is never below the exact ρ."""
    from dp_accounting import ZCDpEvent
    from dp_accounting.rdp import RdpAccountant

    exact = Fraction(micro_rho, 10**6)
    rho = float(exact)
    accountant = RdpAccountant()
    accountant.compose(ZCDpEvent(rho if rho >= exact else math.nextafter(rho, math.inf)))
    return float(accountant.get_epsilon(delta))


@lru_cache(maxsize=256)
def largest_micro_rho(epsilon: Fraction, delta: float, most: int) -> int:
    """The largest whole micro-ρ of 0 … most whose ε at δ by zCDP alone is at most `epsilon`.

    ε grows with ρ, so a bisection over the integers finds it.
    """
    low, high = 0, most + 1  # ε(low) ≤ epsilon < ε(high); `most + 1` counts as too much
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if epsilon_of(middle, delta) <= epsilon else (low, middle)
    return low


def micro_rho_of_pure(micro_epsilon: int) -> int:
    """The zCDP that ε-DP implies, in whole micro-ρ, rounded up: (ε²/2)·10⁶ = µε²/(2·10⁶)."""
    return -(-(micro_epsilon**2) // (2 * 10**6))


def rounded_up(value: float, decimals: int = 2) -> str:
    """A cost as text with this number of decimals, rounded up from its shortest decimal text: 2.1401 → 2.15, 0.1 → 0.10."""
    unit = Fraction(1, 10**decimals)
    return f"{float(math.ceil(Fraction(repr(float(value))) / unit) * unit):.{decimals}f}"
