"""Draw a comparison: upload, client time and server time of a report under each protection, on log axes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from deployment.errors import UsageError

from .compare import Comparison
from .cost import ProtectionCost
from .protections import PROVEN, UNPROVEN
from .text import in_bytes, in_time

_COLOURS: Final = {
    "plaintext": "#999999",
    UNPROVEN: "#4477aa",
    PROVEN: "#228833",
    "he": "#cc7722",
    "ckks (NVFlare)": "#aa3377",
}
_LEAST_S: Final = 1e-8
"""Smaller times are drawn as this, because a log axis has no zero."""
_PANELS: Final[tuple[tuple[str, Callable[[ProtectionCost], float], Callable[[float], str]], ...]] = (
    ("upload", lambda cost: cost.upload_bytes, in_bytes),
    ("client's time", lambda cost: max(cost.client_s, _LEAST_S), in_time),
    ("servers' time", lambda cost: max(cost.server_s, _LEAST_S), in_time),
)


def require_png(path: Path) -> None:
    """Check before a run that the picture can be written. Raises UsageError."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"--picture={path} is no .png file. Choose a name that ends in .png")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--picture: the directory {path.absolute().parent} does not exist")
    try:
        import matplotlib.figure  # noqa: F401 - checks only that it is installed
    except ImportError:
        raise UsageError("--picture needs matplotlib: pip install 'covey[demo]'") from None


def draw(comparison: Comparison, path: Path) -> None:
    """Write a PNG without the protections that were skipped."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    costs = {one.protection.name: one.cost for one in comparison.protections if one.cost is not None}
    colours = [_COLOURS[name] for name in costs]
    figure = Figure(figsize=(11.0, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{comparison.view}: one report of {comparison.slots:,} slots under each protection", size=11)
    for axes, (title, value_of, in_words) in zip(figure.subplots(1, len(_PANELS), sharey=True), _PANELS, strict=True):
        values = [value_of(cost) for cost in costs.values()]
        bars = axes.barh(list(costs), values, color=colours)
        axes.bar_label(bars, [in_words(value) for value in values], padding=3, fontsize=8)
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 3, max(values) * 12)  # room for the labels
        axes.set_xticks([], minor=True)
        axes.xaxis.set_major_formatter(lambda value, _, in_words=in_words: in_words(value))
        axes.tick_params(axis="x", labelsize=7)
        axes.set_title(title, loc="left", size=10)
        axes.grid(axis="x", alpha=0.25)
    axes.invert_yaxis()
    figure.savefig(path, dpi=120, format="png")
