"""A picture of a training: the calibration of predictions, and the metrics beside those of other models."""

from __future__ import annotations

import io
from typing import Any, Final

from .report import TrainReport

_COLOURS: Final = {"model": "#4477aa", "constant": "#888888", "reference": "#228833"}


def drawn(report: TrainReport) -> bytes | None:
    """Draw a PNG; None if matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    names = list(report.metrics["model"])
    figure = Figure(figsize=(4.4 + 3.2 * len(names), 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 1 + len(names), width_ratios=[1.3, *(1 for _ in names)])
    figure.suptitle(f"{report.name}: {report.rows['test']:,} test rows of {report.days} days", size=11)
    _calibration(axes[0], report)
    for place, name in zip(axes[1:], names, strict=True):
        _metric(place, report, name)
    data = io.BytesIO()
    figure.savefig(data, dpi=120, format="png")
    return data.getvalue()


def _calibration(axes: Any, report: TrainReport) -> None:
    predicted, seen, _ = zip(*report.calibration, strict=True)
    ends = [min(*predicted, *seen), max(*predicted, *seen)]
    axes.plot(ends, ends, color="#bbbbbb", linewidth=1)
    axes.plot(predicted, seen, "o-", color=_COLOURS["model"], markersize=4)
    axes.set_xlabel("mean prediction, by tenths of the rows")
    axes.set_ylabel("seen")
    axes.grid(alpha=0.25)


def _metric(axes: Any, report: TrainReport, name: str) -> None:
    for place, (kind, measured) in enumerate(report.metrics.items()):
        one = measured[name]
        low, high = (one.value, one.value) if one.low is None or one.high is None else (one.low, one.high)
        axes.plot([place, place], [low, high], color=_COLOURS[kind], linewidth=2)
        axes.plot([place], [one.value], "o", color=_COLOURS[kind])
    axes.set_xticks(range(len(report.metrics)), list(report.metrics))
    axes.set_xlim(-0.5, len(report.metrics) - 0.5)
    axes.set_title(name, loc="left", size=10)
    axes.grid(axis="y", alpha=0.25)
