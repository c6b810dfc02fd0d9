"""The study of a task: models with own features, with exact aggregates and with private ones, in every world.

A world is published, joined and deleted before the next. The study keeps only the order of the test labels by each model
(`scores.DayPairs`). Candidates for settings are compared on months before the test, in worlds with other seeds.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, TypeVar

import numpy as np

from featurestore.define.epsilon import largest_micro_rho
from featurestore.store import Store
from training.data.noise_aware import RegressionCalibrator, nested_windows

from .baskets import basket_categories
from .flights import OTHERS, late_arrivals, other_set
from .models import trees
from .scores import DayPairs, Floats
from .task import Bools, FeatureSet, Inputs, Task
from .worlds import Exact, WorldNoise, collect, joined, published

TASKS: Final[dict[str, Callable[[], Task]]] = {"flights": late_arrivals, "baskets": basket_categories}

DELTA: Final = 1e-6
RHOS: Final = {
    "ε = 0.5": largest_micro_rho(Fraction(1, 2), DELTA, 10**6) / 1e6,
    "ε = 1": largest_micro_rho(Fraction(1), DELTA, 10**6) / 1e6,
    "ρ = 0.1": 0.1,
}
"""Prices of a client-day."""
FIRST_CHOICE_SEED: Final = 1_000
"""The first seed of the worlds in which settings are compared."""
CHOICE_SEEDS: Final = 1
MOST_SEEDS: Final = {"baskets": 3}
"""The most worlds of each price. The intervals of the baskets do not come from noise, so few worlds suffice."""

OWN: Final = "own features"
Name = TypeVar("Name")
_GIVEN: Task
_EXACT: tuple[Exact, ...]


@dataclass(frozen=True)
class Model:
    """A model of the table: a feature set and its preparation."""

    features: str
    monotone: bool = True
    calibrated: bool = False

    @property
    def title(self) -> str:
        """Return the name in the table."""
        words = ["calibrated " * self.calibrated + self.features, "monotone" if self.monotone else "unconstrained"]
        return ", ".join(words)


WINDOWS_PLAIN: Final = Model("windows", monotone=False)
WINDOWS: Final = Model("windows")
CALIBRATED: Final = Model("windows", calibrated=True)
FILTERED: Final = Model("filtered")


@dataclass
class StudyScores:
    """The order of the test labels by each model of a task.

    Attributes:
        own: the model without aggregates.
        exact: models with exact aggregates.
        private: by price and model, one entry a seed.
        choice: by candidate, one AUC a seed on the last training months.
    """

    own: DayPairs
    days: int
    exact: dict[Model, DayPairs] = field(default_factory=dict)
    private: dict[str, dict[Model, list[DayPairs]]] = field(default_factory=dict)
    choice: dict[str, list[float]] = field(default_factory=dict)


def models_of(task: Task) -> tuple[Model, ...]:
    """Return the models of the table, with the noise-aware model that the task has features for."""
    return WINDOWS_PLAIN, WINDOWS, FILTERED if "filtered" in task.sets else CALIBRATED


def study(pool: ProcessPoolExecutor, name: str, seeds: int, progress: Callable[[str], None]) -> StudyScores:
    """Run all worlds of a task.

    Args:
        pool: processes of this task (`workers`).
        seeds: number of worlds of each price.
        progress: called with a line about finished work.
    """
    # the longest work comes first, so that short work fills the end
    choices = [pool.submit(_choice, WorldNoise(RHOS["ε = 1"], FIRST_CHOICE_SEED + i)) for i in range(CHOICE_SEEDS)]
    for choice in choices:
        choice.add_done_callback(lambda _: progress(f"{name}: compared settings in a world"))
    own = pool.submit(_own)
    worlds = {pool.submit(_world, None): ("exact", 0)}
    for price, rho in RHOS.items():
        worlds |= {pool.submit(_world, WorldNoise(rho, seed)): (price, seed) for seed in range(seeds)}
    scores = StudyScores(*own.result())
    for done in as_completed(worlds):
        progress(f"{name}: world {worlds[done][0]}, seed {worlds[done][1]}")
    for future, (price, _) in worlds.items():
        for model, pairs in future.result().items():
            if price == "exact":
                scores.exact[model] = pairs
            else:
                scores.private.setdefault(price, {}).setdefault(model, []).append(pairs)
    for choice in choices:
        for candidate, auc in choice.result().items():
            scores.choice.setdefault(candidate, []).append(auc)
    return scores


@contextmanager
def workers(name: str, progress: Callable[[str], None]) -> Iterator[ProcessPoolExecutor]:
    """Start one process a core, with the task and the exact sums. Trees use one thread in each. Raises DataMissing."""
    task = TASKS[name]()
    exact = tuple(collect(view, task.events) for view in task.views(None))
    progress(f"{name}: {len(task.y):,} labels; {sum(len(one.sums) for one in exact):,} panes collected")
    os.environ["OMP_NUM_THREADS"] = "1"  # for the workers, before they import scikit-learn
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks, not the threads
    with ProcessPoolExecutor(os.cpu_count(), context, _start, (name, exact)) as pool:
        yield pool


def _start(name: str, exact: tuple[Exact, ...]) -> None:
    global _GIVEN, _EXACT
    _GIVEN, _EXACT = TASKS[name](), exact


def given() -> tuple[Task, tuple[Exact, ...]]:
    """Return the task and the sums of this worker."""
    return _GIVEN, _EXACT


def test_days(task: Task) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], int]:
    """Return the int64 index of the day of each test label, and the number of days."""
    days, index = np.unique(task.day[task.test], return_inverse=True)
    return index.astype(np.int64), len(days)


def pairs_of(task: Task, scores: Floats) -> DayPairs:
    """Count how these scores order the test labels."""
    return DayPairs.count(scores, task.y[task.test], test_days(task)[0])


def beside_own(task: Task, x: Floats) -> Inputs:
    """Return float32[N, S + F]: own features, then these."""
    return np.column_stack((task.own, x.astype(np.float32)))


def calibrator(task: Task) -> RegressionCalibrator:
    """Make the calibrator of the task's windows, which share noise within a view."""
    blocks = [nested_windows(panes) for panes in task.windows]
    width = sum(len(block) for block in blocks)
    correlation, at = np.zeros((width, width)), 0
    for block in blocks:
        correlation[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return RegressionCalibrator(correlation)


def prepared(task: Task, model: Model, x: Floats, se: Floats, fit: Bools) -> Floats:
    """Prepare the features for the model; learn from the rows in `fit` only."""
    if not model.calibrated:
        return x
    return calibrator(task).fit(x[fit], se[fit]).transform(x, se)


def _own() -> tuple[DayPairs, int]:
    task, _ = given()
    scores = trees(task.own, task.y, task.train, task.test, categories=task.categories)
    return pairs_of(task, scores), test_days(task)[1]


def _world(noise: WorldNoise | None) -> dict[Model, DayPairs]:
    task, exact = given()
    models = [model for model in models_of(task) if noise is not None or not model.calibrated]
    sets = {name: task.sets[name] for name in dict.fromkeys(model.features for model in models)}
    with published(exact, task.views(None if noise is None else noise.rho), noise) as store:
        columns = _columns(store, task, sets)
    return {
        model: pairs_of(
            task, _scores(task, model, sets[model.features], *columns[model.features], task.train, task.test)
        )
        for model in models
    }


def _columns(store: Store, task: Task, sets: Mapping[Name, FeatureSet]) -> dict[Name, tuple[Floats, Floats]]:
    """Read values and standard errors of feature sets, in one join."""
    every = list(dict.fromkeys(reference for one in sets.values() for reference in one.references))
    x, se = joined(store, task.labels, task.time, every)
    places = {name: [every.index(reference) for reference in one.references] for name, one in sets.items()}
    return {name: (x[:, at], se[:, at]) for name, at in places.items()}


def _choice(noise: WorldNoise) -> dict[str, float]:
    """Return the AUC of each candidate on the last training months, fitted on the months before."""
    task, exact = given()
    candidates = {(model.title, model): task.sets[model.features] for model in (WINDOWS_PLAIN, WINDOWS, CALIBRATED)}
    if "filtered" in task.sets:
        both = [task.sets[name] for name in ("windows", "filtered")]
        for model in (Model("filtered", monotone=False), FILTERED):
            candidates[model.title, model] = both[1]
        together = FeatureSet(both[0].references + both[1].references, both[0].rising | both[1].rising)
        candidates["windows and filtered, monotone", FILTERED] = together
        for setting, filtered in OTHERS.items():
            candidates[f"filtered, monotone; {setting}", FILTERED] = other_set(filtered)
    with published(exact, task.views(noise.rho, others=True), noise) as store:
        columns = _columns(store, task, candidates)
    aucs = {}
    y = task.y[task.compared]
    for candidate, features in candidates.items():
        title, model = candidate
        scores = _scores(task, model, features, *columns[candidate], task.fitted, task.compared)
        aucs[title] = float(DayPairs.count(scores, y, np.zeros(len(y), np.int64)).auc(np.ones((1, 1)))[0])
    return aucs


def _scores(task: Task, model: Model, features: FeatureSet, x: Floats, se: Floats, fit: Bools, ask: Bools) -> Floats:
    own = task.own.shape[1]
    rising = features.monotone(own) if model.monotone else None
    inputs = beside_own(task, prepared(task, model, x, se, fit))
    return trees(inputs, task.y, fit, ask, categories=task.categories, rising=rising)
