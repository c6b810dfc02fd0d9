"""`covey views`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .store_option import StoreOption
from .table_options import CsvOption, PlainOption, output_of


def views(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this view.")] = None,
    store: StoreOption = Path(),
    feast: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write a Feast repository to this directory; its server and SDK read this store (docs/feast.md).",
        ),
    ] = None,
    plain: PlainOption = False,
    csv: CsvOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List a store's feature services and views, with join keys, pane, windows, features, and the age of their rows."""
    from covey.feast_repo import write_repo
    from deployment.errors import UsageError
    from deployment.printing.console import talk_console
    from deployment.printing.views import print_views, view_to_json
    from featurestore.online.blocks import open_blocks
    from featurestore.store import Store

    out = output_of(plain=plain, csv=csv, as_json=as_json)
    if feast is not None:
        if name is not None:
            raise UsageError("--feast writes the definitions of all views; leave out the name")
        written = write_repo(store, feast)
        if as_json:
            typer.echo(json.dumps({"written": [str(path) for path in written]}))
        else:
            talk_console().print(
                f"written: {', '.join(map(str, written))}; next: feast -c {feast} apply", soft_wrap=True
            )
        return
    snapshot = open_blocks(store).snapshot
    with Store.open(store) as opened:
        headers = [(view, snapshot.find(view.name).header) for view in opened.views()]
        services = opened.services()
    if name is not None:
        snapshot.find(name)
        headers = [(view, header) for view, header in headers if view.name == name]
        services = []
    if as_json:
        listed = {
            "views": [view_to_json(*one) for one in headers],
            "services": {one.name: one.refs for one in services},
        }
        typer.echo(json.dumps(listed))
    else:
        print_views(headers, services, out)
