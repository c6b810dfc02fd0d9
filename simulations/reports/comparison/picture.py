"""A picture of a comparison: bytes, client's time and servers' time of a report, under each protection, on log axes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from deployment.errors import UsageError

from .compare import Comparison
from .cost import ProtectionCost
from .text import in_bytes, in_time

_COLOURS: Final = {
    "plaintext": "#999999",
    "shares": "#4477aa",
    "shares + prio3": "#228833",
    "he": "#cc7722",
    "ckks (NVFlare)": "#aa3377",
}
_LEAST_S: Final = 1e-8
"""Less is drawn as this: a log axis has no zero."""
_PANELS: Final[tuple[tuple[str, Callable[[ProtectionCost], float], Callable[[float], str]], ...]] = (
    ("upload", lambda cost: cost.upload_bytes, in_bytes),
    ("client's time", lambda cost: max(cost.client_s, _LEAST_S), in_time),
    ("servers' time", lambda cost: max(cost.server_s, _LEAST_S), in_time),
)


def require_png(path: Path) -> None:
    """Raise UsageError unless a picture can be written there, before anything is run."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"--picture writes a .png, not {path.suffix or path.name!r}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--picture: no directory {path.absolute().parent}")
    try:
        import matplotlib.figure  # noqa: F401 - only whether it is there
    except ImportError:
        raise UsageError("--picture needs matplotlib: pip install 'covey[demo]'") from None


def draw(comparison: Comparison, path: Path) -> None:
    """Write a PNG; protections that were skipped are left out."""
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
