"""The rows that a publication writes: those of new and retracted panes, and of the later panes whose windows they change.

Every version that uses a pane gets rows from it: the versions of the pane's collection, and those that carry its features.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from base.times import DAY_US, day_of
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.panes import Panes
from featurestore.define.records import FIRST_MOMENT, FileRecord, RegisteredView
from featurestore.define.release import Release, Void
from featurestore.define.schema import offline_schema
from featurestore.offline.last_issues import latest_issues
from featurestore.offline.parquet import Offline, as_us, issue_table
from featurestore.offline.window_rows import issue_times, make_issues, reach_us
from featurestore.registry.publications import Publications, Selection
from featurestore.registry.registry import Registry

from .admission import Admission, as_record
from .history_rows import write_history
from .sums import Sums, row_inputs

MAX_FILES: Final = 16
"""How many files of one version and day are merged before the day is complete: a day of 1-minute panes would be 1,440 files."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """One version's part of a publication, written to Parquet but not yet registered."""

    registered: RegisteredView
    files: list[FileRecord]
    replaced: list[str]


def prepare(
    registry: Registry, offline: Offline, admitted: Sequence[Admission], seq: int, now: int
) -> Iterator[Prepared]:
    """Write the rows of a publication of one name, for every version that its items concern.

    If a version gets a pane of its own where it used one of another collection, all of its rows are written again: issues that
    held the other pane's values would otherwise remain.
    """
    fresh = [one for one in admitted if one.fresh or one.tombstones]
    if not fresh:
        return
    lineage = registry.lineage(fresh[0].registered.view.name)
    sums = Sums.of(registry.publications, offline, lineage)
    for version in lineage.getting_rows():
        selection = registry.selection(version.registered)
        mine = [part for one in fresh if (part := _used(one, selection, registry.publications)) is not None]
        if not mine:
            continue
        kept = [_since(one, selection.rows_from) for one in mine]
        if _takes_over(mine, selection, registry.publications):
            old = [file.path for file in registry.publications.files(version.registered.view_id)]
            written = write_history(registry.publications, offline, version.registered, selection, sums, seq, kept)
            yield Prepared(version.registered, [file for file, _, _ in written], old)
        else:
            yield _Writer(registry.publications, offline, version.registered, selection, sums, seq).write(kept, now)


def _since(admitted: Admission, rows_from: int) -> Admission:
    """An admission without the items that are too old for rows."""
    fresh = tuple(item for item in admitted.fresh if item.pane_start >= rows_from)
    tombstones = tuple(item for item in admitted.tombstones if item.pane_start >= rows_from)
    return replace(admitted, fresh=fresh, tombstones=tombstones)


def _used(admitted: Admission, selection: Selection, publications: Publications) -> Admission | None:
    """The part of an admission that a version's rows use; None: no item."""
    collection_id = admitted.registered.collection_id
    if collection_id == selection.collection_id:
        return admitted
    spans = [(one.start, one.end) for one in selection.segments if one.keeper.collection_id == collection_id]
    starts = [item.pane_start for item in (*admitted.fresh, *admitted.tombstones)]
    own = Selection(selection.view_id, selection.collection_id)
    taken = set(publications.pane_starts(own, min(starts), max(starts) + 1).tolist()) if spans else set()

    def is_used(item: Release | Void) -> bool:
        return item.pane_start not in taken and any(start <= item.pane_start < end for start, end in spans)

    fresh, tombstones = tuple(filter(is_used, admitted.fresh)), tuple(filter(is_used, admitted.tombstones))
    return replace(admitted, fresh=fresh, tombstones=tombstones) if fresh or tombstones else None


def _takes_over(admitted: Iterable[Admission], selection: Selection, publications: Publications) -> bool:
    """Whether a new pane of the version's own takes the place of one of another collection."""
    own = [one for one in admitted if one.registered.collection_id == selection.collection_id]
    starts = {item.pane_start for one in own for item in one.fresh}
    if not selection.segments or not starts:
        return False
    used = publications.pane_starts(selection, min(starts), max(starts) + 1)
    return not starts.isdisjoint(used.tolist())


class _Writer:
    """Writes the rows of one version for one publication."""

    def __init__(
        self,
        publications: Publications,
        offline: Offline,
        registered: RegisteredView,
        selection: Selection,
        sums: Sums,
        seq: int,
    ) -> None:
        self._publications, self._offline, self._sums = publications, offline, sums
        self._registered, self._selection, self._seq = registered, selection, seq

    def write(self, admitted: Sequence[Admission], now: int) -> Prepared:
        """Write the rows of new and retracted panes, and of the later panes whose windows they change."""
        moments = _moments(admitted)
        if not moments:  # voids without a row of their own
            return Prepared(self._registered, [], [])
        view, reach = self._registered.view, reach_us(self._registered.view)
        # a reissued row sums its whole window, which begins up to `reach` before the first pane
        between = max(min(moments) - reach, FIRST_MOMENT), max(moments) + reach + 1
        inputs = row_inputs(self._registered, self._selection, self._publications, self._sums, between, admitted)
        changed, since = _changed(view, inputs.panes, moments)
        pane, released_at = issue_times(view, inputs.panes, changed, since)
        fresh = [item for one in admitted for item in one.fresh]
        stamps = inputs.stamps(_published_at(inputs.panes, fresh, now), self._seq)
        table = issue_table(self._registered, inputs.panes, make_issues(view, inputs.panes, pane, released_at), stamps)
        merged, replaced = self._merge(table, {item.pane_start for item in fresh})
        return Prepared(self._registered, self._offline.write_days(self._registered, merged, self._seq), replaced)

    def _merge(self, table: pa.Table, new_panes: set[int]) -> tuple[pa.Table, list[str]]:
        """Add the stored rows of each touched day that is complete or has many files, so that the day becomes one file."""
        view = self._registered.view
        touched = np.unique(day_of(as_us(table.column("pane_start")))).tolist()
        listed = self._publications.files(self._registered.view_id, touched[0], touched[-1])
        stored = [file for file in listed if file.day in set(touched)]
        if not stored:
            return table, []
        known = self._publications.pane_starts(self._selection, touched[0] * DAY_US, (touched[-1] + 1) * DAY_US)
        every = np.union1d(known, np.fromiter(new_panes, dtype=np.int64))
        days, counts = np.unique(day_of(every), return_counts=True)
        due = set(days[counts == view.panes_per_day].tolist())
        due |= {day for day, files in Counter(file.day for file in stored).items() if files >= MAX_FILES}
        old = [file for file in stored if file.day in due]
        if not old:
            return table, []
        schema = offline_schema(view)
        together = pa.concat_tables(
            [self._offline.read(old, schema, schema.names), table.cast(schema)]
        ).combine_chunks()
        keep = latest_issues(together, layout_of(view).keys)
        return together.take(pa.array(keep)), [file.path for file in old]


def _moments(admitted: Iterable[Admission]) -> dict[int, int]:
    """The time (µs) from which each pane changes rows: the release of a new pane, the tombstone of a retracted one."""
    moments: dict[int, int] = {}
    for one in admitted:
        moments |= {item.pane_start: item.released_at for item in one.tombstones}
        moments |= {item.pane_start: item.released_at for item in one.fresh if as_record(item).makes_row}
    return moments


def _changed(
    view: FeatureView, panes: Panes, moments: Mapping[int, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Indices of the panes whose rows change, and the time from which their issues change.

    A row changes at the moment when the first pane of its window changes. A new pane is in its own window and has no
    issue before its release, so all of its issues are new.
    """
    starts = np.array(sorted(moments), dtype=np.int64)
    when = np.array([moments[start] for start in starts.tolist()], dtype=np.int64)
    first = np.searchsorted(starts, panes.start - reach_us(view))
    last = np.searchsorted(starts, panes.start, side="right")
    touched = np.flatnonzero(first < last)
    lowest = np.minimum.accumulate(when)  # a window that reaches to the first pane, as those of every Filtered do
    earliest = [when[first[i] : last[i]].min() if first[i] else lowest[last[i] - 1] for i in touched.tolist()]
    since = np.array(earliest, dtype=np.int64)
    return touched, since


def _published_at(panes: Panes, fresh: Iterable[Release | Void], now: int) -> npt.NDArray[np.int64]:
    """The publication time of each row: a new pane's own stamp; now for reissued rows."""
    own = {item.pane_start: item.published_at for item in fresh}
    return np.array([own.get(start, now) for start in panes.start.tolist()], dtype=np.int64)
