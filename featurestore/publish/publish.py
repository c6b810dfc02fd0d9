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

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from base.times import utc_text
from base.traces import here
from featurestore.define.definitions import FeatureView
from featurestore.define.keys import encode_key
from featurestore.define.layout import layout_of
from featurestore.define.on_demand import OnDemandView, on_demand_by_name
from featurestore.define.records import RegisteredView
from featurestore.define.release import Release, Void
from featurestore.define.services import FeatureService, require_service
from featurestore.errors import (
    OnlineUnavailable,
    PublicationLate,
    ReleaseRefused,
    StoreWriteFailed,
    VersionInUse,
    ViewGivenTwice,
)
from featurestore.offline.parquet import Offline
from featurestore.online.backends import open_online
from featurestore.online.block_writer import BlockWriter, CurrentRows
from featurestore.online.current_rows import current_rows
from featurestore.online.interface import OnlineStore
from featurestore.online.release_traces import keep_publication
from featurestore.online.settings import OnlineSettings, store_path
from featurestore.online.settings_file import load_settings
from featurestore.registry.lineage import Span
from featurestore.registry.model_rows import ModelRow
from featurestore.registry.models import RegisteredModel, require_model, write_model
from featurestore.registry.registry import Applied, Registry
from featurestore.store_files import writing

from .admission import Admission, admit
from .model_versions import remove_deleted
from .progress import Progress
from .retention import expire
from .rows import Prepared, prepare
from .versions import Changes
from .writer_lock import lock_store


@dataclass(frozen=True)
class PublishReport:
    """The result of a publication: how many panes are new, and how many were published already with the same content."""

    published: int
    repeated: int


class Publisher:
    """The writer of one store. Use it as a context manager. A store has one publisher at a time.

    Args:
        directory: the project's (or store's) directory; made if it does not exist.
        clock: wall clock, µs since the epoch.
        settings: the settings of the online store; default: those of the directory's covey.toml.
        wait: wait for another writer to end, instead of raising StoreInUse.

    Raises:
        StoreInUse: there is another writer. StoreCorrupt: not a store of this version. SettingsInvalid. StoreWriteFailed,
            OnlineUnavailable: every method that writes raises them, too.
    """

    def __init__(
        self,
        directory: Path,
        clock: Callable[[], int],
        settings: OnlineSettings | None = None,
        *,
        wait: bool = False,
    ) -> None:
        root = store_path(directory)
        settings = settings or load_settings(directory)
        with writing(root):
            root.mkdir(parents=True, exist_ok=True)
        self._root, self._clock, self._settings = root, clock, settings
        self._lock = lock_store(root, wait=wait)
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
        """Register the first version of a view, or find the version that is collected with this definition.

        A view that has published nothing takes another definition.

        Raises:
            ViewChanged: the store has another definition of this name; see `apply`.
        """
        layout_of(self.in_force(view))
        with self._healed():
            return self._with_block(self._registry.register(view, self._clock()))

    def recognise(self, view: FeatureView) -> RegisteredView:
        """The version that has or had this definition; an unknown name gets its first version. Raises ViewChanged."""
        return self._registry.defined_by(view) or self.register(view)

    def apply(
        self,
        views: Iterable[FeatureView],
        *,
        overlap_days: int = 0,
        start: int | None = None,
        as_defined: bool = False,
        progress: Progress = lambda *_: None,
    ) -> tuple[Applied, ...]:
        """Make these definitions those of their views, all or none: register, annotate, or make the next version.

        The rows of a new version are computed from the panes that it takes over, and written in the same transaction. A view that
        has published nothing takes another definition.

        Args:
            overlap_days: for how many days a collection that is replaced goes on beside the new one.
            start: the UTC midnight (µs) at which new collections begin; default: the next one.
            as_defined: take each definition in its own form, also if another form of it is in force; see `in_force`.
            progress: is called with (`view@v<n>`, days written, all days).

        Raises:
            ViewGivenTwice. OverlapRefused. FeatureInService: a service names a feature that a view loses. HandOverRefused: a new
                collection would open a day that another one has opened.
        """
        wanted = list(views)
        for i, view in enumerate(wanted):
            layout_of(view if as_defined else self.in_force(view))
            if any(view.name == other.name for other in wanted[:i]):
                raise ViewGivenTwice(view.name)
        with self._healed():
            changes = Changes(self._registry, self._offline, self._clock(), progress)
            try:
                with self._registry.transaction():
                    applied = tuple(changes.apply(view, start, overlap_days, as_defined=as_defined) for view in wanted)
                    changes.record()
            except BaseException:  # also KeyboardInterrupt, which may come right after the commit
                listed = self._registry.publications.all_paths()
                self._offline.remove([path for path in changes.written if path not in listed])
                raise
            self._offline.remove(changes.replaced)
            self._put_outdated()
        return applied

    def deprecate(self, name: str, version: int) -> None:
        """Mark a version as deprecated: it keeps its rows, and gets no new ones.

        Raises:
            UnknownView, UnknownVersion. VersionInUse: its name serves it, or it is the one that was applied last.
        """
        lineage, registered = self._registry.lineage(name), self._registry.view(name, version)
        if registered == lineage.served.registered:
            raise VersionInUse(name, version, "the name serves it")
        if registered == lineage.newest.registered:
            raise VersionInUse(name, version, "it was applied last, and the name moves to it with its first release")
        with self._healed(), self._registry.transaction():
            self._registry.deprecate(registered, self._clock())

    def in_force(self, view: FeatureView) -> FeatureView:
        """The form in which a view is collected; see `Registry.in_force`."""
        return self._registry.in_force(view)

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
            version = self._registry.models.next_version(name)
            hashes = write_model(self._root, name, version, files)
            with self._registry.transaction():
                self._registry.models.put(name, version, hashes, lineage, at := self._clock())
        return RegisteredModel.of(self._root, ModelRow(name, version, hashes, lineage, at))

    def opened(self, view: FeatureView, between: tuple[int, int] | None = None) -> npt.NDArray[np.int64]:
        """int64[P]: the starts of the published panes (opened, void or retracted) of a view, increasing; see `taken_panes`.

        Args:
            between: [from, to), µs: only the panes of its days; None: all.

        Raises:
            UnknownView: the store has no view of its name.
        """
        self._registry.lineage(view.name)
        return self._registry.taken_panes(view, between)

    def spans(self, view: FeatureView) -> list[Span]:
        """When the collection of a definition is scheduled, [start, end) in µs; empty if it is not registered."""
        registered = self._registry.defined_by(view)
        return [] if registered is None else self._registry.lineage(view.name).spans(registered.collection_id)

    def publish(
        self, items: Iterable[Release | Void], evidence: Iterable[bytes] = (), *, before: int | None = None
    ) -> PublishReport:
        """Publish panes and tombstones of any views, all at once. Every version that uses a pane gets its rows.

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
            seq, now = self._registry.publications.next_seq(), self._clock()
            admitted = [one for name, of_view in by_view.items() for one in self._admit(name, of_view)]
            prepared = [
                part
                for name in by_view
                for part in prepare(
                    self._registry,
                    self._offline,
                    [one for one in admitted if one.registered.view.name == name],
                    seq,
                    now,
                )
            ]
            try:
                expired = self._commit(seq, now, admitted, prepared, list(evidence), before)
            except PublicationLate:
                self._offline.remove([file.path for part in prepared for file in part.files])
                raise
            self._offline.remove([*(path for part in prepared for path in part.replaced), *expired])
            self._put_latest([self._newest(part.registered, seq) for part in prepared])
        return PublishReport(sum(len(one.records) for one in admitted), sum(one.repeated for one in admitted))

    def _admit(self, view: str, items: list[Release | Void]) -> list[Admission]:
        """The items of a name, by collection. Raises ReleaseRefused: no version of the view has or had an item's definition."""
        lineage = self._registry.lineage(view)
        definitions = {digest.hex(): version for version in lineage.versions for digest in version.definitions}
        by_collection: dict[int, list[Release | Void]] = {}
        for item in items:
            version = definitions.get(item.manifest.definition_hash)
            if version is None or version.registered.version != item.manifest.view_version:
                raise ReleaseRefused(
                    f"view {view!r}, pane {utc_text(item.pane_start)}: the release has another definition or version than those of "
                    "the registered view"
                )
            by_collection.setdefault(version.registered.collection_id, []).append(item)
        admitted = []
        for collection_id, of_collection in by_collection.items():
            keeper = lineage.keeper(collection_id).registered
            starts = [item.pane_start for item in of_collection]
            known = self._registry.publications.panes(self._registry.own(keeper), min(starts), max(starts) + 1)
            admitted.append(admit(keeper, of_collection, [record for _, record in known]))
        return admitted

    def _commit(
        self,
        seq: int,
        now: int,
        admitted: Sequence[Admission],
        prepared: Sequence[Prepared],
        evidence: Sequence[bytes],
        before: int | None,
    ) -> list[str]:
        """Register a publication; returns the files whose rows leave with it."""
        expired: list[str] = []
        with self._registry.transaction():
            self._registry.publications.keep_evidence(evidence)
            panes = [(one.registered.collection_id, pane) for one in admitted for pane in one.records]
            if panes:
                self._registry.publications.record(
                    seq,
                    now,
                    panes,
                    [(part.registered.view_id, file) for part in prepared for file in part.files],
                    [path for part in prepared for path in part.replaced],
                    [part.registered.view_id for part in prepared if part.renews],
                )
                self._registry.publications.keep_running(
                    seq, ((part.registered.view_id, part.running) for part in prepared)
                )
                for one in admitted:
                    opened = [item.pane_start for item in one.fresh if isinstance(item, Release)]
                    self._registry.serve(one.registered, opened, now)
                    ends = [item.pane_end for item in one.fresh]
                    expired += expire(self._registry, one.registered.view.name, max(ends)) if ends else []
                if before is not None and (late_us := self._clock() - before) > 0:
                    raise PublicationLate(late_us)
        return expired

    def _newest(self, registered: RegisteredView, seq: int) -> CurrentRows:
        return current_rows(self._registry, self._offline, registered, seq)

    def _put_latest(self, latest: Sequence[CurrentRows]) -> None:
        """Write the online rows and blocks of some views for a publication, and switch readers to its epoch."""
        before = {one.registered.view_id: self._blocks.named(one.registered) for one in latest}
        staged = self._blocks.stage(latest, self._registry.services(), self._registry.served())
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
        self._offline.remove(list(self._offline.strays(self._registry.publications.all_paths())))
        remove_deleted(self._registry)
        self._put_outdated()

    def _put_outdated(self) -> None:
        """Update the online rows and blocks that differ from the registry."""
        latest: list[CurrentRows] = []
        for registered in self._registry.every_version():
            seq = self._registry.last_seq(registered)
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
            self._offline.remove(
                list(self._offline.strays(self._registry.publications.all_paths()))
            )  # strays may fill the disk
            raise


def put_online(online: OnlineStore, latest: CurrentRows) -> None:
    """Put a view's newest rows, one a key in the domain's order; does nothing before its first publication."""
    registered, marker = latest.registered, latest.marker
    if marker is not None:
        keys = [] if latest.rows is None else [encode_key(key) for key in registered.view.entity.domain]
        online.put(registered.view_id, keys, latest.rows, marker)
