"""Which panes the next plan takes: the oldest first, in plans of bounded size, and a view with trouble by itself."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from featurestore.define.layout import layout_of

from .collected_views import CollectedView
from .pane_states import Due

MOST_PANES: Final = 1_440
"""A day of minutes: the panes of one plan are noised, opened and published together."""
MOST_RETRIES: Final = 300
"""A plan names the earlier attempts at its panes, 1,000 at most."""
MOST_SLOTS: Final = 2**24
"""The slots of one plan's sums: 128 MiB at each party."""


@dataclass(frozen=True)
class ReadyView:
    """A view with panes that can be planned now.

    Attributes:
        panes: by pane start (µs), increasing.
        has_failed: a pane of the view was tried before and is still due.
    """

    collected: CollectedView
    panes: Mapping[int, Due]
    has_failed: bool


Chosen = Mapping[CollectedView, tuple[int, ...]]
"""The panes of a plan, by view."""


def choose(ready: Sequence[ReadyView]) -> Chosen:
    """The panes of the next plan; empty if none is ready.

    A view whose last plan failed is planned by itself. So a view that no site answers does not keep the others back. Two
    versions of a view, which overlap, have a plan each: a plan has each name once.
    """
    waiting = [one for one in ready if one.panes]
    if not waiting:
        return {}
    first = min(waiting, key=lambda one: next(iter(one.panes)) + one.collected.view.pane_us)
    if first.has_failed:
        return _oldest([first], MOST_RETRIES)
    others = {one.collected.view.name: one for one in reversed(waiting) if not one.has_failed}
    return _oldest(list({**others, first.collected.view.name: first}.values()), MOST_PANES)


def _oldest(views: Sequence[ReadyView], most: int) -> Chosen:
    """The panes that ended first, up to the bounds of a plan; one pane at least. A plan has one collection of a name."""
    chosen: dict[CollectedView, list[int]] = {}
    panes, slots = 0, 0
    streams = (
        [(pane + one.collected.view.pane_us, index, pane) for pane in one.panes] for index, one in enumerate(views)
    )
    for _, index, pane in heapq.merge(*streams):
        view = views[index].collected
        if any(one.view.name == view.view.name and one != view for one in chosen):
            continue  # on a day that two versions share, each has plans of its own
        panes, slots = panes + 1, slots + layout_of(view.view).length
        if panes > 1 and (panes > most or slots > MOST_SLOTS):
            break
        chosen.setdefault(view, []).append(pane)
    return {view: tuple(found) for view, found in chosen.items()}
