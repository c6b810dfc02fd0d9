"""Scales of noise as fractions that the sampler can draw exactly. A longer fraction is rounded up, which gives more noise.

The sampler (`crypto.cks20`) has 56 bits for n and for t²·m of σ² = n/m, with t = ⌊σ⌋ + 1, and for both parts of b. A longer
fraction becomes ⌈x·d⌉/d, with d the largest power of two that fits. A σ of about 2^28 or more becomes the next whole number,
up to 2^56. Standard errors and manifest state the scale that is drawn. The price comes from the exact scale, so it is an
upper bound of the drawn scale's price.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Final

SAMPLER_ROOM: Final = 2**56
"""Equal to `crypto.cks20.ROOM`; a test compares the two."""


def drawable_sigma_sq(sigma_sq: Fraction) -> Fraction | None:
    """The σ² that the sampler draws for this one, at least as large; None if σ is 2^56 or more."""
    fraction = _rounded_up(sigma_sq, lambda x: max(x.numerator, _t(x) ** 2 * x.denominator) < SAMPLER_ROOM)
    if fraction is not None:
        return fraction
    whole = math.isqrt(math.ceil(sigma_sq) - 1) + 1
    return Fraction(whole**2) if whole < SAMPLER_ROOM else None


def drawable_scale(scale: Fraction) -> Fraction | None:
    """The b that the sampler draws for this one, at least as large; None if there is none."""
    return _rounded_up(scale, lambda b: max(b.numerator, b.denominator) < SAMPLER_ROOM)


def _t(sigma_sq: Fraction) -> int:
    return math.isqrt(sigma_sq.numerator // sigma_sq.denominator) + 1


def _rounded_up(exact: Fraction, fits: Callable[[Fraction], bool]) -> Fraction | None:
    if fits(exact):
        return exact
    for power in range(SAMPLER_ROOM.bit_length() - 2, -1, -1):
        rounded = Fraction(math.ceil(exact * 2**power), 2**power)
        if fits(rounded):
            return rounded
    return None
