"""`covey ledger`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .store_option import store_directory

app = typer.Typer(help="The privacy ledgers: spent budget, remaining budget, refusals.", no_args_is_help=True)


@app.command()
def show(
    project: Annotated[Path | None, typer.Option(metavar="DIR", help="The project's directory. Default: here.")] = None,
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", callback=store_directory, help="The store of `covey run`.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--ledger", metavar="NAME", help="One ledger: operator, or site-ID.")
    ] = None,
    view: Annotated[str | None, typer.Option(help="Show this view's part of each day only.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="RHO", help="The budget of a client-day. Default: covey.toml's, policy.toml's, or 0.1."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Also draw a picture.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show each ledger of a project: its integrity, what each day has spent and has left, and each refusal with its reason.

    Nothing is written. An edited, truncated or rolled-back ledger is an error.
    """
    from deployment.errors import UsageError
    from deployment.inspect.ledger_view import BrokenLedger, LedgerView, read_ledgers, to_json
    from deployment.printing.console import data_console, talk_console
    from deployment.printing.ledgers import print_ledger
    from deployment.project.budgets import budgets_of

    if project is not None and store is not None:
        raise UsageError("give either --project or --store")
    directory = project or store or Path()
    shown = read_ledgers(directory, budgets_of(directory, budget), owner=owner, view=view)
    whole = [ledger for ledger in shown if isinstance(ledger, LedgerView)]
    if as_json:
        typer.echo(json.dumps({"ledgers": [to_json(ledger) for ledger in shown]}))
    else:
        out = data_console()
        for ledger in whole:
            print_ledger(ledger, view, out)
    if plot is not None and whole:
        from deployment.inspect.ledger_plot import plot as draw

        draw(whole, plot)
        talk_console().print(f"chart written to {plot}", soft_wrap=True)
    broken = [ledger.error for ledger in shown if isinstance(ledger, BrokenLedger)]
    for error in broken[1:]:
        talk_console().print(f"error: {error}", style="red", soft_wrap=True)
    if broken:
        raise broken[0]
