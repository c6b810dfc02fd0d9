"""Publication: releases and voids into the store, offline first, online second; the only writer of a store.

    1. Parquet files are written beside the old ones          a crash leaves strays, removed at the next start
    2. the registry commits panes and list of files           from here on the publication counts
    3. RocksDB gets the latest row of every key, and a marker a crash is healed at the next start: marker < registry
    4. each view's block is written, CURRENT.json renamed     likewise: block of another publication than the registry's

Publishing the same release again changes nothing; other content under its id is refused.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .block_writer import BlockWriter, Latest
from .definitions import FeatureView
from .errors import ReleaseRefused, StoreInUse
from .keys import encode_key
from .latest import latest_issues
from .layout import NOISERS, layout_of
from .offline import CLOCKS, Offline, Stamps, as_us, issue_table
from .online import OnlineMarker, OnlineStore, RocksOnline
from .packing import pack
from .registry import FileRecord, PaneRecord, RegisteredView, Registry
from .release import Release, Void
from .rows import Panes, issue_times, make_issues, reach_us
from .schema import offline_schema
from .times import DAY_US, day_of
from .wire import definition_hash

MAX_FILES: Final = 16
"""Files of one view and day that are merged before the day is complete: a day of minutes would be 1,440."""
_DATES: Final = (-62_135_596_800_000_000, 253_402_300_800_000_000)
"""Years 1 to 9999, what a date can name: µs since the epoch."""


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
        """int64[P], the pane starts of a view that are published already (opened or void), increasing."""
        return self._registry.pane_starts(self._registry.view(view.name).view_id)

    def publish(self, items: Iterable[Release | Void]) -> PublishReport:
        """Publish panes of any views, all at once.

        Raises:
            ReleaseRefused: one of them does not fit its view, or is published already with other content; nothing of
                the call is published.
        """
        by_view: dict[str, list[Release | Void]] = {}
        for item in items:
            by_view.setdefault(item.manifest.view, []).append(item)
        seq, now = self._registry.next_seq(), self._clock()
        checked: list[tuple[RegisteredView, list[tuple[Release | Void, PaneRecord]]]] = []
        repeated = 0
        for name, of_view in by_view.items():
            registered = self._registry.view(name)
            fresh = self._fresh(registered, sorted(of_view, key=lambda item: item.pane_start))
            repeated += len(of_view) - len(fresh)
            if fresh:
                checked.append((registered, fresh))
        prepared = [self._prepare(registered, fresh, seq, now) for registered, fresh in checked]
        if prepared:
            self._commit(seq, now, prepared)
            self._offline.remove([path for part in prepared for path in part.replaced])
            self._blocks.publish([self._put_latest(part.registered, seq) for part in prepared])
        return PublishReport(sum(len(part.panes) for part in prepared), repeated)

    def _commit(self, seq: int, now: int, prepared: Sequence[_Prepared]) -> None:
        with self._registry.transaction():
            self._registry.record(
                seq,
                now,
                [(part.registered.view_id, pane) for part in prepared for pane in part.panes],
                [(part.registered.view_id, file) for part in prepared for file in part.files],
                [path for part in prepared for path in part.replaced],
            )

    def _fresh(
        self, registered: RegisteredView, items: list[Release | Void]
    ) -> list[tuple[Release | Void, PaneRecord]]:
        """The panes that are not published yet, with their records; ReleaseRefused if any does not fit."""
        view, digest = registered.view, definition_hash(registered.view).hex()
        shape = (layout_of(view).keys, layout_of(view).slots_per_key)
        span = items[0].pane_start, items[-1].pane_start + 1
        contents = {pane.pane_start: pane.content for pane in self._registry.panes(registered.view_id, *span)}
        fresh: list[tuple[Release | Void, PaneRecord]] = []
        for item in items:
            _require_fit(view, digest, shape, item)
            record = _as_record(item)
            before = contents.get(item.pane_start)
            if before is None:
                contents[item.pane_start] = record.content
                fresh.append((item, record))
            elif before != record.content:
                raise ReleaseRefused(
                    f"view {view.name!r}: release {item.release_id.hex()} is published already with other content"
                )
        return fresh

    def _prepare(
        self, registered: RegisteredView, fresh: list[tuple[Release | Void, PaneRecord]], seq: int, now: int
    ) -> _Prepared:
        """Compute the rows of the new panes, and of the later panes whose windows they change; write them."""
        view = registered.view
        reach = reach_us(view)
        records = [record for _, record in fresh]
        first, last = records[0].pane_start, records[-1].pane_start
        neighbours = self._registry.panes(registered.view_id, first - reach, last + reach + 1)
        # a row that is issued again sums its whole window: up to `reach` before the first one
        earlier_files = self._registry.files(registered.view_id, day_of(first - reach), day_of(last + reach))
        panes, clock = self._panes(registered, fresh, neighbours, earlier_files)
        is_new = np.isin(panes.start, [record.pane_start for record in records])
        changed, since = _changed(view, panes, is_new)
        pane, released_at = issue_times(view, panes, changed, since)
        stamps = Stamps(_published_at(panes, records, now), clock, seq)
        table = issue_table(registered, panes, make_issues(view, panes, pane, released_at), stamps)
        merged, replaced = self._merge(registered, table, {record.pane_start for record in records})
        return _Prepared(registered, records, self._offline.write_days(registered, merged, seq), replaced)

    def _panes(
        self,
        registered: RegisteredView,
        fresh: list[tuple[Release | Void, PaneRecord]],
        neighbours: list[PaneRecord],
        files: list[FileRecord],
    ) -> tuple[Panes, npt.NDArray[np.int8]]:
        """The new panes and their published neighbours, in order, and their clocks."""
        layout = layout_of(registered.view)
        shape = (layout.keys, layout.slots_per_key)
        both = sorted([*neighbours, *(record for _, record in fresh)], key=lambda record: record.pane_start)
        place = {record.pane_start: i for i, record in enumerate(both)}
        slots = np.zeros((len(both), *shape), dtype=np.int64)
        for item, _ in fresh:
            if isinstance(item, Release):
                slots[place[item.pane_start]] = item.slots
        if neighbours:
            stored = self._offline.read(files, offline_schema(registered.view), ["pane_start", "slots"])
            starts = as_us(stored.column("pane_start"))[:: layout.keys]
            flat = np.zeros((stored.num_rows, layout.slots_per_key), dtype=np.int64)
            lists = stored.column("slots").combine_chunks()
            valid = lists.is_valid().to_numpy(zero_copy_only=False)
            flat[valid] = lists.flatten().to_numpy().reshape(-1, layout.slots_per_key)
            for i, start in enumerate(starts.tolist()):
                if start in place:
                    slots[place[start]] = flat[i * layout.keys : (i + 1) * layout.keys]
        panes = Panes(
            np.array([r.pane_start for r in both], dtype=np.int64),
            np.array([r.opened for r in both], dtype=bool),
            slots,
            np.array([float(r.manifest.noisers) for r in both]),
            np.array([r.released_at for r in both], dtype=np.int64),
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
        last = self._registry.last_pane(registered.view_id)
        files = self._registry.files(registered.view_id, day_of(last), day_of(last))
        schema = offline_schema(view)
        rows = self._offline.read(files, schema, schema.names)
        rows = rows.filter(pa.compute.equal(rows.column("pane_start").cast(pa.int64()), last)).combine_chunks()
        keys = layout_of(view).keys
        issued = np.lexsort((rows.column("seq").to_numpy()[::keys], as_us(rows.column("released_at"))[::keys]))[-1]
        rows = rows.slice(int(issued) * keys, keys)
        marker = OnlineMarker(seq, last + view.pane_us, int(as_us(rows.column("released_at"))[0]))
        packed = pack(view, rows)
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


def _require_fit(view: FeatureView, digest: str, shape: tuple[int, int], item: Release | Void) -> None:
    where = f"view {view.name!r}, pane {item.pane_start}"
    manifest = item.manifest
    if manifest.definition_hash != digest or manifest.view_version != 1:
        raise ReleaseRefused(f"{where}: the release is of another definition or version than the registered one")
    if manifest.noisers != (0 if manifest.noise == "none" else NOISERS):
        raise ReleaseRefused(f"{where}: noise {manifest.noise!r} does not go with {manifest.noisers} noisers")
    if item.pane_start % view.pane_us or item.pane_end != item.pane_start + view.pane_us:
        raise ReleaseRefused(f"{where}: not a pane of {view.pane}")
    moments = (item.pane_start, item.pane_end, item.released_at, item.published_at)
    if not all(_DATES[0] <= moment < _DATES[1] for moment in moments):
        raise ReleaseRefused(f"{where}: a time outside the years 1 to 9999")
    if item.released_at < item.pane_end:
        raise ReleaseRefused(f"{where}: released before the pane ends; joins would see the future")
    if item.clock not in CLOCKS:
        raise ReleaseRefused(f"{where}: unknown clock {item.clock!r}")
    if isinstance(item, Release) and (item.slots.dtype != np.int64 or item.slots.shape != shape):
        raise ReleaseRefused(f"{where}: slots {item.slots.dtype}{item.slots.shape} do not fit the layout")


def _as_record(item: Release | Void) -> PaneRecord:
    return PaneRecord(
        item.pane_start,
        item.release_id,
        isinstance(item, Release),
        item.reason if isinstance(item, Void) else None,
        item.content_hash,
        item.released_at,
        item.published_at,
        item.clock,
        item.signature,
        item.manifest,
    )


def _changed(
    view: FeatureView, panes: Panes, is_new: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Indices of the panes whose rows change, and from which issue on.

    A new pane's own rows are all new. A later pane's rows change from the moment at which the first new pane of its
    window is released (its own release, if that is later).
    """
    reach = reach_us(view)
    new = np.flatnonzero(is_new)
    first = np.searchsorted(panes.start[new], panes.start - reach)
    last = np.searchsorted(panes.start[new], panes.start, side="right")
    touched = np.flatnonzero(is_new | (first < last))
    since = np.array(
        [-(2**63) if is_new[i] else panes.released_at[new[first[i] : last[i]]].min() for i in touched.tolist()],
        dtype=np.int64,
    )
    return touched, since


def _published_at(panes: Panes, records: list[PaneRecord], now: int) -> npt.NDArray[np.int64]:
    """A new pane's own stamp; rows that are issued again are published now."""
    own = {record.pane_start: record.published_at for record in records}
    return np.array([own.get(start, now) for start in panes.start.tolist()], dtype=np.int64)
