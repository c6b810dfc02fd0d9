"""`covey lineage`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from .store_option import StoreOption
from .table_options import CsvOption, PlainOption, output_of

KEY: Final = "OPENLINEAGE_API_KEY"
"""The environment variable with the key of a collector, as OpenLineage's own clients name it."""


def lineage(
    part: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Only the way to and from one part: a view, a version `view@v1`, a service or a model.",
        ),
    ] = None,
    store: StoreOption = Path(),
    views: Annotated[
        Path | None,
        typer.Option("--views", metavar="VIEWS.py", help="A file with on-demand views, which are shown as well."),
    ] = None,
    openlineage: Annotated[
        str | None, typer.Option(metavar="URL", help=f"Send it to a collector of OpenLineage events. Its key: {KEY}.")
    ] = None,
    events: Annotated[
        bool, typer.Option("--events", help="Print the OpenLineage events, one a line, instead of sending them.")
    ] = False,
    namespace: Annotated[
        str | None,
        typer.Option(help="The namespace of jobs and datasets. Default: covey:// and the project's name."),
    ] = None,
    plain: PlainOption = False,
    csv: CsvOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show where values come from and go to: source, views, plans, releases, services, models. Or send it as OpenLineage events."""
    from base.times import wall_clock
    from covey import __version__
    from deployment.errors import UsageError
    from deployment.lineage.emission import Collector, emit
    from deployment.lineage.graph import lineage_of
    from deployment.lineage.openlineage import Emitter, events_of
    from deployment.printing.console import talk_console
    from deployment.printing.lineage import lineage_to_json, print_lineage
    from featurestore.define.views_file import load_declared
    from featurestore.store import Store

    out = output_of(plain=plain, csv=csv, as_json=as_json)
    if (events or openlineage is not None) and (part is not None or as_json or (events and openlineage is not None)):
        raise UsageError("give one of NAME, --events and --openlineage; events are JSON already")
    collector = None if openlineage is None else Collector.parse(openlineage, os.environ.get(KEY))
    on_demand = () if views is None else load_declared(views, need_views=False).on_demand
    with Store.open(store, on_demand=on_demand) as opened:
        if not events and collector is None:
            graph = lineage_of(opened)
            if part is not None:
                graph = graph.around(graph.find(part).id)
            if as_json:
                typer.echo(json.dumps(lineage_to_json(graph)))
            else:
                print_lineage(graph, out)
            return
        made = events_of(opened, Emitter.of(store, __version__, namespace), wall_clock())
        if collector is None:
            for event in made:
                typer.echo(json.dumps(event))
            return
        sent = emit(made, collector, time.sleep)
    talk_console().print(f"{sent:,} event(s) sent to {collector.url}", soft_wrap=True)
