"""Metrics of predictions, with intervals from resampled UTC days, because rows of a day share weather and noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np
import numpy.typing as npt

from base.times import DAY_US
from training.task import Task

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Metric = Callable[[Floats], float]
"""A metric of fixed predictions, as a function of float64[N] row weights."""

DRAWS: Final = 400
LEVEL: Final = 0.95
_CLOSEST: Final = 1e-7
"""The smallest distance of a probability from 0 and 1."""


@dataclass(frozen=True)
class Measured:
    """A metric with its interval; `low` and `high` are None if all rows are of one day."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        return f"{self.value:.4f}" + ("" if self.low is None else f" [{self.low:.4f}, {self.high:.4f}]")


def measure(y: Floats, predicted: Floats, time_us: Ints, task: Task, seed: int) -> dict[str, Measured]:
    """Measure `auc` and `logloss`, or `rmse`, with LEVEL intervals from DRAWS resamplings of the days."""
    return {name: _measured(metric, time_us, seed) for name, metric in metrics_of(y, predicted, task).items()}


def measure_difference(first: Metric, second: Metric, time_us: Ints, seed: int) -> Measured:
    """Measure by how much the first metric is above the second, both of the same rows, with an interval as `measure` has."""
    return _measured(lambda weights: first(weights) - second(weights), time_us, seed)


def metrics_of(y: Floats, predicted: Floats, task: Task) -> Mapping[str, Metric]:
    """The metrics of a task by name: `auc` and `logloss`, or `rmse`."""
    match task:
        case "binary":
            return {"auc": auc_of(y, predicted), "logloss": _logloss_of(y, predicted)}
        case "regression":
            return {"rmse": _rmse_of(y, predicted)}
        case _:
            assert_never(task)


def _measured(metric: Metric, time_us: Ints, seed: int) -> Measured:
    _, day = np.unique(time_us // DAY_US, return_inverse=True)
    days = int(day.max()) + 1
    value = metric(np.ones(len(time_us)))
    if days == 1:
        return Measured(value, None, None)
    drawn = np.random.default_rng(seed).multinomial(days, np.full(days, 1 / days), DRAWS).astype(np.float64)
    low, high = np.nanquantile([metric(weights[day]) for weights in drawn], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Measured(value, float(low), float(high))


def auc_of(y: Floats, predicted: Floats) -> Metric:
    """Return the AUC: how often a positive row ranks above a negative one; ties count half. NaN if one kind is missing."""
    order = np.argsort(predicted, kind="stable")
    positive = y[order] > 0
    starts = np.flatnonzero(np.append(True, np.diff(predicted[order]) != 0))

    def auc(weights: Floats) -> float:
        w = weights[order]
        above = np.add.reduceat(np.where(positive, w, 0.0), starts)
        below = np.add.reduceat(np.where(positive, 0.0, w), starts)
        pairs = above.sum() * below.sum()
        if not pairs:
            return float("nan")
        return float((above * (np.cumsum(below) - below / 2)).sum() / pairs)

    return auc


def _logloss_of(y: Floats, predicted: Floats) -> Metric:
    held = np.clip(predicted, _CLOSEST, 1 - _CLOSEST)
    losses = -(y * np.log(held) + (1 - y) * np.log1p(-held))
    return lambda weights: float((weights * losses).sum() / weights.sum())


def _rmse_of(y: Floats, predicted: Floats) -> Metric:
    squares = (y - predicted) ** 2
    return lambda weights: float(np.sqrt((weights * squares).sum() / weights.sum()))
