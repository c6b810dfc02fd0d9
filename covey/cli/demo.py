"""`covey demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", help="Where to write the picture.")] = Path("covey-demo.png"),
    store: Annotated[Path | None, typer.Option("--store", help="Keep the private store in this directory.")] = None,
) -> None:
    """The main job on real flights: a year of private features, their error bars, and a model that uses them."""
    from covey.demo import run_demo

    run_demo(out, store)
