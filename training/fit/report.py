"""What came out of a training: rows, metrics with their intervals, losses, and what the join found missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .config import Task, TrainConfig
from .metrics import LEVEL, Measured

_BINS = 10


@dataclass(frozen=True, eq=False)
class TrainReport:
    """Printed, it is a text for people.

    Attributes:
        rows: of train, valid and test.
        days: UTC days of the test rows.
        metrics: by kind of model (`model`, `constant`, `reference`), then by name of the metric.
        losses: of each epoch its training and validation loss; chosen: the epoch that was kept.
        calibration: of ten groups of test rows by prediction: mean prediction, mean outcome, rows.
        missing: see `training.data.cache_report.JoinReport`; missing_text: the same as text.
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
        """All of it, for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "missing_text"} | {"level": LEVEL}

    def __str__(self) -> str:
        names = list(self.metrics["model"])
        lines = [
            f"{self.name}: {self.kind} for a {self.task} target, {len(self.features)} features",
            f"trained on {self.rows['train']:,} rows before {self.split['valid_from']}, epoch {self.chosen + 1} of "
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
    """(mean prediction, mean outcome, rows) of groups of equal size, by prediction."""
    order = np.argsort(predicted, kind="stable")
    groups = [group for group in np.array_split(order, _BINS) if len(group)]
    return [(float(predicted[group].mean()), float(y[group].mean()), len(group)) for group in groups]


def make_report(config: TrainConfig, **found: Any) -> TrainReport:
    """The report of a configuration and what was found."""
    split = {name: f"{getattr(config.split, name):%Y-%m-%dT%H:%M:%SZ}" for name in ("valid_from", "test_from")}
    return TrainReport(name=config.name, kind=config.model.kind, split=split, **found)
