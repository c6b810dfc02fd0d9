"""Format numbers and texts for people."""

from __future__ import annotations

import math
from typing import Final

_PRECISE: Final = 3
"""Significant digits of a number that is not whole."""
_GROUPED, _PLAIN, _SMALL = 10**6, 1000, 1e-3
_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


_ISOLATES: Final = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")
"""Characters that change the direction of the surrounding text."""


def without_isolates(text: str) -> str:
    """Replace each character that changes the direction of text by a mark."""
    return text.translate(_ISOLATES)


def number(value: object) -> str:
    """Format a number; `–` if there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return "–"
    sign, size = "−" if value < 0 else "", abs(value)
    if math.isinf(size):
        return f"{sign}∞"
    if size == int(size) and size < _GROUPED * 1000:
        return f"{sign}{int(size):,}"
    if size >= _GROUPED or size < _SMALL:
        digits, exponent = f"{size:.2e}".split("e")
        return f"{sign}{digits}·10{str(int(exponent)).translate(_RAISED)}"
    if size >= _PLAIN:
        return f"{sign}{size:,.0f}"
    return f"{sign}{size:.{_PRECISE}g}"


def interval(estimate: object, low: object, high: object) -> str:
    """Format an estimate with its interval as `0.59 (0.51 … 0.66)`."""
    return f"{number(estimate)} ({number(low)} … {number(high)})"


def percent(value: object) -> str:
    """Format a share as `3.1 %`."""
    return f"{number(100 * value)} %" if isinstance(value, int | float) else "–"
