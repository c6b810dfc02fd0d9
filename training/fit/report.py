"""The report of a training: rows, metrics with intervals, losses, and missing values of the join."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.task import Task

from .config import TrainConfig
from .metrics import LEVEL, Measured

_BINS = 10


@dataclass(frozen=True, eq=False)
class TrainReport:
    """The report of a training; `str` formats it as text.

    Attributes:
        rows: number of rows of train, valid and test.
        days: number of UTC days of the test rows.
        metrics: by kind of model (`model`, `constant`, `reference`), then by name of the metric.
        losses: training and validation loss of each epoch, or after each tree.
        chosen: the epoch that was kept, or the last tree.
        calibration: mean prediction, mean outcome and rows of ten groups of test rows, by prediction.
        missing, missing_text: see `training.data.cache_report.JoinReport`, as JSON values and as text.
    """

    name: str
    task: Task
    kind: str
    features: tuple[str, ...]
    rows: Mapping[str, int]
    split: Mapping[str, str]
    days: int
    metrics: Mapping[str, Mapping[str, Measured]]
    losses: list[tuple[float, float]]
    chosen: int
    calibration: list[tuple[float, float, int]]
    missing: Mapping[str, Any]
    missing_text: str

    def to_dict(self) -> dict[str, Any]:
        """Convert the report to JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "missing_text"} | {"level": LEVEL}

    def __str__(self) -> str:
        names = list(self.metrics["model"])
        lines = [
            f"{self.name}: {self.kind} for a {self.task} target, {len(self.features)} features",
            f"trained on {self.rows['train']:,} rows before {self.split['valid_from']}, "
            f"{'tree' if self.kind == 'monotone' else 'epoch'} {self.chosen + 1} of "
            f"{len(self.losses)} chosen on {self.rows['valid']:,} rows, tested on {self.rows['test']:,} rows of {self.days} "
            f"days from {self.split['test_from']}",
            "",
            "".join([f"{'':12}", *(f"{name:28}" for name in names)]).rstrip(),
        ]
        for kind, measured in self.metrics.items():
            lines.append("".join([f"{kind:12}", *(f"{measured[name]!s:28}" for name in names)]).rstrip())
        interval = (
            f"[{LEVEL:.0%} interval over {self.days} resampled days]" if self.days > 1 else "one day: no interval"
        )
        return "\n".join([*lines, interval, "", "missing in the labels' join:", self.missing_text])


def calibration(y: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64]) -> list[tuple[float, float, int]]:
    """Return (mean prediction, mean outcome, rows) of groups of equal size, by prediction."""
    order = np.argsort(predicted, kind="stable")
    groups = [group for group in np.array_split(order, _BINS) if len(group)]
    return [(float(predicted[group].mean()), float(y[group].mean()), len(group)) for group in groups]


def make_report(config: TrainConfig, **found: Any) -> TrainReport:
    """Make the report of a configuration and its results."""
    split = {name: f"{getattr(config.split, name):%Y-%m-%dT%H:%M:%SZ}" for name in ("valid_from", "test_from")}
    return TrainReport(name=config.name, kind=config.model.kind, split=split, **found)
