"""The clock of releases and of back-fills, as options."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeAlias

import typer


class ReleaseClock(StrEnum):
    """When a release counts as readable: from its publication on, or (back-fills) from when a punctual collection ends."""

    LIVE = "live"
    REPLAY = "replay"


class ReplaySwitch(StrEnum):
    """The live collection that a back-fill stands for: it takes the panes of a day at once, or each pane when it has ended."""

    DAY = "day"
    PANE = "pane"


CollectionClockOption: TypeAlias = Annotated[
    ReleaseClock,
    typer.Option(
        "--clock",
        help="live: releases are readable from their publication on. replay: a back-fill of old days; joins see each release when "
        "a punctual collection would have published it. `covey up` collects a file of old days, so its default is replay; "
        "`covey start coordinator` collects days as they end, so its default is live.",
    ),
]
