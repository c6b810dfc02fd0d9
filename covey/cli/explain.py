"""`covey explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from covey.explain import ExpectedError, ViewExplained


def explain(
    views_file: Annotated[
        Path, typer.Argument(metavar="VIEWS.py", help="A Python file with FeatureView objects at module level.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what each view costs and how well it will be known, before anything is collected."""
    from covey.explain import explain as explain_view
    from covey.views_file import load_views

    from .talk import data_console

    explained = [explain_view(view) for view in load_views(views_file)]
    if as_json:
        typer.echo(json.dumps([view.to_dict() for view in explained]))
        return
    out = data_console()
    for view in explained:
        _print(view, out)


def _print(view: ViewExplained, out: Console) -> None:
    from rich.text import Text

    from .talk import folding_table

    out.rule(Text(view.view, style="bold"))
    windows = f", windows {' '.join(view.windows)}" if view.windows else ""
    out.print(f"entity {' × '.join(view.entity)} ({view.keys:,} keys), pane {view.pane}{windows}")
    out.print(
        f"a report: {view.slots:,} slots; {view.report_bytes_leader:,} bytes to the leader, "
        f"{view.report_bytes_helper} to the helper"
    )
    out.print(
        f"privacy unit: {view.unit}, at most {view.max_cells} cell(s) of {view.max_events_per_cell} event(s); "
        f"a pane opens at {view.min_clients} clients"
    )
    out.print(
        f"ρ = {view.rho:g} a client-day: ε = {view.epsilon_day:.2f} a day, {view.epsilon_30_days:.2f} over 30 days "
        f"of daily participation, at δ = {view.delta:g}"
    )
    out.print(f"outside this claim: {', '.join(view.outside_claim)} (how many clients of a site were active in a pane)")
    groups = folding_table("group", "slots a key", "bits", "sensitivity Δ₂", "ρ", "σ of one aggregator", "σ opened")
    for group in view.groups:
        groups.add_row(
            f"{group.feature}: {group.group.replace('_', ' ')}",
            str(group.slots_per_key),
            str(group.bits),
            f"{group.sensitivity:.4g}",
            f"{group.micro_rho / 1e6:g}",
            f"{group.sigma:.4g}",
            f"{group.opened_sigma:.4g}",
        )
    out.print(groups)
    clients = [error.clients for error in view.features[0].expected]
    errors = folding_table("feature", "read off", *(f"± at n = {n:,}" for n in clients), "the other way")
    for feature in view.features:
        other = "" if feature.other_way is None else " / ".join(_error(error) for error in feature.other_way)
        where = feature.derived_from or "own slots"
        errors.add_row(feature.feature, where, *(_error(error) for error in feature.expected), other)
    errors.caption = "standard error due to noise, of one key and pane with n clients (one event each)"
    out.print(errors)
    for feature in view.features:
        if feature.expected[0].se is None:
            fine = next((error.clients for error in feature.expected if error.se is not None), None)
            until = f"it needs about {fine:,} clients a key and pane" if fine else "even 10,000 clients are too few"
            out.print(
                f"warning: noise drowns {feature.feature} at {clients[0]} clients; {until}, or a wider window",
                style="yellow",
            )


def _error(error: ExpectedError) -> str:
    return "drowned" if error.se is None else f"{error.se:.3g}"
