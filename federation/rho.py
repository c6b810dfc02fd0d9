"""Exact conversion of ρ: files and options hold decimal text, ledgers hold whole millionths."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

MAX_MICRO_RHO: Final = 10**12
"""A million ρ: far beyond any use, so that a mistyped exponent raises an error."""


def rho_text(micro_rho: int) -> str:
    """ρ as text: 100,000 millionths are `0.1`."""
    whole, millionths = divmod(micro_rho, 10**6)
    return f"{whole}.{millionths:06d}".rstrip("0") if millionths else f"{whole}.0"


def micro_rho_of(rho: str | int | Decimal) -> int:
    """Millionths of ρ.

    Raises:
        ValueError: not a number, not above 0, above `MAX_MICRO_RHO`, or finer than a millionth.
    """
    try:
        exact = Decimal(rho)
    except InvalidOperation:
        raise ValueError(f"rho is a number such as 0.1, got {str(rho)[:80]!r}") from None
    if not exact.is_finite():
        raise ValueError(f"rho is a number such as 0.1, got {str(rho)[:80]!r}")
    if not 0 < exact <= MAX_MICRO_RHO // 10**6:  # before it is multiplied: a huge exponent has no product
        raise ValueError(f"rho must be above 0 and at most {MAX_MICRO_RHO // 10**6:,}, got {rho}")
    micro = exact * 10**6
    if not micro or micro != micro.to_integral_value():  # the product of a tiny exponent is 0
        raise ValueError(f"rho must be a multiple of a millionth, got {rho}: round it")
    return int(micro)
