"""The baseline network. Its scaling is part of it: what is exported takes values as the store serves them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from training.data.dataset import Batch

from .config import ModelConfig, Task

Floats = npt.NDArray[np.float64]

INPUTS: Final = ("x", "mask", "se")
"""What the exported model takes: float32[B, F], bool[B, F], float32[B, F]; it gives float32[B], a probability or a value."""


@dataclass(frozen=True)
class Scaling:
    """What standardises the inputs, and a regression's target; all from training rows.

    Attributes:
        mean, scale: float64[F], of the values that are there.
        target_mean, target_scale: 0 and 1 where the target is binary.
    """

    mean: Floats
    scale: Floats
    target_mean: float
    target_scale: float

    @classmethod
    def of(cls, batches: Iterable[Batch], task: Task) -> Scaling:
        """Of training rows, read once; a column without spread keeps its own unit."""
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
    """Counts, sums and sums of squares of columns, around their first batch's means: nothing cancels that should not."""

    def __init__(self) -> None:
        self._about: Floats | None = None

    def add(self, x: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> None:
        """Rows [N, F], where the mask is set."""
        values, n = np.where(mask, x, 0).astype(np.float64), mask.sum(axis=0)
        if self._about is None:
            self._about = values.sum(axis=0) / np.maximum(n, 1)
            self._n, self._sum, self._squares = np.zeros((3, x.shape[1]))
        off = np.where(mask, values - self._about, 0.0)
        self._n += n
        self._sum += off.sum(axis=0)
        self._squares += (off**2).sum(axis=0)

    def mean_and_scale(self) -> tuple[Floats, Floats]:
        """float64[F] each."""
        assert self._about is not None  # a part of a dataset has a batch
        n = np.maximum(self._n, 1)
        scale = np.sqrt(np.maximum(self._squares / n - (self._sum / n) ** 2, 0.0))
        return self._about + self._sum / n, np.where(scale > 0, scale, 1.0)


class Baseline(nn.Module):
    """A linear model or a small network over standardised values; a null is the training rows' mean.

    Args:
        hidden: layer sizes; none makes it linear.
        mask, se: whether it is told where values are missing, and their standard errors in units of the column's scale.
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
        """float32[B]: log odds, or the standardised target."""
        zero = torch.zeros_like(x)
        parts = [torch.where(mask, (x - self.mean) / self.scale, zero)]
        if self._mask:
            parts.append(mask.to(x.dtype))
        if self._se:
            parts.append(torch.where(mask, torch.nan_to_num(se) / self.scale, zero))
        scored: torch.Tensor = self.net(torch.cat(parts, dim=1)).squeeze(1)
        return scored

    def forward(self, x: torch.Tensor, mask: torch.Tensor, se: torch.Tensor) -> torch.Tensor:
        """float32[B]: probabilities, or values."""
        score = self.score(x, mask, se)
        return torch.sigmoid(score) if self._binary else score * self._target_scale + self._target_mean

    def loss(self, batch: tuple[torch.Tensor, ...], y: torch.Tensor) -> torch.Tensor:
        """float32[B]: log loss, or the squared error of the standardised target."""
        score = self.score(*batch)
        if self._binary:
            return nn.functional.binary_cross_entropy_with_logits(score, y, reduction="none")
        return (score - (y - self._target_mean) / self._target_scale) ** 2


def make_model(scaling: Scaling, config: ModelConfig, task: Task, *, mask: bool, se: bool) -> Baseline:
    """The model of a configuration; its weights are drawn from torch's generator."""
    return Baseline(scaling, config.hidden if config.kind == "mlp" else (), task, mask=mask, se=se)
