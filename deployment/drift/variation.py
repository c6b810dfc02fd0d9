"""The variation of series between panes, beyond noise: estimated from the past, after the variance of the noise is removed.

A series has noise of the variance v, which is public, and varies around the mean of its place in the season with the variance

    V = v + φ·m + ω·m²        m: the expected number of events

φ is 1 for counts of independent events, and larger for events that come in groups; ω is the square of a relative variation that
many events do not average out. All keys of a feature share both, so few weeks suffice. A key that varies more or less than they
say is told apart by its own residuals, as far as there are enough of them (moderated t: Smyth 2004, Stat. Appl. Genet. Mol. Biol.
3, 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import polygamma, psi  # type: ignore[import-untyped]  # SciPy has no types

from featurestore.define.decoded import Floats, Ints
from featurestore.define.panes import Bools

_ROUNDS: Final = 3
_MOST_PRIOR: Final = 1e4
_LEAST_AT_PLACE: Final = 2
"""A place of the season has a mean if the past has so many values there."""
_LEAST_RELATIVE: Final = 1e-12
"""A floor of the variance, relative to the square of the series: of exact series that never change."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """The past of K series over T panes.

    Attributes:
        place: int64[T], the place of each pane in the season; past: bool[T], the panes that are not the newest ones.
        residual: float64[T, K], the series less the mean of its place in the past; 0 where there is no value.
        variance, noise: float64[T, K], V and v; 0 where there is no value.
        weight: float64[T, K], 1/V of the past; 0 where there is no value, and in the newest panes.
        of_place: float64[P, K], the sum of the weights of each place.
        has: bool[T, K], where there is a value, and its place has a mean.
        prior: d₀, the degrees of freedom that all keys together add to those of each.
        own: float64[K], the degrees of freedom of each key's past.
        spread: float64[K], Σ residual²/V, scaled so that `own` is its expectation.
    """

    place: Ints
    past: Bools
    residual: Floats
    variance: Floats
    noise: Floats
    weight: Floats
    of_place: Floats
    has: Bools
    prior: float
    own: Floats
    spread: Floats


def fit(values: Floats, noise: Floats, events: Floats | None, place: Ints, past: Bools) -> Baseline:
    """Fit the past.

    Args:
        values: float64[T, K], NaN where there is no value; noise: float64[T, K], their variance due to noise.
        events: float64[T, K], the expected number of events; None: the values count events themselves.
    """
    finite = np.isfinite(values)
    enough = sum_by(place, (finite & past[:, None]).astype(np.float64)) >= _LEAST_AT_PLACE
    has = finite & enough[place]
    y = np.where(has, values, 0.0)
    floor = _LEAST_RELATIVE * (1.0 + (y**2).max(axis=0, initial=0.0))
    noise = np.where(has, np.maximum(noise, floor), 0.0)
    expected = levels(y, has, place) if events is None else events
    in_past = has & past[:, None]
    variance = noise
    for turn in range(_ROUNDS):
        weight = np.where(in_past, 1.0 / np.where(has, variance, 1.0), 0.0)
        of_place = sum_by(place, weight)
        there = np.where(of_place > 0, of_place, 1.0)
        residual = np.where(has, y - (sum_by(place, weight * y) / there)[place], 0.0)
        share = weight / there[place]
        usable = in_past & (share < 1.0 - 1e-9)
        if turn < _ROUNDS - 1:
            excess = residual[usable] ** 2 / (1.0 - share[usable]) - noise[usable]
            phi, omega = _variation(excess, expected[usable], variance[usable])
            variance = np.where(has, noise + phi * expected + omega * expected**2, 0.0)
    squares = np.where(usable, residual**2 / np.where(usable, variance * (1.0 - share), 1.0), 0.0)
    count = usable.sum(axis=0)
    own = np.maximum(count - (sum_by(place, usable.astype(np.float64)) > 0).sum(axis=0), 0).astype(np.float64)
    spread = squares.sum(axis=0) * own / np.maximum(count, 1)
    return Baseline(
        place, past, residual, variance, noise, weight, of_place, has, _prior(spread, own), own, spread
    )  # fmt: skip


def levels(y: Floats, has: Bools, place: Ints) -> Floats:
    """float64[T, K]: the expected value of series that count, at least 0: the mean of a key times the profile of all keys.

    The profile is shared, so no pane has much influence on the variance by which it is judged.
    """
    sums, counts = sum_by(place, y), sum_by(place, has.astype(np.float64))
    of_key = y.sum(axis=0) / np.maximum(has.sum(axis=0), 1)
    expected = (counts * of_key).sum(axis=1)
    profile = np.divide(sums.sum(axis=1), expected, out=np.ones(len(sums)), where=expected > 0)
    expected_values: Floats = np.maximum(of_key * profile[place][:, None], 0.0)
    return expected_values


def sum_by(index: Ints, values: Floats) -> Floats:
    """float64[P, K]: the sums of the rows of float64[T, K] with each index."""
    sums = np.zeros((int(index.max(initial=0)) + 1, values.shape[1]))
    np.add.at(sums, index, values)
    return sums


def _variation(excess: Floats, events: Floats, variance: Floats) -> tuple[float, float]:
    """φ and ω, both at least 0, by weighted least squares of the squared residuals less the variance of their noise."""
    columns = np.stack([events, events**2]) / variance
    norms = np.sqrt((columns**2).sum(axis=1))
    if not (norms > 0).all():
        return 0.0, 0.0
    columns /= norms[:, None]
    cosine = float(columns[0] @ columns[1])
    a, b = (columns @ (excess / variance)).tolist()
    rest = 1.0 - cosine**2
    if rest > 1e-6:
        first, second = (a - b * cosine) / rest, (b - a * cosine) / rest
        if first >= 0 and second >= 0:
            return float(first / norms[0]), float(second / norms[1])
    if a > b:  # one of them is 0; the other one alone explains more
        return float(max(a, 0.0) / norms[0]), 0.0
    return 0.0, float(max(b, 0.0) / norms[1])


def _prior(spread: Floats, own: Floats) -> float:
    """d₀, from how much log(spread/own) varies over keys beyond chance. Fewer than three keys give none."""
    enough = (own >= 2) & (spread > 0)
    if enough.sum() < 3:
        return 0.0
    half = own[enough] / 2
    logs = np.log(spread[enough] / own[enough]) - psi(half) + np.log(half)
    between = float(logs.var(ddof=1) - polygamma(1, half).mean())
    return _MOST_PRIOR if between <= 1.0 / _MOST_PRIOR else min(_MOST_PRIOR, 2 * _inverse_trigamma(between))


def _inverse_trigamma(value: float) -> float:
    """The x with trigamma(x) = value, by Newton's method (Smyth 2004, appendix)."""
    x = 0.5 + 1.0 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1.0 - trigamma / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x
