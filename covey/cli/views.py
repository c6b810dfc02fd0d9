"""`covey views`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from featurestore.define.definitions import FeatureView
    from featurestore.define.services import FeatureService
    from featurestore.online.view_rows import ViewHeader


def views(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this view.")] = None,
    store: Annotated[
        Path,
        typer.Option(
            "--store", "--project", metavar="DIR", help="The store's, or project's, directory. Default: here."
        ),
    ] = Path(),
    feast: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write a Feast repository to this directory; its server and SDK read this store (docs/feast.md).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List a store's feature services and views, with join keys, pane, windows, features, and the age of their rows."""
    from covey.feast_repo import write_repo
    from deployment.errors import UsageError
    from deployment.printing.console import talk_console
    from featurestore.online.blocks import open_blocks
    from featurestore.store import Store

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
        told = {"views": [_to_json(*one) for one in headers], "services": {one.name: one.refs for one in services}}
        typer.echo(json.dumps(told))
    else:
        _print(headers, services)


def _to_json(view: FeatureView, header: ViewHeader) -> dict[str, Any]:
    return {
        "name": view.name,
        "version": header.version,
        "join_keys": dict(zip(header.keys, header.key_types, strict=True)),
        "keys": header.size,
        "constant": header.constant is not None,
        "pane": view.pane,
        "windows": list(view.windows),
        "features": [column.name for column in header.columns if column.kind in ("value", "list")],
        "columns": [column.name for column in header.columns],
        "pane_end": _moment(header.pane_end),
        "released_at": _moment(header.released_at),
    }


def _print(headers: list[tuple[FeatureView, ViewHeader]], services: list[FeatureService]) -> None:
    from deployment.printing.console import data_console, folding_table

    out = data_console()
    shown = folding_table("view", "join keys", "pane", "windows", "features", "newest pane ends")
    for view, header in headers:
        keys = "none (constant)" if header.constant is not None else f"{', '.join(header.keys)} ({header.size:,})"
        features = " ".join(column.name for column in header.columns if column.kind in ("value", "list"))
        newest = _moment(header.pane_end) or "no release yet"
        shown.add_row(f"{view.name}@v{header.version}", keys, view.pane, " ".join(view.windows), features, newest)
    out.print(shown)
    if services:
        table = folding_table("feature service", "features")
        for one in services:
            table.add_row(one.name, " ".join(one.refs))
        out.print(table)


def _moment(us: int | None) -> str | None:
    from base.times import utc_text

    return None if us is None else utc_text(us)
