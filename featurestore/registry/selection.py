"""The panes that the rows of one version use, as SQL that names them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from featurestore.define.panes import NEVER
from featurestore.define.records import FIRST_MOMENT
from featurestore.define.release import BUDGET_SPENT

from .lineage import Segment

_UNTIL: Final = (  # a pane of these publications, or the later tombstone of one
    "AND (pane.seq <= ? OR (pane.tombstone AND EXISTS (SELECT 1 FROM panes AS opened WHERE opened.seq <= ? "
    "AND NOT opened.tombstone AND opened.collection_id = pane.collection_id AND opened.pane_start = pane.pane_start)))"
)


@dataclass(frozen=True)
class Selection:
    """The panes that the rows of one version use: those of its own collection, and of others in some segments.

    Attributes:
        view_id: the version.
        last_seq: the last publication whose panes count. A later retraction of one of them counts, too.
        rows_from: before this time (µs) the version has no rows any more; the panes are known.
        sums_from: before this time (µs) sums may have left. A version that has ended keeps the rows of its last day, which may be
            older.
    """

    view_id: int
    collection_id: int
    segments: tuple[Segment, ...] = ()
    last_seq: int = NEVER
    rows_from: int = FIRST_MOMENT
    sums_from: int = FIRST_MOMENT

    @property
    def query(self) -> tuple[str, tuple[int, ...]]:
        """SQL that names these panes `chosen`, and its parameters. A pane of another collection gives way to an own one."""
        return self._query("", "")

    def within(self, start: int | None, end: int | None) -> Selection:
        """The same panes of a time range; SQLite then reads no others of another collection."""
        low, high = bounds_of(start, end)
        cut = (replace(one, start=max(one.start, low), end=min(one.end, high)) for one in self.segments)
        return replace(self, segments=tuple(one for one in cut if one.start < one.end))

    @property
    def spent_query(self) -> tuple[str, tuple[int, ...]]:
        """As `query`, the BUDGET_SPENT voids only, by their index: there are few of them among many panes."""
        return self._query("INDEXED BY panes_without_budget", f"reason = '{BUDGET_SPENT}' AND")

    @property
    def panes_query(self) -> tuple[str, tuple[int, ...]]:
        """As `query`, without later retractions: then SQLite reads no publication after the last one."""
        return self._query("", "", "AND pane.seq <= ?")

    def _query(self, index: str, only: str, until: str = _UNTIL) -> tuple[str, tuple[int, ...]]:
        # without a last publication there is no condition on `seq`, for which SQLite would read all panes of a collection by `seq`
        last = () if self.last_seq == NEVER else (self.last_seq,)
        until = until if last else ""
        limits = last * until.count("?")
        parts = [f"SELECT * FROM panes AS pane {index} WHERE {only} collection_id = ? {until}"]
        given = [self.collection_id, *limits]
        for one in self.segments:
            parts.append(
                f"SELECT * FROM panes AS pane {index} WHERE {only} collection_id = ? AND pane_start >= ? AND pane_start < ? "
                f"{until} AND NOT EXISTS (SELECT 1 FROM panes AS own WHERE own.collection_id = ? AND "
                f"own.pane_start = pane.pane_start {'AND own.seq <= ?' if last else ''})"
            )
            given += (one.keeper.collection_id, one.start, one.end, *limits, self.collection_id, *last)
        return f"WITH chosen AS ({' UNION ALL '.join(parts)})", tuple(given)


def bounds_of(start: int | None, end: int | None) -> tuple[int, int]:
    """[start, end) of a time range as SQLite compares it; None: an open end."""
    return -(2**63) if start is None else start, 2**63 - 1 if end is None else end
