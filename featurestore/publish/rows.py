"""The rows that a publication writes: those of new and retracted panes, and of the later panes whose windows they change.

Every version that uses a pane gets rows from it: the versions of the pane's collection, and those that carry its features.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from base.times import DAY_US, day_of
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.panes import NEVER, Panes
from featurestore.define.records import FIRST_MOMENT, FileRecord, RegisteredView
from featurestore.define.release import Release, Void
from featurestore.define.schema import offline_schema
from featurestore.offline.last_issues import latest_issues
from featurestore.offline.parquet import Offline, as_us, issue_table
from featurestore.offline.window_rows import Issues, issue_times, joined, make_issues, reach_us
from featurestore.registry.publications import Publications
from featurestore.registry.registry import Registry
from featurestore.registry.selection import Selection

from .admission import Admission, as_record
from .history_rows import write_history
from .running import Running, part
from .sums import RowInputs, Sums, row_inputs

FILES_OF_A_SIZE: Final = 8
"""How many files of about one size are merged, before their day is complete. A day of panes of 5 s, which would be 17,280 files,
has at most 35, and each row is written at most five times until its day is complete."""
MOST_IN_ORDER: Final = 64
"""So many new panes are added to the stored sums one by one. More are cheaper from all panes of their windows at once."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """One version's part of a publication, written to Parquet but not yet registered.

    Attributes:
        running: the sums of its windows after this publication (`Running.to_bytes`), for the next one.
        renews: whether its rows change without a new pane, by a retraction in a deprecated version.
    """

    registered: RegisteredView
    files: list[FileRecord]
    replaced: list[str]
    running: bytes | None = None
    renews: bool = False


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
    for version in lineage.versions:
        selection = registry.selection(version.registered)
        mine = [part for one in fresh if (part := _used(one, selection, registry.publications)) is not None]
        if not mine:
            continue
        kept = [_within(one, selection.rows_from) for one in mine]  # older ones make no rows
        if _takes_over(mine, selection, registry.publications):
            old = [file.path for file in registry.publications.files(version.registered.view_id)]
            written = write_history(registry.publications, offline, version.registered, selection, sums, seq, kept)
            yield Prepared(version.registered, [file for file, _, _ in written], old)
        else:
            made = _Writer(registry.publications, offline, version.registered, selection, sums, seq).write(kept, now)
            yield replace(made, renews=selection.last_seq != NEVER)


def _within(admitted: Admission, start: int, end: int = NEVER) -> Admission:
    """The items of an admission with start ≤ pane_start < end."""
    fresh = tuple(item for item in admitted.fresh if start <= item.pane_start < end)
    tombstones = tuple(item for item in admitted.tombstones if start <= item.pane_start < end)
    return replace(admitted, fresh=fresh, tombstones=tombstones)


def _used(admitted: Admission, selection: Selection, publications: Publications) -> Admission | None:
    """The part of an admission that a version's rows use; None: no item."""
    collection_id = admitted.registered.collection_id
    if selection.last_seq != NEVER:
        return _retracted(admitted, selection, publications)
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


def _retracted(admitted: Admission, selection: Selection, publications: Publications) -> Admission | None:
    """The retractions of an admission that change rows of a deprecated version, which gets no new panes; None: there is none."""
    if not admitted.tombstones:
        return None
    starts = [item.pane_start for item in admitted.tombstones]
    places = publications.places(selection, min(starts), max(starts) + 1)
    used = {start for start, of, _ in places if of == admitted.registered.collection_id}
    tombstones = tuple(item for item in admitted.tombstones if item.pane_start in used)
    return replace(admitted, fresh=(), tombstones=tombstones) if tombstones else None


def _takes_over(admitted: Iterable[Admission], selection: Selection, publications: Publications) -> bool:
    """Whether a new pane of the version's own takes the place of one of another collection."""
    own = [one for one in admitted if one.registered.collection_id == selection.collection_id]
    starts = {item.pane_start for one in own for item in one.fresh}
    if not selection.segments or not starts:
        return False
    used = publications.pane_starts(selection, min(starts), max(starts) + 1)
    return not starts.isdisjoint(used.tolist())


_Rows: TypeAlias = tuple[RowInputs, Issues, Running | None]
"""The panes of some rows, the rows, and the sums for the next pane."""


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
        fresh = [item for one in admitted for item in one.fresh]
        inputs, issues, running = self._next(admitted, moments) or self._every(admitted, moments)
        stamps = inputs.stamps(_published_at(inputs.panes, fresh, now), self._seq)
        table = issue_table(self._registered, inputs.panes, issues, stamps)
        merged, replaced = self._merge(table, {item.pane_start for item in fresh})
        files = self._offline.write_days(self._registered, merged, self._seq)
        return Prepared(self._registered, files, replaced, None if running is None else running.to_bytes())

    def _every(self, admitted: Sequence[Admission], moments: Mapping[int, int]) -> _Rows:
        """The rows that change, from every pane of their windows."""
        view, reach = self._registered.view, reach_us(self._registered.view)
        # a reissued row sums its whole window, which begins up to `reach` before the first pane
        inputs = self._inputs(max(min(moments) - reach, FIRST_MOMENT), max(moments) + reach + 1, admitted)
        changed, since = _changed(view, inputs.panes, moments)
        pane, released_at = issue_times(view, inputs.panes, changed, since)
        last = int(inputs.panes.start[-1])
        is_newest = not len(self._publications.pane_starts(self._selection, last + 1))
        running = Running.of(view, inputs.panes) if is_newest else None
        return inputs, make_issues(view, inputs.panes, pane, released_at), running

    def _next(self, admitted: Sequence[Admission], moments: Mapping[int, int]) -> _Rows | None:
        """The rows of a few new panes after all others, from the stored sums of their windows; None: they do not serve for them."""
        stored, starts = self._publications.running(self._selection), sorted(moments)
        if stored is None or len(starts) > MOST_IN_ORDER or any(one.tombstones for one in admitted):
            return None
        view, running = self._registered.view, Running.from_bytes(stored)
        if running is None or starts[0] <= running.last:
            return None
        if running.last - reach_us(view) < self._selection.sums_from:  # what leaves the windows may not be there
            return None
        own, made = self._inputs(starts[0], starts[-1] + 1, admitted), list[Issues]()
        for at, start in enumerate(starts):
            ranges = running.leaving(view, start)
            left = [self._inputs(*between, [_within(one, *between) for one in admitted]).panes for between in ranges]
            if (found := running.next(view, left, part(own.panes, at, at + 1))) is None:
                return None
            segments, running = found
            issues = make_issues(
                view, segments, np.array([len(segments.start) - 1]), own.panes.released_at[at : at + 1]
            )
            made.append(replace(issues, pane=np.array([at])))
        return own, joined(made), running

    def _inputs(self, first: int, end: int, admitted: Sequence[Admission] = ()) -> RowInputs:
        between = first, end
        return row_inputs(self._registered, self._selection, self._publications, self._sums, between, admitted)

    def _merge(self, table: pa.Table, new_panes: set[int]) -> tuple[pa.Table, list[str]]:
        """Add the stored rows of each touched day that is complete or has several files of its size."""
        view = self._registered.view
        touched = np.unique(day_of(as_us(table.column("pane_start")))).tolist()
        listed = self._publications.files(self._registered.view_id, touched[0], touched[-1])
        stored = [file for file in listed if file.day in set(touched)]
        if not stored:
            return table, []
        rows = Counter(day_of(as_us(table.column("pane_start"))).tolist())
        of_day = {day: [file for file in stored if file.day == day] for day in touched}
        old = [
            file
            for day, files in of_day.items()
            for file in (files if self._is_complete(day, new_panes) else of_one_size(files, rows[day]))
        ]
        if not old:
            return table, []
        schema = offline_schema(view)
        together = pa.concat_tables(
            [self._offline.read(old, schema, schema.names), table.cast(schema)]
        ).combine_chunks()
        keep = latest_issues(together, layout_of(view).keys)
        return together.take(pa.array(keep)), [file.path for file in old]

    def _is_complete(self, day: int, new_panes: set[int]) -> bool:
        """Whether every pane of a day is published, with these new ones."""
        first, end = day * DAY_US, (day + 1) * DAY_US
        new = [start for start in new_panes if first <= start < end]
        if self._publications.count(self._selection, first, end) + len(new) < self._registered.view.panes_per_day:
            return False
        known = self._publications.pane_starts(self._selection, first, end)
        return len(np.union1d(known, np.array(new, dtype=np.int64))) == self._registered.view.panes_per_day


def of_one_size(files: Sequence[FileRecord], rows: int) -> list[FileRecord]:
    """The newest files of a day that a new file of so many rows is merged with: those of its size, then of the sum's, and so on.

    Args:
        files: in the order of publication.
    """
    merged: list[FileRecord] = []
    while True:
        older = files[: len(files) - len(merged)]
        alike = next((at for at, file in enumerate(reversed(older)) if file.rows >= FILES_OF_A_SIZE * rows), len(older))
        if alike < FILES_OF_A_SIZE - 1:
            return merged
        merged = [*older[len(older) - alike :], *merged]
        rows += sum(file.rows for file in older[len(older) - alike :])


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
