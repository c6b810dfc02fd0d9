"""The study of a task: models with own features, with exact aggregates and with private ones, in every world.

A task is collected once. A world draws only noise, and decodes what the labels read (`world_join`). The study keeps only the
order of the test labels by each model (`scores.DayPairs`). Candidates for settings are compared on months before the test, in
worlds with other seeds.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from federation.accountant import Cost

from .baskets import basket_categories
from .flights import AREA_SHARE, OTHER_SHARES, OTHERS, late_arrivals, other_set
from .models import trees
from .prices import Price, Promise, cost_of, price_of
from .scores import DayPairs, Floats
from .task import Bools, FeatureSet, Inputs, Task
from .world_join import WorldJoin
from .worlds import Exact, WorldNoise, collect

TASKS: Final[dict[str, Callable[[], Task]]] = {"flights": late_arrivals, "baskets": basket_categories}

EPS1: Final = Promise("ε = 1", 1.0)
EACH: Final = Promise("ε = 1, `each`", 1.0, noisers="each")
WEEK: Final = Promise("ε = 2, any 7 days", 2.0, days=7)
PROMISES: Final = (Promise("ε = 0.5", 0.5), WEEK, EACH, EPS1, Promise("ε = 1.5", 1.5))
CHARTED: Final = ("ε = 0.5", "ε = 1", "ε = 1.5")
"""Promises of one client-day against outsiders: the axis of the plot."""
MANY_SEEDS: Final = (EPS1, EACH, WEEK)
"""Promises whose main model is measured in all worlds; the rest in the first SEEDS_OF_THE_REST."""
SEEDS_OF_THE_REST: Final = 5
FIRST_CHOICE_SEED: Final = 1_000
"""The first seed of the worlds in which settings are compared."""
CHOICE_SEEDS: Final = 2

OWN: Final = "own features"
_GIVEN: Task
_EXACT: tuple[Exact, ...]
_JOIN: WorldJoin


@dataclass(frozen=True)
class Model:
    """A model of the table: a feature set, and whether its score is monotone in the rates."""

    features: str
    monotone: bool = True

    @property
    def title(self) -> str:
        """Return the name in the table."""
        return f"{self.features}, {'monotone' if self.monotone else 'unconstrained'}"


WINDOWS_PLAIN: Final = Model("windows", monotone=False)
WINDOWS: Final = Model("windows")
FILTERED: Final = Model("filtered")
MAIN: Final = {"flights": FILTERED, "baskets": WINDOWS}
"""The model of each task whose figures count."""


@dataclass
class StudyScores:
    """The order of the test labels by each model of a task.

    Attributes:
        prices, costs: of a client-day, by the title of each promise.
        own: the model without aggregates.
        exact: models with exact aggregates.
        private: by title and model, one entry a seed.
        choice: by candidate, one AUC a seed on the last training months.
    """

    prices: Mapping[str, Price]
    costs: Mapping[str, Cost]
    own: DayPairs
    days: int
    exact: dict[Model, DayPairs] = field(default_factory=dict)
    private: dict[str, dict[Model, list[DayPairs]]] = field(default_factory=dict)
    choice: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Workers:
    """Processes that hold a task with its exact sums.

    Attributes:
        prices, costs: of a client-day, by the title of each promise.
    """

    name: str
    pool: ProcessPoolExecutor
    prices: Mapping[str, Price]
    costs: Mapping[str, Cost]


def models_of(task: Task) -> tuple[Model, ...]:
    """Return the models of the table that the task has features for."""
    return tuple(model for model in (WINDOWS_PLAIN, WINDOWS, FILTERED) if model.features in task.sets)


def study(workers: Workers, seeds: int, progress: Callable[[str], None]) -> StudyScores:
    """Run all worlds of a task.

    Args:
        seeds: number of worlds of the main model at `MANY_SEEDS`.
        progress: called with a line about finished work.
    """
    # the longest work comes first, so that short work fills the end
    pool, prices, main = workers.pool, workers.prices, MAIN[workers.name]
    choices = [pool.submit(_choice, WorldNoise(prices[EPS1.title], FIRST_CHOICE_SEED + i)) for i in range(CHOICE_SEEDS)]
    for choice in choices:
        choice.add_done_callback(lambda _: progress(f"{workers.name}: compared settings in a world"))
    own = pool.submit(_own)
    worlds: dict[Future[dict[Model, DayPairs]], tuple[str, int]] = {pool.submit(_world, None, None): ("exact", 0)}
    for seed in range(seeds):
        for promise in PROMISES:
            if seed < SEEDS_OF_THE_REST or promise in MANY_SEEDS:
                only = None if seed < SEEDS_OF_THE_REST else main
                worlds[pool.submit(_world, WorldNoise(prices[promise.title], seed), only)] = promise.title, seed
    for done in as_completed(worlds):
        progress(f"{workers.name}: world {worlds[done][0]}, seed {worlds[done][1]}")
    scores = StudyScores(prices, workers.costs, *own.result())
    for future, (title, _) in worlds.items():
        for model, pairs in future.result().items():
            if title == "exact":
                scores.exact[model] = pairs
            else:
                scores.private.setdefault(title, {}).setdefault(model, []).append(pairs)
    for choice in choices:
        for candidate, auc in choice.result().items():
            scores.choice.setdefault(candidate, []).append(auc)
    return scores


@contextmanager
def workers_of(name: str, progress: Callable[[str], None]) -> Iterator[Workers]:
    """Start one process a core, with the task and the exact sums. Trees use one thread in each. Raises DataMissing."""
    task = TASKS[name]()
    exact = tuple(collect(view, task.events) for view in task.views(None))
    progress(f"{name}: {len(task.y):,} labels; {sum(len(one.sums) for one in exact):,} panes collected")
    prices = {promise.title: price_of(promise, task.views) for promise in PROMISES}
    costs = {title: cost_of(task.views(price)) for title, price in prices.items()}
    os.environ["OMP_NUM_THREADS"] = "1"  # for the workers, before they import scikit-learn
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks, not the threads
    with ProcessPoolExecutor(os.cpu_count(), context, _start, (name, exact)) as pool:
        yield Workers(name, pool, prices, costs)


def _start(name: str, exact: tuple[Exact, ...]) -> None:
    hold(TASKS[name](), exact)


def hold(task: Task, exact: tuple[Exact, ...]) -> None:
    """Keep the task and its sums in this process."""
    global _GIVEN, _EXACT, _JOIN
    _GIVEN, _EXACT = task, exact
    _JOIN = WorldJoin.find(task.views(None), exact, task.labels, task.time)


def given() -> tuple[Task, tuple[Exact, ...]]:
    """Return the task and the sums of this worker."""
    return _GIVEN, _EXACT


def columns_of(noise: WorldNoise | None, references: tuple[str, ...]) -> tuple[Floats, Floats]:
    """Read values and standard errors of features in a world of this worker's task: float64[N, F] each."""
    task, _ = given()
    return _JOIN.read(task.views(None if noise is None else noise.price), noise, references)


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


def _own() -> tuple[DayPairs, int]:
    task, _ = given()
    scores = trees(task.own, task.y, task.train, task.test, categories=task.categories)
    return pairs_of(task, scores), test_days(task)[1]


def _world(noise: WorldNoise | None, only: Model | None) -> dict[Model, DayPairs]:
    task, _ = given()
    found: dict[Model, DayPairs] = {}
    for model in models_of(task) if only is None else (only,):
        features = task.sets[model.features]
        x, _ = columns_of(noise, features.references)
        found[model] = pairs_of(task, _scores(task, model, features, x, task.train, task.test))
    return found


def _choice(noise: WorldNoise) -> dict[str, float]:
    """Return the AUC of each candidate on the last training months, fitted on the months before."""
    task, _ = given()
    views = task.views(noise.price, others=True)
    candidates = {model.title: (model, task.sets[model.features], views) for model in (WINDOWS_PLAIN, WINDOWS)}
    if FILTERED.features in task.sets:
        windows, filtered = (task.sets[name] for name in ("windows", "filtered"))
        for model in (Model("filtered", monotone=False), FILTERED):
            candidates[model.title] = model, filtered, views
        together = FeatureSet(windows.references + filtered.references, windows.rising | filtered.rising)
        candidates["windows and filtered, monotone"] = FILTERED, together, views
        for setting, other in OTHERS.items():
            candidates[f"filtered, monotone; {setting}"] = FILTERED, other_set(other), views
        for share in OTHER_SHARES:
            at_share = task.views(noise.price, area_share=share)
            title = f"filtered, monotone; {share:.0%} of ρ for the area, not {AREA_SHARE:.0%}"
            candidates[title] = FILTERED, filtered, at_share
    y = task.y[task.compared]
    aucs: dict[str, float] = {}
    for title, (model, features, priced) in candidates.items():
        x, _ = _JOIN.read(priced, noise, features.references)
        scores = _scores(task, model, features, x, task.fitted, task.compared)
        aucs[title] = float(DayPairs.count(scores, y, np.zeros(len(y), np.int64)).auc(np.ones((1, 1)))[0])
    return aucs


def _scores(task: Task, model: Model, features: FeatureSet, x: Floats, fit: Bools, ask: Bools) -> Floats:
    rising = features.monotone(task.own.shape[1]) if model.monotone else None
    return trees(beside_own(task, x), task.y, fit, ask, categories=task.categories, rising=rising)
