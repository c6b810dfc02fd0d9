"""`covey start`: one role of a project, in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

from datetime import datetime
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


@app.command()
def site(
    site: Annotated[str, typer.Argument(help="The site's id, as on the aggregators' rosters.")],
    project: Annotated[Path, _PROJECT] = Path(),
    superlink: Annotated[str, typer.Option(metavar="HOST:PORT", help="Flower's SuperLink.")] = "127.0.0.1:8000",
    events: Annotated[
        Path | None, typer.Option(help="This site's events; with the columns, they are written to its configuration.")
    ] = None,
    client_column: Annotated[str | None, typer.Option(help="Whose event it is.")] = None,
    time_column: Annotated[str | None, typer.Option(help="When it happened.")] = None,
    allow_noise_off: Annotated[bool, typer.Option("--allow-noise-off", help="For tests and labs only.")] = False,
) -> None:
    """One site: a real SuperNode that answers the coordinator's plans over its own events."""
    from covey.deployment import become_site, configure_site
    from covey.errors import UsageError

    if events is not None:
        if client_column is None or time_column is None:
            raise UsageError("--events goes with --client-column and --time-column")
        configure_site(project, site, events, client_column, time_column, allow_noise_off=allow_noise_off)
    become_site(project, site, superlink)


@app.command()
def coordinator(
    views_file: Annotated[Path, typer.Argument(metavar="VIEWS.py", help="The feature views to collect.")],
    start: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC day.")],
    end: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The UTC day after the last.")],
    project: Annotated[Path, _PROJECT] = Path(),
    superlink: Annotated[str, typer.Option(metavar="HOST:PORT", help="Flower's SuperLink.")] = "127.0.0.1:8000",
    leader: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the leader listens.")] = "127.0.0.1:7301",
    helper: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the helper listens.")] = "127.0.0.1:7302",
    noise: Annotated[str, typer.Option(metavar="on|off", help="off: every party must allow it.")] = "on",
    seconds: Annotated[float, typer.Option(min=1, help="How long the sites have to answer.")] = 300.0,
) -> int:
    """The coordinator of one collection: announces a plan, waits for the sites, opens, publishes, ends."""
    import json

    from covey.deployment import run_coordinator
    from covey.errors import DONE, NOTHING_RELEASED, UsageError
    from covey.running import utc_days, wall_clock
    from covey.views_file import load_views

    days = utc_days(start, end)
    if noise not in ("on", "off") or days is None:
        raise UsageError(f"--noise is on or off, got {noise!r}")
    result = run_coordinator(
        project,
        load_views(views_file),
        days,
        superlink=superlink,
        leader=leader,
        helper=helper,
        noise="none" if noise == "off" else "full",
        seconds=seconds,
        clock=wall_clock,
    )
    typer.echo(json.dumps(result))
    return DONE if any(view["opened"] for view in result["views"].values()) else NOTHING_RELEASED


@app.command()
def server(
    project: Annotated[Path, _PROJECT] = Path(),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Loopback port; 0 takes a free one.")] = 6566,
) -> None:
    """The feature server of the project's store: the same as `covey serve`."""
    from .serve import serve

    serve(store=project, host="127.0.0.1", port=port)
