"""The state of a project, for people: tables of its views and running roles, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deployment.inspect.ledger_view import moment_of
from deployment.inspect.status import ProjectStatus
from federation.rho import rho_text

from .console import pane_ranges, talk_console
from .output import Output
from .supervision import role_table
from .tables import Table


def print_status(status: ProjectStatus, directory: Path, out: Output) -> None:
    """Print the tables of views and roles on stdout, and the rest on stderr."""
    table = Table("view", "opened", "void", "due", title=status.project.name)
    for one in status.views:
        table.add_row(one.view.name, one.opened, one.void, len(one.due))
    out.table(table)
    talk = talk_console()
    if status.deployment is None:
        talk.print("no role runs under `covey up`", soft_wrap=True)
    else:
        out.table(role_table(status.deployment), aside=True)
    sites = status.project.roster.entries
    talk.print(f"{len(sites):,} site(s) on the roster; a collection needs answers of {status.project.sites_needed:,}")
    for owner, left in status.budget_left.items():
        said = "broken: covey ledger show says why" if left is None else f"rho {rho_text(left)} left of its last day"
        talk.print(f"ledger of {owner}: {said}", style="red" if left is None else None, soft_wrap=True)
    for site, views in status.late_events.items():
        counts = ", ".join(f"{view}: {events:,}" for view, events in views.items())
        talk.print(
            f"site {site}: events that came after their pane was reported, which are never counted: {counts}",
            soft_wrap=True,
        )
    for line in next_steps(status, directory):
        talk.print(line, style="yellow", soft_wrap=True)


def next_steps(status: ProjectStatus, directory: Path) -> Iterator[str]:
    """What to do next, each with its command."""
    command = f"covey collect --project {directory}"
    if status.unfinished_until is not None:
        yield (
            f"next: a plan is unfinished (its deadline is {moment_of(status.unfinished_until)}): `{command} --resume`, or "
            f"`{command} --give-up`"
        )
    for one in status.views:
        name = one.view.name
        if len(one.exhausted):
            yield f"next: {name}: attempted too often: {pane_ranges(one.exhausted.tolist())}: `covey release void {name} PANE`"
        if open_due := sorted(set(one.due.tolist()) - set(one.exhausted.tolist())):
            yield f"next: {name}: due: {pane_ranges(open_due)}: `{command} --once` collects what is due"
    if not status.views:
        yield f"next: nothing is registered yet: `covey apply VIEWS.py --project {directory}`, then `{command}`"
