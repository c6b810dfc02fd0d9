"""The demo's tables: values with standard errors beside exact values, the models, and the price."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from featurestore.define.epsilon import rounded_up
from featurestore.store import Store
from federation.accountant import Cost

from .model import Models

_LARGEST = 10
_SOME = 4
_MOMENT = datetime(2014, 1, 1, tzinfo=UTC)
_WIDE: Final = {" min": 10.0, " %": 10.0}
"""The largest useful standard error: delays and rates differ by about this much."""


def print_values(out: Console, flights: pa.Table, private: Store, exact: Store) -> None:
    """Print the windows that ended with 2013: the area, the largest airlines, and the ten largest destinations."""
    table = Table("feature", "key", "private ± se", "truth", "off by", box=SIMPLE_HEAD)
    table.title = "What the store served at the end of 2013 (UTC)"
    destinations = _largest(flights, "dest", _LARGEST)
    rows = [
        ("area_delay", "late_24h", "area", ["NYC"], 100.0, " %"),
        ("carrier_delay", "late_28d", "carrier", _largest(flights, "carrier", _SOME), 100.0, " %"),
        ("dest_delay", "arr_delay_mean_28d", "dest", destinations, 1.0, " min"),
        ("dest_delay", "late_28d", "dest", destinations, 100.0, " %"),
    ]
    for view, feature, column, keys, factor, unit in rows:
        noisy, true = _rows(private, view, column), _rows(exact, view, column)
        for key in keys:
            table.add_row(
                f"{view}:{feature}", Text(key), *_cells(noisy[key], true[key][feature], feature, factor, unit)
            )
        table.add_section()
    table.caption = "se: standard error due to noise; drowned: se above 10 minutes or 10 %, or no value at all"
    out.print(table)


def _rows(store: Store, view: str, column: str) -> dict[str, dict[str, Any]]:
    """The rows of the pane that ended at `_MOMENT`, by key."""
    (pane,) = {known.pane_us for known in store.views() if known.name == view}
    rows = store.history(view, _MOMENT - timedelta(microseconds=pane), _MOMENT)
    return {row[column]: row for row in rows.to_pylist()}


def _cells(
    row: dict[str, Any], truth: float | None, name: str, factor: float, unit: str
) -> tuple[str, str, str | Text]:
    true_text = "–" if truth is None else f"{factor * truth:.1f}{unit}"
    value, se = row[name], row[f"{name}__se"]
    if value is None:
        return "–", true_text, Text(row[f"{name}__status"].lower().replace("_", " "), "yellow")
    off = "" if truth is None else f"{(value - truth) / se:+.1f} se"
    text = f"{factor * value:.1f} ± {factor * se:.1f}{unit}"
    return text, true_text, Text("drowned", "yellow") if factor * se > _WIDE[unit] else off


def _largest(flights: pa.Table, column: str, count: int) -> list[str]:
    counts = pc.value_counts(flights[column]).to_pylist()
    return [row["values"] for row in sorted(counts, key=lambda row: -row["counts"])[:count]]


def print_models(out: Console, models: Models) -> None:
    """Print the AUC of the three models."""
    table = Table(
        "late-arrival model", "AUC", title=f"Trained on {models.train:,} flights, tested on {models.test:,} later ones"
    )
    table.add_row("schedule only", f"{models.schedule:.3f}")
    table.add_row("with exact aggregates", f"{models.exact:.3f}")
    table.add_row("with private aggregates", f"{models.private:.3f}   ({models.kept:.0%} of the gain kept)")
    out.print(table)


def print_privacy(out: Console, costs: Sequence[tuple[str, Cost]], delta: float) -> None:
    """Print ρ and ε of a plane's day and of 30 days against an aggregator, for the model's two views and for all three views."""
    title = f"Privacy against an aggregator at δ = {delta:g}"
    table = Table("what a plane's day costs", "ρ", "ε of a day", "ε of 30 days", title=title)
    table.caption = (
        "Leader and helper each add all of the noise, so this ε holds if one of them is honest. With noisers='shared' the errors "
        "are 1/√2 of these; this ε then holds against outsiders, if both are honest"
    )
    for label, chosen in (("the model's two views", costs[:2]), ("all three views", costs)):
        whole = sum((cost for _, cost in chosen), Cost(0))
        table.add_row(
            f"{label}: {', '.join(name for name, _ in chosen)}",
            f"{whole.micro_rho / 1e6:.4g}",
            *(rounded_up(whole.over(days).epsilon(delta)) for days in (1, 30)),
        )
    out.print(table)
