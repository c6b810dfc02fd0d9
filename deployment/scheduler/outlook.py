"""What a coordinator would do now, read without changing anything: for `--dry-run`, and for metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployment.local.unfinished_collection import Unfinished
from deployment.project.project import Project
from federation.plan import plan_from_bytes

from .collected_views import CollectedView, published_of
from .pane_states import Due, Exhausted, PaneState
from .registered_views import require_registered
from .schedule_file import Schedule, schedule_path

MOST_SHOWN = 10_000


@dataclass(frozen=True)
class ViewOutlook:
    """What comes next of one view. Times are µs since the epoch.

    Attributes:
        ready: the panes that would be planned now, increasing.
        pausing: the due panes that are tried again later.
        exhausted: the panes that were attempted too often.
        next_us: when its next pane closes; None: it is collected no longer.
    """

    collected: CollectedView
    ready: tuple[int, ...]
    pausing: tuple[int, ...]
    exhausted: tuple[int, ...]
    next_us: int | None

    @property
    def is_over(self) -> bool:
        """Whether its time has ended, and each of its panes is settled."""
        return self.next_us is None and not (self.ready or self.pausing or self.exhausted)


@dataclass(frozen=True)
class Outlook:
    """What a coordinator of a project would do now.

    Attributes:
        unfinished_until: the deadline (µs) of the kept plan, which would be continued first; None: there is none.
    """

    views: tuple[ViewOutlook, ...]
    unfinished_until: int | None


def look_ahead(directory: Path, names: Sequence[str], now_us: int) -> Outlook:
    """What a coordinator would do. Raises ProjectMissing. UsageError: no view is registered. ScheduleBroken."""
    Project.load(directory)
    views, unfinished = require_registered(directory, names), Unfinished(directory)
    until = None
    if unfinished.folder.exists():
        wire = plan_from_bytes(unfinished.load().plan).wire
        until = 0 if wire is None else wire.deadline_us
    if not schedule_path(directory).exists():
        return Outlook(tuple(_of(one, {}, None, now_us) for one in views), until)
    with Schedule(directory, read_only=True) as schedule:
        found = [_of(one, _unsettled(directory, one, schedule), schedule.frontier(one), now_us) for one in views]
    return Outlook(tuple(one for one in found if not one.is_over), until)


def _unsettled(directory: Path, one: CollectedView, schedule: Schedule) -> dict[int, PaneState]:
    """The panes of a collection in a schedule, without those that somebody has published since."""
    states = {pane: state for pane, state in schedule.states(one.collection).items() if one.takes(pane)}
    published = published_of(directory, one.view, list(states))
    return {pane: state for pane, state in states.items() if pane not in published}


def _of(one: CollectedView, states: Mapping[int, PaneState], reached: int | None, now_us: int) -> ViewOutlook:
    begin = one.first_pane(now_us) if reached is None else reached
    end = max(begin, one.last_pane_end(now_us))
    closed = range(begin, min(end, begin + MOST_SHOWN * one.view.pane_us), one.view.pane_us)
    due = {pane: state for pane, state in states.items() if isinstance(state, Due)}
    ready = [pane for pane, state in due.items() if state.is_ready(now_us) and one.closes_at(pane) <= now_us]
    pausing = sorted(due.keys() - set(ready))
    exhausted = [pane for pane, state in states.items() if isinstance(state, Exhausted)]
    return ViewOutlook(one, (*ready, *closed), tuple(pausing), tuple(exhausted), one.next_closing(end))
