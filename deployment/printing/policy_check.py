"""A site's answer to a plan, as sentences and tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from deployment.project.policy_check import DayCost, PolicyCheck
from edge_client.policy import Policy
from federation.rho import rho_text
from federation.terms import ReportPer

from .console import day_ranges, pane_ranges
from .epsilons import counts_text
from .output import Output
from .tables import Table

_PRICES: Final = (
    "rho of a client-day: against an aggregator, who knows its own noise, and against outsiders, who see releases only"
)


def print_check(found: PolicyCheck, policy: Policy, out: Output) -> None:
    """Print a site's answer, the columns that the plan reads, and the plan's cost for each day.

    A refused plan is printed with all of its refusals; the first is the site's answer.
    """
    if not found.refusals:
        out.print("ACCEPT", style="green")
    for code, refusals in groupby(found.refusals, lambda one: one.code):
        for one in refusals:
            about = "".join(
                [f" {one.view}" if one.view else "", f", {day_ranges([one.day])}" if one.day is not None else ""]
            )
            out.print(f"{code}{':' if about else ''}{about}", style="yellow")
        out.print(code.sentence)
        out.print(code.mend)
    if found.plan is None:
        return
    of_site = f", one report of a site, of {found.plan.max_clients:,} clients at most"
    out.print(
        f"plan {found.plan.hash.hex()[:16]}…: participation {found.plan.terms.participation}, "
        f"noise {found.plan.noise}, protection {found.plan.terms.protection}, validity {found.plan.terms.validity}"
        + (of_site if found.plan.terms.report_per is ReportPer.SITE else "")
        + ("; already charged, so it costs nothing more" if found.repeated else "")
    )
    table = Table("view", "panes", "number", "k", "noisers", "rho, aggregator", "rho, outsiders", caption=_PRICES)
    for view in found.views:
        panes = pane_ranges(view.panes)
        prices = view.price.aggregator.micro_rho, view.price.outsiders.micro_rho
        noisers = view.view.privacy.chosen_noisers
        table.add_row(view.view.name, panes, len(view.panes), view.min_clients, noisers, *map(rho_text, prices))
    out.table(table)
    _print_reads(found, out)
    if found.days:
        caption = f"of {rho_text(policy.max_micro_rho)} a client-day; {counts_text(policy.budget_counts)}"
        table = Table("UTC days", "number", "spent before", "this plan", "left", caption=caption)
        for days, cost in _alike(found.days):
            left = rho_text(cost.left) if cost.left >= 0 else f"−{rho_text(-cost.left)}"
            table.add_row(day_ranges(days), len(days), rho_text(cost.spent), rho_text(cost.plan), left)
        out.table(table)


def _print_reads(found: PolicyCheck, out: Output) -> None:
    """Print the columns that each view reads, and the entry of a policy that pins the view."""
    heads = "view", "time", "join keys", "columns", "in where", "a client-day counts in at most"
    table = Table(*heads, caption="columns of the site's events")
    for view in found.views:
        reads, entity, bounds = view.reads, view.view.entity, view.view.bounds
        table.add_row(
            view.view.name,
            "the site's own" if reads.time is None else _names((reads.time,)),
            f"{_names(reads.join_keys)} ({len(entity.domain):,} key{'s' * (len(entity.domain) != 1)})",
            _names(reads.values),
            _names(reads.where),
            f"{bounds.max_cells:,} cell(s), {bounds.max_events_per_cell:,} event(s) each",
        )
    out.table(table)
    for view in found.views:
        out.print(f'pin: views = ["{view.pin}"]')


def _names(columns: tuple[str, ...]) -> str:
    """Column names, quoted: a foreign plan may put a terminal's control characters into them."""
    return ", ".join(name if name.isprintable() else json.dumps(name) for name in columns) or "none"


def _alike(days: tuple[DayCost, ...]) -> Iterator[tuple[list[int], DayCost]]:
    """Groups of days with the same cost and the same remaining budget."""
    groups: dict[tuple[int, int, int], list[DayCost]] = {}
    for cost in days:
        groups.setdefault((cost.spent, cost.plan, cost.left), []).append(cost)
    for alike in groups.values():
        yield [cost.day for cost in alike], alike[0]
