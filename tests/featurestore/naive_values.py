"""One value from the sums of one feature, straight from DESIGN §3: the oracle of the tests of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate

Value = tuple[Any, float | None, int | None, str]
"""(value, se, n, status)"""


def read(feature: ViewFeature, x: Sequence[int], variances: Sequence[float], status: str) -> Value:
    """The value of a feature.

    Args:
        x: its sums; of a derived feature those of the Histogram with the edges 0 and 15.
        variances: of the noise in the sums of each of its groups.
        status: OK, or the reason why the row is null.
    """
    first_var, *rest = variances
    value: Any = x[0]
    match feature:
        case Histogram():
            value, se, n, n_var = x, math.sqrt(first_var), None, 0.0
        case Count(derive=True):
            value, se, n, n_var = sum(x), math.sqrt(len(x) * first_var), None, 0.0
        case Count() | ClientCount():
            se, n, n_var = math.sqrt(first_var), None, 0.0
        case Rate(derive=True):  # cells (−∞, 0), [0, 15), [15, ∞), null
            true, false = x[2], x[0] + x[1]
            n, n_var = true + false, 3 * first_var
            value = true / n if n else None
            se = math.sqrt((false / n) ** 2 * first_var + (true / n) ** 2 * 2 * first_var) / abs(n) if n else 0.0
        case Rate() | Mean():
            centred, n = x
            n_var = rest[0]
            spread = math.sqrt(first_var + (centred / n) ** 2 * n_var) / abs(n) if n else 0.0
            if isinstance(feature, Mean):
                middle = centred + (feature.q_max // 2) * n
                value, se = feature.bounds[0] + feature.step * (middle / n) if n else None, feature.step * spread
            else:
                value, se = (centred + n) / 2 / n if n else None, spread / 2
    if status == "OK" and n is not None and n < max(1, 3 * math.sqrt(n_var)):
        return None, None, n, "DROWNED"
    if status == "OK" and n is not None and n < 20 * math.sqrt(n_var):
        return value, se, n, "ROUGH_SE"
    return (value, se, n, status) if status == "OK" else (None, None, None, status)
