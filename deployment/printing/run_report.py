"""The result of a run, view by view: a table, remarks, or JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console

from featurestore.online.settings import store_path
from featurestore.registry.registry import Registry

from .console import day_ranges, in_words, pane_ranges
from .output import Output
from .tables import Table

if TYPE_CHECKING:
    from deployment.in_process.run import ViewReport
    from deployment.run import RunReport
    from deployment.run_services import RunServices


def published_voids(report: RunReport) -> dict[str, int]:
    """By view, the number of voids among the panes that this run skipped because an earlier run had published them."""
    voids = {view.view: 0 for view in report.views}
    skipped = [view for view in report.views if view.already_open]
    if skipped:
        registry = Registry(store_path(report.store) / "registry.db", read_only=True)
        for view in skipped:
            starts = set(view.already_open)
            panes = registry.panes(registry.view(view.view), min(starts), max(starts) + 1)
            voids[view.view] = sum(not pane.opened and pane.pane_start in starts for pane in panes)
        registry.close()
    return voids


def print_run(report: RunReport, voids: dict[str, int], services: RunServices, talk: Console) -> None:
    """Print a table of the views on stdout, and remarks about them on stderr.

    Args:
        voids: see `published_voids`.
    """
    table = Table("view", "reports", "opened", "void", "already published", title=str(report.store))
    for view in report.views:
        table.add_row(view.view, view.reports, view.opened, view.void, len(view.already_open))
    Output().table(table)
    codes = Counter(code for code in report.answers.values() if code != "OK")
    for code, count in codes.most_common():
        who = ", ".join(sorted(site for site, answer in report.answers.items() if answer == code)[:5])
        talk.print(f"{count} site(s) answered {code}: {who}{' …' if count > 5 else ''}{in_words(code)}")
    for view in report.views:
        for line in _remarks(view, voids[view.view]):
            talk.print(f"{view.view}: {line}")
    for service in services.waiting:
        talk.print(
            f"service {service} is not registered: it reads a view that this run left out and the store does not have"
        )
    if not report.opened and not report.already_open:
        talk.print(f"nothing was released: {_why_nothing(report)}", style="yellow")


def _why_nothing(report: RunReport) -> str:
    if any(view.void for view in report.views):
        return "no pane had enough clients (see min_clients in the views)"
    if any(view.days_not_over for view in report.views):
        return (
            "the days are not over yet, or their releases are not due yet (release_delay); run the command again later"
        )
    return "no event has a time, so there is no day to collect"


def _remarks(view: ViewReport, published_void: int) -> list[str]:
    lines = []
    if view.rejected:
        lines.append(f"{view.rejected:,} report(s) rejected: the proof does not verify")
    if view.already_open:
        opened = len(view.already_open) - published_void
        states = f"{opened:,} opened, {published_void:,} void"
        lines.append(f"already published: {states}; skipped: {pane_ranges(view.already_open)}")
    if view.days_not_over:
        lines.append(f"not over yet, skipped: {day_ranges(view.days_not_over)}")
    if view.void:
        lines.append(f"{view.void:,} pane(s) void: fewer clients than min_clients")
    reasons = {
        "null_client": "without a client or site, or in an unreadable row",
        "null_time": "without a time",
        "null_key": "without a join key",
        "unknown_key": "with a join key outside the domain",
        "over_bounds": "over max_cells or max_events_per_cell",
    }
    dropped = [f"{count:,} {reasons[name]}" for name, count in vars(view.dropped).items() if count]
    if dropped:
        lines.append(f"events not counted: {', '.join(dropped)}")
    return lines


def run_to_json(report: RunReport, voids: dict[str, int], services: RunServices) -> dict[str, object]:
    """The output of `print_run` as JSON."""
    return {
        "store": str(report.store),
        "noise": report.noise,
        "answers": report.answers,
        "views": [
            {
                "view": view.view,
                "reports": view.reports,
                "opened": view.opened,
                "void": view.void,
                "rejected": view.rejected,
                "already_open": len(view.already_open),
                "already_open_void": voids[view.view],
                "already_open_panes": pane_ranges(view.already_open),
                "days_not_over": day_ranges(view.days_not_over),
                "dropped": vars(view.dropped),
            }
            for view in report.views
        ],
        "services": list(services.registered),
        "services_waiting": list(services.waiting),
    }
