"""A view that was repriced: its price and its largest number of cells, before and after."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from deployment.project.reprice import Repriced
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from federation.rho import rho_text


def repriced_to_json(done: Repriced) -> dict[str, Any]:
    """The view's name, and both prices in micro-ρ with the cells that they are for."""
    return {"view": done.after.name, "before": _to_json(done.before), "after": _to_json(done.after)}


def _to_json(view: FeatureView) -> dict[str, int]:
    return {"micro_rho": layout_of(view).micro_rho, "max_cells": view.bounds.max_cells}


def print_repriced(done: Repriced, talk: Console) -> None:
    """Say what changed, or that nothing did."""
    name = done.after.name
    if done.before == done.after:
        talk.print(f"view {name}: it has its present price already: {_text(done.after)}", soft_wrap=True)
        return
    talk.print(
        f"view {name}: {_text(done.before)} became {_text(done.after)}. Days that were charged at the old price refuse the new "
        "one (VIEW_OVERLAP): collect later days",
        soft_wrap=True,
    )


def _text(view: FeatureView) -> str:
    cells = view.bounds.max_cells
    return f"ρ = {rho_text(layout_of(view).micro_rho)} a client-day with {cells:,} {'cell' if cells == 1 else 'cells'}"
