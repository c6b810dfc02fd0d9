"""`covey demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federation.terms import Validity


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
) -> None:
    """Show the main job on real flights: a year of private features, their error bars, and a model that uses them."""
    from covey.demo import run_demo

    run_demo(out, store, validity)
