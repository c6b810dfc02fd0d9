"""The option that names the events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

EVENT_FILES: Final = "a .parquet or .csv file, a folder of such files, or a quoted pattern such as 'days/*.parquet'"

EventsOption: TypeAlias = Annotated[
    Path | None, typer.Option("--events", metavar="PATH", help=f"The events: {EVENT_FILES}.")
]
