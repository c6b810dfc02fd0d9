"""Reading by pane: the rows of a plan's panes, and how many events every pane of the source has.

A source may hold years, and a plan asks for its newest panes. So a source is read part by part (a file, a record batch, a batch
of a log), and of each part only the rows stay that the plan asks for. The counts of all panes find late events. The counts of a
part that does not change can be kept: they say whether a later plan needs the part at all.

Privacy-sensitive: the counts are exact, and stay at the site.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.define.definitions import FeatureView
from federation.plan import PlannedView

from .events import PaneCounts, event_times, plain_values, require_column, starts_of

_MOST_PARTS: Final = 64
"""Parts whose counts are kept apart until they are summed."""

Grid = tuple[str, int]
"""A time column and the length of a pane in µs. They decide to which pane an event belongs."""


@dataclass(frozen=True, eq=False)
class PaneRows:
    """What a plan needs of one part of a source.

    Attributes:
        rows: the events in the plan's panes, in the order of the source.
        counts: how many events with a client every pane of the part has, by grid.
    """

    rows: pa.Table
    counts: Mapping[Grid, PaneCounts]

    def __repr__(self) -> str:
        return f"PaneRows({self.rows.num_rows} events: redacted)"


class SourceCounts:
    """How many events every pane of a source has: the sum over its parts. `of` is an `Events.counted`.

    Args:
        time_column: the default time column; a view may name another.
    """

    def __init__(self, time_column: str) -> None:
        self._time_column = time_column
        self._parts: dict[Grid, list[PaneCounts]] = {}

    def __repr__(self) -> str:
        return "SourceCounts(redacted)"

    def add(self, counts: Mapping[Grid, PaneCounts]) -> None:
        """Add the counts of one part."""
        for grid, part in counts.items():
            parts = self._parts.setdefault(grid, [])
            parts.append(part)
            if len(parts) > _MOST_PARTS:  # a source of many parts has the same panes again and again
                parts[:] = [_sum(parts)]

    @property
    def by_grid(self) -> Mapping[Grid, PaneCounts]:
        """The sums, as the counts of one part."""
        return {grid: _sum(parts) for grid, parts in self._parts.items()}

    def of(self, view: FeatureView) -> PaneCounts:
        """The counts of the panes of a view."""
        grid = grid_of(view, self._time_column)
        total = _sum(self._parts.get(grid, ()))
        self._parts[grid] = [total]
        return total


def grid_of(view: FeatureView, time_column: str) -> Grid:
    """The grid of a view's panes."""
    return view.time or time_column, view.pane_us


def grids_of(planned: Iterable[PlannedView], time_column: str) -> list[Grid]:
    """The grids of a plan's views, each once."""
    return list(dict.fromkeys(grid_of(one.view, time_column) for one in planned))


def needs(planned: Iterable[PlannedView], counts: Mapping[Grid, PaneCounts], time_column: str) -> bool:
    """Whether a part with these counts has an event in a pane of the plan, or its counts are not known."""
    for one in planned:
        known = counts.get(grid_of(one.view, time_column))
        if known is None or bool(np.isin(one.pane_starts, known[0]).any()):
            return True
    return False


def pane_rows(part: pa.Table, planned: Sequence[PlannedView], client_column: str, time_column: str) -> PaneRows:
    """The rows of a part of a source that are in the plan's panes, and the counts of all of its panes.

    A row without a client or a time is in no pane.

    Raises:
        EventsError: the part lacks a column. EventColumnError: the type of a time column is no type of times.
    """
    require_column(part, client_column)
    has_client = plain_values(part.column(client_column)).is_valid().to_numpy(zero_copy_only=False)
    times = {column: event_times(part, column, strict=False) for column, _ in grids_of(planned, time_column)}
    counts = {
        (column, pane_us): np.unique(starts_of(times[column], has_client, pane_us), return_counts=True)
        for column, pane_us in grids_of(planned, time_column)
    }
    kept: npt.NDArray[np.bool_] = np.zeros(part.num_rows, np.bool_)
    for one in planned:
        column, pane_us = grid_of(one.view, time_column)
        us, valid = times[column].us, times[column].valid
        kept |= has_client & valid & np.isin(us - us % pane_us, one.pane_starts)
    return PaneRows(part if kept.all() else part.filter(pa.array(kept)), counts)


def _sum(parts: Sequence[PaneCounts]) -> PaneCounts:
    if len(parts) == 1:
        return parts[0]
    starts = np.concatenate([np.empty(0, np.int64), *(part[0] for part in parts)])
    panes, row = np.unique(starts, return_inverse=True)
    counts = np.zeros(len(panes), np.int64)
    np.add.at(counts, row, np.concatenate([np.empty(0, np.int64), *(part[1] for part in parts)]))
    return panes, counts
