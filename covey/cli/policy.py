"""`covey policy`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from deployment.project.policy_check import DayCost, PolicyCheck
    from edge_client.policy import Policy

app = typer.Typer(help="What a site takes part in.", no_args_is_help=True)


@app.command()
def check(
    plan: Annotated[
        Path,
        typer.Argument(
            metavar="PLAN", help="A signed plan or draft: `covey start coordinator … --plan-only PLAN` makes one."
        ),
    ],
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The site's policy. Default: the project's policy.toml.")
    ] = None,
    site: Annotated[
        Path | None, typer.Option(metavar="CONFIG", help="sites/ID.toml: that site's policy and ledger.")
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The site's ledger, ledgers/site-ID.db. Default: nothing spent yet."),
    ] = None,
    project: Annotated[Path, typer.Option(metavar="DIR", help="The project's directory. Default: here.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show what a site would answer to a plan, what it costs, and what would be left of each day. Nothing is written.

    Exit code: 0 the site would take part, 4 it would refuse.
    """
    from base.errors import DONE, REFUSED
    from base.times import wall_clock
    from deployment.errors import NotThere, UsageError
    from deployment.printing.console import data_console, talk_console
    from deployment.project.policy_check import BROKEN, check_plan, ledger_state, to_json
    from federation.errors import LedgerBroken
    from federation.ledger.state import LedgerState

    try:
        signed = plan.read_bytes()
    except FileNotFoundError:
        raise NotThere(f"no plan {plan}") from None
    except OSError as error:
        raise UsageError(f"{plan}: it cannot be read: {error.strerror}") from None
    rules, path = _rules(policy, site, ledger, project)
    try:
        state = LedgerState() if path is None else ledger_state(path, may_be_missing=site is not None)
        found = check_plan(signed, rules, state, wall_clock())
    except LedgerBroken as error:
        talk_console().print(str(error), style="red")
        found = BROKEN
    if as_json:
        typer.echo(json.dumps(to_json(found)))
    else:
        _print(found, rules, data_console())
    return DONE if found.code is None else REFUSED


def _rules(policy: Path | None, site: Path | None, ledger: Path | None, project: Path) -> tuple[Policy, Path | None]:
    """The policy, and where the ledger is."""
    from deployment.errors import UsageError
    from deployment.project.init import POLICY
    from edge_client.policy_file import load_policy
    from edge_client.site_config import rules_of

    if site is not None:
        if policy is not None or ledger is not None:
            raise UsageError("--site names policy and ledger; give either it, or --policy and --ledger")
        return rules_of(site)
    return load_policy(policy or project / POLICY), ledger


def _print(found: PolicyCheck, policy: Policy, out: Console) -> None:
    from deployment.printing.console import day_ranges, folding_table, pane_ranges
    from federation.rho import rho_text

    if found.code is None:
        out.print("ACCEPT", style="green")
    else:
        about = "".join(
            [f" {found.view}" if found.view else "", f", {day_ranges([found.day])}" if found.day is not None else ""]
        )
        out.print(f"{found.code}{':' if about else ''}{about}", style="yellow")
        out.print(found.code.sentence)
    if found.plan is None:
        return
    of_site = f", one report of a site, of {found.plan.max_clients:,} clients at most"
    out.print(
        f"plan {found.plan.hash.hex()[:16]}…: participation {found.plan.participation}, "
        f"noise {found.plan.noise}, protection {found.plan.protection}, validity {found.plan.validity}"
        + (of_site if found.plan.report_per == "site" else "")
        + ("; charged before, it costs nothing more" if found.repeated else "")
    )
    table = folding_table("view", "panes", "number", "k", "rho a client-day")
    for view in found.views:
        panes = pane_ranges(view.panes)
        table.add_row(view.view.name, panes, f"{len(view.panes):,}", str(view.min_clients), rho_text(view.micro_rho))
    out.print(table)
    _print_reads(found, out)
    if found.days:
        table = folding_table("UTC days", "number", "spent before", "this plan", "left")
        table.caption = f"of {rho_text(policy.max_micro_rho)} a client-day"
        for days, cost in _alike(found.days):
            left = rho_text(cost.left) if cost.left >= 0 else f"−{rho_text(-cost.left)}"
            table.add_row(day_ranges(days), f"{len(days):,}", rho_text(cost.spent), rho_text(cost.plan), left)
        out.print(table)


def _print_reads(found: PolicyCheck, out: Console) -> None:
    """What each view reads of the site's events, and how a policy pins it."""
    from deployment.printing.console import folding_table

    table = folding_table("view", "time", "join keys", "columns", "in where", "a client-day counts in at most")
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
    table.caption = "columns of the site's events"
    out.print(table)
    for view in found.views:
        out.print(f'pin: views = ["{view.pin}"]', soft_wrap=True)


def _names(columns: tuple[str, ...]) -> str:
    """A foreign plan may name a column by a terminal's control characters."""
    return ", ".join(name if name.isprintable() else json.dumps(name) for name in columns) or "none"


def _alike(days: tuple[DayCost, ...]) -> Iterator[tuple[list[int], DayCost]]:
    """Days that cost and leave the same, together."""
    groups: dict[tuple[int, int, int], list[DayCost]] = {}
    for cost in days:
        groups.setdefault((cost.spent, cost.plan, cost.left), []).append(cost)
    for alike in groups.values():
        yield [cost.day for cost in alike], alike[0]
