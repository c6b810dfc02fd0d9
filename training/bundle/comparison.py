"""Compare two versions of a model on the same test rows, and decide which one serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt
import torch

from base.errors import CoveyError
from deployment.errors import ModelOutdated
from featurestore.define.views_file import load_declared
from featurestore.registry.models import RegisteredModel
from featurestore.store import Store
from training.data.dataset import FeatureDataset
from training.fit.config import TrainConfig
from training.fit.deploy_sections import MetricName, PromoteConfig, Rule
from training.fit.epochs import predictions
from training.fit.metrics import LEVEL, Measured, Metric, measure_difference, metrics_of
from training.lineage import require_same
from training.serving.arrays import Arrays
from training.serving.kinds.loading import Loading
from training.serving.kinds.open_runner import open_runner
from training.serving.kinds.runner import Runner
from training.serving.scoring.score import BATCH_S
from training.serving.signature import ModelSignature

_SMALLER_IS_BETTER = frozenset({"logloss", "rmse"})


@dataclass(frozen=True)
class Difference:
    """A metric of two versions on the same rows.

    Attributes:
        ahead: by how much the new version is better, with its interval; negative: worse.
        rows: of the test.
    """

    metric: MetricName
    new: float
    running: float
    ahead: Measured
    rows: int

    def __str__(self) -> str:
        low, high = self.ahead.low, self.ahead.high
        interval = "one test day: no interval" if low is None else f"{LEVEL:.0%} interval {low:+.4f} to {high:+.4f}"
        word = "better" if self.ahead.value >= 0 else "worse"
        return (
            f"{self.metric} {self.new:.4f} against {self.running:.4f} on the same {self.rows:,} rows: {abs(self.ahead.value):.4f} "
            f"{word} ({interval})"
        )


@dataclass(frozen=True)
class Incomparable:
    """The running version has no predictions for the test rows.

    Attributes:
        serves: whether it still serves, so that it can stay.
    """

    why: str
    serves: bool


def compare(
    config: TrainConfig, new: RegisteredModel, running: RegisteredModel, *, trust: bool
) -> Difference | Incomparable:
    """Compare a new version with the running one on the test rows of the configuration.

    Args:
        trust: load a running version that may run code.
    """
    views = config.features.views
    on_demand = () if views is None else load_declared(views, need_views=False).on_demand
    with Store.open(config.store, on_demand=on_demand) as store:
        try:
            require_same(running, store, views)
            other = _tested(config, store, running, trust=trust)
        except ModelOutdated as error:
            return Incomparable(str(error), serves=False)
        except CoveyError as error:
            return Incomparable(str(error), serves=True)
        own = _tested(config, store, new, trust=trust)
    task = new.lineage["task"]
    if task != running.lineage.get("task", task) or len(own.y) != len(other.y):
        return Incomparable(f"{running} has another kind of target", serves=True)
    usual: MetricName = "auc" if task == "binary" else "rmse"
    metric = (PromoteConfig() if config.promote is None else config.promote).metric or usual
    first, second = metrics_of(own.y, own.predicted, task), metrics_of(other.y, other.predicted, task)
    if metric not in first:
        return Incomparable(f"metric {metric!r} is not one of a {task} target", serves=True)
    mine, theirs = first[metric], second[metric]
    ahead = _ahead(metric, mine, theirs)
    ones = np.ones(len(own.y))
    measured = measure_difference(*ahead, own.time, config.model.seed)
    return Difference(metric, mine(ones), theirs(ones), measured, len(own.y))


@dataclass(frozen=True)
class Decision:
    """Whether the new version takes over, and why."""

    promotes: bool
    why: str


def decide(rule: Rule, ahead: Measured) -> Decision:
    """Decide by the interval of the difference; without one, by the difference."""
    low, high, what = ahead.value, ahead.value, "it is"
    if ahead.low is not None and ahead.high is not None:
        low, high, what = ahead.low, ahead.high, "the whole interval is"
    match rule:
        case "not-worse" if high < 0:
            return Decision(promotes=False, why=f"{what} on the worse side")
        case "not-worse":
            return Decision(
                promotes=True, why="it is not worse" if ahead.value >= 0 else "the difference can be chance"
            )
        case "better" if low > 0:
            return Decision(promotes=True, why=f"{what} on the better side")
        case "better":
            return Decision(promotes=False, why='rule = "better", and the difference can be chance')
        case _:
            assert_never(rule)


def _ahead(metric: str, new: Metric, running: Metric) -> tuple[Metric, Metric]:
    return (running, new) if metric in _SMALLER_IS_BETTER else (new, running)


@dataclass(frozen=True, eq=False)
class _Tested:
    """The test rows: targets, predictions, and times in µs."""

    y: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.float64]
    time: npt.NDArray[np.int64]


def _tested(config: TrainConfig, store: Store, model: RegisteredModel, *, trust: bool) -> _Tested:
    """Predict the test rows with a version, from the features that it was trained on."""
    labels, signature = config.labels, ModelSignature.of(model)
    constants = {**labels.constants, **signature.constants}
    needed = store.key_types(signature.features)
    dataset = FeatureDataset(
        store,
        labels=labels.file,
        features=signature.features,
        time=labels.time,
        target=labels.target,
        rename={name: column for name, column in labels.rename.items() if name in needed},
        constants={name: value for name, value in constants.items() if name in needed},
        columns=signature.columns,
        outcome_time=labels.outcome_time,
        batch_size=config.model.batch_size,
        max_missing=1.0,
        clock=labels.clock,
    )
    runner = open_runner(model, Loading(trust=trust, compile=False, limit_s=BATCH_S))
    try:
        return _Tested(*predictions(_predictor(runner), dataset.between(config.split.test_from, None)))
    finally:
        runner.close()


def _predictor(runner: Runner) -> Any:
    def predict(x: torch.Tensor, mask: torch.Tensor, se: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(runner.run(Arrays(x.numpy(), mask.numpy(), se.numpy())))

    return predict
