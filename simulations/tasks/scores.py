"""Areas under ROC curves with intervals by blocks of days: events of one day share their weather, so days are drawn, not rows.

An AUC is a share of pairs, and a bootstrap only weighs days. So the pairs are counted once for each pair of days, and each
of thousands of draws is a product with that matrix.
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
    """A figure, and between which bounds 95 % of the draws lie."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class DayPairs:
    """How a model orders pairs of a positive of one day and a negative of another.

    Attributes:
        wins: float64[D, D], pairs (positive's day, negative's day) in the right order; ties count a half.
        pairs: float64[D, D], all of them.
    """

    wins: Floats
    pairs: Floats

    @classmethod
    def count(cls, score: Floats, y: Bools, day: Ints) -> DayPairs:
        """Count them; `day` is an index 0 … D−1 of each row."""
        days = int(day.max()) + 1
        order = np.flatnonzero(y)[np.argsort(score[y])]  # sorted needles are found several times as fast
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
        """float64[B]: the AUC when each day counts as often as a row of `weights` (float64[B, D]) says."""
        won = ((weights @ self.wins) * weights).sum(axis=1)
        return np.asarray(won / ((weights @ self.pairs) * weights).sum(axis=1))


@dataclass(frozen=True, eq=False)
class Draws:
    """Which days, and which noise seeds, each draw of the bootstrap holds. The first draw is the sample itself.

    Attributes:
        days: float64[B, D], how often each day.
        seeds: float64[B, S], with which weight each seed.
    """

    days: Floats
    seeds: Floats

    @classmethod
    def make(cls, days: int, seeds: int, draws: int = DRAWS) -> Draws:
        """With replacement, days and seeds independently; the same draws for every model, so that differences pair up."""
        rng = np.random.default_rng(0)
        of_days = rng.multinomial(days, np.full(days, 1 / days), draws)
        of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws)
        return cls(np.vstack([np.ones(days), of_days]), np.vstack([np.full(seeds, 1 / seeds), of_seeds / seeds]))

    def auc(self, models: list[DayPairs]) -> Floats:
        """float64[B]: of one model that saw no noise, or the mean over one model a seed."""
        aucs = np.column_stack([model.auc(self.days) for model in models])
        return aucs[:, 0] if len(models) == 1 else (aucs * self.seeds).sum(axis=1)


def interval(draws: Floats) -> Interval:
    """The figure of the sample (the first draw), and its percentile interval."""
    low, high = np.quantile(draws[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(draws[0]), float(low), float(high))
