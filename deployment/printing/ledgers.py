"""Privacy ledgers as tables: spent budget, remaining budget, refusals."""

from __future__ import annotations

from deployment.inspect.ledger_claims import LEDGER_DELTA, budget_claims
from deployment.inspect.ledger_view import (
    DaySpent,
    LedgerView,
    day_groups,
    moment_of,
    refusal_groups,
    sentence_of,
)
from federation.rho import rho_text

from .console import day_ranges, day_spans
from .epsilons import counts_text, print_ledger_claims
from .output import Output
from .tables import Cell, Table


def print_ledger(ledger: LedgerView, view: str | None, out: Output) -> None:
    """Print an intact ledger: its days, their remaining budget, and its refusals.

    Args:
        view: print only this view's part of each day.
    """
    out.heading(ledger.owner)
    out.print(f"{ledger.path}: intact, {ledger.entries:,} entries, head {ledger.head.digest.hex()[:16]}…")
    if ledger.rebuilt is not None:
        out.print(
            f"rebuilt {moment_of(ledger.rebuilt.at_us)}: panes that had ended count as taken, and days until then as spent"
        )
    for name, head in ledger.remembered.items():
        out.print(f"last seen ledger of {name[:24]}…: entry {head.seq:,}, head {head.digest.hex()[:16]}…")
    unfinished = f", {ledger.unfinished:,} of them unfinished" if ledger.unfinished else ""
    out.print(f"{ledger.charged:,} plan(s) charged{unfinished}; {_budget(ledger)}")
    _print_days(ledger, view, out)
    _print_epsilons(ledger, out)
    _print_refused(ledger, out)


def _budget(ledger: LedgerView) -> str:
    quotas = "".join(f", of which {view} may take {rho_text(rho)}" for view, rho in ledger.budget.quotas.items())
    counts = counts_text(ledger.budget.counts)
    return f"budget of a client-day: ρ = {rho_text(ledger.budget.micro_rho)}{quotas}; {counts}"


def _print_epsilons(ledger: LedgerView, out: Output) -> None:
    print_ledger_claims(ledger.spent, budget_claims(ledger.budget), LEDGER_DELTA, out)
    if ledger.exact:
        out.print("exact sums were opened, without noise: no ε holds for these days", style="yellow")
    if ledger.rebuilt is not None:
        out.print(
            "Charges before the rebuild are unknown, so they are not in what is spent. The budget's ε holds for them."
        )


def _print_days(ledger: LedgerView, view: str | None, out: Output) -> None:
    if not ledger.days:
        out.print("no day was charged" + (f" for {view}" if view else ""))
        return
    table = Table(
        "UTC days",
        "number",
        "spent by view",
        "charged by",
        "spent" if view is None else "by all views",
        "left",
        of=("ledger", ledger.owner),
    )
    for days, one in day_groups(ledger.days):
        by_view = {name: micro_rho / 1e6 for name, micro_rho in one.by_view.items()}
        roles = {name: list(who) for name, who in one.roles.items()}
        table.add_row(
            Cell(day_ranges(days), day_spans(days)),
            len(days),
            Cell("\n".join(f"{name} {_rho(rho)}{_overlap(one, name)}" for name, rho in one.by_view.items()), by_view),
            Cell("\n".join(", ".join(who) for who in roles.values()), roles),
            _rho_cell(one.spent),
            _rho_cell(one.left),
        )
    out.table(table)


def _overlap(day: DaySpent, view: str) -> str:
    """How many collections of a view share the day, which each of them has paid."""
    return f" ({many} collections)" if (many := day.overlaps.get(view)) else ""


def _print_refused(ledger: LedgerView, out: Output) -> None:
    out.print("refused:" if ledger.refused else "nothing was refused")
    for days, group in refusal_groups(ledger.refused):
        first, last = (moment_of(group[i].at_us) for i in (0, -1))
        plans = len({one.plan for one in group})
        what = f"{group[0].view}, {day_ranges(days)}" if days else group[0].view or "the whole plan"
        by = f" ({group[0].role})" if group[0].role else ""
        out.print(f"  {group[0].code}: {what}{by}", style="yellow")
        out.print(f"    {sentence_of(group[0].code)}")
        out.print(f"    {plans:,} plan(s), {first if first == last else f'{first} … {last}'}")


def _rho_cell(micro_rho: int) -> Cell:
    return Cell(_rho(micro_rho), micro_rho / 1e6)


def _rho(micro_rho: int) -> str:
    return rho_text(micro_rho) if micro_rho >= 0 else f"−{rho_text(-micro_rho)}"
