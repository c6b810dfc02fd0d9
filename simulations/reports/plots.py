"""Plots as panels. A panel is an inline SVG in the colour of the page's text; the panels of a figure are also one PNG."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from deployment.errors import UsageError

from .texts import number, without_isolates

Floats = npt.NDArray[np.float64]
Scale = Literal["linear", "log", "symlog"]

COLOURS: Final = ("#3f83c5", "#d9653b", "#2f9e70", "#a070c8", "#b58a1b", "#7f8894")
"""Each colour contrasts with a white and with a dark page."""
_INK: Final = "#010203"
"""An SVG shows this colour as `currentColor`."""
_SIZE: Final = (3.3, 2.5)
_SVG_DPI: Final = 72
"""That of matplotlib's SVGs: texts are laid out with it."""
_STYLE: Final = {
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"), _INK
    ),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right"), False),
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.grid": True,
    "grid.alpha": 0.18,
    "grid.linewidth": 0.6,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "svg.fonttype": "path",
    "svg.hashsalt": "covey",
}


@dataclass(frozen=True, eq=False)
class Line:
    """Joined points of a panel, float64[n] each. `low` and `high` are the ends of intervals, NaN for a point without one."""

    label: str
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None
    colour: str = COLOURS[0]
    dashed: bool = False
    marks: bool = True


@dataclass(frozen=True, eq=False)
class Panel:
    """Lines over one pair of axes.

    Attributes:
        level: height of a dotted horizontal line for comparison.
        upright: position of a vertical line, such as a claim.
    """

    title: str
    lines: tuple[Line, ...]
    x_label: str
    y_label: str
    x_scale: Scale = "linear"
    y_scale: Scale = "linear"
    level: float | None = None
    upright: float | None = None
    y_from_zero: bool = False

    def draw(self, axes: Any) -> None:
        """Draw into a matplotlib Axes."""
        axes.set_title(self.title)
        axes.set_xlabel(self.x_label)
        axes.set_ylabel(self.y_label)
        for line in self.lines:
            _draw_line(axes, line)
        if self.level is not None:
            axes.axhline(self.level, color=_INK, ls=":", lw=1)
        if self.upright is not None:
            axes.axvline(self.upright, color=_INK, ls=":", lw=1)
        x_scale, y_scale = (
            _possible(scale, self.lines, axis) for scale, axis in ((self.x_scale, "x"), (self.y_scale, "y"))
        )
        axes.set_xscale(x_scale)
        axes.set_yscale(y_scale, **({"linthresh": 1.0} if y_scale == "symlog" else {}))
        _plain_ticks(axes, x_scale, y_scale)
        if not any(np.isfinite(line.y).any() for line in self.lines):
            axes.text(0.5, 0.5, "no value", transform=axes.transAxes, ha="center")
        if self.y_from_zero:
            lowest = min((float(np.nanmin(line.y)) for line in self.lines if len(line.y)), default=0.0)
            top = axes.get_ylim()[1]
            axes.set_ylim(min(0.0, lowest), top * 5 if self.y_scale == "symlog" else top + 0.04 * abs(top))


@dataclass(frozen=True, eq=False)
class Bars:
    """Horizontal bars of named amounts, with `labels` at their ends."""

    title: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    labels: tuple[str, ...]
    x_scale: Scale = "linear"
    colour: str = COLOURS[0]

    def draw(self, axes: Any) -> None:
        """Draw into a matplotlib Axes."""
        axes.set_title(self.title)
        bars = axes.barh(range(len(self.names)), self.values, color=self.colour)
        axes.set_yticks(range(len(self.names)), self.names)
        axes.bar_label(bars, self.labels, padding=2, fontsize=7)
        axes.set_xscale(self.x_scale)
        axes.set_xlim(right=axes.get_xlim()[1] * (6 if self.x_scale == "log" else 1.25))  # room for the labels
        axes.grid(axis="y", visible=False)
        axes.set_xticklabels([])
        axes.tick_params(axis="x", which="both", length=0)
        axes.set_xticks([], minor=True)
        axes.invert_yaxis()


@dataclass(frozen=True, eq=False)
class Bells:
    """A histogram of errors, in standard errors, with the expected normal distribution."""

    title: str
    errors: Floats = field(repr=False)

    def draw(self, axes: Any) -> None:
        """Draw into a matplotlib Axes."""
        axes.set_title(self.title)
        axes.set_xlabel("error ÷ served standard error")
        axes.set_ylabel("density")
        edges = np.linspace(-4, 4, 33)
        axes.hist(np.clip(self.errors, -4, 4), bins=edges, density=True, color=COLOURS[0], alpha=0.65)
        axes.plot(edges, np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi), color=COLOURS[1], lw=1.6)


Drawable = Panel | Bars | Bells


def require_renderers() -> None:
    """Check before a run that matplotlib and Jinja2 are installed. Raises UsageError."""
    try:
        import jinja2  # noqa: F401 - checks only that it is installed
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise UsageError(f"a report needs {error.name}: pip install 'covey[lab]'") from None


def svg(panel: Drawable, name: str) -> str:
    """Return a panel as an inline SVG element; `name` makes its ids unique in the page."""
    out = io.StringIO()
    _save([panel], 1, out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    for before in ('id="', 'xlink:href="#', "url(#"):
        text = text.replace(before, f"{before}{name}-")
    label = f"<title>{html.escape(without_isolates(panel.title))}</title>"
    return text.replace("<svg ", '<svg role="img" ', 1).replace(">", f">{label}", 1)


def write_png(panels: Sequence[Drawable], legend: Sequence[tuple[str, str]], path: Path) -> None:
    """Write all panels of a figure into a PNG, black on white; `legend`: (name, colour)."""
    how = {"format": "png", "dpi": 110, "facecolor": "white", "metadata": {"Software": None}}
    _save(panels, min(3, len(panels)), path, legend, **how)


def _save(
    panels: Sequence[Drawable], columns: int, target: Any, legend: Sequence[tuple[str, str]] = (), **how: Any
) -> None:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.patches import Patch

    rows = -(-len(panels) // columns)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_SIZE[0] * columns, _SIZE[1] * rows), dpi=how.get("dpi", _SVG_DPI))
        FigureCanvasAgg(figure)
        every = figure.subplots(rows, columns, squeeze=False).reshape(-1)
        for panel, axes in zip(panels, every, strict=False):
            panel.draw(axes)
        for axes in every[len(panels) :]:
            axes.set_axis_off()
        if legend:
            keys = [Patch(color=colour, label=name) for name, colour in legend]
            figure.legend(handles=keys, loc="outside lower left", ncols=len(keys), frameon=False)
        ConstrainedLayoutEngine().execute(figure)  # here, not in `savefig`, which would draw twice
        figure.savefig(target, **how)


def _draw_line(axes: Any, line: Line) -> None:
    style = "--" if line.dashed else "-"
    axes.plot(line.x, line.y, style, marker="o" if line.marks else None, ms=3.2, lw=1.4, color=line.colour)
    if line.low is not None and line.high is not None:
        finite = np.isfinite(line.low) & np.isfinite(line.high)
        around = np.stack([line.y - line.low, line.high - line.y])[:, finite]
        axes.errorbar(
            line.x[finite], line.y[finite], yerr=np.maximum(around, 0), fmt="none", color=line.colour, capsize=2, lw=1
        )


def _possible(scale: Scale, lines: Sequence[Line], axis: str) -> Scale:
    """Return the scale, but a linear one for a log axis without a value above zero."""
    positive = any((getattr(line, axis) > 0).any() for line in lines)
    return scale if scale != "log" or positive else "linear"


def _plain_ticks(axes: Any, x_scale: Scale, y_scale: Scale) -> None:
    """Label log axes with numbers such as `0.1` and `10,000`, and with no more than fit."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, SymmetricalLogLocator

    for axis, scale in ((axes.xaxis, x_scale), (axes.yaxis, y_scale)):
        if scale == "log":
            low, high = sorted(axis.get_view_interval())
            narrow = high < 100 * low
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,), numticks=6))
            axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
            axis.set_minor_formatter(NullFormatter())
        elif scale == "symlog":
            locator = SymmetricalLogLocator(base=10, linthresh=1.0)
            locator.set_params(numticks=5)
            axis.set_major_locator(locator)
            axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def _tick(value: float) -> str:
    if value >= 1e12:
        return number(value).removeprefix("1.00·")
    if value >= 1:
        for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
            if value >= size:
                return f"{value / size:g}{unit}"
    return f"{value:g}"
