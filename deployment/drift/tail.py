"""From the largest deviation of a check to its p-value: how often has the view's own past one as large?

The *evidence* of a block of panes is E = −log(P), where P is its smallest p-value over all series, corrected for their number
(Šidák). If noise and variation were just as they are modelled and the series independent, E would be exponential with mean 1. The
past says how it really is: heavy tails make E larger. So E of the newest panes is compared with that of each block of the past,
which is computed in the same way. Up to the peaks of the past the p-value is a rank. Above their threshold the excesses are taken
as exponential with the mean of the past's own, and the p-value is that of one more observation, so it allows for how few peaks
there are. The larger one of this p-value and P counts: the past can only take evidence away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from featurestore.define.decoded import Floats

LEAST_BLOCKS: Final = 20
"""With fewer blocks of the past there is no check."""
PEAKS: Final = 0.2
"""The share of the past's blocks that are peaks."""
MARGIN: Final = 1.4
"""Multiplies every p-value. Season and variation are estimates; without it 1.1 % of checks at the level 1 % are false alarms."""
_MOST: Final = 690.0
"""No evidence is larger: exp(−E) stays a float above 0."""


def evidence(p: Floats, series: int) -> Floats:
    """−log of p-values, each corrected for the number of series."""
    several = -np.expm1(series * np.log1p(-np.minimum(p, 0.5)))
    corrected = np.where(p < 0.5, several, 1.0)  # above it no correction matters
    return np.minimum(-np.log(np.maximum(corrected, 1e-300)), _MOST)


def single(corrected: float, series: int) -> float:
    """The p-value of one series whose corrected one is this: the inverse of the correction."""
    return float(-np.expm1(np.log1p(-corrected) / series))


@dataclass(frozen=True, eq=False)
class Tail:
    """The evidence of the blocks of the past.

    Attributes:
        past: float64[B], increasing; at least LEAST_BLOCKS.
    """

    past: Floats

    @property
    def peaks(self) -> int:
        """How many blocks of the past are peaks."""
        return math.ceil(PEAKS * len(self.past))

    @property
    def least_rank(self) -> float:
        """The smallest p-value that a rank among the blocks of the past can have. A smaller one is extrapolated."""
        return MARGIN / (len(self.past) + 1)

    def p(self, of: Floats) -> Floats:
        """How likely a check without drift has at least this evidence."""
        blocks = len(self.past)
        rank = (blocks - np.searchsorted(self.past, of, side="left") + 1.0) / (blocks + 1.0)
        threshold, total, beyond = self._excesses()
        excess = np.maximum(of - threshold, 0.0) / total
        by_past = np.where(of > threshold, beyond * (1.0 + excess) ** -float(self.peaks), rank)
        return np.minimum(1.0, MARGIN * np.maximum(np.exp(-of), by_past))

    def evidence_at(self, p: float) -> float:
        """The evidence whose p-value is p, for p below the share of the peaks."""
        threshold, total, beyond = self._excesses()
        by_past = threshold + total * max((beyond * MARGIN / p) ** (1.0 / self.peaks) - 1.0, 0.0)
        return float(min(_MOST, max(by_past, -math.log(p / MARGIN))))

    def _excesses(self) -> tuple[float, float, float]:
        """The largest evidence below the peaks, the sum of the peaks' excesses over it, and the share beyond it."""
        threshold = float(self.past[-self.peaks - 1])
        total = float((self.past[-self.peaks :] - threshold).sum())
        return threshold, max(total, 1e-9), (self.peaks + 1.0) / (len(self.past) + 1.0)
