"""The shared options of the `covey lab` commands: views, events, and the picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from featurestore.define.definitions import FeatureView

ViewsFile: TypeAlias = Annotated[
    Path | None, typer.Argument(metavar="VIEWS.py", help="A Python file with FeatureView objects at module level.")
]
ClientColumn: TypeAlias = Annotated[str | None, typer.Option(help="The column with the client of an event.")]
TimeColumn: TypeAlias = Annotated[
    str | None, typer.Option(help="The column with the time of an event; a view may name another one.")
]
SiteColumn: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="The column with the site of an event; a client is identified by (site, client). Default: one site."
    ),
]
PictureFile: TypeAlias = Annotated[Path | None, typer.Option(metavar="FILE.png", help="Also draw a picture.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def require_hydra() -> None:
    """Return if Hydra, which composes configurations, is installed. Raises UsageError."""
    from importlib.util import find_spec

    from deployment.errors import UsageError

    if find_spec("hydra") is None:
        raise UsageError("experiments need Hydra: pip install 'covey[lab]'")


def what_to_collect(
    views_file: Path | None,
    events: Path | None,
    client_column: str | None,
    time_column: str | None,
    site_column: str | None,
) -> tuple[list[FeatureView], Any, dict[str, Any]]:
    """Views, events and their columns: the user's ones, or the example of a week of flights."""
    from deployment.errors import UsageError
    from edge_client.sources.files.reading import read_events
    from featurestore.define.views_file import load_views
    from simulations.datasets.flights import CLIENT_COLUMN, SITE_COLUMN, TIME_COLUMN, a_week_of_flights

    needed = {
        "VIEWS.py": views_file,
        "--events": events,
        "--client-column": client_column,
        "--time-column": time_column,
    }
    if not any(needed.values()) and site_column is None:
        view, table = a_week_of_flights()
        return [view], table, {"client_column": CLIENT_COLUMN, "time_column": TIME_COLUMN, "site_column": SITE_COLUMN}
    if views_file is None or events is None or client_column is None or time_column is None:
        missing = ", ".join(name for name, value in needed.items() if value is None)
        raise UsageError(f"missing {missing}; leave out all of them to use a week of flights")
    views = list(load_views(views_file))
    table = read_events(events, views, client_column, time_column, site_column)
    return views, table, {"client_column": client_column, "time_column": time_column, "site_column": site_column}
