"""`covey ledger`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .ledger_what_if import LimitOption, require_limit, what_if
from .store_option import store_directory
from .table_options import CsvOption, PlainOption, output_of

if TYPE_CHECKING:
    from deployment.inspect.lasting import LedgerOutlook
    from deployment.inspect.ledger_view import LedgerView

_PROJECT = typer.Option(metavar="DIR", help="The project's directory. Default: here.")
_STORE = typer.Option(metavar="DIR", callback=store_directory, help="The store of `covey run`.")

app = typer.Typer(help="The privacy ledgers: spent budget, remaining budget, refusals.", no_args_is_help=True)
app.command("what-if")(what_if)


@app.command()
def show(
    project: Annotated[Path | None, _PROJECT] = None,
    store: Annotated[Path | None, _STORE] = None,
    owner: Annotated[
        str | None, typer.Option("--ledger", metavar="NAME", help="One ledger: operator, or site-ID.")
    ] = None,
    view: Annotated[str | None, typer.Option(help="Show this view's part of each day only.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="RHO", help="The budget of a client-day. Default: covey.toml's, policy.toml's, or 0.1."),
    ] = None,
    limit: LimitOption = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Also draw a picture.")] = None,
    plain: PlainOption = False,
    csv: CsvOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show each ledger of a project: its integrity, what each day has spent and has left, and each refusal with its reason.

    Nothing is written. An edited, truncated or rolled-back ledger is an error.
    """
    from dataclasses import asdict

    from deployment.inspect.ledger_view import BrokenLedger, LedgerView, read_ledgers, to_json
    from deployment.printing.console import talk_console
    from deployment.printing.ledgers import print_ledger
    from deployment.printing.what_if import print_outlook
    from deployment.project.budgets import budgets_of

    out = output_of(plain=plain, csv=csv, as_json=as_json)
    directory = _directory(project, store)
    shown = read_ledgers(directory, budgets_of(directory, budget), owner=owner, view=view)
    whole = [ledger for ledger in shown if isinstance(ledger, LedgerView)]
    require_limit(limit)
    outlooks = {} if limit is None else _outlooks(directory, whole, limit)
    if as_json:
        rows = [
            to_json(one) | ({"outlook": asdict(outlooks[one.owner])} if one.owner in outlooks else {}) for one in shown
        ]
        typer.echo(json.dumps({"ledgers": rows}))
    else:
        for ledger in whole:
            print_ledger(ledger, view, out)
            if ledger.owner in outlooks:
                print_outlook(outlooks[ledger.owner], out)
    if plot is not None and whole:
        from deployment.inspect.ledger_plot import plot as draw

        draw(whole, plot)
        talk_console().print(f"chart written to {plot}", soft_wrap=True)
    broken = [ledger.error for ledger in shown if isinstance(ledger, BrokenLedger)]
    for error in broken[1:]:
        talk_console().print(f"error: {error}", style="red", soft_wrap=True)
    if broken:
        raise broken[0]


@app.command()
def verify(
    project: Annotated[Path | None, _PROJECT] = None,
    store: Annotated[Path | None, _STORE] = None,
    owner: Annotated[
        str | None, typer.Option("--ledger", metavar="NAME", help="One ledger: operator, or site-ID.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read and check every entry of each ledger. Other commands read from the last checkpoint on.

    An edited entry, wherever it is, and a checkpoint that differs from the entries before it are errors. Nothing is written.
    """
    from deployment.inspect.ledger_check import WholeLedger, verify_ledgers
    from deployment.inspect.ledger_view import BrokenLedger, to_json
    from deployment.printing.console import data_console, talk_console

    found = verify_ledgers(_directory(project, store), owner)
    if as_json:
        shown = [one.to_json() if isinstance(one, WholeLedger) else to_json(one) for one in found]
        typer.echo(json.dumps({"ledgers": shown}))
    else:
        for one in found:
            if isinstance(one, WholeLedger):
                text = f"{one.owner}: all {one.entries:,} entries are whole; {one.plans:,} plans were charged"
                data_console().print(text, soft_wrap=True)
    broken = [one.error for one in found if isinstance(one, BrokenLedger)]
    for error in broken[1:]:
        talk_console().print(f"error: {error}", style="red", soft_wrap=True)
    if broken:
        raise broken[0]


@app.command()
def rebuild(
    project: Annotated[Path | None, _PROJECT] = None,
    store: Annotated[Path | None, _STORE] = None,
    owner: Annotated[
        str, typer.Option("--ledger", metavar="NAME", help="The ledger: operator, or site-ID.")
    ] = "operator",
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Rebuild a ledger that looks intact: another party remembers more entries than it has."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rebuild a ledger that lost entries, when no newest copy is left. Stop the roles of the project first.

    The lost entries may have paid for any day. So every pane that has ended counts as taken, and every day until today as
    spent. Nothing published changes.
    """
    from base.times import wall_clock
    from deployment.inspect.ledger_view import date_of, moment_of
    from deployment.local.ledger_rebuild import rebuild as rebuild_ledger
    from deployment.printing.console import talk_console

    made = rebuild_ledger(_directory(project, store), owner, wall_clock, although_intact=force)
    if as_json:
        typer.echo(json.dumps({"ledger": owner, "path": str(made.path), "rebuilt_at": moment_of(made.entry.at_us)}))
    else:
        talk_console().print(
            f"{made.path} is rebuilt: every pane that had ended counts as taken, and every day until {date_of(made.entry.day)} as "
            "spent",
            soft_wrap=True,
        )


def _outlooks(directory: Path, ledgers: Iterable[LedgerView], limit: float) -> Mapping[str, LedgerOutlook]:
    """How long the budget of each ledger lasts, by owner."""
    from base.times import DAY_US, wall_clock
    from deployment.inspect.lasting import ledger_outlook
    from featurestore.errors import StoreNotFound
    from featurestore.store import Store

    try:
        with Store.open(directory) as store:
            views = store.views()
    except StoreNotFound:
        views = []
    return {one.owner: ledger_outlook(one, views, wall_clock() // DAY_US, limit) for one in ledgers}


def _directory(project: Path | None, store: Path | None) -> Path:
    from deployment.errors import UsageError

    if project is not None and store is not None:
        raise UsageError("give either --project or --store")
    return project or store or Path()
