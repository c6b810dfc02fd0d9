"""`covey demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from base.extras import require_extra
from federation.terms import Validity

from .console import console as run_console
from .listening_options import PortOption

_KEPT: Final = Path("flights-store")


def demo(
    out: Annotated[Path, typer.Option("--out", help="Where to write the picture.")] = Path("covey-demo.png"),
    store: Annotated[Path | None, typer.Option("--store", help="Keep the private store in this directory.")] = None,
    validity: Annotated[
        Validity,
        typer.Option(
            help="prio3: reports prove that they are within their view's bounds, and a table says what that costs; "
            "takes some minutes."
        ),
    ] = Validity.NONE,
    console: Annotated[
        bool,
        typer.Option(
            "--console",
            help="Keep the store (default: flights-store), and show it in a browser at the end; a store from before at once.",
        ),
    ] = False,
    port: PortOption = 6580,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="With --console: open the page in this machine's browser.")
    ] = True,
) -> None:
    """Show the main job on real flights: a year of private features, their error bars, and a model that uses them."""
    from covey.demo import run_demo

    if not console:
        run_demo(out, store, validity)
        return
    require_extra("console", "the console")
    kept = store or _KEPT
    if not _has_store(kept):
        run_demo(out, kept, validity)
    _show(kept, port, open_browser)


def _has_store(directory: Path) -> bool:
    from featurestore.errors import StoreNotFound
    from featurestore.store import Store

    try:
        Store.open(directory).close()
    except StoreNotFound:
        return False
    return True


def _show(directory: Path, port: int, open_browser: bool) -> None:
    """Serve the console of the demo's store, with its flights as events."""
    from base.role_process import working_as
    from covey.demo.project_files import EVENTS, VIEWS, write_project_files
    from simulations.datasets.flights import CLIENT_COLUMN, SITE_COLUMN, TIME_COLUMN

    write_project_files(directory)
    with working_as("console"):
        run_console(
            store=directory,
            views=directory / VIEWS,
            events=str(directory / EVENTS),
            client_column=CLIENT_COLUMN,
            time_column=TIME_COLUMN,
            site_column=SITE_COLUMN,
            port=port,
            open_browser=open_browser,
        )
