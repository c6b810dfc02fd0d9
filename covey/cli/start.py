"""`covey start`: one role of a project, in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Start one role of a project; it runs until Ctrl-C or SIGTERM.", no_args_is_help=True)

_PROJECT = typer.Option(metavar="DIR", help="The project's directory.")
_PORT = typer.Option(min=0, max=65535, help="Loopback port; 0 takes a free one.")


@app.command()
def leader(
    project: Annotated[Path, _PROJECT] = Path(),
    port: Annotated[int, _PORT] = 7301,
    helper: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the helper listens.")] = "127.0.0.1:7302",
) -> None:
    """The leader: holds the long shares, takes batches from the coordinator, drives the helper."""
    from covey.roles import serve_leader

    serve_leader(project, port, helper)


@app.command()
def helper(project: Annotated[Path, _PROJECT] = Path(), port: Annotated[int, _PORT] = 7302) -> None:
    """The helper: holds the seeds, answers the leader, decides for itself what may be opened."""
    from covey.roles import serve_helper

    serve_helper(project, port)
