"""The shared options of `get`, `history` and `join`, and their values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .store_option import store_directory

if TYPE_CHECKING:
    from featurestore.remote.store import RemoteStore
    from featurestore.store import Store

StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="DIR|URL",
        callback=store_directory,
        help="The store's directory, the folder store in it, or the URL of its server: http://…, grpc://….",
    ),
]
ViewsOption = Annotated[
    Path | None,
    typer.Option("--views", metavar="VIEWS.py", help="A file with on-demand views, which can then be read as well."),
]
ServiceOption = Annotated[
    str | None, typer.Option("--service", metavar="NAME", help="Request a feature service instead of single features.")
]
OutOption = Annotated[Path, typer.Option("--out", help="Where to write: a .parquet or .csv file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")]
DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S"]


def opened_store(store: str, views: Path | None) -> Store | RemoteStore:
    """Open a store by its directory or URL, with the on-demand views of a file."""
    from deployment.errors import UsageError
    from featurestore.define.views_file import load_declared
    from featurestore.store import Store

    if views is not None and "://" in store:
        raise UsageError("--views is for a store's directory; a server has its own (`covey serve --views`)")
    return Store.open(store, on_demand=() if views is None else load_declared(views, need_views=False).on_demand)


def references(store: Store | RemoteStore, refs: list[str], service: str | None) -> list[str]:
    """The requested references, single ones or those of a service."""
    from deployment.errors import UsageError

    if service is None:
        return refs
    if refs:
        raise UsageError("--service names all features; leave out the single features")
    return list(store.service(service).refs)


def report_written(rows: int, out: Path, *, as_json: bool) -> None:
    """Report the written file: on stderr, or as JSON on stdout."""
    from deployment.printing.console import talk_console

    if as_json:
        typer.echo(json.dumps({"rows": rows, "path": str(out)}))
    else:
        talk_console().print(f"{rows:,} rows written to {out}", soft_wrap=True)
