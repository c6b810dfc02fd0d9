"""What a collection of every day would cost, and how long budgets last, as sentences and tables."""

from __future__ import annotations

from deployment.inspect.lasting import MOST_DAYS, Lasting, LedgerOutlook, ViewLeft
from deployment.inspect.what_if import BudgetFit, WhatIf
from federation.rho import rho_text

from .epsilons import counts_text, print_claims
from .output import Output
from .tables import Cell, Table


def print_what_if(found: WhatIf, out: Output) -> None:
    """Print the cost of the views, and whether each budget pays for it."""
    out.print(
        f"a client-day costs ρ = {rho_text(found.micro_rho)} against an aggregator, {rho_text(found.outsiders_micro_rho)} "
        "against outsiders; a client that takes part every day pays this each day"
    )
    print_claims(found.claims, found.delta, out)
    if found.days not in {claim.days for claim in found.claims}:
        print_claims([claim for claim in found.curve if claim.days == found.days], found.delta, out)
    if found.lasting is not None:
        out.print(lasting_text(found.lasting, "every day costs this"))
    table = Table("view", "pane", "panes of a day", "ρ of a day", "against outsiders")
    for view in found.views:
        prices = (Cell(rho_text(rho), rho / 1e6) for rho in (view.micro_rho, view.outsiders_micro_rho))
        table.add_row(view.view, view.pane, view.panes_per_day, *prices)
    out.table(table)
    for fit in found.budgets:
        out.print(_fit(fit), style=None if fit.fits else "yellow")


def print_outlook(found: LedgerOutlook, out: Output) -> None:
    """Print how long the budget of a ledger lasts."""
    out.print(
        "the budget does not run out: every UTC day has its own, and a rest is not carried over. What grows is ε of a client "
        "that takes part every day"
    )
    out.print(lasting_text(found.spent, "every day's budget is spent"))
    if found.worst is not None:
        out.print(lasting_text(found.worst, "every day costs as much as the worst one so far"))
    if found.today:
        words = ", ".join(f"{one.view} ({_today(one)})" for one in found.today)
        out.print(f"today has ρ = {_signed(found.today_left)} left: {words}")


def lasting_text(found: Lasting, if_: str) -> str:
    """For how many days ε stays within its limit."""
    outsiders, aggregator = _days(found.outsiders_days), _days(found.aggregator_days)
    return f"ε stays at most {found.epsilon:g} for {outsiders} against outsiders, {aggregator} against an aggregator, if {if_}"


def _fit(fit: BudgetFit) -> str:
    over = "".join(f"; {view} exceeds its quota of {rho_text(quota)}" for view, _, quota in fit.over_quota)
    sums = f"{rho_text(fit.cost)} of {rho_text(fit.budget_micro_rho)}, {counts_text(fit.counts)}"
    return f"{fit.owner}: {'every day can be collected' if fit.fits else 'refused'}: {sums}{over}"


def _days(days: int) -> str:
    return f"at least {days:,} days" if days >= MOST_DAYS else f"{days:,} day{'s' * (days != 1)}"


def _today(view: ViewLeft) -> str:
    if view.paid:
        return "paid"
    return f"{rho_text(view.micro_rho)}, {'can be collected' if view.fits else 'not enough'}"


def _signed(micro_rho: int) -> str:
    return rho_text(micro_rho) if micro_rho >= 0 else f"−{rho_text(-micro_rho)}"
