"""The demo's tables: values with their standard errors beside the truth, the models, and the price."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from featurestore.store import Store
from rich.console import Console
from rich.table import Table

from .model import Models

_LARGEST = 10
_SOME = 4


def print_values(out: Console, flights: pa.Table, private: Store, exact: Store) -> None:
    """The latest windows: the area, the largest airlines, and the ten largest destinations."""
    table = Table("feature", "key", "private ± standard error", "truth", "off by", title="What the store serves now")
    rows: list[tuple[str, dict[str, list[Any]], float, str]] = [("area_delay:late_24h", {}, 100, " %")]
    rows.append(("carrier_delay:late_28d", {"carrier": _largest(flights, "carrier", _SOME)}, 100, " %"))
    destinations = {"dest": _largest(flights, "dest", _LARGEST)}
    rows.append(("dest_delay:arr_delay_mean_28d", destinations, 1, " min"))
    rows.append(("dest_delay:late_28d", destinations, 100, " %"))
    for ref, keys, factor, unit in rows:
        name = ref.partition(":")[2]
        noisy, true = private.get([ref], keys).to_pylist(), exact.get([ref], keys).to_pylist()
        for mine, truth in zip(noisy, true, strict=True):
            key = next((mine[column] for column in keys), "NYC")
            table.add_row(ref, key, *_cells(mine, truth[name], name, factor, unit))
        table.add_section()
    out.print(table)


def _cells(row: dict[str, Any], truth: float | None, name: str, factor: float, unit: str) -> tuple[str, str, str]:
    true_text = "–" if truth is None else f"{factor * truth:.1f}{unit}"
    value, se = row[name], row[f"{name}__se"]
    if value is None:
        return f"[dim]– ({row[f'{name}__status'].lower().replace('_', ' ')})[/dim]", true_text, ""
    off = "" if truth is None else f"{(value - truth) / se:+.1f} se"
    text = f"{factor * value:.1f} ± {factor * se:.1f}{unit}"
    drowned = se * 2 > abs(value)  # the noise is as large as what it is added to
    return f"[yellow]{text}  drowned[/yellow]" if drowned else text, true_text, off


def _largest(flights: pa.Table, column: str, count: int) -> list[str]:
    counts = pc.value_counts(flights[column]).to_pylist()
    return [row["values"] for row in sorted(counts, key=lambda row: -row["counts"])[:count]]


def print_models(out: Console, models: Models) -> None:
    """The three models' AUC."""
    table = Table(
        "late-arrival model", "AUC", title=f"Trained on {models.train:,} flights, tested on {models.test:,} later ones"
    )
    table.add_row("schedule only", f"{models.schedule:.3f}")
    table.add_row("with exact aggregates", f"{models.exact:.3f}")
    table.add_row("with private aggregates", f"{models.private:.3f}   ({models.kept:.0%} of the gain kept)")
    out.print(table)


def print_privacy(
    out: Console, costs: Sequence[tuple[str, int]], delta: float, epsilon: Callable[[int, float, int], float]
) -> None:
    """ρ and ε of a plane's day and of 30 days: of the model's two views, and of all three."""
    table = Table("what a plane's day costs", "ρ", "ε of a day", "ε of 30 days", title=f"Privacy at δ = {delta:g}")
    for label, chosen in (("the model's two views", costs[:2]), ("all three views", costs)):
        micro_rho = sum(cost for _, cost in chosen)
        table.add_row(
            f"{label}: {', '.join(name for name, _ in chosen)}",
            f"{micro_rho / 1e6:.4g}",
            f"{epsilon(micro_rho, delta, 1):.2f}",
            f"{epsilon(micro_rho, delta, 30):.2f}",
        )
    out.print(table)
