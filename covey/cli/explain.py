"""`covey explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .store_option import store_directory
from .table_options import CsvOption, PlainOption, output_of


def explain(
    views_file: Annotated[
        Path, typer.Argument(metavar="VIEWS.py", help="A Python file with FeatureView objects at module level.")
    ],
    site_clients: Annotated[
        int,
        typer.Option(
            min=0,
            max=2**31 - 1,
            help="With --report-per site: the most clients of a site. 0: each client sends a report.",
        ),
    ] = 0,
    store: Annotated[
        Path,
        typer.Option(
            "--store",
            "--project",
            metavar="DIR",
            callback=store_directory,
            help="The store's or project's directory, for its default of `noisers` and the prices that it has. Default: here.",
        ),
    ] = Path(),
    plain: PlainOption = False,
    csv: CsvOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the privacy label before anything is collected: the price of each view, and its expected errors."""
    from deployment.errors import UsageError
    from deployment.inspect.explain import label_of
    from deployment.printing.explanation import print_label
    from deployment.project.project import as_collected_in
    from featurestore.define.views_file import load_views

    if not store.is_dir():
        raise UsageError(f"there is no directory {store}; --store or --project names an existing one")
    out = output_of(plain=plain, csv=csv, as_json=as_json)
    label = label_of(as_collected_in(store, load_views(views_file)), site_clients, store)
    if as_json:
        typer.echo(json.dumps(label.to_dict()))
        return
    print_label(label, out)
