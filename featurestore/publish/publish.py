"""Publication: writes releases, voids and retractions to the offline store, then to the online store.

The publisher is the only writer of a store.

    1. Parquet files are written beside the old ones          a crash leaves strays; the next start removes them
    2. the registry commits panes, evidence, list of files    from here on the publication counts
    3. blocks and the next CURRENT.json are written beside    the next start heals a crash: block < registry
    4. the online store gets the latest rows, and a marker    likewise: the marker and the registry differ
    5. CURRENT.json is renamed into its place                 readers take up the new epoch

A failed write, for example on a full disk, raises StoreWriteFailed. Before step 2 nothing is published; after it everything
is, but readers of the newest rows stay on the previous epoch. The publisher's next call or next start continues from there.
The same holds for OnlineUnavailable: the online store is on another server, and is away for longer than the publisher waits.

Publishing the same item again changes nothing; other content under its id is refused. A retraction is a tombstone: a void
with the reason RETRACTED (and why) for a pane with a release. The pane stays published, and is never collected again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from base.times import DAY_US, day_of
from base.traces import here
from featurestore.define.definitions import FeatureView
from featurestore.define.keys import encode_key
from featurestore.define.layout import layout_of
from featurestore.define.on_demand import OnDemandView, on_demand_by_name
from featurestore.define.panes import Panes
from featurestore.define.records import FileRecord, PaneRecord, RegisteredView
from featurestore.define.release import Release, Void
from featurestore.define.schema import offline_schema
from featurestore.define.services import FeatureService, require_service
from featurestore.errors import OnlineUnavailable, PublicationLate, StoreWriteFailed
from featurestore.offline.last_issues import latest_issues
from featurestore.offline.parquet import CLOCKS, Offline, Stamps, as_us, issue_table
from featurestore.offline.window_rows import issue_times, make_issues, reach_us
from featurestore.online.backends import open_online
from featurestore.online.block_writer import BlockWriter, CurrentRows
from featurestore.online.current_rows import current_rows
from featurestore.online.interface import OnlineStore
from featurestore.online.release_traces import keep_publication
from featurestore.online.settings import OnlineSettings, store_path
from featurestore.online.settings_file import load_settings
from featurestore.registry.known_panes import known_panes
from featurestore.registry.models import RegisteredModel, require_model, write_model
from featurestore.registry.registry import Registry
from featurestore.store_files import writing

from .admission import Admission, admit, as_record
from .writer_lock import lock_store

MAX_FILES: Final = 16
"""How many files of one view and day are merged before the day is complete: a day of 1-minute panes would be 1,440 files."""


@dataclass(frozen=True)
class PublishReport:
    """The result of a publication: how many panes are new, and how many were published already with the same content."""

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
    """The writer of one store. Use it as a context manager. A store has one publisher at a time.

    Args:
        directory: the project's (or store's) directory; made if it does not exist.
        clock: wall clock, µs since the epoch.
        settings: the settings of the online store; default: those of the directory's covey.toml.

    Raises:
        StoreInUse: there is another writer. StoreCorrupt: not a store of this version. SettingsInvalid. StoreWriteFailed,
            OnlineUnavailable: every method that writes raises them, too.
    """

    def __init__(self, directory: Path, clock: Callable[[], int], settings: OnlineSettings | None = None) -> None:
        root = store_path(directory)
        settings = settings or load_settings(directory)
        with writing(root):
            root.mkdir(parents=True, exist_ok=True)
        self._root, self._clock, self._settings = root, clock, settings
        self._lock = lock_store(root)
        try:
            self._registry = Registry(root / "registry.db", read_only=False)
            self._offline = Offline(root / "offline")
            self._online = open_online(root, settings)
            try:
                self._blocks = BlockWriter(root / "blocks", settings.max_block_bytes)
                self._heal()
            except BaseException:
                self._online.close()
                raise
        except BaseException:
            self._lock.release()
            raise
        self._unfinished = False
        """Whether a write failed and is not healed yet."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store and release its lock."""
        self._online.close()
        self._registry.close()
        self._lock.release()

    def register(self, view: FeatureView) -> RegisteredView:
        """Register a view. A view that has published nothing takes another definition. Raises ViewChanged: it has published."""
        layout_of(self.in_force(view))
        with self._healed():
            return self._with_block(self._registry.register(view))

    def in_force(self, view: FeatureView) -> FeatureView:
        """The form in which a view is collected; see `Registry.in_force`."""
        return self._registry.in_force(view)

    def reprice(self, view: FeatureView) -> RegisteredView:
        """Give a registered view that has published nothing its present price. Raises what `Registry.reprice` raises."""
        layout_of(view)
        with self._healed():
            return self._with_block(self._registry.reprice(view))

    def _with_block(self, registered: RegisteredView) -> RegisteredView:
        if self._blocks.seq(registered) is None:
            self._put_latest([CurrentRows(registered)])
        return registered

    def register_services(self, services: Iterable[FeatureService], on_demand: Iterable[OnDemandView] = ()) -> None:
        """Register feature services, all at once. A service of a known name gets the new references.

        Args:
            on_demand: the on-demand views whose outputs services may name.

        Raises:
            ServiceInvalid: a reference to a view or feature that is neither registered nor among `on_demand`.
        """
        transformations = on_demand_by_name(on_demand, {one.view.name for one in self._registry.views()})
        named = list(services)
        for service in named:
            require_service(service, self._registry.view, transformations)
        with self._healed():
            with self._registry.transaction():
                for service in named:
                    self._registry.put_service(service.name, service.refs)
            self._put_latest([])

    def register_model(self, name: str, files: Mapping[str, bytes], lineage: str) -> RegisteredModel:
        """Register a trained model as the next version of its name: its files in the store, their hashes in the registry.

        Args:
            files: contents by file name.
            lineage: a JSON object with the data and settings that the model was trained with.

        Raises:
            ModelInvalid.
        """
        require_model(name, files, lineage)
        with self._healed():
            version = 1 + max((row[1] for row in self._registry.models() if row[0] == name), default=0)
            hashes = write_model(self._root, name, version, files)
            with self._registry.transaction():
                self._registry.put_model(name, version, hashes, lineage, at := self._clock())
        return RegisteredModel.of(self._root, name, version, hashes, lineage, at)

    def opened(self, view: FeatureView) -> npt.NDArray[np.int64]:
        """int64[P]: the starts of a view's published panes (opened, void or retracted), increasing."""
        return self._registry.pane_starts(self._registry.view(view.name).view_id)

    def publish(
        self, items: Iterable[Release | Void], evidence: Iterable[bytes] = (), *, before: int | None = None
    ) -> PublishReport:
        """Publish panes and tombstones of any views, all at once.

        Args:
            evidence: bytes to keep under their SHA-256, such as signed plans and the aggregators' statements.
            before: the latest time (µs) at which the items may become readable; see `publish_live`.

        Raises:
            ReleaseRefused: an item does not fit its view, or is published already with other content. PaneNotOpen,
                PaneRetracted: a tombstone has nothing to retract. PublicationLate: the publication would come after `before`.
                After these errors nothing of the call is published.
            StoreWriteFailed, OnlineUnavailable: repeating the call publishes what is missing.
        """
        by_view: dict[str, list[Release | Void]] = {}
        for item in items:
            by_view.setdefault(item.manifest.view, []).append(item)
        with self._healed():
            seq, now = self._registry.next_seq(), self._clock()
            admitted = [self._admit(name, of_view) for name, of_view in by_view.items()]
            prepared = [self._prepare(one, seq, now) for one in admitted if one.fresh or one.tombstones]
            try:
                self._commit(seq, now, prepared, list(evidence), before)
            except PublicationLate:
                self._offline.remove([file.path for part in prepared for file in part.files])
                raise
            self._offline.remove([path for part in prepared for path in part.replaced])
            self._put_latest([self._newest(part.registered, seq) for part in prepared])
        return PublishReport(sum(len(part.panes) for part in prepared), sum(one.repeated for one in admitted))

    def _admit(self, view: str, items: list[Release | Void]) -> Admission:
        registered = self._registry.view(view)
        starts = [item.pane_start for item in items]
        return admit(registered, items, self._registry.panes(registered.view_id, min(starts), max(starts) + 1))

    def _commit(
        self, seq: int, now: int, prepared: Sequence[_Prepared], evidence: Sequence[bytes], before: int | None
    ) -> None:
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
                if before is not None and (late_us := self._clock() - before) > 0:
                    raise PublicationLate(late_us)

    def _prepare(self, admitted: Admission, seq: int, now: int) -> _Prepared:
        """Compute the rows of new and retracted panes, and of the later panes whose windows they change; write them."""
        registered, view = admitted.registered, admitted.registered.view
        moments = _moments(admitted)
        if not moments:  # voids without a row of their own
            return _Prepared(registered, admitted.records, [], [])
        reach = reach_us(view)
        first, last = min(moments), max(moments)
        neighbours = self._registry.panes(registered.view_id, first - reach, last + reach + 1)
        # a reissued row sums its whole window, which begins up to `reach` before the first pane
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
        self, admitted: Admission, neighbours: list[PaneRecord], files: list[FileRecord]
    ) -> tuple[Panes, npt.NDArray[np.int8]]:
        """The new panes and their published neighbours, in order, with their clocks."""
        view = admitted.registered.view
        layout = layout_of(view)
        known = {r.pane_start: r for r in (*neighbours, *map(as_record, admitted.fresh)) if r.makes_row}
        for tombstone in admitted.tombstones:
            start = tombstone.pane_start
            known[start] = replace(known[start], tombstone=as_record(tombstone))
        both = [known[start] for start in sorted(known)]
        stored = self._offline.slots(files, offline_schema(view), layout.keys) if neighbours else {}
        stored |= {item.pane_start: item.slots for item in admitted.fresh if isinstance(item, Release)}
        panes = known_panes(view, both, stored)
        return panes, np.array([CLOCKS.index(r.clock) for r in both], dtype=np.int8)

    def _merge(self, registered: RegisteredView, table: pa.Table, new_panes: set[int]) -> tuple[pa.Table, list[str]]:
        """Add the stored rows of each touched day that is complete or has many files, so that the day becomes one file."""
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

    def _newest(self, registered: RegisteredView, seq: int) -> CurrentRows:
        return current_rows(self._registry, self._offline, registered, seq)

    def _put_latest(self, latest: Sequence[CurrentRows]) -> None:
        """Write the online rows and blocks of some views for a publication, and switch readers to its epoch."""
        before = {one.registered.view_id: self._blocks.named(one.registered) for one in latest}
        staged = self._blocks.stage(latest, self._registry.services())
        for one in latest:
            put_online(self._online, one)
        if (tracing := here()) is not None:
            written = [(one.registered, one.marker.seq) for one in latest if one.marker is not None]
            keep_publication(self._root, [(of.view.name, of.version, seq) for of, seq in written], tracing)
        if staged is not None:
            self._blocks.switch(staged)
        with suppress(OnlineUnavailable):  # the next publication removes what remains of older ones
            for one in latest:
                if one.marker is not None:  # readers may still use the previous epoch
                    self._online.retire(one.registered, {before[one.registered.view_id], one.marker.seq})

    def _heal(self) -> None:
        """Remove the strays of a crash, and update the online rows from the registry."""
        self._offline.remove(list(self._offline.strays(self._registry.all_paths())))
        latest: list[CurrentRows] = []
        for registered in self._registry.views():
            seq = self._registry.last_seq(registered.view_id)
            marker = self._online.marker(registered.view_id)
            if (seq and (marker is None or marker.seq != seq)) or self._blocks.seq(registered) != seq:
                latest.append(self._newest(registered, seq))
        self._put_latest(latest)

    @contextmanager
    def _healed(self) -> Iterator[None]:
        """Wrap a write: first heals an earlier failed write, and remembers if this one fails."""
        if self._unfinished:
            self._online.close()  # RocksDB refuses every write after a failed one
            self._online = open_online(self._root, self._settings)
            self._blocks = BlockWriter(self._root / "blocks", self._settings.max_block_bytes)
            self._heal()
            self._unfinished = False
        try:
            yield
        except (StoreWriteFailed, OnlineUnavailable):
            self._unfinished = True
            self._offline.remove(list(self._offline.strays(self._registry.all_paths())))  # strays may fill the disk
            raise


def put_online(online: OnlineStore, latest: CurrentRows) -> None:
    """Put a view's newest rows, one a key in the domain's order; does nothing before its first publication."""
    registered, marker = latest.registered, latest.marker
    if marker is not None:
        keys = [] if latest.rows is None else [encode_key(key) for key in registered.view.entity.domain]
        online.put(registered.view_id, keys, latest.rows, marker)


def _moments(admitted: Admission) -> dict[int, int]:
    """The time (µs) from which each pane changes rows: the release of a new pane, the tombstone of a retracted one."""
    moments = {item.pane_start: item.released_at for item in admitted.tombstones}
    return moments | {item.pane_start: item.released_at for item in admitted.fresh if as_record(item).makes_row}


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
