"""`covey diff`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .evolution_options import FromOption, OverlapOption, RepriceOption, StoreOption, ViewsFile, timing_of


def diff(
    views_file: ViewsFile,
    store: StoreOption = Path(),
    overlap: OverlapOption = 0,
    start: FromOption = None,
    reprice: RepriceOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what `covey apply` would do, view by view: what changes, from when, what it costs, and which history goes on."""
    from deployment.printing.changes import evolution_to_json, print_evolution
    from deployment.printing.output import Output
    from deployment.project.evolution import evolution_of
    from deployment.project.project import as_collected_in
    from featurestore.define.views_file import load_views

    views = as_collected_in(store, load_views(views_file))
    found = evolution_of(store, views, timing_of(start, overlap), as_defined=reprice)
    if as_json:
        typer.echo(json.dumps(evolution_to_json(found)))
    else:
        print_evolution(found, Output())
