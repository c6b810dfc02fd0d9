"""A chart of ledgers: each day's spent budget by view, the limit, and the days of refusals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, assert_never

import numpy as np

from base.times import DAY_US, from_us
from deployment.errors import UsageError
from featurestore.define.epsilon import rounded_up
from federation.price import Observer

from .ledger_view import LedgerView

COLOURS: Final = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
"""Tol's bright scheme, which is distinct for colour-blind readers. Further views share grey."""
_OTHER, _LEFT, _REFUSED = "#888888", "#eeeeee", "#bb0000"
_FEW_DAYS: Final = 7
_WIDTH_INCHES, _HEIGHT_INCHES = 9.0, 2.9


def plot(ledgers: Sequence[LedgerView], path: Path) -> None:
    """Write a PNG with one chart for each ledger.

    Raises:
        UsageError: matplotlib is not installed, there is nothing to draw, or the file is not a .png.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"a plot is a .png, not {path.suffix or path.name!r}; choose another name")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"the plot's directory {path.absolute().parent} does not exist")
    drawn = [ledger for ledger in ledgers if ledger.days or any(one.day is not None for one in ledger.refused)]
    if not drawn:
        raise UsageError("no day was charged or refused yet, so there is nothing to plot")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("a plot needs matplotlib: pip install 'covey[demo]'") from None
    figure = Figure(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES * len(drawn)), layout="constrained")
    FigureCanvasAgg(figure)
    every = sorted({view for ledger in drawn for view in ledger.views})
    colours = {view: COLOURS[i] if i < len(COLOURS) else _OTHER for i, view in enumerate(every)}
    for axes, ledger in zip(figure.subplots(len(drawn), squeeze=False)[:, 0], drawn, strict=True):
        _draw(axes, ledger, colours)
    figure.savefig(path, dpi=120, format="png")


def _draw(axes: Any, ledger: LedgerView, colours: dict[str, str]) -> None:
    budget = ledger.budget.micro_rho / 1e6
    refused = sorted({one.day for one in ledger.refused if one.day is not None})
    days = np.array([day.day for day in ledger.days])
    bottom = np.zeros(len(days))
    for view in ledger.views:
        height = np.array([day.by_view.get(view, 0) / 1e6 for day in ledger.days])
        axes.bar(_dates(days), height, 1.0, bottom, color=colours[view], label=view)
        bottom += height
    unseen = np.array([(day.spent - sum(day.by_view.values())) / 1e6 for day in ledger.days])
    left = np.array([max(0, day.left) / 1e6 for day in ledger.days])
    for height, colour, label in ((unseen, _OTHER, "other views"), (left, _LEFT, "left")):
        if height.any():
            axes.bar(_dates(days), height, 1.0, bottom, color=colour, label=label)
            bottom += height
    axes.axhline(budget, color="black", linestyle="--", linewidth=1, label=f"budget {budget:g}")
    if refused:
        where = np.full(len(refused), 1.06 * budget)
        axes.plot(_dates(refused), where, "x", color=_REFUSED, markersize=5, label="refused")
    top = max([budget, *bottom.tolist()])
    axes.set_ylim(0, 1.15 * top)
    axes.set_ylabel(f"ρ of a client-day\n({_against(ledger.budget.counts)})")
    worst = "".join(
        f"; worst day ε ≤ {rounded_up(day.aggregator)} against an aggregator, {rounded_up(day.outsiders)} against outsiders"
        for day in ledger.spent[:1]
    )
    axes.set_title(
        f"{ledger.owner}: {len(days):,} day(s) charged, {len(refused):,} with a refusal{worst}", loc="left", size=10
    )
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    _label_dates(axes, [*days.tolist(), *refused])


def _against(counts: Observer) -> str:
    match counts:
        case Observer.AGGREGATOR:
            return "against an aggregator"
        case Observer.OUTSIDERS:
            return "against outsiders"
        case _:
            assert_never(counts)


def _label_dates(axes: Any, days: Sequence[int]) -> None:
    """Label whole days only: charges are by day."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, DateFormatter

    first, last = min(days), max(days)
    if last - first < _FEW_DAYS:
        axes.set_xticks(_dates(range(first, last + 1)))
        axes.xaxis.set_major_formatter(DateFormatter("%Y-%m-%d"))
    else:
        locator = AutoDateLocator(minticks=3, maxticks=9)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    margin = timedelta(days=0.6)
    axes.set_xlim(_dates([first])[0] - margin, _dates([last])[0] + margin)


def _dates(days: Sequence[int] | np.ndarray[Any, Any]) -> list[datetime]:
    return [from_us(int(day) * DAY_US) for day in days]
