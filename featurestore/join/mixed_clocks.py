"""Warns of a join that reads live and replayed releases of one view: its labels see them at times of different meaning."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from featurestore.define.release import Clock


class MixedClocks(UserWarning):
    """A join reads both live and replayed releases of a view."""


def mixed_clocks(counts: Mapping[str, Mapping[Clock, int]]) -> list[str]:
    """A sentence for each view whose history has live and replayed panes.

    Args:
        counts: see `Store.clocks`.
    """
    return [
        f"the history of {view} mixes {of['live']:,} live and {of['replay']:,} replayed pane(s). A label sees a live release from "
        "its publication on, a replayed one from the time of a punctual collection."
        for view, of in counts.items()
        if of["live"] and of["replay"]
    ]


def warn_of_mixed_clocks(counts: Mapping[str, Mapping[Clock, int]], clock: Clock | None) -> None:
    """Issue a MixedClocks warning for each view whose panes are mixed, unless a join reads one clock only."""
    if clock is None:
        for text in mixed_clocks(counts):
            warnings.warn(f'{text} clock = "live" or "replay" joins one kind', MixedClocks, stacklevel=2)
