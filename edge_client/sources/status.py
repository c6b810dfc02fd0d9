"""How far a site's stream and event log are. The site's own metrics show it; nobody else receives it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceStatus:
    """The state of a stream and its event log, or of an event log alone.

    The counts are those of the log's whole life, exact and without noise: for the site's operator only.

    Attributes:
        connected: whether the stream is connected now. An event log without a stream always is.
        behind: records that the broker has and the log has not; None: the kind of source has no such number, or the broker
            never said.
        kept: events that the log has or had.
        duplicates: events that were dropped because the log had their `event_id`.
        bad: records that could not be understood; the log keeps the newest of them aside.
        future: events that were kept although their time is after the site's clock.
        expired: events that the log erased for their age or its size.
        lost: records that the broker had deleted before the site read them.
        log_bytes: size of the event log on disk.
        full: whether the log is full, so that nothing is read until there is room.
        trouble: why nothing is read at the moment, in words for the operator; None: nothing is wrong.
    """

    connected: bool
    behind: int | None
    kept: int
    duplicates: int
    bad: int
    future: int
    expired: int
    lost: int
    log_bytes: int
    full: bool
    trouble: str | None
