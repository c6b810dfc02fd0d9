"""The panes that a run collects: those of whole, ended UTC days that are not published yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from base.times import DAY_US
from deployment.errors import RunRefused
from edge_client.compute import days_with_events
from edge_client.events import Events
from featurestore.define.definitions import FeatureView
from featurestore.errors import UnknownView
from featurestore.publish.publish import Publisher


@dataclass(frozen=True, eq=False)
class PaneChoice:
    """The panes of a view that a run collects or skips: int64 arrays of pane starts (µs), and of UTC days."""

    todo: npt.NDArray[np.int64]
    already_open: npt.NDArray[np.int64]
    days_not_over: npt.NDArray[np.int64]


def choose_panes(
    view: FeatureView, events: Events, opened: npt.NDArray[np.int64], days: tuple[int, int] | None, now: int
) -> PaneChoice:
    """The panes of whole, ended days that are not open yet; `days` defaults to the days with events.

    Raises:
        RunRefused: only some panes of a day are open. This run cannot know which part of the day's bounds a client has
            used, so the other panes could let the client use the bounds twice.
    """
    requested = np.arange(*days) if days is not None else days_with_events(view, events)
    is_over = (requested + 1) * DAY_US + view.release_delay_us <= now
    panes = requested[is_over, None] * DAY_US + np.arange(view.panes_per_day) * view.pane_us
    is_open = np.isin(panes, opened)
    partly = requested[is_over][is_open.any(axis=1) & ~is_open.all(axis=1)]
    if len(partly):
        named = ", ".join(str(np.datetime64(int(day), "D")) for day in partly[:3])
        more = f" and {len(partly) - 3} more" if len(partly) > 3 else ""
        raise RunRefused(
            f"view {view.name!r}: only some panes of {named}{more} are open, but a run collects whole days, because a client's "
            "bounds hold for a whole day. Leave these days out",
            settings=("start", "end"),
        )
    return PaneChoice(panes[~is_open], panes[is_open], requested[~is_over])


def opened_panes(publisher: Publisher, view: FeatureView) -> npt.NDArray[np.int64]:
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
