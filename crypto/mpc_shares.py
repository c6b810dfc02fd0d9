"""Converts shares of Field64 into shares mod 2^64, which CrypTen uses. Each party converts its own, without a message.

A value x, |x| < p/2, is shared as a + b = x mod p with a and b in [0, p), each uniform. As integers, a + b is x, x + p or
x + 2p, and almost always x + p. So the leader keeps a and the helper takes b - p, both mod 2^64. Their sum is x mod 2^64
except in two cases:

    x >= 0   and a <= x:          (x + 1)/p of all a     the sum is x - p = x + 2^32 - 1 mod 2^64
    x <  0   and a > p - |x|:     (|x| - 1)/p of them    the sum is x + p = x - 2^32 + 1 mod 2^64

Their probability is at most (|x| + 1)/p <= 2^(bits - 64) · (1 + 2^-31), where |x| has at most `bits` bits.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np

from .errors import ConversionUnsafe
from .field import Elements, require_canonical
from .field_modulus import P

RING_BITS: Final = 64
MOST_WRONG: Final = Fraction(1, 2**20)
"""The largest accepted probability that any value of one computation is wrong."""


def leader_to_ring(shares: Elements) -> Elements:
    """a mod 2^64: uint64[...], the same words. Raises FieldElementOutOfRange."""
    require_canonical(shares)
    return shares.copy()


def helper_to_ring(shares: Elements) -> Elements:
    """(b - p) mod 2^64: uint64[...]. Raises FieldElementOutOfRange."""
    require_canonical(shares)
    return shares + np.uint64(2**RING_BITS - P)


def wrong_chance(value: int) -> Fraction:
    """The probability that a shared value, |value| < p/2, is wrong after the conversion."""
    return Fraction(value + 1 if value >= 0 else -value - 1, P)


def require_convertible(values: int, largest: int) -> None:
    """Raise ConversionUnsafe if one of `values` values in [-largest, largest] is wrong too probably (`MOST_WRONG`)."""
    bits = largest.bit_length()
    if values * Fraction(2) ** (bits - RING_BITS) > MOST_WRONG:
        raise ConversionUnsafe(values, bits, int(MOST_WRONG * 2 ** (RING_BITS - bits)))
