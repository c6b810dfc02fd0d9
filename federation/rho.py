"""ρ as people write it, exactly: files and options hold decimal text, ledgers whole millionths."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

MAX_MICRO_RHO: Final = 10**12
"""A million ρ: far beyond any use, and a mistyped exponent is told instead of believed."""


def rho_text(micro_rho: int) -> str:
    """`0.1` of 100,000 millionths."""
    whole, millionths = divmod(micro_rho, 10**6)
    return f"{whole}.{millionths:06d}".rstrip("0") if millionths else f"{whole}.0"


def micro_rho_of(rho: str | int | Decimal) -> int:
    """Millionths of ρ.

    Raises:
        ValueError: no number, not above 0, beyond `MAX_MICRO_RHO`, or finer than a millionth.
    """
    try:
        micro = Decimal(rho) * 10**6
    except InvalidOperation:
        raise ValueError(f"rho is a number such as 0.1, got {str(rho)[:80]!r}") from None
    if not micro.is_finite():
        raise ValueError(f"rho is a number such as 0.1, got {str(rho)[:80]!r}")
    if not 0 < micro <= MAX_MICRO_RHO:
        raise ValueError(f"rho must be above 0 and at most {MAX_MICRO_RHO // 10**6:,}, got {rho}")
    if micro != micro.to_integral_value():
        raise ValueError(f"rho is counted in millionths, got {rho}; round it")
    return int(micro)
