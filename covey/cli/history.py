"""`covey history`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from .read_options import DATES, JsonOption, OutOption, StoreOption, opened_store, report_written


def history(
    view: Annotated[str, typer.Argument(metavar="VIEW", help="The view's name.")],
    store: StoreOption,
    out: OutOption,
    start: Annotated[datetime | None, typer.Option("--from", formats=DATES, help="First pane start (UTC).")] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=DATES, help="Pane starts before this (UTC).")] = None,
    intervals: Annotated[
        bool, typer.Option("--intervals/--no-intervals", help="Whether OUT has 95 % intervals, __lo and __hi.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Write every row of a view: one for each join key and closed pane. `covey get --help` explains each __status."""
    from deployment.inspect.row_file import require_writable, write_rows

    require_writable(out)
    with opened_store(store, None) as opened:
        table = opened.history(view, start, end, intervals=intervals)
    report_written(write_rows([table], table.schema, out), out, as_json=as_json)
