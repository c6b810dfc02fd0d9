"""How far a `Filtered` forecast is from what came: the exact share of the next hour's departures that were late.

The forecast's variance is that of the rate behind the hour. The exact share is that of n departures, so its interval takes the
binomial variance p(1 − p)/n beside it. Nothing here is served: exact sums are a lab's.
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
"""Departures of an hour whose share is compared."""
_Z95: Final = 1.959964
_VIEW, _RATE = "area_delay", "late"


@dataclass(frozen=True)
class Calibration:
    """Of one world.

    Attributes:
        hours: how many were compared.
        covered: the share of them within the forecast's 95 % interval.
        forecast, hour, noisy: RMSE of the forecast; of predicting the exact share of the hour before; of the noisy hour itself, as
            far as it is served (noisy_hours).
    """

    hours: int
    covered: float
    forecast: float
    hour: float
    noisy: float
    noisy_hours: int


def calibration(noise: WorldNoise) -> Calibration:
    """Run by a worker: compare the forecasts of a world with the exact hours."""
    task, exact = given()
    with published(exact, task.views(None), None) as store:
        ends, (rate, n) = _columns(store, _RATE, f"{_RATE}__n")
    with published(exact, task.views(noise.rho), noise) as store:
        seen, (noisy, pred, se) = _columns(store, _RATE, f"{_RATE}_pred", f"{_RATE}_pred__se")
    if not np.array_equal(ends, seen):
        raise AssertionError("two worlds of the same panes")
    return compared(ends, rate, n, noisy, pred, se)


def compared(ends: Ints, rate: Floats, n: Floats, noisy: Floats, pred: Floats, se: Floats) -> Calibration:
    """Each hour with enough departures, with what the row of the hour before it had foretold.

    Args:
        ends: int64[P], µs; rate, n: float64[P], exact; noisy, pred, se: float64[P], as served with each hour. NaN for null.
    """
    follows = np.diff(ends) == np.diff(ends).min()  # the next row is of the next hour
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
    """Pane ends (µs) and columns of the view's history; NaN for null."""
    table = store.history(_VIEW)
    ends = table["pane_end"].cast("int64").to_numpy()
    return ends, [table[name].cast("float64").to_numpy() for name in names]


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values * values)))
