"""AUC with bootstrap intervals by days: events of a day share the weather, so the bootstrap draws days and not rows.

An AUC is a share of pairs, and the bootstrap only weights days. So pairs are counted once for each pair of days, and each of
thousands of draws is a product with that matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

DRAWS: Final = 2_000
LEVEL: Final = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure, and the bounds of 95 % of the draws."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class DayPairs:
    """Counts of pairs of a positive and a negative label by day, as a model orders them.

    Attributes:
        wins: float64[D, D], pairs (day of the positive, day of the negative) in the right order; ties count half.
        pairs: float64[D, D], all pairs.
    """

    wins: Floats
    pairs: Floats

    @classmethod
    def count(cls, score: Floats, y: Bools, day: Ints) -> DayPairs:
        """Count the pairs; `day` is an index 0 … D−1 of each row."""
        days = int(day.max()) + 1
        order = np.flatnonzero(y)[np.argsort(score[y])]  # sorted needles make the search several times as fast
        above, of_day = score[order], day[order]
        positives = np.bincount(of_day, minlength=days).astype(np.float64)
        negatives = np.bincount(day[~y], minlength=days).astype(np.float64)
        wins = np.zeros((days, days))
        for other in range(days):
            below = np.sort(score[~y & (day == other)])
            lower = np.searchsorted(below, above, "left") + np.searchsorted(below, above, "right")
            wins[:, other] = np.bincount(of_day, weights=lower / 2, minlength=days)
        return cls(wins, np.outer(positives, negatives))

    def auc(self, weights: Floats) -> Floats:
        """Return float64[B]: the AUC with days weighted by a row of `weights` (float64[B, D])."""
        won = ((weights @ self.wins) * weights).sum(axis=1)
        return np.asarray(won / ((weights @ self.pairs) * weights).sum(axis=1))


@dataclass(frozen=True, eq=False)
class Resamples:
    """The days and noise seeds of each draw of the bootstrap. The first draw is the sample itself.

    Attributes:
        days: float64[B, D], number of times that a draw has each day.
        seeds: float64[B, S], weight of each seed.
    """

    days: Floats
    seeds: Floats

    @classmethod
    def make(cls, days: int, seeds: int, draws: int = DRAWS) -> Resamples:
        """Draw days and seeds independently, with replacement. All models use the same draws, so differences are paired."""
        rng = np.random.default_rng(0)
        of_days = rng.multinomial(days, np.full(days, 1 / days), draws)
        of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws)
        return cls(np.vstack([np.ones(days), of_days]), np.vstack([np.full(seeds, 1 / seeds), of_seeds / seeds]))

    def auc(self, models: list[DayPairs]) -> Floats:
        """Return float64[B]: the AUC of one model without noise, or the mean over one model a seed."""
        aucs = np.column_stack([model.auc(self.days) for model in models])
        return aucs[:, 0] if len(models) == 1 else (aucs * self.seeds).sum(axis=1)


def interval(draws: Floats) -> Interval:
    """Return the figure of the sample (the first draw), and its percentile interval."""
    low, high = np.quantile(draws[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(draws[0]), float(low), float(high))
