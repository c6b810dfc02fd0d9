"""Publication: releases, voids and retractions into the store, offline first, online second; the only writer of a store.

    1. Parquet files are written beside the old ones          a crash leaves strays, removed at the next start
    2. the registry commits panes, evidence, list of files    from here on the publication counts
    3. RocksDB gets the latest row of every key, and a marker a crash is healed at the next start: marker < registry
    4. each view's block is written, CURRENT.json renamed     likewise: block of another publication than the registry's

Publishing the same item again changes nothing; other content under its id is refused. A retraction is a tombstone: a void
with the reason RETRACTED (and why) for a pane that was opened. The pane stays published, and is never collected again.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .admission import Admitted, admit, as_record
from .block_writer import BlockWriter, Latest
from .definitions import FeatureView
from .errors import StoreCorrupt, StoreInUse
from .keys import encode_key
from .latest import last_issue_of_each_pane, latest_issues
from .layout import layout_of
from .offline import CLOCKS, Offline, Stamps, as_us, issue_table
from .online import OnlineMarker, OnlineStore, RocksOnline, RowTimes
from .packing import pack
from .registry import FileRecord, PaneRecord, RegisteredView, Registry
from .release import Release, Void
from .rows import Panes, issue_times, make_issues, reach_us
from .schema import offline_schema
from .staleness import SpentPanes
from .times import DAY_US, day_of

MAX_FILES: Final = 16
"""Files of one view and day that are merged before the day is complete: a day of minutes would be 1,440."""


def store_path(directory: Path) -> Path:
    """Where the store of a project directory lies."""
    return directory / "store"


@dataclass(frozen=True)
class PublishReport:
    """What a publication did: panes that are new, and panes that were there with the same content."""

    published: int
    repeated: int


@dataclass(frozen=True, eq=False)
class _Prepared:
    """One view's part of a publication, written to Parquet but not yet registered."""

    registered: RegisteredView
    panes: list[PaneRecord]
    files: list[FileRecord]
    replaced: list[str]


class Publisher:
    """The writer of one store. Use it as a context manager; a second one at the same time is refused.

    Args:
        directory: the project (or `--store`) directory; made if it does not exist.
        clock: wall clock, µs since the epoch.

    Raises:
        StoreInUse: another writer. StoreCorrupt: not a store of this version.
    """

    def __init__(self, directory: Path, clock: Callable[[], int]) -> None:
        root = store_path(directory)
        root.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._lock = _lock(root)
        try:
            self._registry = Registry(root / "registry.db", read_only=False)
            self._offline = Offline(root / "offline")
            self._online: OnlineStore = RocksOnline.open_writer(root / "online")
            self._blocks = BlockWriter(root / "blocks")
            self._heal()
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the store."""
        self._online.close()
        self._registry.close()
        os.close(self._lock)

    def register(self, view: FeatureView) -> RegisteredView:
        """Make a view known; ViewChanged if another definition has its name."""
        layout_of(view)
        registered = self._registry.register(view)
        if self._blocks.seq(registered) is None:
            self._blocks.publish([Latest(registered)])
        return registered

    def opened(self, view: FeatureView) -> npt.NDArray[np.int64]:
        """int64[P], the pane starts of a view that are published already (opened, void or retracted), increasing."""
        return self._registry.pane_starts(self._registry.view(view.name).view_id)

    def publish(self, items: Iterable[Release | Void], evidence: Iterable[bytes] = ()) -> PublishReport:
        """Publish panes and tombstones of any views, all at once.

        Args:
            evidence: bytes to keep under their SHA-256, such as signed plans and the aggregators' statements.

        Raises:
            ReleaseRefused: one of them does not fit its view, or is published already with other content. PaneNotOpen,
                PaneRetracted: a tombstone has nothing to retract. Nothing of the call is published then.
        """
        by_view: dict[str, list[Release | Void]] = {}
        for item in items:
            by_view.setdefault(item.manifest.view, []).append(item)
        seq, now = self._registry.next_seq(), self._clock()
        admitted = [self._admit(name, of_view) for name, of_view in by_view.items()]
        prepared = [self._prepare(one, seq, now) for one in admitted if one.fresh or one.tombstones]
        self._commit(seq, now, prepared, list(evidence))
        self._offline.remove([path for part in prepared for path in part.replaced])
        self._blocks.publish([self._put_latest(part.registered, seq) for part in prepared])
        return PublishReport(sum(len(part.panes) for part in prepared), sum(one.repeated for one in admitted))

    def _admit(self, view: str, items: list[Release | Void]) -> Admitted:
        registered = self._registry.view(view)
        starts = [item.pane_start for item in items]
        return admit(registered, items, self._registry.panes(registered.view_id, min(starts), max(starts) + 1))

    def _commit(self, seq: int, now: int, prepared: Sequence[_Prepared], evidence: Sequence[bytes]) -> None:
        with self._registry.transaction():
            self._registry.keep_evidence(evidence)
            if prepared:
                self._registry.record(
                    seq,
                    now,
                    [(part.registered.view_id, pane) for part in prepared for pane in part.panes],
                    [(part.registered.view_id, file) for part in prepared for file in part.files],
                    [path for part in prepared for path in part.replaced],
                )

    def _prepare(self, admitted: Admitted, seq: int, now: int) -> _Prepared:
        """Compute the rows of new and retracted panes, and of the later panes whose windows they change; write them."""
        registered, view = admitted.registered, admitted.registered.view
        moments = _moments(admitted)
        if not moments:  # voids without a row of their own
            return _Prepared(registered, admitted.records, [], [])
        reach = reach_us(view)
        first, last = min(moments), max(moments)
        neighbours = self._registry.panes(registered.view_id, first - reach, last + reach + 1)
        # a row that is issued again sums its whole window: up to `reach` before the first one
        earlier_files = self._registry.files(registered.view_id, day_of(first - reach), day_of(last + reach))
        panes, clock = self._panes(admitted, neighbours, earlier_files)
        changed, since = _changed(view, panes, moments)
        pane, released_at = issue_times(view, panes, changed, since)
        stamps = Stamps(_published_at(panes, admitted.fresh, now), clock, seq)
        table = issue_table(registered, panes, make_issues(view, panes, pane, released_at), stamps)
        merged, replaced = self._merge(registered, table, {item.pane_start for item in admitted.fresh})
        files = self._offline.write_days(registered, merged, seq)
        return _Prepared(registered, admitted.records, files, replaced)

    def _panes(
        self, admitted: Admitted, neighbours: list[PaneRecord], files: list[FileRecord]
    ) -> tuple[Panes, npt.NDArray[np.int8]]:
        """The new panes and their published neighbours, in order, and their clocks."""
        view = admitted.registered.view
        layout = layout_of(view)
        known = {r.pane_start: r for r in (*neighbours, *map(as_record, admitted.fresh)) if r.makes_row}
        for tombstone in admitted.tombstones:
            start = tombstone.pane_start
            known[start] = replace(known[start], tombstone=as_record(tombstone))
        both = [known[start] for start in sorted(known)]
        stored = self._offline.slots(files, offline_schema(view), layout.keys) if neighbours else {}
        stored |= {item.pane_start: item.slots for item in admitted.fresh if isinstance(item, Release)}
        slots = np.zeros((len(both), layout.keys, layout.slots_per_key), dtype=np.int64)
        for i, record in enumerate(both):
            if record.opened and record.pane_start not in stored:
                raise StoreCorrupt(f"view {view.name!r}, pane {record.pane_start}: its slots are missing")
            if record.opened:
                slots[i] = stored[record.pane_start]
        panes = Panes(
            np.array([r.pane_start for r in both], dtype=np.int64),
            np.array([r.opened for r in both], dtype=bool),
            slots,
            np.array([float(r.manifest.noisers) for r in both]),
            np.array([r.released_at for r in both], dtype=np.int64),
            np.array([r.retracted_at for r in both], dtype=np.int64),
        )
        return panes, np.array([CLOCKS.index(r.clock) for r in both], dtype=np.int8)

    def _merge(self, registered: RegisteredView, table: pa.Table, new_panes: set[int]) -> tuple[pa.Table, list[str]]:
        """Add the stored rows of each touched day that is complete or lies in many files, so that it becomes one file."""
        view = registered.view
        touched = np.unique(day_of(as_us(table.column("pane_start")))).tolist()
        stored = [f for f in self._registry.files(registered.view_id, touched[0], touched[-1]) if f.day in set(touched)]
        if not stored:
            return table, []
        known = self._registry.pane_starts(registered.view_id, touched[0] * DAY_US, (touched[-1] + 1) * DAY_US)
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

    def _put_latest(self, registered: RegisteredView, seq: int) -> Latest:
        """Bring the online rows of a view up to a publication: the rows of its latest pane end, in their latest issue."""
        view = registered.view
        last = self._registry.last_row(registered.view_id)
        if last is None:  # nothing but voids that make no row
            marker = OnlineMarker(seq, None)
            self._online.put(registered.view_id, [], None, marker)
            return Latest(registered, None, marker)
        files = self._registry.files(registered.view_id, day_of(last), day_of(last))
        schema = offline_schema(view)
        rows = self._offline.read(files, schema, schema.names)
        rows = rows.filter(pa.compute.equal(rows.column("pane_start").cast(pa.int64()), last)).combine_chunks()
        rows = rows.take(pa.array(last_issue_of_each_pane(rows, layout_of(view).keys)))
        times = RowTimes(last + view.pane_us, int(as_us(rows.column("released_at"))[0]))
        packed = pack(view, rows)
        packed["status"] = SpentPanes.read(self._registry, registered).newest_status(packed["status"], times.pane_end)
        marker = OnlineMarker(seq, times)
        self._online.put(registered.view_id, [encode_key(key) for key in view.entity.domain], packed, marker)
        return Latest(registered, packed, marker)

    def _heal(self) -> None:
        """Remove strays of a crash, and bring online rows up to the registry."""
        self._offline.remove(list(self._offline.strays(self._registry.all_paths())))
        latest: list[Latest] = []
        for registered in self._registry.views():
            seq = self._registry.last_seq(registered.view_id)
            marker = self._online.marker(registered.view_id)
            if seq > (0 if marker is None else marker.seq) or self._blocks.seq(registered) != seq:
                latest.append(self._put_latest(registered, seq) if seq else Latest(registered))
        self._blocks.publish(latest)


def _lock(root: Path) -> int:
    descriptor = os.open(root / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StoreInUse(str(root.parent)) from None
    return descriptor


def _moments(admitted: Admitted) -> dict[int, int]:
    """From when on (µs) each pane changes rows: a new one from its release, a retracted one from its tombstone."""
    moments = {item.pane_start: item.released_at for item in admitted.tombstones}
    return moments | {item.pane_start: item.released_at for item in admitted.fresh if as_record(item).makes_row}


def _changed(
    view: FeatureView, panes: Panes, moments: Mapping[int, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Indices of the panes whose rows change, and from which issue on.

    A row changes from the moment at which the first pane of its window changes. A new pane is in its own window, and no
    issue of it is before its release: all of them are new.
    """
    starts = np.array(sorted(moments), dtype=np.int64)
    when = np.array([moments[start] for start in starts.tolist()], dtype=np.int64)
    first = np.searchsorted(starts, panes.start - reach_us(view))
    last = np.searchsorted(starts, panes.start, side="right")
    touched = np.flatnonzero(first < last)
    since = np.array([when[first[i] : last[i]].min() for i in touched.tolist()], dtype=np.int64)
    return touched, since


def _published_at(panes: Panes, fresh: Iterable[Release | Void], now: int) -> npt.NDArray[np.int64]:
    """A new pane's own stamp; rows that are issued again are published now."""
    own = {item.pane_start: item.published_at for item in fresh}
    return np.array([own.get(start, now) for start in panes.start.tolist()], dtype=np.int64)
