"""Blocks of panes against their baseline: each block of the past against all others, and the newest panes against the past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import stdtr, stdtrit  # type: ignore[import-untyped]  # SciPy has no types

from featurestore.define.decoded import Floats, Ints
from featurestore.define.panes import Bools

from .variation import Baseline, sum_by

_ALONE: Final = 1e-9
"""A place whose other panes have less than this share of its weight has no other pane."""
_GAUSSIAN: Final = 0.01
"""An excess kurtosis below it does not change a p-value."""


@dataclass(frozen=True, eq=False)
class Deviations:
    """The deviations of B blocks of K series. They have Student's distribution, with two sources of heavy tails.

    Attributes:
        size: float64[B, K], the sum over a block's panes of the series less its mean elsewhere.
        sd: float64[B, K], its standard deviation due to noise, to variation, and to the error of the means.
        freedom: float64[B, K], the degrees of freedom of `sd`.
        kurtosis: the excess kurtosis of a block's variation.
        there: bool[B, K], where a block has values and a baseline.
    """

    size: Floats
    sd: Floats
    freedom: Floats
    kurtosis: float
    there: Bools

    @property
    def z(self) -> Floats:
        """float64[B, K], size/sd; 0 where a block has no values."""
        with np.errstate(divide="ignore", invalid="ignore"):
            z: Floats = np.where(self.there, self.size / self.sd, 0.0)
        return z

    def p(self) -> Floats:
        """float64[B, K], two-sided p-values of single series; 1 where a block has no values."""
        z = np.abs(self.z)
        p: Floats = 2.0 * stdtr(self.freedom, -z)
        if self.kurtosis > _GAUSSIAN:
            tail, scale = _heavy(self.kurtosis)
            p = np.maximum(p, 2.0 * stdtr(tail, -z * scale))
        return np.where(self.there, p, 1.0)

    def critical(self, p: float) -> Floats:
        """float64[B, K], the |z| at which `p()` is p."""
        z: Floats = -stdtrit(self.freedom, p / 2.0)
        if self.kurtosis > _GAUSSIAN:
            tail, scale = _heavy(self.kurtosis)
            z = np.maximum(z, -stdtrit(tail, p / 2.0) / scale)
        return z


def _heavy(kurtosis: float) -> tuple[float, float]:
    """The degrees of freedom of Student's distribution with this excess kurtosis, and what makes its variance 1."""
    freedom = 4.0 + 6.0 / kurtosis
    return freedom, (freedom / (freedom - 2.0)) ** 0.5


def deviations(base: Baseline, block: Ints, panes: int) -> Deviations:
    """The deviations of blocks of consecutive panes.

    Args:
        block: int64[T], the block of each pane, from 0; −1: none.
        panes: the panes of a block.
    """
    past = np.flatnonzero(base.past)
    single = np.full(len(base.place), -1, dtype=np.int64)
    single[past] = np.arange(len(past))
    of_panes = _sums(base, single, 1.0, np.inf, 0.0)
    z, there = of_panes.z, of_panes.there
    counts = there.sum(axis=1)
    whole = counts > 1 if z.shape[1] > 1 else counts > 0
    mean_squares = (z**2).sum(axis=1)[whole] / counts[whole]
    spread = float(mean_squares.var(ddof=1)) if len(mean_squares) > 1 else 0.0
    most = 2.0 * len(mean_squares) / spread if spread > 0 else np.inf
    squares = z[there] ** 2
    kurtosis = max(0.0, float((squares**2).mean() / max(squares.mean() ** 2, 1e-300)) - 3.0) if len(squares) else 0.0
    return _sums(base, block, _inflation(z, panes), most, kurtosis / panes)


def _inflation(z: Floats, panes: int) -> float:
    """How much larger the variance of a block's sum is than without autocorrelation; at least 1.

    Noise is independent between panes, so only variation has autocorrelation.
    """
    lags = range(1, min(panes, len(z)))
    return max(1.0, 1.0 + 2.0 * sum((1.0 - lag / panes) * float((z[:-lag] * z[lag:]).mean()) for lag in lags))


def _sums(base: Baseline, block: Ints, inflation: float, most: float, kurtosis: float) -> Deviations:
    """The deviations of blocks, each against the means of the past without it.

    Args:
        inflation: see `_inflation`.
        most: the most degrees of freedom: series that move together tell of variation only as often as there are panes.
    """
    used = np.flatnonzero(block >= 0)
    place, of = base.place[used], block[used]
    width = int(base.place.max()) + 1
    pairs, pair = np.unique(of * width + place, return_inverse=True)
    block_of, place_of = np.divmod(pairs, width)
    has, weight = base.has[used].astype(np.float64), base.weight[used]
    count, inside = sum_by(pair, has), sum_by(pair, weight)
    others = base.of_place[place_of] - inside
    alone = others <= _ALONE * base.of_place[place_of]
    others = np.where(alone, 1.0, others)
    moved = np.where(alone, 0.0, count * sum_by(pair, weight * base.residual[used]) / others)
    of_means = np.where(alone, 0.0, count**2 / others)
    lonely = sum_by(block_of, (alone & (count > 0)).astype(np.float64)) > 0
    size = sum_by(of, base.residual[used]) + sum_by(block_of, moved)
    own, noise = sum_by(of, base.variance[used]), sum_by(of, base.noise[used])
    variance = inflation * own + sum_by(block_of, of_means)
    there = (sum_by(of, has) > 0) & ~lonely & (base.own > 0)
    members = sum_by(of, (weight > 0).astype(np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        mine = np.where(there & (members > 0), size**2 / variance, 0.0) * members
        freedom = np.maximum(base.own - members + base.prior, 1.0)
        factor = np.maximum(base.spread + base.prior - mine, 0.0) / freedom
        factor = np.maximum(factor, np.where(own > 0, noise / own, 1.0))  # noise is known, and never less
    return Deviations(size, np.sqrt(variance * factor), np.minimum(freedom, max(most, 1.0)), kurtosis, there)
