"""The options that name the events, and their columns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

EVENT_FILES: Final = (
    "a .parquet, .csv or .jsonl file, a folder of such files, or a quoted pattern such as 'days/*.parquet'"
)

EventsOption: TypeAlias = Annotated[
    Path | None, typer.Option("--events", metavar="PATH", help=f"The events: {EVENT_FILES}.")
]
ClientColumnOption: TypeAlias = Annotated[str | None, typer.Option(help="The column with the client of an event.")]
TimeColumnOption: TypeAlias = Annotated[str | None, typer.Option(help="The column with the time of an event.")]


def both_columns(client_column: str | None, time_column: str | None, events: str = "--events") -> tuple[str, str]:
    """The columns of a site's events. Raises UsageError: one is missing."""
    from deployment.errors import UsageError

    if client_column is None or time_column is None:
        raise UsageError(f"{events} needs --client-column and --time-column")
    return client_column, time_column
