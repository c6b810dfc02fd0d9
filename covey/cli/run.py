"""`covey run`."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from covey.running import RunReport
    from simulations.in_process import ViewReport

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S"]


def run(
    views_file: Annotated[
        Path, typer.Argument(metavar="VIEWS.py", help="A Python file with FeatureView objects at module level.")
    ],
    events: Annotated[Path, typer.Option(help="The events: a .parquet or .csv file.")],
    client_column: Annotated[str, typer.Option(help="Whose event it is.")],
    time_column: Annotated[str, typer.Option(help="When it happened; a view may name another column.")],
    store: Annotated[Path, typer.Option(help="The store's directory; made if it does not exist.")],
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Run all roles in this process, instead of one process for each.")
    ] = False,
    site_column: Annotated[
        str | None, typer.Option(help="Which site holds it; an identity is (site, client). Default: one site.")
    ] = None,
    sites: Annotated[int, typer.Option(min=1, help="Without --site-column: hash the clients to so many sites.")] = 1,
    start: Annotated[
        datetime | None, typer.Option("--from", formats=_DATES, help="First UTC day. Default: the days with events.")
    ] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=_DATES, help="The UTC day after the last.")] = None,
    noise: Annotated[
        str, typer.Option(metavar="on|off", help="off: for tests and labs; releases are marked noise=none.")
    ] = "on",
    min_clients: Annotated[
        int | None, typer.Option(help="k instead of the views' own; may only tighten, except with --noise off.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> int:
    """Collect feature views over events: compute, protect, aggregate, add noise, publish.

    Panes that an earlier run opened are skipped and listed; the same command continues a run that was interrupted.
    """
    from covey.errors import DONE, NOTHING_RELEASED, UsageError
    from covey.running import run as run_views
    from covey.views_file import load_views

    from .talk import progress_bars

    talk = Console(stderr=True, highlight=False)
    if noise not in ("on", "off"):
        raise UsageError(f"--noise is on or off, got {noise!r}")
    if noise == "off":
        talk.print("warning: noise is off. The exact sums are published, without any privacy.", style="bold yellow")
    views = load_views(views_file)
    with progress_bars(talk) as progress:
        report = run_views(
            views,
            events,
            store=store,
            client_column=client_column,
            time_column=time_column,
            site_column=site_column,
            start=start,
            end=end,
            noise="off" if noise == "off" else "on",
            min_clients=min_clients,
            in_process=in_process,
            sites=sites,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(_as_dict(report)))
    else:
        _print(report, talk)
    return DONE if report.opened or report.already_open else NOTHING_RELEASED


def _print(report: RunReport, talk: Console) -> None:
    from rich.table import Table

    table = Table("view", "reports", "opened", "void", "already open", title=f"{report.store}")
    for view in report.views:
        counts = (view.reports, view.opened, view.void, len(view.already_open))
        table.add_row(view.view, *("–" if count is None else f"{count:,}" for count in counts))
    Console().print(table)
    codes = Counter(code for code in report.answers.values() if code != "OK")
    for code, count in codes.most_common():
        who = ", ".join(sorted(site for site, answer in report.answers.items() if answer == code)[:5])
        talk.print(f"{count} site(s) answered {code}: {who}{' …' if count > 5 else ''}", markup=False)
    for view in report.views:
        for line in _remarks(view):
            talk.print(f"{view.view}: {line}", markup=False)
    if not report.opened and not report.already_open:
        talk.print("nothing was released: no pane had enough clients (see min_clients in the views)", style="yellow")


def _remarks(view: ViewReport) -> list[str]:
    from .talk import day_ranges, pane_ranges

    lines = []
    if view.already_open:
        lines.append(f"already open, skipped: {pane_ranges(view.already_open)}")
    if view.days_not_over:
        lines.append(f"not over yet, skipped: {day_ranges(view.days_not_over)}")
    if view.void:
        lines.append(f"{view.void:,} pane(s) void: fewer clients than min_clients")
    reasons = {
        "null_client": "without a client or site",
        "null_time": "without a time",
        "null_key": "without a join key",
        "unknown_key": "with a join key outside the domain",
        "over_bounds": "over max_cells or max_events_per_cell",
    }
    dropped = [f"{count:,} {reasons[name]}" for name, count in vars(view.dropped).items() if count]
    if dropped:
        lines.append(f"events not counted: {', '.join(dropped)}")
    return lines


def _as_dict(report: RunReport) -> dict[str, object]:
    from .talk import day_ranges, pane_ranges

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
                "already_open": len(view.already_open),
                "already_open_panes": pane_ranges(view.already_open),
                "days_not_over": day_ranges(view.days_not_over),
                "dropped": vars(view.dropped),
            }
            for view in report.views
        ],
    }
