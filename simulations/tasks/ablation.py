"""Measure the gain of each change of a model on the flights, one at a time.

Each entry compares a model with one change and the same model without it. Models are at ε = 1. Some are trained at one price and
used at another, as after a budget cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.data.shrinkage import EmpiricalBayesShrinkage, released_rows

from .models import logistic, trees
from .prices import Price
from .scores import DayPairs, Floats
from .study import EPS1, WINDOWS, WINDOWS_PLAIN, StudyScores, Workers, beside_own, columns_of, given, pairs_of
from .task import Bools, Task
from .worlds import WorldNoise, published

PENALTY: Final = 1.0
"""Of the logistic regressions: almost none."""
BEFORE, AFTER = "ε = 1.5", "ε = 0.5"
"""Promises at training and at use, with a budget cut between."""


@dataclass(frozen=True)
class Entry:
    """One line of the ablation: a model with a change, and the model without it."""

    model: str
    tool: str
    base: str
    variant: str


_TREES, _CUT = "trees, unconstrained", f"monotone trees, trained at {BEFORE}, used at {AFTER}"
ENTRIES: Final = (
    Entry(_TREES, "monotone in each rate", "trees", "trees monotone"),
    Entry(_TREES, "standard errors as inputs", "trees", "trees se"),
    Entry(_TREES, "`EmpiricalBayesShrinkage`", "trees", "trees shrunk"),
    Entry("logistic regression", "`EmpiricalBayesShrinkage`", "logistic", "logistic shrunk"),
    Entry(_CUT, "`EmpiricalBayesShrinkage`", "cut", "cut shrunk"),
)


_OF_STUDY: Final = {"trees": WINDOWS_PLAIN, "trees monotone": WINDOWS}
"""Variants that the study has fitted in the same worlds."""


class RunningAblation:
    """A running ablation.

    Args:
        workers: processes with the flights.
        seeds: number of noise seeds; they are the first seeds of the study.
        progress: called with a line about finished work.
    """

    def __init__(self, workers: Workers, seeds: int, progress: Callable[[str], None]) -> None:
        prices = workers.prices
        self._futures = [
            (
                workers.pool.submit(_at_one_price, prices[EPS1.title], seed),
                workers.pool.submit(_after_a_cut, prices[BEFORE], prices[AFTER], seed),
            )
            for seed in range(seeds)
        ]
        for future in (future for both in self._futures for future in both):
            future.add_done_callback(lambda _: progress("ablation: half a seed"))

    def result(self, scores: StudyScores) -> dict[str, list[DayPairs]]:
        """Return the order of the test labels by variant and seed. Some variants are models of the study."""
        of_study = scores.private[EPS1.title]
        pairs = {name: of_study[model][: len(self._futures)] for name, model in _OF_STUDY.items()}
        for one_price, cut in self._futures:
            for variant, ordered in (one_price.result() | cut.result()).items():
                pairs.setdefault(variant, []).append(ordered)
        return pairs


def _at_one_price(price: Price, seed: int) -> dict[str, DayPairs]:
    task, _ = given()
    noise = WorldNoise(price, seed)
    x, se = columns_of(noise, task.sets["windows"].references)
    shrunk = _prior(task, noise).transform(x, se)
    pairs = {"trees se": _trees(task, np.column_stack((x, se))), "trees shrunk": _trees(task, shrunk)}
    for name, columns in (("logistic", x), ("logistic shrunk", shrunk)):
        inputs = np.column_stack((_one_hot(task), _standardized(task, columns))).astype(np.float32)
        pairs[name] = pairs_of(task, logistic(inputs, task.y, task.train, task.test, PENALTY))
    return pairs


def _after_a_cut(before: Price, after: Price, seed: int) -> dict[str, DayPairs]:
    """Train with features at one price, and test with features at another."""
    task, _ = given()
    features = task.sets["windows"]
    sides = [columns_of(WorldNoise(price, seed), features.references) for price in (before, after)]
    x, se = (np.where(task.test[:, None], new, old) for old, new in zip(*sides, strict=True))
    rising = features.monotone(task.own.shape[1])
    prior = _prior(task, WorldNoise(before, seed))
    return {"cut": _trees(task, x, rising), "cut shrunk": _trees(task, prior.transform(x, se), rising)}


def _prior(task: Task, noise: WorldNoise) -> EmpiricalBayesShrinkage:
    """Fit the prior of the windows on the releases before the test."""
    with published(given()[1], task.views(noise.price), noise) as store:
        return EmpiricalBayesShrinkage().fit(*released_rows(store, task.sets["windows"].references, task.split))


def _trees(task: Task, x: Floats, rising: Bools | None = None) -> DayPairs:
    inputs = beside_own(task, x)
    return pairs_of(task, trees(inputs, task.y, task.train, task.test, categories=task.categories, rising=rising))


def _standardized(task: Task, x: Floats) -> Floats:
    """Scale columns by mean and spread of the training rows; a null becomes the mean."""
    of_train = x[task.train]
    scaled: Floats = np.nan_to_num((x - np.nanmean(of_train, axis=0)) / np.nanstd(of_train, axis=0))
    return scaled


def _one_hot(task: Task) -> Floats:
    """Return float64[N, …]: airline, origin and weekday as indicators, the time of day as sine and cosine."""
    airline, origin, _, minute, weekday, _ = task.own.T
    day = 2 * np.pi * minute / 1440
    columns = [np.eye(int(codes.max()) + 1)[codes.astype(np.int64)] for codes in (airline, origin, weekday)]
    return np.column_stack((*columns, np.sin(day), np.cos(day), np.sin(2 * day), np.cos(2 * day)))
