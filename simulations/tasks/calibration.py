"""Compare a `Filtered` forecast with the exact share of late departures in the next hour.

The forecast has the variance of the underlying rate. The exact share is of n departures, so the interval adds the binomial
variance p(1 − p)/n. Only a lab has exact sums; a store does not serve them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from base.times import to_us
from featurestore.define.decoded import Decoded, value_is_there
from featurestore.define.values import served_features

from .scores import Floats
from .study import given
from .world_join import issues_of
from .worlds import Ints, WorldNoise

ENOUGH: Final = 20
"""The fewest departures of a compared hour."""
_Z95: Final = 1.959964
_VIEW, _RATE = "area_delay", "late"


@dataclass(frozen=True)
class Calibration:
    """The calibration of the forecast in one world.

    Attributes:
        hours: number of compared hours.
        covered: share of the hours within the forecast's 95 % interval.
        forecast: RMSE of the forecast.
        hour: RMSE of predicting the exact share of the hour before.
        noisy, noisy_hours: RMSE of the noisy value of the hour, and the number of hours that have one.
    """

    hours: int
    covered: float
    forecast: float
    hour: float
    noisy: float
    noisy_hours: int


def calibration(noise: WorldNoise) -> Calibration:
    """Compare the forecasts of a world with the exact hours of the test months. Run by a worker."""
    ends, exact = _columns(None)
    _, seen = _columns(noise)
    truth, rate, pred = exact[_RATE], seen[_RATE], seen[f"{_RATE}_pred"]
    n = np.full(len(ends), np.nan) if truth.n is None else np.where(np.isnan(_values(truth)), np.nan, truth.n)
    first = to_us(given()[0].split)
    n[ends <= first] = np.nan  # an hour before the test is not compared
    return compared(ends, _values(truth), n, _values(rate), _values(pred), pred.se)


def compared(ends: Ints, rate: Floats, n: Floats, noisy: Floats, pred: Floats, se: Floats) -> Calibration:
    """Compare each hour with enough departures with the forecast of the hour before.

    Args:
        ends: int64[P], µs; rate, n: float64[P], exact; noisy, pred, se: float64[P], as served with each hour. NaN for null.
    """
    follows = np.diff(ends) == np.diff(ends).min()  # the next row is the next hour
    at = 1 + np.flatnonzero(follows & (n[1:] >= ENOUGH) & ~np.isnan(pred[:-1]))
    p, came = pred[at - 1], rate[at]
    off = came - p
    sampling = np.clip(p, 0.01, 0.99) * (1 - np.clip(p, 0.01, 0.99)) / n[at]
    known = ~np.isnan(noisy[at])
    before = ~np.isnan(rate[at - 1])
    return Calibration(
        len(at),
        float((np.abs(off) <= _Z95 * np.sqrt(se[at - 1] ** 2 + sampling)).mean()),
        _rms(off),
        _rms((came - rate[at - 1])[before]),
        _rms((came - noisy[at])[known]),
        int(np.count_nonzero(known)),
    )


def _columns(noise: WorldNoise | None) -> tuple[Ints, dict[str, Decoded]]:
    """Return the pane ends (µs) and the features of the area's view in a world."""
    task, exact = given()
    views = task.views(None if noise is None else noise.price)
    view, issues = next(one for one in issues_of(exact, views, noise) if one[0].name == _VIEW)
    ends = next(of.pane_starts for of, one in zip(exact, views, strict=True) if one.name == _VIEW) + view.pane_us
    return ends, {one.name: decoded for one, decoded in zip(served_features(view), issues.features, strict=True)}


def _values(decoded: Decoded) -> Floats:
    """Return float64[P]: the values, NaN for null."""
    return np.where(value_is_there(decoded.status), decoded.value, np.nan)


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values * values)))
