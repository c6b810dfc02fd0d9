"""Lower bounds on ε from an attacker's scores in two worlds, each with a stated confidence.

A mechanism that is (ε, δ)-DP holds TPR ≤ e^ε·FPR + δ for every test "score ≥ t" (Kairouz, Oh, Viswanath 2015, "The
Composition Theorem for Differential Privacy", Theorem 2.1). The rates are estimated on draws that did not choose t, and
enter as their Clopper–Pearson (1934) limits; Jagielski, Ullman, Oprea 2020, "Auditing Differentially Private Machine
Learning", §4, do the same. With Gaussian noise one test gives μ = Φ⁻¹(TPR) − Φ⁻¹(FPR), and μ gives ε at δ
(Dong, Roth, Su 2022, "Gaussian Differential Privacy", Corollary 1): a much tighter bound, because it needs no rare events.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtr, ndtri  # type: ignore[import-untyped]  # SciPy has no types

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

BOUNDS: Final = 2
"""Lower bounds of one audit: at the best threshold, and from μ."""
RATES: Final = 2
"""One-sided limits of each bound: for the true-positive and the false-positive rate."""
THRESHOLDS: Final = 4_000
"""Number of tested thresholds: quantiles of the scores of both worlds."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of an attacker: float64[draws] in the world with the canary's events and in the world without."""

    present: Floats
    absent: Floats


@dataclass(frozen=True)
class LowerBounds:
    """Lower bounds on the ε of a mechanism, at the given δ and confidence.

    Attributes:
        by_mu: None if the noise is not Gaussian, because μ has no meaning then.
    """

    at_threshold: float
    by_mu: float | None

    @property
    def best(self) -> float:
        """Return the larger bound."""
        return self.at_threshold if self.by_mu is None else max(self.at_threshold, self.by_mu)


def lower_bounds(
    choosing: Scores, held_out: Scores, *, gaussian: bool, delta: float, confidence: float, audits: int = 1
) -> LowerBounds:
    """Return both lower bounds on ε, or only the first if the noise is not Gaussian.

    Args:
        choosing: the draws that choose each bound's threshold.
        held_out: the draws that give the bounds.
        confidence: probability that all bounds of all `audits` audits hold (Bonferroni: each limit gets a share of the error).
    """
    alpha = (1 - confidence) / (audits * BOUNDS * RATES)

    def at_threshold(tpr: Floats, fpr: Floats) -> Floats:
        return np.log(np.maximum(tpr - delta, 1e-300) / fpr)

    def mu(tpr: Floats, fpr: Floats) -> Floats:
        return np.asarray(ndtri(tpr) - ndtri(fpr))

    return LowerBounds(
        max(0.0, _at_best_threshold(choosing, held_out, at_threshold, alpha)),
        gaussian_epsilon(_at_best_threshold(choosing, held_out, mu, alpha), delta) if gaussian else None,
    )


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return ε of a μ-GDP mechanism at δ: the root of δ = Φ(−ε/μ + μ/2) − e^ε·Φ(−ε/μ − μ/2); 0 if δ alone suffices."""

    def delta_of(epsilon: float) -> float:
        return float(ndtr(-epsilon / mu + mu / 2) - math.exp(epsilon) * ndtr(-epsilon / mu - mu / 2))

    if mu <= 0 or delta_of(0.0) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while delta_of(high) > delta:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(middle) > delta else (low, middle)
    return low


def clopper_pearson_lower(hits: Counts, trials: int, alpha: float) -> Floats:
    """Return a lower limit of the rate with confidence 1 − α: the α quantile of Beta(hits, misses + 1)."""
    return np.where(hits == 0, 0.0, betaincinv(np.maximum(hits, 1), trials - hits + 1, alpha))


def clopper_pearson_upper(hits: Counts, trials: int, alpha: float) -> Floats:
    """Return an upper limit of the rate with confidence 1 − α."""
    return 1.0 - clopper_pearson_lower(trials - hits, trials, alpha)


def _at_best_threshold(
    choosing: Scores, held_out: Scores, bound: Callable[[Floats, Floats], Floats], alpha: float
) -> float:
    """Return the bound at the threshold with the largest bound on the choosing half."""
    both = np.quantile(np.concatenate((choosing.present, choosing.absent)), np.linspace(0, 1, THRESHOLDS))
    thresholds = (
        both[1:] + both[:-1]
    ) / 2  # between the scores, because rounding would decide about a score on a threshold
    best = int(np.argmax(bound(*_rates(choosing, thresholds, alpha))))
    return float(bound(*_rates(held_out, thresholds[best : best + 1], alpha))[0])


def _rates(scores: Scores, thresholds: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Return for each threshold a lower limit of TPR and an upper limit of FPR."""
    present, absent = (_reaching(part, thresholds) for part in (scores.present, scores.absent))
    return (
        clopper_pearson_lower(present, len(scores.present), alpha),
        clopper_pearson_upper(absent, len(scores.absent), alpha),
    )


def _reaching(scores: Floats, thresholds: Floats) -> Counts:
    """Return int64[thresholds]: the number of scores that reach each threshold."""
    return len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left")
