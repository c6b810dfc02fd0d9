"""`covey watch`."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .store_option import store_directory

if TYPE_CHECKING:
    from featurestore.registry.watch import Published


def watch(
    view: Annotated[
        str | None, typer.Argument(metavar="[VIEW]", help="The view's name. Default: all views of a directory.")
    ] = None,
    store: Annotated[
        str,
        typer.Option(
            "--store",
            "--project",
            metavar="DIR|URL",
            callback=store_directory,
            help="The store's or project's directory, or the URL of its server: http://…, grpc://…. Default: here.",
        ),
    ] = ".",
    after: Annotated[
        int | None,
        typer.Option(min=0, metavar="SEQ", help="Begin after this publication; 0: print all. Default: from now on."),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="The number of panes after which to end. Default: never.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Print each pane when it is published, one line a pane, until Ctrl-C: its times, and how long after its end it came."""
    from itertools import islice

    from deployment.errors import UsageError
    from deployment.inspect.arrivals import arrivals, newest_publication
    from featurestore.store import Store

    with Store.open(store) as opened:
        if view is None and not isinstance(opened, Store):
            raise UsageError("a store behind a server is watched view by view: name a VIEW")
        if view is not None or not isinstance(opened, Store):
            panes = opened.watch(view or "", after)
        else:
            panes = arrivals(opened, newest_publication(Path(store)) if after is None else after)
        for one in islice(panes, count):
            typer.echo(json.dumps(_as_dict(one)) if as_json else _line(one))


def _line(one: Published) -> str:
    from base.times import utc_text

    pane = f"pane {utc_text(one.pane_start)} to {utc_text(one.pane_end)}"
    why = "" if one.reason is None else f" ({one.reason})"
    late = timedelta(seconds=round((one.published_at - one.pane_end) / 1e6))
    times = f"released {utc_text(one.released_at)}, published {late} after its end"
    return f"{one.seq:>6}  {one.view}@v{one.version}  {pane}  {one.state}{why}, {times}"


def _as_dict(one: Published) -> dict[str, Any]:
    from base.times import utc_text

    return {
        "view": one.view,
        "version": one.version,
        "seq": one.seq,
        "release_id": one.release_id.hex(),
        "pane_start": utc_text(one.pane_start),
        "pane_end": utc_text(one.pane_end),
        "released_at": utc_text(one.released_at),
        "published_at": utc_text(one.published_at),
        "late_s": (one.published_at - one.pane_end) / 1e6,
        "state": one.state,
        "reason": one.reason,
    }
