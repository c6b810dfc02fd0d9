"""The clock of releases and of back-fills, as options."""

from __future__ import annotations

from enum import StrEnum


class ReleaseClock(StrEnum):
    """When a release counts as readable: from its publication on, or (back-fills) from when a punctual collection ends."""

    LIVE = "live"
    REPLAY = "replay"


class ReplaySwitch(StrEnum):
    """The live collection that a back-fill stands for: it takes the panes of a day at once, or each pane when it has ended."""

    DAY = "day"
    PANE = "pane"
