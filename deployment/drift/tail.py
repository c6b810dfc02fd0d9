"""From the largest deviation of a check to its p-value: how often has the view's own past one as large?

The *evidence* of a block of panes is E = −log(P), where P is its smallest p-value over all series, corrected for their number
(Šidák). If noise and variation were just as they are modelled and the series independent, E would be exponential with mean 1. The
past says how it really is: heavy tails make E larger. So E of the newest panes is compared with that of each block of the past,
which is computed in the same way. Up to the peaks of the past the p-value is a rank. Above their threshold it is extrapolated: the
excesses have the mean of the past's own, and a tail as heavy as SHAPE says. With few peaks it is heavier: that of one more
observation of an exponential distribution, whose mean is known from the peaks only. The larger one of this p-value and P counts:
the past can only take evidence away.
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
SHAPE: Final = 0.15
"""The shape of the Pareto distribution of the excesses. Those of days with heavy tails, or with storms, are not exponential (0):
with 0, .2 to .3 % of checks at the level .1 % are false alarms (ADR 0060)."""
MARGIN: Final = 1.4
"""Multiplies every p-value. Season and variation are estimates; without it 1.4 % of checks at the level 1 % are false alarms."""
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
        threshold, mean, beyond = self._excesses()
        excess = np.maximum(of - threshold, 0.0) / mean
        by_past = np.where(of > threshold, beyond * (1.0 + self._shape * excess) ** (-1.0 / self._shape), rank)
        return np.minimum(1.0, MARGIN * np.maximum(np.exp(-of), by_past))

    def evidence_at(self, p: float) -> float:
        """The evidence whose p-value is p, for p below the share of the peaks."""
        threshold, mean, beyond = self._excesses()
        by_past = threshold + mean / self._shape * max((beyond * MARGIN / p) ** self._shape - 1.0, 0.0)
        return float(min(_MOST, max(by_past, -math.log(p / MARGIN))))

    @property
    def _shape(self) -> float:
        return max(SHAPE, 1.0 / self.peaks)

    def _excesses(self) -> tuple[float, float, float]:
        """The largest evidence below the peaks, the mean of the peaks' excesses over it, and the share beyond it."""
        threshold = float(self.past[-self.peaks - 1])
        mean = float((self.past[-self.peaks :] - threshold).mean())
        return threshold, max(mean, 1e-9), (self.peaks + 1.0) / (len(self.past) + 1.0)
