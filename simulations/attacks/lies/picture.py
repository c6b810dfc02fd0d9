"""A picture of an attack: the value that moved furthest, pane by pane, without proofs above and with them below."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from base.times import from_us
from deployment.errors import UsageError

from .experiment import AttackReport
from .moved_values import Floats, Moved

_HONEST, _LYING, _PROVEN = "#222222", "#bb0000", "#4477aa"
BAND: Final = 1.96
"""Standard errors on each side: 95 % of the noise."""


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


def draw(report: AttackReport, path: Path) -> None:
    """Write a PNG of the value that moved furthest, in standard errors of its noise.

    Raises:
        UsageError: nothing moved.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    view, moved = _furthest(report)
    figure = Figure(figsize=(9.0, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    key = ", ".join(str(part) for part in moved.key)
    who = "one client" if report.liars == 1 else f"{report.liars:,} clients"
    figure.suptitle(f"{view}:{moved.feature} of {key}; the lie: {report.kind}, of {who} in each pane", size=11)
    _panel(above, moved, moved.without, _LYING, "without proofs")
    _panel(below, moved, moved.with_proofs, _PROVEN, "with proofs")
    for axes in (above, below):
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    figure.savefig(path, dpi=120, format="png")


def _furthest(report: AttackReport) -> tuple[str, Moved]:
    """The value to draw: one that is still a number, if there is one."""
    every = [(one.view, moved) for one in report.views for moved in one.worst]
    if not every:
        raise UsageError("--picture: no value moved; there is nothing to draw")

    def rank(of: tuple[str, Moved]) -> float:
        away = of[1].distance(of[1].without)
        return away / (of[1].se or 1.0) if np.isfinite(away) else 0.0

    return max(every, key=rank)


def _panel(axes: Any, moved: Moved, values: Floats, colour: str, label: str) -> None:
    times = [from_us(int(start)) for start in moved.pane_starts]
    axes.plot(times, moved.honest, "o--", color=_HONEST, lw=1, ms=3, zorder=3, label="every client honest")
    axes.plot(times, values, "o-", color=colour, lw=1.4, ms=4, label=f"with liars, {label}")
    if moved.se is not None:
        axes.errorbar(
            [times[moved.pane]],
            [moved.honest[moved.pane]],
            yerr=BAND * moved.se,
            color=_HONEST,
            capsize=4,
            lw=0.8,
            label="95 % of the view's noise",
        )
    gone = np.isnan(values) & ~np.isnan(moved.honest)
    if gone.any():
        where = [time for time, is_gone in zip(times, gone.tolist(), strict=True) if is_gone]
        axes.plot(where, moved.honest[gone], "x", color=colour, ms=8, label="no value")
    axes.set_title(label, loc="left", size=10)
    axes.grid(alpha=0.25)
