"""The panes that a run or a coordinator collects: those that have ended and are not published yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from base.times import DAY_US, utc_text
from deployment.errors import RunRefused
from edge_client.compute import days_with_events
from edge_client.events import Events
from featurestore.define.definitions import FeatureView
from featurestore.errors import UnknownView
from featurestore.publish.publish import Publisher
from federation.plan import MAX_COLLECTIONS

Ints = npt.NDArray[np.int64]
Between = tuple[int, int]
"""[from, to), µs since the epoch."""
_NEW_SITES: Final = (
    "each run over processes makes new sites, which do not know the cells that a client used of a day in an earlier run"
)
"""Without this knowledge, a client could use the bounds of the day twice."""


@dataclass(frozen=True, eq=False)
class PaneChoice:
    """The panes of a view that a run collects or skips: int64 arrays of pane starts (µs), and of UTC days.

    Attributes:
        days_not_over: the days of panes that have not ended, or whose releases are not due yet.
    """

    todo: Ints
    already_open: Ints
    days_not_over: Ints


def choose_panes(view: FeatureView, events: Events, opened: Ints, between: Between | None, now: int) -> PaneChoice:
    """The closed panes inside a time range that are not open yet; by default those of the ended days with events."""
    panes = _panes_of_days(view, days_with_events(view, events)) if between is None else panes_between(view, between)
    closed = _is_closed(view, panes if between is not None else _last_panes(view, panes), now)
    is_open = np.isin(panes, opened)
    return PaneChoice(panes[closed & ~is_open], panes[closed & is_open], np.unique(panes[~closed] // DAY_US))


def choose_days(view: FeatureView, events: Events, opened: Ints, between: Between | None, now: int) -> PaneChoice:
    """The panes of whole, ended days that are not open yet, for a run over processes, which makes a new fleet.

    Raises:
        RunRefused: only some panes of a day are open.
    """
    days = days_with_events(view, events) if between is None else np.arange(*between, DAY_US) // DAY_US
    panes = _panes_of_days(view, days)
    is_over = _is_closed(view, _last_panes(view, panes), now)
    is_open = np.isin(panes, opened)
    partly = np.intersect1d(panes[is_over & is_open] // DAY_US, panes[is_over & ~is_open] // DAY_US)
    if len(partly):
        named = ", ".join(str(np.datetime64(int(day), "D")) for day in partly[:3])
        more = f" and {len(partly) - 3} more" if len(partly) > 3 else ""
        raise RunRefused(
            f"view {view.name!r}: only some panes of {named}{more} are open, but {_NEW_SITES}. Leave these days out, or run in one "
            "process",
            settings=("start", "end", "in_process"),
        )
    return PaneChoice(panes[is_over & ~is_open], panes[is_over & is_open], np.unique(panes[~is_over] // DAY_US))


def require_whole_days(between: Between | None) -> None:
    """Return if a run over processes can take this range.

    Raises:
        RunRefused: it takes a day in part.
    """
    if between is not None and any(moment % DAY_US for moment in between):
        start, end = map(utc_text, between)
        raise RunRefused(
            f"the range {start} … {end} takes a day in part, but {_NEW_SITES}. Begin and end at a UTC midnight, or run in one "
            "process",
            settings=("start", "end", "in_process"),
        )


def closed_panes(view: FeatureView, between: Between, now: int) -> Ints:
    """int64, the panes (µs) inside a time range that have ended, with the view's release delay."""
    panes = panes_between(view, between)
    return panes[_is_closed(view, panes, now)]


def panes_between(view: FeatureView, between: Between) -> Ints:
    """int64, the panes (µs) that lie inside a time range.

    Raises:
        RunRefused: there are more than a plan can have.
    """
    first, last = between
    if (count := (last - first) // view.pane_us) > MAX_COLLECTIONS:
        raise RunRefused(
            f"view {view.name!r}: the range has {count:,} panes of {view.pane}, but a plan has at most {MAX_COLLECTIONS:,}. "
            "Choose a shorter range",
            settings=("start", "end"),
        )
    return np.arange(-(-first // view.pane_us) * view.pane_us, last - view.pane_us + 1, view.pane_us)


def opened_panes(publisher: Publisher, view: FeatureView) -> Ints:
    """int64[P], the published panes of a view, increasing; empty if the view is not registered yet.

    Raises:
        ViewChanged: another definition has the view's name.
    """
    try:
        opened = publisher.opened(view)
    except UnknownView:
        return np.empty(0, np.int64)
    publisher.register(view)
    return opened


def require_scheduled(publisher: Publisher, view: FeatureView, panes: Ints) -> None:
    """Return if all of these panes (µs) are scheduled for a view's collection, so that no other version opens them, too.

    Raises:
        RunRefused: another version of the name is collected there.
    """
    spans = publisher.spans(view)
    other = panes[~np.any([(panes >= start) & (panes < end) for start, end in spans], axis=0)] if spans else panes[:0]
    if len(other):
        raise RunRefused(
            f"view {view.name!r}: the pane {utc_text(int(other[0]))} is scheduled for another version of it, so this definition "
            "would open the day a second time. Use the definition of that version there, or another range",
            settings=("start", "end"),
        )


def _panes_of_days(view: FeatureView, days: Ints) -> Ints:
    return (days[:, None] * DAY_US + np.arange(view.panes_per_day) * view.pane_us).ravel()


def _last_panes(view: FeatureView, panes: Ints) -> Ints:
    """For each pane, the last pane of its UTC day."""
    return (panes // DAY_US + 1) * DAY_US - view.pane_us


def _is_closed(view: FeatureView, panes: Ints, now: int) -> npt.NDArray[np.bool_]:
    return panes + view.pane_us + view.release_delay_us <= now
