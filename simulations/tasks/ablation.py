"""Measure the gain of each noise-aware tool on the flights, one change at a time.

Each entry compares a model with one tool and the same model without it. Models are at ε = 1. Some are trained at one price and
used at another, as after a budget cut.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from base.times import to_us
from featurestore.store import Store
from training.data.noise_aware import DenoisedScaler, EmpiricalBayesShrinkage, inverse_variance_weights, released_rows

from .models import logistic, trees
from .scores import DayPairs, Floats
from .study import RHOS, WINDOWS, WINDOWS_PLAIN, StudyScores, beside_own, calibrator, given, pairs_of
from .task import Bools, Task
from .worlds import WorldNoise, joined, published

LIGHT: Final = 1.0
HEAVY: Final = 20_000.0
"""Penalties of the logistic regressions: almost none, and one that matters for scaled columns."""
PRICE: Final = "ε = 1"
BEFORE, AFTER = "ρ = 0.1", "ε = 0.5"
"""Prices of training and of use after a budget cut."""


@dataclass(frozen=True)
class Entry:
    """One line of the ablation: a model with a tool, and the model without it."""

    model: str
    tool: str
    base: str
    variant: str


_TREES, _LOGISTIC = "trees, unconstrained", "logistic regression"
_HEAVY, _CUT = "logistic regression, strong penalty", f"monotone trees, trained at {BEFORE}, used at {AFTER}"
ENTRIES: Final = (
    Entry(_TREES, "monotone in each rate", "trees", "trees monotone"),
    Entry(_TREES, "standard errors as inputs", "trees", "trees se"),
    Entry(_TREES, "`EmpiricalBayesShrinkage`", "trees", "trees shrunk"),
    Entry(_TREES, "`RegressionCalibrator`", "trees", "trees calibrated"),
    Entry(_TREES, "rows weighed by `inverse_variance_weights`", "trees", "trees weighed"),
    Entry("monotone trees", "`RegressionCalibrator`", "trees monotone", "trees monotone calibrated"),
    Entry(_LOGISTIC, "`DenoisedScaler`", "logistic", "logistic denoised"),
    Entry(_LOGISTIC, "`EmpiricalBayesShrinkage`", "logistic", "logistic shrunk"),
    Entry(_LOGISTIC, "`RegressionCalibrator`", "logistic", "logistic calibrated"),
    Entry(_HEAVY, "`DenoisedScaler`", "heavy", "heavy denoised"),
    Entry(_CUT, "`EmpiricalBayesShrinkage`", "cut", "cut shrunk"),
    Entry(_CUT, "`RegressionCalibrator`", "cut", "cut calibrated"),
)


_OF_STUDY: Final = {"trees": WINDOWS_PLAIN, "trees monotone": WINDOWS}
"""Variants that the study has fitted in the same worlds."""


@dataclass(frozen=True)
class Forecast:
    """Root mean square errors of the forecast of an airline's next daily rate, weighted by flights.

    Attributes:
        plain: error of a least-squares fit to noisy rates.
        own, typical: error of a fit with `inverse_variance_weights`, of each row's se, or of the airline's root mean square se.
    """

    plain: float
    own: float
    typical: float


@dataclass(frozen=True, eq=False)
class Ablation:
    """The order of the test labels by variant and seed, and the forecasts of each seed."""

    pairs: dict[str, list[DayPairs]]
    forecasts: list[Forecast]


class RunningAblation:
    """A running ablation.

    Args:
        pool: processes with the flights (`study.workers`).
        seeds: number of noise seeds; they are the first seeds of the study.
        progress: called with a line about finished work.
    """

    def __init__(self, pool: ProcessPoolExecutor, seeds: int, progress: Callable[[str], None]) -> None:
        self._exact = pool.submit(_exact_days)
        self._seeds = [(pool.submit(_at_one_price, seed), pool.submit(_after_a_cut, seed)) for seed in range(seeds)]
        for future in (future for both in self._seeds for future in both):
            future.add_done_callback(lambda _: progress("ablation: half a seed"))

    def result(self, scores: StudyScores) -> Ablation:
        """Return the results. The study's models of plain windows are the models without a tool."""
        truth, split = self._exact.result()
        of_study = scores.private[PRICE]
        pairs = {name: of_study[model][: len(self._seeds)] for name, model in _OF_STUDY.items()}
        forecasts = []
        for one_price, cut in self._seeds:
            of_price, days = one_price.result()
            forecasts.append(_forecast(days, truth, split))
            for variant, ordered in (of_price | cut.result()).items():
                pairs.setdefault(variant, []).append(ordered)
        return Ablation(pairs, forecasts)


def _exact_days() -> tuple[pa.Table, int]:
    """Return the airlines' days without noise, and the start of the test (µs)."""
    task, exact = given()
    with published(exact, task.views(None), None) as store:
        return _daily(store), to_us(task.split)


def _at_one_price(seed: int) -> tuple[dict[str, DayPairs], pa.Table]:
    """Return the order of the test labels by variant, and the airlines' noisy days."""
    task, exact = given()
    features = task.sets["windows"]
    with published(exact, task.views(RHOS[PRICE]), WorldNoise(RHOS[PRICE], seed)) as store:
        x, se = joined(store, task.labels, task.time, features.references)
        prior = EmpiricalBayesShrinkage().fit(*released_rows(store, features.references, task.split))
        days = _daily(store)
    shrunk = prior.transform(x, se)
    calibrated = calibrator(task).fit(x[task.train], se[task.train]).transform(x, se)
    weights = inverse_variance_weights(np.nan_to_num(se[:, 1], nan=np.nanmax(se[:, 1])), float(prior.variance_[1]))
    rising = features.monotone(task.own.shape[1])
    pairs = {
        "trees se": _trees(task, np.column_stack((x, se))),
        "trees shrunk": _trees(task, shrunk),
        "trees calibrated": _trees(task, calibrated),
        "trees weighed": _trees(task, x, weights=weights),
        "trees monotone calibrated": _trees(task, calibrated, rising),
    }
    usual, denoised = _standardized(task, x, se, np.zeros_like(se)), _standardized(task, x, se, se)
    no_noise = np.zeros_like(se)
    for name, columns, penalty in (
        ("logistic", usual, LIGHT),
        ("logistic denoised", denoised, LIGHT),
        ("logistic shrunk", _standardized(task, shrunk, se, no_noise), LIGHT),
        ("logistic calibrated", _standardized(task, calibrated, se, no_noise), LIGHT),
        ("heavy", usual, HEAVY),
        ("heavy denoised", denoised, HEAVY),
    ):
        inputs = np.column_stack((_one_hot(task), columns)).astype(np.float32)
        pairs[name] = pairs_of(task, logistic(inputs, task.y, task.train, task.test, penalty))
    return pairs, days


def _after_a_cut(seed: int) -> dict[str, DayPairs]:
    """Train with features at one price, and test with features at another."""
    task, exact = given()
    features = task.sets["windows"]
    sides = []
    for price in (BEFORE, AFTER):
        with published(exact, task.views(RHOS[price]), WorldNoise(RHOS[price], seed)) as store:
            if price == BEFORE:
                prior = EmpiricalBayesShrinkage().fit(*released_rows(store, features.references, task.split))
            sides.append(joined(store, task.labels, task.time, features.references))
    x, se = (np.where(task.test[:, None], after, before) for before, after in zip(*sides, strict=True))
    calibrated = calibrator(task).fit(x[task.train], se[task.train]).transform(x, se)
    rising = features.monotone(task.own.shape[1])
    return {
        "cut": _trees(task, x, rising),
        "cut shrunk": _trees(task, prior.transform(x, se), rising),
        "cut calibrated": _trees(task, calibrated, rising),
    }


def _trees(task: Task, x: Floats, rising: Bools | None = None, weights: Floats | None = None) -> DayPairs:
    scores = trees(
        beside_own(task, x),
        task.y,
        task.train,
        task.test,
        categories=task.categories,
        rising=rising,
        weights=weights,
    )
    return pairs_of(task, scores)


def _standardized(task: Task, x: Floats, se: Floats, noise: Floats) -> Floats:
    """Scale columns by their variance without this noise (0: the usual scaling); a null becomes the mean."""
    errors = np.where(np.isnan(x), np.nan, noise)
    scaler = DenoisedScaler().fit(x[task.train], errors[task.train])
    return np.nan_to_num(scaler.transform(x))


def _one_hot(task: Task) -> Floats:
    """Return float64[N, …]: airline, origin and weekday as indicators, the time of day as sine and cosine."""
    airline, origin, _, minute, weekday, _ = task.own.T
    day = 2 * np.pi * minute / 1440
    columns = [np.eye(int(codes.max()) + 1)[codes.astype(np.int64)] for codes in (airline, origin, weekday)]
    return np.column_stack((*columns, np.sin(day), np.cos(day), np.sin(2 * day), np.cos(2 * day)))


def _daily(store: Store) -> pa.Table:
    """Return each airline's days: rate, standard error and n, and the windows that end with the day."""
    wanted = ("late", "late__se", "late__n", "late_7d", "late_28d")
    table = store.history("carrier_delay")
    return table.select(["carrier", "pane_start", *wanted]).sort_by(
        [("carrier", "ascending"), ("pane_start", "ascending")]
    )


def _forecast(noisy: pa.Table, exact: pa.Table, split: int) -> Forecast:
    """Fit the noisy rate of a day on the windows before it, and predict the days of the test."""
    start = noisy["pane_start"].cast(pa.int64()).to_numpy()
    y, se, week, month = (noisy[name].to_numpy() for name in ("late", "late__se", "late_7d", "late_28d"))
    same = np.concatenate([[False], pc.equal(noisy["carrier"][1:], noisy["carrier"][:-1]).to_numpy()])
    before = np.column_stack([np.concatenate([[np.nan], window[:-1]]) for window in (week, month)])
    x = np.column_stack((np.ones(len(y)), np.where(same[:, None], before, np.nan)))
    known = np.isfinite(x).all(axis=1)
    fit = known & np.isfinite(y) & (start < split)
    truth, n = exact["late"].to_numpy(), exact["late__n"].to_numpy()
    ask = known & np.isfinite(truth) & (start >= split)
    between = float(EmpiricalBayesShrinkage().fit(y[fit, None], se[fit, None]).variance_[0])
    _, airline = np.unique(np.array(noisy["carrier"].to_pylist())[fit], return_inverse=True)
    typical = np.sqrt(np.bincount(airline, se[fit] ** 2) / np.bincount(airline))[airline]
    errors = []
    for weights in (np.ones(fit.sum()), *(inverse_variance_weights(of, between) for of in (se[fit], typical))):
        root = np.sqrt(weights)
        coefficients = np.linalg.lstsq(x[fit] * root[:, None], y[fit] * root, rcond=None)[0]
        errors.append(float(np.sqrt(np.average((x[ask] @ coefficients - truth[ask]) ** 2, weights=n[ask]))))
    return Forecast(*errors)
