"""The baseline network. It includes its scaling, so the exported model takes values as the store serves them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from training.data.dataset import Batch
from training.task import Task

from .config import NeuralNetwork

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scaling:
    """The scales of the inputs and of a regression's target, from training rows.

    Attributes:
        mean, scale: float64[F], of the values that are not null.
        target_mean, target_scale: 0 and 1 for a binary target.
    """

    mean: Floats
    scale: Floats
    target_mean: float
    target_scale: float

    @classmethod
    def of(cls, batches: Iterable[Batch], task: Task) -> Scaling:
        """Learn from training rows, read once. A column without spread is not scaled."""
        moments = [_Moments(), _Moments()]
        for batch in batches:
            counts = batch["weight"].numpy() > 0
            moments[0].add(batch["x"].numpy(), batch["mask"].numpy() & counts[:, None])
            moments[1].add(batch["y"].numpy()[:, None], counts[:, None])
        (mean, scale), (target_mean, target_scale) = (one.mean_and_scale() for one in moments)
        if task == "binary":
            return cls(mean, scale, 0.0, 1.0)
        return cls(mean, scale, float(target_mean[0]), float(target_scale[0]))


class _Moments:
    """Counts, sums and sums of squares of columns around the means of the first batch, to avoid cancellation."""

    def __init__(self) -> None:
        self._about: Floats | None = None

    def add(self, x: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> None:
        """Add rows [N, F] where the mask is set."""
        values, n = np.where(mask, x, 0).astype(np.float64), mask.sum(axis=0)
        if self._about is None:
            self._about = values.sum(axis=0) / np.maximum(n, 1)
            self._n, self._sum, self._squares = np.zeros((3, x.shape[1]))
        off = np.where(mask, values - self._about, 0.0)
        self._n += n
        self._sum += off.sum(axis=0)
        self._squares += (off**2).sum(axis=0)

    def mean_and_scale(self) -> tuple[Floats, Floats]:
        """Return mean and scale, float64[F] each."""
        assert self._about is not None  # every part of a dataset has a batch
        n = np.maximum(self._n, 1)
        scale = np.sqrt(np.maximum(self._squares / n - (self._sum / n) ** 2, 0.0))
        return self._about + self._sum / n, np.where(scale > 0, scale, 1.0)


class Baseline(nn.Module):
    """A linear model or a small network of standardised values; a null becomes the mean of the training rows.

    Args:
        hidden: layer sizes; without layers the model is linear.
        mask, se: whether masks are inputs, and standard errors in units of the column's scale.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, scaling: Scaling, hidden: Sequence[int], task: Task, *, mask: bool, se: bool) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(scaling.mean).float())
        self.register_buffer("scale", torch.from_numpy(scaling.scale).float())
        self._binary, self._mask, self._se = task == "binary", mask, se
        self._target_mean, self._target_scale = scaling.target_mean, scaling.target_scale
        width = len(scaling.mean) * (1 + mask + se)
        layers: list[nn.Module] = []
        for size in hidden:
            layers += [nn.Linear(width, size), nn.ReLU()]
            width = size
        self.net = nn.Sequential(*layers, nn.Linear(width, 1))

    def score(self, x: torch.Tensor, mask: torch.Tensor, se: torch.Tensor) -> torch.Tensor:
        """Return float32[B]: log odds, or the standardised target."""
        zero = torch.zeros_like(x)
        parts = [torch.where(mask, (x - self.mean) / self.scale, zero)]
        if self._mask:
            parts.append(mask.to(x.dtype))
        if self._se:
            parts.append(torch.where(mask, torch.nan_to_num(se) / self.scale, zero))
        scored: torch.Tensor = self.net(torch.cat(parts, dim=1)).squeeze(1)
        return scored

    def forward(self, x: torch.Tensor, mask: torch.Tensor, se: torch.Tensor) -> torch.Tensor:
        """Return float32[B]: probabilities, or values."""
        score = self.score(x, mask, se)
        return torch.sigmoid(score) if self._binary else score * self._target_scale + self._target_mean

    def loss(self, batch: tuple[torch.Tensor, ...], y: torch.Tensor) -> torch.Tensor:
        """Return float32[B]: log loss, or the squared error of the standardised target."""
        score = self.score(*batch)
        if self._binary:
            return nn.functional.binary_cross_entropy_with_logits(score, y, reduction="none")
        return (score - (y - self._target_mean) / self._target_scale) ** 2


def make_model(scaling: Scaling, network: NeuralNetwork, task: Task, *, mask: bool, se: bool) -> Baseline:
    """Make the model of a configuration, with weights from torch's generator."""
    return Baseline(scaling, network.hidden, task, mask=mask, se=se)
