"""`covey ledger`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from deployment.inspect.ledger_view import LedgerView

app = typer.Typer(help="The privacy ledgers: what was spent, what is left, what was refused.", no_args_is_help=True)


@app.command()
def show(
    project: Annotated[Path | None, typer.Option(metavar="DIR", help="The project's directory. Default: here.")] = None,
    store: Annotated[Path | None, typer.Option(metavar="DIR", help="The store of `covey run`.")] = None,
    owner: Annotated[
        str | None, typer.Option("--ledger", metavar="NAME", help="One ledger: operator, or site-ID.")
    ] = None,
    view: Annotated[str | None, typer.Option(help="Only this view's part of each day.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="RHO", help="The budget of a client-day. Default: covey.toml's, policy.toml's, or 0.1."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw it, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show each ledger of a project: that it is whole, what each day has spent, what is left, what was refused and why.

    Nothing is written. A ledger that was edited, cut or rolled back is an error.
    """
    from deployment.errors import UsageError
    from deployment.inspect.ledger_view import BrokenLedger, LedgerView, read_ledgers, to_json
    from deployment.printing.console import data_console, talk_console
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
            _print(ledger, view, out)
    if plot is not None and whole:
        from deployment.inspect.ledger_plot import plot as draw

        draw(whole, plot)
        talk_console().print(f"drawn in {plot}", soft_wrap=True)
    broken = [ledger.error for ledger in shown if isinstance(ledger, BrokenLedger)]
    for error in broken[1:]:
        talk_console().print(f"error: {error}", style="red", soft_wrap=True)
    if broken:
        raise broken[0]


def _print(ledger: LedgerView, view: str | None, out: Console) -> None:
    from rich.text import Text

    out.rule(Text(ledger.owner, style="bold"))
    out.print(f"{ledger.path}: whole, {ledger.head.seq:,} entries, head {ledger.head.digest.hex()[:16]}…")
    for name, head in ledger.remembered.items():
        out.print(f"it remembers the ledger of {name[:24]}… at entry {head.seq:,}, head {head.digest.hex()[:16]}…")
    unfinished = f", {ledger.unfinished:,} of them not ended yet" if ledger.unfinished else ""
    out.print(f"{ledger.charged:,} plan(s) charged{unfinished}; {_budget(ledger)}")
    _print_days(ledger, view, out)
    _print_refused(ledger, out)


def _budget(ledger: LedgerView) -> str:
    from federation.rho import rho_text

    quotas = "".join(f", of which {view} may take {rho_text(rho)}" for view, rho in ledger.budget.quotas.items())
    return f"budget of a client-day: ρ = {rho_text(ledger.budget.micro_rho)}{quotas}"


def _print_days(ledger: LedgerView, view: str | None, out: Console) -> None:
    from deployment.inspect.ledger_view import day_groups
    from deployment.printing.console import day_ranges, folding_table

    if not ledger.days:
        out.print("no day was charged" + (f" for {view}" if view else ""))
        return
    by_role = any(who for one in ledger.days for who in one.roles.values())
    table = folding_table(
        "UTC days",
        "number",
        "spent by view",
        *(["charged by"] if by_role else []),
        "spent" if view is None else "by all views",
        "left",
    )
    for days, one in day_groups(ledger.days):
        by_view = "\n".join(f"{name} {_rho(rho)}" for name, rho in one.by_view.items())
        roles = ["\n".join(", ".join(who) for who in one.roles.values())] if by_role else []
        table.add_row(day_ranges(days), f"{len(days):,}", by_view, *roles, _rho(one.spent), _rho(one.left))
    out.print(table)


def _print_refused(ledger: LedgerView, out: Console) -> None:
    from deployment.inspect.ledger_view import moment_of, refusal_groups, sentence_of
    from deployment.printing.console import day_ranges

    out.print("refused:" if ledger.refused else "nothing was refused")
    for days, group in refusal_groups(ledger.refused):
        first, last = (moment_of(group[i].at_us) for i in (0, -1))
        plans = len({one.plan for one in group})
        what = f"{group[0].view}, {day_ranges(days)}" if days else group[0].view or "the whole plan"
        by = f" ({group[0].role})" if group[0].role else ""
        out.print(f"  {group[0].code}: {what}{by}", style="yellow")
        out.print(f"    {sentence_of(group[0].code)}")
        out.print(f"    {plans:,} plan(s), {first if first == last else f'{first} … {last}'}")


def _rho(micro_rho: int) -> str:
    from federation.rho import rho_text

    return rho_text(micro_rho) if micro_rho >= 0 else f"−{rho_text(-micro_rho)}"
