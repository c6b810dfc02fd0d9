"""Estimates with 95 % intervals: rates, means, AUC, and the ε of scores in two worlds.

A rate has Clopper and Pearson's (1934) limits. An AUC has Newcombe's (2006, "Confidence intervals for an effect size measure
based on the Mann–Whitney statistic. Part 2", method 5): Hanley and McNeil's (1982) variance at the limit itself. So the
interval has a width even if the worlds do not overlap.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.special import betaincinv, stdtrit  # type: ignore[import-untyped]  # SciPy has no types

from simulations.attacks.attack import Floats, Measure, Series

from .bounds import Counts, Scores, gaussian_epsilon, lower_bounds

CONFIDENCE: Final = 0.95
Z: Final = 1.959963984540054
"""Φ⁻¹(0.975)."""
ROC_POINTS: Final = 200


def rate(what: str, hits: int, trials: int) -> Measure:
    """Return the rate of hits. Without a trial it is 0, from 0 to 1."""
    if not trials:
        return Measure(what, 0.0, 0.0, 1.0)
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if hits == 0 else float(betaincinv(hits, trials - hits + 1, tail))
    high = 1.0 if hits == trials else float(betaincinv(hits + 1, trials - hits, 1 - tail))
    return Measure(what, hits / trials, low, high)


def rates(label: str, x: Floats, hits: Counts, trials: int) -> Series:
    """Return a rate at each x."""
    measured = [rate(label, int(count), trials) for count in hits]
    return series(label, x, measured)


def series(label: str, x: Floats, measured: list[Measure]) -> Series:
    """Return a measure at each x."""
    y, low, high = (np.array([getattr(one, part) for one in measured]) for part in ("estimate", "low", "high"))
    return Series(label, np.asarray(x, np.float64), y, low, high)


def mean(what: str, values: Floats) -> Measure:
    """Return the mean of two or more independent values, with Student's t because there may be few."""
    centre = float(values.mean())
    quantile = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))
    half = quantile * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Measure(what, centre, centre - half, centre + half)


def auc(scores: Scores) -> Measure:
    """Return how often a score of the world with the target exceeds one of the world without it; ties count half."""
    present, absent = len(scores.present), len(scores.absent)
    ordered = np.sort(scores.absent)
    below = np.searchsorted(ordered, scores.present, side="left") + np.searchsorted(ordered, scores.present, "right")
    estimate = float(below.sum() / (2 * present * absent))

    def beyond(value: float) -> bool:
        """Return whether the estimate is further from this value than chance explains."""
        spread = (present + absent) / 2 - 1
        both = 1 + spread * ((1 - value) / (2 - value) + value / (1 + value))
        return abs(value - estimate) > Z * math.sqrt(value * (1 - value) * both / (present * absent))

    def limit(outside: float) -> float:
        inside = estimate
        if not beyond(outside):
            return outside
        for _ in range(50):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if beyond(middle) else (middle, outside)
        return inside

    return Measure("AUC", estimate, limit(0.0), limit(1.0))


def roc(label: str, scores: Scores) -> Series:
    """Return the true-positive rate (y) against false-positive rate (x) of the tests "score ≥ t"."""
    thresholds = np.unique(np.concatenate((scores.present, scores.absent)))[::-1]
    if len(thresholds) > ROC_POINTS:
        thresholds = thresholds[np.linspace(0, len(thresholds) - 1, ROC_POINTS).astype(int)]
    tpr, fpr = (_reaching(part, thresholds) for part in (scores.present, scores.absent))
    return Series(label, np.concatenate(([0.0], fpr)), np.concatenate(([0.0], tpr)))


def tpr_at(scores: Scores, most_fpr: float) -> float:
    """Return the largest true-positive rate of a test with at most this false-positive rate."""
    thresholds = np.unique(np.concatenate((scores.present, scores.absent)))
    tpr, fpr = (_reaching(part, thresholds) for part in (scores.present, scores.absent))
    return float(tpr[fpr <= most_fpr].max(initial=0.0))


def epsilon(scores: Scores, *, gaussian: bool, delta: float) -> Measure:
    """Estimate ε at δ from the scores. `low` is the lower bound of the audit; one half of the draws chooses its threshold.

    Args:
        gaussian: whether Gaussian noise is the only difference of scores within a world. Then μ is the distance of the worlds
            in standard deviations. Otherwise the test with the largest estimate counts, with ½ added to each count.
    """
    what = f"ε at δ = {delta:g}"
    choosing, held_out = (Scores(scores.present[part::2], scores.absent[part::2]) for part in (0, 1))
    low = lower_bounds(choosing, held_out, gaussian=gaussian, delta=delta, confidence=CONFIDENCE).best
    present, absent = len(scores.present), len(scores.absent)
    if not gaussian:
        thresholds = np.unique(np.concatenate((scores.present, scores.absent)))
        tpr = (_reaching(scores.present, thresholds) * present + 0.5) / (present + 1)
        fpr = (_reaching(scores.absent, thresholds) * absent + 0.5) / (absent + 1)
        estimate = float(np.log(np.maximum(tpr - delta, 1e-300) / fpr).max())
        return Measure(what, max(low, estimate), low, math.inf)
    pooled = math.sqrt((scores.present.var(ddof=1) + scores.absent.var(ddof=1)) / 2)
    mu = float(scores.present.mean() - scores.absent.mean()) / pooled
    half = Z * math.sqrt(1 / present + 1 / absent + mu**2 / (2 * (present + absent)))
    estimate, high = (max(low, gaussian_epsilon(value, delta)) for value in (mu, mu + half))
    return Measure(what, estimate, low, high)


def _reaching(scores: Floats, thresholds: Floats) -> Floats:
    """Return for each threshold the share of the scores that reach it."""
    return 1 - np.searchsorted(np.sort(scores), thresholds, side="left") / len(scores)
