"""95 % intervals of served values: `__lo` and `__hi`, from a value and its standard error alone.

An interval is for the value that the same events have without noise. It is computed from released numbers only, so it costs no
privacy, and it follows from the stored value and `__se`, so nothing else is stored.

    sum        value ± h. Value and noise are whole numbers, so h is one too: the least one with P(|noise| ≤ h) ≥ .95
    ratio      Fieller's set of ratios r for which |S − r·n| ≤ z·sd(S − r·n). S is the centred sum and n the count, as they
               were noised: their noises are independent (Fieller 1954, J. R. Stat. Soc. B 16, 175)
    estimate   value ± z·se, for an estimate with a normal error

docs/adr/0035-intervals.md has the measured coverage, also given that DROWNED has not removed the value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias, assert_never

import numpy as np

from .decoded import Floats
from .privacy import Mechanism

NORMAL: Final = 1.959963984540054
"""The number of standard deviations on each side that hold 95 % of normal noise."""
_MAX_LAPLACE: Final = 28
"""More Laplace noises count as this many. The critical value of their sum is less than 0.008 above the normal one."""


@lru_cache(maxsize=64)
def critical_value(mechanism: Mechanism, noises: int) -> float:
    """The number of standard deviations on each side that hold 95 % of the sum of `noises` noises.

    The sum of m Laplace noises is the difference of two Gamma(m) variables G and H, so P(sum > x) is the mean of P(G > x + H).
    """
    if mechanism == "gaussian":
        return NORMAL
    m = min(noises, _MAX_LAPLACE)
    means = [math.gamma(m + k) / (math.gamma(m) * 2.0 ** (m + k)) for k in range(m)]  # of H^k·e^(−H)
    polynomial = [
        sum(math.comb(i, j) * means[i - j] / math.factorial(i) for i in range(j, m)) for j in range(m)
    ]  # of x, times e^(−x)
    low, high = 0.0, 10.0 * math.sqrt(m)
    for _ in range(60):
        middle = (low + high) / 2
        beyond = math.exp(-middle) * sum(factor * middle**j for j, factor in enumerate(polynomial))
        low, high = (middle, high) if beyond > 0.025 else (low, middle)
    return high / math.sqrt(2 * m)


@dataclass(frozen=True)
class WholeNumber:
    """A sum of whole numbers, or a list of such sums."""


@dataclass(frozen=True)
class Estimate:
    """An estimate with a normal error of standard deviation `__se`."""


@dataclass(frozen=True)
class Ratio:
    """centre + S/n, for a sum S and a count n with independent noise.

    Attributes:
        centre: the value at S = 0.
        scale: the standard deviation of the noise of S over that of n, in units of the value.
        low, high: the least and the greatest value without noise.
        apart: whether S and n are opened sums of their own. Otherwise both come from the cells of a histogram, and their noise is
            uncorrelated.
    """

    centre: float
    scale: float
    low: float
    high: float
    apart: bool = True


IntervalShape: TypeAlias = WholeNumber | Estimate | Ratio


@dataclass(frozen=True)
class Interval:
    """The rule for the intervals of one served feature.

    Attributes:
        critical: of a sum, see `critical_value`.
    """

    shape: IntervalShape
    critical: float

    def bounds(self, value: Floats, se: Floats) -> tuple[Floats, Floats]:
        """The lower and upper ends in the shape of `value`; NaN where the value is NaN.

        Args:
            value: float64[N], or float64[N, cells] for a list.
            se: float64[N], that of each cell for a list.
        """
        spread = se[:, None] if value.ndim == 2 else se
        match self.shape:
            case WholeNumber():
                half = np.maximum(0.0, np.ceil(self.critical * spread - 0.5))
                return value - half, value + half
            case Estimate():
                half = self.critical * spread
                return value - half, value + half
            case Ratio():
                return _fieller(self.shape, self.critical, value, spread)
            case _:
                assert_never(self.shape)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"shape": type(self.shape).__name__, **asdict(self.shape), "critical": self.critical}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Interval:
        """The inverse of `to_dict`. Raises KeyError, TypeError or ValueError: the data are not those of an interval."""
        given = dict(data)
        shape, critical = _SHAPES[given.pop("shape")], given.pop("critical")
        if not {type(one) for one in (*given.values(), critical)} <= {float, bool}:
            raise ValueError("an interval of another type")
        return cls(shape(**given), critical)


_SHAPES: Final[Mapping[str, type[IntervalShape]]] = {one.__name__: one for one in (WholeNumber, Estimate, Ratio)}


def _fieller(ratio: Ratio, critical: float, value: Floats, se: Floats) -> tuple[Floats, Floats]:
    """The ends of Fieller's set; the whole range where the set is unbounded.

    With r = S/n in units of `scale` and the relative noise u = var(n)/n², the square of the standard error is u·(1 + r²), and the
    set is (r ± z·√(u·(r² + 1 − z²u)))/(1 − z²u). It is bounded if z²u < 1. A value that is not DROWNED has u ≤ 1/9.

    The noise of S − r·n is a mix of two sums: w = r²/(1 + r²) of its variance comes from n. Its fourth cumulant is w² + (1 − w)² of
    that of one sum, and so is the part of z beyond the normal value. This misses the coverage by at most 0.0006.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (value - ratio.centre) / ratio.scale
        relative = (se / ratio.scale) ** 2 / (1.0 + r**2)
        z: float | Floats = critical
        if ratio.apart and critical != NORMAL:
            of_n = r**2 / (1.0 + r**2)
            z = NORMAL + (critical - NORMAL) * (of_n**2 + (1.0 - of_n) ** 2)
        g = z**2 * relative
        half = z * np.sqrt(relative * (r**2 + 1.0 - g))
        low, high = (value + ratio.scale * (g * r + side) / (1.0 - g) for side in (-half, half))
        unbounded = g >= 1.0
    return np.where(unbounded, ratio.low, low), np.where(unbounded, ratio.high, high)
