"""`covey reprice`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .store_option import StoreOption


def reprice(
    views_file: Annotated[Path, typer.Argument(metavar="VIEWS.py", help="The Python file that defines the view.")],
    name: Annotated[str, typer.Argument(help="The view's name.")],
    store: StoreOption = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Change a registered view from the price of an earlier version to the present one; `covey explain --store` shows both.

    A view with published panes keeps its price; give it a new name.
    """
    from base.times import wall_clock
    from deployment.errors import ItemMissing
    from deployment.printing.console import talk_console
    from deployment.printing.reprice import print_repriced, repriced_to_json
    from deployment.project.project import as_collected_in
    from deployment.project.reprice import reprice as reprice_view
    from featurestore.define.views_file import load_views

    known = {view.name: view for view in as_collected_in(store, load_views(views_file))}
    if name not in known:
        raise ItemMissing(f"{views_file} has no view {name!r}; its views: {', '.join(known)}")
    done = reprice_view(store, known[name], wall_clock)
    if as_json:
        typer.echo(json.dumps(repriced_to_json(done)))
    else:
        print_repriced(done, talk_console())
