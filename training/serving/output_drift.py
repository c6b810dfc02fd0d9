"""Drift of a model's outputs: how far the predictions that are served differ in distribution from those of the test rows.

`covey train` cuts the test predictions at their deciles, and writes the cuts and the shares between them into the lineage. A server
counts its predictions between the same cuts, a batch in one call. The population stability index compares the two:

    PSI = Σ (served − tested) · ln(served / tested)

It is 0 for equal shares. By custom, below 0.1 is no drift, and above 0.25 is a large one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PARTS: Final = 10
MIN_ROWS: Final = 200
"""The fewest predictions with a PSI: n of them differ from ten equal shares by about 9/n from chance alone."""
_LEAST_SHARE: Final = 1e-4


@dataclass(frozen=True, eq=False)
class OutputShares:
    """The shares of a model's test predictions between cuts.

    Attributes:
        cuts: float64[K − 1], ascending. A prediction belongs to the part after the last cut that it reaches.
        shares: float64[K], which add up to 1.
    """

    cuts: Floats
    shares: Floats

    @classmethod
    def of_test(cls, predicted: npt.NDArray[np.floating[Any]]) -> Self:
        """Cut test predictions at their deciles. Equal deciles, as trees have them, are one cut."""
        values = predicted.astype(np.float64)
        cuts = np.unique(np.quantile(values, np.arange(1, PARTS) / PARTS, method="inverted_cdf"))
        return cls(cuts, _counts(cuts, values) / len(values))

    @classmethod
    def of_lineage(cls, lineage: Mapping[str, Any]) -> Self | None:
        """Read `outputs` of a lineage; None: it has none, or something else, which only costs the metric."""
        match lineage.get("outputs"):
            case {"cuts": list(cuts), "shares": list(shares)} if 0 < len(shares) == len(cuts) + 1 <= PARTS:
                if {*map(type, [*cuts, *shares])} <= {int, float}:
                    found = cls(np.array(cuts, np.float64), np.array(shares, np.float64))
                    if np.isfinite(found.cuts).all() and (np.diff(found.cuts) > 0).all() and (found.shares >= 0).all():
                        return found
        return None

    def to_json(self) -> dict[str, list[float]]:
        """Return what a lineage has under `outputs`."""
        return {"cuts": self.cuts.tolist(), "shares": self.shares.tolist()}

    def count(self, values: npt.NDArray[np.floating[Any]]) -> Ints:
        """int64[K], how many predictions are in each part. NaN is in none."""
        return _counts(self.cuts, values[~np.isnan(values)])

    def psi(self, counts: Ints | Floats) -> float | None:
        """The population stability index of served predictions, from their counts; None: there are too few."""
        rows = counts.sum()
        if rows < MIN_ROWS:
            return None
        served, tested = np.maximum(counts / rows, _LEAST_SHARE), np.maximum(self.shares, _LEAST_SHARE)
        return float(np.sum((served - tested) * np.log(served / tested)))


def _counts(cuts: Floats, values: npt.NDArray[np.floating[Any]]) -> Ints:
    counts: Ints = np.bincount(np.searchsorted(cuts, values, side="right"), minlength=len(cuts) + 1)
    return counts
