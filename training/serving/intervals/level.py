"""The level of an interval: how many noised copies it takes, and which of the copies' predictions are its ends.

With B copies, the prediction from exact features and those of the copies are B + 1 draws of one distribution, if the noise is
symmetric and the model linear. So the k-th smallest and the k-th largest copy hold it with probability 1 − 2k/(B + 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from training.errors import InputRefused
from training.serving.ask import Floats

LEAST: Final = 0.5
MOST: Final = 0.999
_COPIES: Final = (39, 199, 1999)
"""39 are exact for 0.8, 0.9 and 0.95, 199 for 0.99, 1,999 for 0.999. A level between them gets the next wider interval."""
_NEAR: Final = 1e-6


@dataclass(frozen=True)
class Level:
    """A level of intervals.

    Attributes:
        level: the least probability with which an interval holds.
        copies: how many noised copies it takes.
        beyond: how many of their predictions lie at each end or beyond it.
    """

    level: float
    copies: int
    beyond: int

    @classmethod
    def of(cls, level: float) -> Self:
        """The level as a number above 0.5, up to 0.999. Raises InputRefused."""
        if not LEAST < level <= MOST:
            raise InputRefused(f"interval={level:g}: a level must be above {LEAST} and at most {MOST}, such as 0.9")
        beyond = [(copies + 1) * (1 - level) / 2 for copies in _COPIES]
        exact = (i for i, one in enumerate(beyond[:2]) if abs(one - round(one)) < _NEAR and round(one))
        at = next(exact, 1 if beyond[1] >= 1 else 2)
        return cls(level, _COPIES[at], math.floor(beyond[at] + _NEAR))

    def ends(self, values: Floats) -> tuple[Floats, Floats]:
        """The ends, float64[N] each, of the predictions of N rows, float64[copies, N]."""
        low, high = self.beyond - 1, self.copies - self.beyond
        ordered = np.partition(values, (low, high), axis=0)
        return ordered[low], ordered[high]
