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
from collections.abc import Mapping, Sequence
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
                half = _whole(self.critical * spread)
                return value - half, value + half
            case Estimate():
                half = self.critical * spread
                return value - half, value + half
            case Ratio():
                return _Fieller.of(self.shape, self.critical).bounds(value, spread)
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


@dataclass(frozen=True)
class _Fieller:
    """Fieller's rule for a ratio, or for several with arrays float64[features, 1].

    Attributes:
        centre, scale, low, high: see `Ratio`.
        z: the critical value of a noise that comes from one sum only, or of normal noise.
        mixed: what is added to `z` for noise that comes from one sum.
    """

    centre: float | Floats
    scale: float | Floats
    low: float | Floats
    high: float | Floats
    z: float | Floats
    mixed: float | Floats

    @classmethod
    def of(cls, ratio: Ratio, critical: float) -> _Fieller:
        """The rule of one feature."""
        z, mixed = _normal_and_mixed(ratio, critical)
        return cls(ratio.centre, ratio.scale, ratio.low, ratio.high, z, mixed)

    def bounds(self, value: Floats, se: Floats) -> tuple[Floats, Floats]:
        """The ends of Fieller's set; the whole range where the set is unbounded.

        With r = S/n in units of `scale` and the relative noise u = var(n)/n², the square of the standard error is u·(1 + r²), and
        the set is (r ± z·√(u·(r² + 1 − z²u)))/(1 − z²u). It is bounded if z²u < 1. A value that is not DROWNED has u ≤ 1/9.

        The noise of S − r·n is a mix of two sums: w = r²/(1 + r²) of its variance comes from n. Its fourth cumulant is
        w² + (1 − w)² of that of one sum, and so is the part of z beyond the normal value. This misses the coverage by at most
        0.0006.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            r = (value - self.centre) / self.scale
            square = r**2
            both = square + 1.0
            relative = (se / self.scale) ** 2 / both
            of_n = square / both
            z = self.z + self.mixed * (of_n**2 + (1.0 - of_n) ** 2)
            g = z**2 * relative
            half, middle, rest = z * np.sqrt(relative * (both - g)), g * r, 1.0 - g
            low, high = (value + self.scale * end / rest for end in (middle - half, middle + half))
            unbounded = g >= 1.0
        return np.where(unbounded, self.low, low), np.where(unbounded, self.high, high)


def _normal_and_mixed(ratio: Ratio, critical: float) -> tuple[float, float]:
    """`z` and `mixed` of `_Fieller`."""
    z = NORMAL if ratio.apart else critical
    return z, critical - z


def _whole(half: Floats) -> Floats:
    """The least whole number that a noise of whole numbers exceeds as rarely as `half`."""
    return np.maximum(0.0, np.ceil(half - 0.5))


KIND, CRITICAL, MIXED, CENTRE, SCALE, LOW, HIGH = range(7)
"""The columns of a table of rules: one of the kinds below, and the numbers of the rule. Only a ratio has more than `CRITICAL`."""
OTHER, WHOLE, RATIO = range(3)


def rules_of(intervals: Sequence[Interval]) -> Floats:
    """The rules of several features as a table, float64[features, 7], for loops over batches."""
    return np.array([_rule(one) for one in intervals]).reshape(-1, HIGH + 1)


def _rule(interval: Interval) -> tuple[float, ...]:
    match interval.shape:
        case WholeNumber():
            return (WHOLE, interval.critical, 0.0, 0.0, 1.0, 0.0, 0.0)
        case Estimate():
            return (OTHER, interval.critical, 0.0, 0.0, 1.0, 0.0, 0.0)
        case Ratio() as ratio:
            z, mixed = _normal_and_mixed(ratio, interval.critical)
            return (RATIO, z, mixed, ratio.centre, ratio.scale, ratio.low, ratio.high)
        case _:
            assert_never(interval.shape)


def ends(value: Floats, se: Floats, rules: Floats) -> tuple[Floats, Floats]:
    """The lower and upper ends, as `Interval.bounds`, of several features at once.

    Args:
        value: float64[features, N], or of one feature float64[N, cells]; se: float64 that broadcasts to it.
        rules: from `rules_of`, of as many features, or of the one.
    """
    kind, critical, mixed, centre, scale, low, high = rules.T[:, :, None]
    half = critical * se
    half = np.where(kind == WHOLE, _whole(half), half)
    low, high = _Fieller(centre, scale, low, high, critical, mixed).bounds(value, se)
    return np.where(kind == RATIO, low, value - half), np.where(kind == RATIO, high, value + half)
