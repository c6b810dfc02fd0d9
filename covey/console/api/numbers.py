"""Numbers that JSON can hold."""

from __future__ import annotations

import math


def finite(value: float | None) -> float | None:
    """A finite number; None: it is none, or there is none. A number of a file may be infinite, or an integer beyond every float."""
    try:
        return None if value is None or not math.isfinite(value) else float(value)
    except OverflowError:
        return None


def number_text(value: float) -> str:
    """A number as one types it: whole numbers without a point."""
    return str(int(value)) if value.is_integer() else repr(value)
