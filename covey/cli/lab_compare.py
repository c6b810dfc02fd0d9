"""`covey lab compare`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from .events_option import EventsOption
from .lab_options import (
    AsJson,
    ClientColumn,
    PictureFile,
    SiteColumn,
    TimeColumn,
    ViewsFile,
    what_to_collect,
)

if TYPE_CHECKING:
    from rich.console import Console

    from simulations.reports.comparison.compare import Comparison


def compare(
    views_file: ViewsFile = None,
    events: EventsOption = None,
    client_column: ClientColumn = None,
    time_column: TimeColumn = None,
    site_column: SiteColumn = None,
    view: Annotated[str | None, typer.Option(help="The view to compare. Default: the first one of the file.")] = None,
    reports: Annotated[
        int | None, typer.Option(min=1, help="The most reports to carry. Default: all, unless reports are long.")
    ] = None,
    picture: PictureFile = None,
    as_json: AsJson = False,
) -> int:
    """Send the reports of one pane under each protection, and show costs and trust assumptions.

    Protections: plaintext, shares, shares + prio3, he, and CKKS as NVFlare ships it. All carry the same reports, those of the
    pane with the most reports. Noise is off, so that the sums can be compared. Default events: a week of flights.
    """
    from base.errors import DONE
    from deployment.printing.console import progress_bars, talk_console
    from edge_client.events import make_events
    from simulations.reports.comparison.compare import choose_view
    from simulations.reports.comparison.compare import compare as run_compare
    from simulations.reports.comparison.picture import draw, require_png
    from simulations.reports.comparison.text import as_dict

    talk = talk_console()
    if picture is not None:
        require_png(picture)
    views, table, columns = what_to_collect(views_file, events, client_column, time_column, site_column)
    chosen = choose_view(views, view)
    with progress_bars(talk) as progress:
        comparison = run_compare(chosen, make_events(table, *columns.values()), most_reports=reports, progress=progress)
    if as_json:
        typer.echo(json.dumps(as_dict(comparison)))
    else:
        _print(comparison, talk)
    if picture is not None:
        draw(comparison, picture)
        talk.print(f"picture written to {picture}", soft_wrap=True)
    return DONE


def _print(comparison: Comparison, talk: Console) -> None:
    from base.times import DAY_US, from_us
    from deployment.printing.output import Output
    from deployment.printing.tables import Table
    from simulations.reports.comparison.text import ROWS, in_short, in_time

    measured = [one for one in comparison.protections if one.cost is not None]
    start = from_us(comparison.pane_start).strftime(
        "%Y-%m-%d" if comparison.pane_start % DAY_US == 0 else "%Y-%m-%dT%H:%MZ"
    )
    title = (
        f"{comparison.view}, pane {start}: {comparison.reports:,} report(s) of {comparison.slots:,} slot(s), "
        f"of {comparison.clients:,} client(s)"
    )
    caption = "CPU time, on one machine; upload without header and seal of a batch; error in units of a slot, noise off"
    table = Table("", *(one.protection.name for one in measured), title=title, caption=caption, light=True)
    for what, cells in zip(ROWS, zip(*map(in_short, measured), strict=True), strict=True):
        table.add_row(what, *cells)
    table.add_section()
    table.add_row("privacy holds if", *(one.protection.privacy_holds_if for one in measured))
    table.add_row("a client's bad input", *(one.protection.bad_input for one in measured))
    Output().table(table)
    for one in comparison.protections:
        if one.skipped is not None:
            talk.print(f"{one.protection.name}: skipped: {one.skipped}", style="yellow", soft_wrap=True)
    talk.print(f"computing a report's vector takes {in_time(comparison.compute_s)}, under each protection")
    talk.print(f"load of the machine: {os.getloadavg()[0]:.1f}")
