"""What a coordinator did, or waits for: one record a step, for people, programs and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .schedule_file import Holder


@dataclass(frozen=True)
class WaitsForTurn:
    """Another coordinator of this project runs. This one takes over when it ends."""

    holder: Holder | None


@dataclass(frozen=True)
class NothingRegistered:
    """The store has no view to collect."""


@dataclass(frozen=True)
class ClockWentBack:
    """The clock is behind the last transition. Nothing new closes until it has caught up."""

    by_us: int


@dataclass(frozen=True)
class Begins:
    """A plan begins.

    Attributes:
        panes: the starts (µs) of the planned panes, by view.
        resumes: it was begun earlier.
    """

    panes: Mapping[str, tuple[int, ...]]
    resumes: bool


@dataclass(frozen=True)
class Ended:
    """A plan has ended.

    Attributes:
        result: see `deployment.coordinator.publication.summary_of`.
        given_up: the starts of the panes that were published void because the project waits no longer, by view.
    """

    result: Mapping[str, Any]
    given_up: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Failed:
    """A step failed. Nothing is lost.

    Attributes:
        retry_us: when the next step is tried, µs since the epoch.
        is_kept: the plan is on disk, and is continued.
    """

    error: Exception
    retry_us: int
    is_kept: bool


@dataclass(frozen=True)
class Busy:
    """Another command collects into the store now."""

    retry_us: int


@dataclass(frozen=True)
class Idle:
    """Nothing can be planned now.

    Attributes:
        next_us: when the next pane closes or is tried again; None: never, as it stands.
        views: the views that come next.
    """

    next_us: int | None
    views: tuple[str, ...]


Step: TypeAlias = WaitsForTurn | NothingRegistered | ClockWentBack | Begins | Ended | Failed | Busy | Idle
