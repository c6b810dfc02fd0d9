"""Compare a `Filtered` forecast with the exact share of late departures in the next hour.

The forecast has the variance of the underlying rate. The exact share is of n departures, so the interval adds the binomial
variance p(1 − p)/n. Only a lab has exact sums; a store does not serve them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from featurestore.store import Store

from .scores import Floats
from .study import given
from .worlds import Ints, WorldNoise, published

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
    """Compare the forecasts of a world with the exact hours. Run by a worker."""
    task, exact = given()
    with published(exact, task.views(None), None) as store:
        ends, (rate, n) = _columns(store, _RATE, f"{_RATE}__n")
    with published(exact, task.views(noise.rho), noise) as store:
        seen, (noisy, pred, se) = _columns(store, _RATE, f"{_RATE}_pred", f"{_RATE}_pred__se")
    if not np.array_equal(ends, seen):
        raise AssertionError("the worlds have different panes")
    return compared(ends, rate, n, noisy, pred, se)


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


def _columns(store: Store, *names: str) -> tuple[Ints, list[Floats]]:
    """Return pane ends (µs) and columns of the view's history; NaN for null."""
    table = store.history(_VIEW)
    ends = table["pane_end"].cast("int64").to_numpy()
    return ends, [table[name].cast("float64").to_numpy() for name in names]


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values * values)))
