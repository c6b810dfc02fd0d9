"""Train the baseline: epochs over the training rows. The weights with the best validation loss are kept."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from deployment.errors import TrainingRefused
from training.data.dataset import Batch, FeatureDataset
from training.serving.arrays import INPUTS
from training.task import Task

from .config import NeuralNetwork
from .model import Baseline, Scaling, make_model

Progress = Callable[[int, int], None]
Predictor = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""A model of the inputs `training.serving.arrays.INPUTS`."""


Fitted = TypeVar("Fitted", covariant=True)


@dataclass(frozen=True)
class FittedModel(Generic[Fitted]):
    """A trained model.

    Attributes:
        losses: training and validation loss of each epoch, or after each tree.
        chosen: the epoch of the weights, or the last tree.
    """

    model: Fitted
    losses: list[tuple[float, float]]
    chosen: int


def fit(
    train: FeatureDataset,
    valid: FeatureDataset,
    network: NeuralNetwork,
    task: Task,
    *,
    seed: int,
    mask: bool,
    se: bool,
    progress: Progress = lambda *_: None,
) -> FittedModel[Baseline]:
    """Train a model. The same seed, rows and machine give the same weights.

    Args:
        train, valid: parts of one dataset; `train` shuffles.
        progress: called with (epochs done, epochs in all).

    Raises:
        TrainingRefused: the training diverges.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make_model(Scaling.of(train, task), network, task, mask=mask, se=se)
    optimiser = torch.optim.AdamW(model.parameters(), lr=network.learning_rate, weight_decay=network.weight_decay)
    losses: list[tuple[float, float]] = []
    best, chosen, least = dict[str, Any](), 0, math.inf
    for epoch in range(network.epochs):
        progress(epoch, network.epochs)
        train.set_epoch(epoch)
        total = _Mean()
        for batch in train:
            loss, weight = model.loss(_inputs(batch), batch["y"]), batch["weight"]
            mean = (weight * loss).sum() / weight.sum().clamp(min=1)
            optimiser.zero_grad()
            mean.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total.add(loss.detach(), weight)
        losses.append((total.value, _loss(model, valid)))
        if losses[-1][1] <= least and math.isfinite(losses[-1][1]):
            best, chosen, least = copy.deepcopy(model.state_dict()), epoch, losses[-1][1]
    progress(network.epochs, network.epochs)
    if not best:
        raise TrainingRefused(
            "no epoch has a finite validation loss; take a smaller learning_rate, or a target in another unit"
        )
    model.load_state_dict(best)
    return FittedModel(model.eval(), losses, chosen)


def predictions(model: Predictor, rows: FeatureDataset) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Return (y, predicted, time) of the rows: float64[N], float64[N], int64[N] µs."""
    parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    with torch.no_grad():
        for batch in rows:
            counts = batch["weight"] > 0
            parts.append((batch["y"][counts], model(*_inputs(batch))[counts], batch["meta"]["time"][counts]))
    y, predicted, time = (torch.cat([part[i] for part in parts]).numpy() for i in range(3))
    return y.astype(np.float64), predicted.astype(np.float64), time


def exported(model: Baseline, width: int) -> bytes:
    """Export a `torch.export` program for any number of rows; see `training.serving.arrays.INPUTS`."""
    x, se = (
        torch.zeros((2, width)),
        torch.zeros((2, width)),
    )  # two tensors, because one tensor would become one input of the program
    rows = torch.export.Dim("rows")
    shapes = {name: {0: rows} for name in INPUTS}
    program = torch.export.export(model.eval(), (x, x > 0, se), dynamic_shapes=shapes)
    data = io.BytesIO()
    torch.export.save(program, data)
    return data.getvalue()


class _Mean:
    """A weighted mean of rows."""

    def __init__(self) -> None:
        self._sum = self._weight = 0.0

    def add(self, values: torch.Tensor, weight: torch.Tensor) -> None:
        self._sum += float((values.double() * weight).sum())
        self._weight += float(weight.sum())

    @property
    def value(self) -> float:
        return self._sum / max(self._weight, 1.0)


def _inputs(batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return batch["x"], batch["mask"], batch["se"]


def _loss(model: Baseline, rows: FeatureDataset) -> float:
    total = _Mean()
    with torch.no_grad():
        for batch in rows:
            total.add(model.loss(_inputs(batch), batch["y"]), batch["weight"])
    return total.value
