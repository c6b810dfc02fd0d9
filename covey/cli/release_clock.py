"""The clock of releases, as an option."""

from __future__ import annotations

from enum import StrEnum


class ReleaseClock(StrEnum):
    """When a release counts as readable: from its publication on, or (back-fills) from when a punctual collection ends."""

    LIVE = "live"
    REPLAY = "replay"
