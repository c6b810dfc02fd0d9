"""The options of commands that change views."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from .store_option import StoreOption

if TYPE_CHECKING:
    from featurestore.registry.hand_over import Timing

__all__ = ["FromOption", "OverlapOption", "RepriceOption", "StoreOption", "ViewsFile", "YesOption", "timing_of"]

ViewsFile: TypeAlias = Annotated[
    Path, typer.Argument(metavar="VIEWS.py", help="A Python file with FeatureView objects at module level.")
]
OverlapOption: TypeAlias = Annotated[
    int,
    typer.Option(
        "--overlap",
        min=0,
        metavar="DAYS",
        help="For how many days the old collection goes on beside the new one; each of these days is charged for both.",
    ),
]
FromOption: TypeAlias = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        formats=["%Y-%m-%d"],
        metavar="DATE",
        help="The UTC day with which new collections begin. Default: tomorrow.",
    ),
]
RepriceOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--reprice",
        help="Give views that an earlier version of Covey registered their present prices; `covey explain` shows both.",
    ),
]
YesOption: TypeAlias = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask before something is newly collected.")
]


def timing_of(start: datetime | None, overlap: int) -> Timing:
    """When new collections take over, by the wall clock."""
    from datetime import UTC

    from base.times import to_us, wall_clock
    from featurestore.registry.hand_over import Timing

    return Timing(wall_clock(), None if start is None else to_us(start.replace(tzinfo=UTC)), overlap)
