"""`Store`: reads features from a store, in whole batches, each value with its companions. It never writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar, overload

import pyarrow as pa

from base.times import to_us, wall_clock
from featurestore.define.decoded import Ints
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import ColumnType
from featurestore.define.on_demand import OnDemandView, on_demand_by_name
from featurestore.define.panes import Panes
from featurestore.define.references import Reference
from featurestore.define.release import Clock, Release, Void, release_id
from featurestore.define.schema import history_schema
from featurestore.define.services import FeatureService, refs_of
from featurestore.define.values import served_features
from featurestore.define.wire import definition_hash
from featurestore.join.labels import LabelSource, open_labels
from featurestore.join.on_demand import find_join_columns
from featurestore.join.plan import RowSource, ViewToJoin, joined, joined_schema
from featurestore.join.view_history import StoredRows
from featurestore.offline.history import History
from featurestore.offline.parquet import CLOCKS, Offline
from featurestore.offline.series import Series, SeriesCache, read_series
from featurestore.online.blocks import Snapshot, open_blocks
from featurestore.online.settings import directory_of, store_path
from featurestore.publish.newest_panes import newest_panes
from featurestore.read.answer import AnswerTable, Keys, entities_of, key_table, key_types
from featurestore.read.request import Reading, find_columns, inputs_of, views_of
from featurestore.registry.consistency import registry_problems
from featurestore.registry.lineage import Lineage
from featurestore.registry.models import RegisteredModel, parse_reference
from featurestore.registry.published_panes import PublishedPanes
from featurestore.registry.registry import Registry
from featurestore.registry.releases import published_release, published_void, releases_table
from featurestore.registry.serving_versions import ModelHistory, Weights
from featurestore.registry.staleness import SpentPanes
from featurestore.registry.watch import POLL_S, Published, wait_for, watch

from .errors import (
    BadReference,
    ReleaseExpired,
    StoreCorrupt,
    StoreNotFound,
    UnknownFeature,
    UnknownFeatureService,
    UnknownModel,
)

if TYPE_CHECKING:
    from featurestore.read.vectors import Reader
    from featurestore.remote.store import RemoteStore
    from featurestore.remote.tls import ReaderTls

_RETRIES: Final = 5
_UNDER_WAY_S: Final = 0.05
"""How long to wait while a publication has written its rows but not its CURRENT.json."""

_T = TypeVar("_T")


class Store:
    """A store, opened for reading. Open it with `Store.open`; it is a context manager.

    Attributes:
        root: the store's directory.
        blocks: the newest rows of every view.
        panes: what became of the panes of every view.
        on_demand: on-demand views by name.
        clock: wall clock in µs since the epoch, for ttl.
    """

    def __init__(self, directory: Path, clock: Callable[[], int], on_demand: Iterable[OnDemandView] = ()) -> None:
        directory = directory_of(directory)
        root = store_path(directory)
        if not (root / "registry.db").is_file():
            raise StoreNotFound(str(directory))
        self.clock = clock
        self.blocks = open_blocks(directory)
        self.root = root
        self._registry = Registry(root / "registry.db", read_only=True)
        self.panes = PublishedPanes(self._registry)
        self._history = History(self._registry, Offline(root / "offline"))
        self.on_demand = on_demand_by_name(on_demand, {view.name for view in self.views()})

    @overload
    @classmethod
    def open(
        cls, where: Path, *, on_demand: Iterable[OnDemandView] = (), clock: Callable[[], int] = wall_clock
    ) -> Store: ...

    @overload
    @classmethod
    def open(
        cls,
        where: str,
        *,
        on_demand: Iterable[OnDemandView] = (),
        clock: Callable[[], int] = wall_clock,
        key: str | None = None,
        tls: ReaderTls | None = None,
    ) -> Store | RemoteStore: ...

    @classmethod
    def open(
        cls,
        where: str | Path,
        *,
        on_demand: Iterable[OnDemandView] = (),
        clock: Callable[[], int] = wall_clock,
        key: str | None = None,
        tls: ReaderTls | None = None,
    ) -> Store | RemoteStore:
        """Open the store of a directory, or a remote store by the URL of its feature server.

        A writer may publish at the same time.

        Args:
            where: a project directory, the folder `store` in it, or `http://…`, `https://…`, `grpc://host:port`, `grpcs://host:port`.
            on_demand: on-demand views whose outputs can be requested like stored features. A server has its own.
            clock: wall clock, µs since the epoch, for ttl. A server has its own.
            key: an API key of the server; default: the environment variable COVEY_API_KEY.
            tls: the files of TLS with a server; default: those that COVEY_TLS_AUTHORITY and others name, see `ReaderTls`.

        Raises:
            StoreNotFound. StoreCorrupt: another version wrote it. OnDemandInvalid. RemoteFailed: not the URL of a feature server.
        """
        if isinstance(where, str) and "://" in where:
            from featurestore.remote.store import open_remote  # its imports are slow

            return open_remote(where, key, tls)
        return cls(Path(where), clock, on_demand)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store's files."""
        self._registry.close()

    def views(self) -> list[FeatureView]:
        """The registered views, by name."""
        return [registered.view for registered in self._registry.views()]

    def view(self, name: str) -> FeatureView:
        """The definition of `view`, as its name serves it, or of `view@v<n>`. Raises UnknownView, UnknownVersion."""
        return self._registry.named(name).view

    def version_names(self, view: str | None = None) -> list[str]:
        """Every version as `view@v<n>`, by view and number.

        Args:
            view: only those of this view; only itself if it is a version.

        Raises:
            UnknownView, UnknownVersion.
        """
        if view is None:
            return [registered.name for registered in self._registry.every_version()]
        if "@" in view:
            return [self._registry.named(view).name]
        return [version.registered.name for version in self._registry.versions(view)]

    def definitions(self) -> dict[str, str]:
        """The version (`view@v<n>`) that has or had each definition, by the hash (hex) of the definition."""
        return {definition_hash(view).hex(): name for view, name in self._registry.definitions()}

    def pane_ids(self) -> set[str]:
        """The release id (hex) of every published pane under every definition of its collection.

        A plan may have been made with an earlier definition than the one under which its pane was published at last.
        """
        return {
            release_id(digest, start).hex()
            for digests, starts in self._registry.published_panes()
            for digest in digests
            for start in starts
        }

    def key_types(self, refs: Sequence[str] | FeatureService) -> dict[str, ColumnType]:
        """The join keys and inputs that these references need, with their types. Constant entities need no keys."""
        snapshot = self.newest_snapshot()
        requested = find_columns(refs_of(refs), snapshot, self.on_demand, full_names=True)
        return inputs_of(requested) | key_types(views_of(requested, snapshot))

    def get(
        self,
        refs: Sequence[str] | FeatureService,
        keys: Keys | None = None,
        *,
        clamp: bool = False,
        full_names: bool = False,
    ) -> pa.Table:
        """The newest values of some keys.

        Args:
            refs: `view:feature` (with a window as `view:feature_7d`), in the order of the answer, or a service.
            keys: a column for each join key and each input of an on-demand view, all of one length, or a list of
                rows, such as [{"dest": "ATL"}, {"dest": "LAX"}]; None or {} if all entities are constant.
            clamp: limit counts and histogram cells to 0 or more, rates to [0, 1], and means to their clip range.
            full_names: name the columns `view__feature`, and `view@v1__feature` for `view@v1:feature`.

        Returns:
            The key columns as given; for each reference its value, `__se`, `__lo` and `__hi` (a 95 % interval), `__n` (Mean,
            Rate) and `__status` (of `featurestore.define.values.Status`; docs/serving.md has the table); for each view
            `<view>__pane_end` and `<view>__released_at`, with the version in a name that pins it.

        Raises:
            BadReference, UnknownView, UnknownFeature; BadReference for missing or wrongly typed keys.
        """
        snapshot = self.newest_snapshot()
        requested = find_columns(refs_of(refs), snapshot, self.on_demand, full_names=full_names)
        types = key_types(views_of(requested, snapshot))
        table = key_table(keys, types)
        entities, count = entities_of(table, types)
        reading = Reading(snapshot, self.on_demand, entities, count, self.clock())
        given = dict(zip(table.column_names, table.columns, strict=True))
        return pa.table(AnswerTable(requested).columns(given, reading, clamp=clamp))

    def reader(self, refs: Sequence[str] | FeatureService, *, intervals: bool = False) -> Reader:
        """A reader of one feature vector, without Arrow: for models that are served in this process.

        Args:
            intervals: whether the vectors have 95 % intervals, which take time.

        Raises:
            BadReference, UnknownView, UnknownFeature.
        """
        from featurestore.read.vectors import Reader  # numba is slow to import

        return Reader(self.newest_snapshot, refs_of(refs), self.on_demand, self.clock, intervals=intervals)

    def services(self) -> list[FeatureService]:
        """The feature services, by name."""
        return [FeatureService(name, refs) for name, refs in self._registry.services().items()]

    def service(self, name: str) -> FeatureService:
        """A feature service. Raises UnknownFeatureService, which lists all services."""
        services = self._registry.services()
        if name not in services:
            raise UnknownFeatureService(name[:80], list(services))
        return FeatureService(name, services[name])

    def models(self) -> list[RegisteredModel]:
        """The registered models, by name and version."""
        return [RegisteredModel.of(self.root, row) for row in self._registry.models.all()]

    def model_names(self) -> list[str]:
        """The names of the registered models. Their lineages, which may be long, are not read."""
        return list(dict.fromkeys(one.partition("@")[0] for one in self._registry.models.names()))

    def model(self, name: str) -> RegisteredModel:
        """The version of a model with the largest share in force, or `name@v<n>`. Raises UnknownModel, which lists all models."""
        with self._registry.snapshot():
            wanted, version = parse_reference(name, self._registry.models.names)
            if version is None:
                version = self.in_force(wanted).heaviest
            row = self._registry.models.find(wanted, version)
            if row is None:
                raise UnknownModel(name, self._registry.models.names())
            return RegisteredModel.of(self.root, row)

    def in_force(self, model: str) -> Weights:
        """The versions of a model that answer requests, with their shares. Raises UnknownModel, which lists all models."""
        return self.model_history(model).in_force

    def model_history(self, model: str) -> ModelHistory:
        """The versions of a model, and what was promoted. Raises UnknownModel, which lists all models."""
        with self._registry.snapshot():
            return self._registry.models.history(model)

    def models_stamp(self) -> object:
        """A value that changes when any process registers, deletes or promotes a model; it takes microseconds."""
        return self._registry.models.stamp()

    def history(
        self, view: str, start: datetime | None = None, end: datetime | None = None, *, intervals: bool = True
    ) -> pa.Table:
        """A row for every join key and closed pane with start ≤ pane_start < end, in its last issue, by pane, then key.

        Every row has its own pane's statuses; a retracted pane is VOID. A pane whose budget was spent has no row. The row
        that `get` serves, of the newest pane with a row, is STALE_BUDGET if the budget of a later pane was spent.

        Args:
            intervals: whether the answer has `__lo` and `__hi` of each feature.

        Raises:
            UnknownView.
        """
        low = None if start is None else to_us(start)
        high = None if end is None else to_us(end)
        return self._history.table(self._registry.named(view), low, high, intervals=intervals)

    def history_parts(
        self, view: str, between: tuple[int | None, int | None], *, intervals: bool
    ) -> tuple[pa.Schema, Iterator[pa.Table]]:
        """The rows of `history` in parts of whole days, so that few of them are in memory; and their schema.

        Each part is read when it is asked for. A part that is read after a publication has its rows.

        Args:
            between: [start, end) of the panes, µs; None: an open end.

        Raises:
            UnknownView, UnknownVersion.
        """
        registered = self._registry.named(view)
        return history_schema(registered.view, intervals=intervals), self._history.parts(
            registered, *between, intervals=intervals
        )

    def series(
        self,
        view: str,
        feature: str,
        places: Ints,
        between: tuple[int | None, int | None],
        cache: SeriesCache,
    ) -> Series:
        """One feature of some keys over time: the values and statuses of `history`, as arrays.

        Args:
            places: int64[K], of the keys in the sorted domain of the view's entity; at least one.
            between: [start, end) of the panes, µs; None: an open end.
            cache: keeps what was read of files, which do not change.

        Raises:
            UnknownView, UnknownVersion, UnknownFeature. SeriesTooLong.
        """
        registered = self._registry.named(view)
        served = {one.name: one for one in served_features(registered.view)}
        if feature not in served:
            raise UnknownFeature(view, feature[:80], list(served))
        return read_series(self._registry, self._history, registered, served[feature], places, between, cache)

    def join(
        self,
        labels: LabelSource,
        features: Sequence[str] | FeatureService,
        time: str,
        *,
        full_names: bool = False,
        intervals: bool = True,
        memory_limit: int | str | None = None,
        clock: Clock | None = None,
    ) -> pa.RecordBatchReader:
        """Point-in-time join: the labels in their order, each with the values that were released at its time.

        `__status` is also the status at the label's time: a value is STALE_BUDGET once a void of a later pane says that its
        budget is spent, and a pane is VOID once it is retracted.

        Args:
            labels: a table, a reader, a pandas DataFrame (without its index), or a `.parquet` or `.csv` file, with the
                join keys (none for constant entities) and the inputs of on-demand views.
            features: references, `view:feature`, or a service.
            time: the labels' time column.
            full_names: name the columns `view__feature`, and `view@v1__feature` for `view@v1:feature`.
            intervals: whether the answer has `__lo` and `__hi` of each feature. They take time and memory.
            memory_limit: of this process, in bytes or as text such as "1GiB". Labels and history may both be larger.
                Default: the memory in use plus half of the machine's available memory. Temporary files lie in TMPDIR.
            clock: "live" or "replay": labels get releases of this clock only; None: of both. `clocks` counts them.

        Returns:
            A reader of the joined batches. The store is completely read by then and may be closed.

        Raises:
            BadReference: a missing or wrongly typed column, an unknown clock, names that clash, or a file that cannot be read.
            MemoryLimitTooSmall: names the least limit that suffices. MemoryLimitUnreadable. SpillFailed: TMPDIR is full.
            UnknownView, UnknownFeature. OnDemandFailed: raised while the batches are read.
        """
        if clock is not None and clock not in CLOCKS:
            raise BadReference(f"clock={clock!r} is unknown; give {' or '.join(map(repr, CLOCKS))}, or leave it out")
        columns = find_join_columns(
            refs_of(features), self.on_demand, cache(self._registry.view), full_names=full_names, intervals=intervals
        )
        given = open_labels(labels, columns.column_types)
        schema = joined_schema(given.schema, columns.stored, time)
        batches = joined(given, schema, time, self._views_to_join(columns.stored, clock), memory_limit)
        return columns.computed(given.schema, pa.RecordBatchReader.from_batches(schema, batches))

    def clocks(self, features: Sequence[str] | FeatureService) -> dict[str, dict[Clock, int]]:
        """How many live and replayed panes the history of each view has that a join of these features reads.

        Views are named as the references spell them, with `@v<n>` if they pin a version.

        Raises:
            BadReference, UnknownView, UnknownFeature.
        """
        columns = find_join_columns(
            refs_of(features), self.on_demand, cache(self._registry.view), full_names=True, intervals=False
        )
        views = {one.view: one.registered for one in columns.stored}
        return {name: self._registry.clocks(registered) for name, registered in views.items()}

    def newest_panes(self, view: str, reach_us: int, *, merged: bool) -> Iterator[Panes]:
        """The panes, with their sums, that the newest rows of a view were computed from: by start, the rows' own pane last.

        Args:
            reach_us: how far before the rows' own pane the first one may start.
            merged: whether one pane may stand for all of those that the same windows hold, which is faster.

        Raises:
            UnknownView, UnknownVersion. ReleaseExpired: sums of these panes have left the store. StoreCorrupt.
            FileNotFoundError: a publication replaced a file meanwhile; read again.
        """
        return newest_panes(self._registry, self._history.offline, self._registry.named(view), reach_us, merged=merged)

    def release(self, release_id: bytes) -> Release | Void:
        """The release of a pane with its slots, or its void, as it was signed; also after a retraction.

        Raises:
            UnknownRelease. ReleaseExpired. StoreCorrupt: the stored slots differ from the published ones.
        """
        registered, pane = self._registry.find(release_id)
        if not pane.opened:
            return published_void(registered.view, pane)
        if pane.pane_start < self._registry.selection(registered).rows_from:
            raise ReleaseExpired(registered.view.name, pane.pane_start)
        return published_release(registered.view, pane, self._history.slots(registered, pane.pane_start))

    def tombstone(self, release_id: bytes) -> Void | None:
        """The signed retraction of a release: a void whose reason is RETRACTED (and why); None without a retraction.

        Raises:
            UnknownRelease.
        """
        registered, pane = self._registry.find(release_id)
        return None if pane.tombstone is None else published_void(registered.view, pane.tombstone)

    def evidence(self, digest: bytes) -> bytes:
        """The published bytes with this SHA-256: a signed plan, or an aggregator's opening statement.

        Raises:
            UnknownEvidence. StoreCorrupt: the bytes were changed.
        """
        return self._registry.publications.evidence(digest)

    def all_evidence(self) -> Iterator[bytes]:
        """Every blob of evidence, for a search by content."""
        return self._registry.publications.all_evidence()

    def registry_problems(self) -> list[str]:
        """The problems of the registry's file, one a line: damage, and deleted rows."""
        return registry_problems(self._registry.path)

    def releases(self, view: str) -> pa.Table:
        """Every published pane of a view, by pane: state, times, and the terms of its opening.

        `view` has the panes of all collections of the name, `view@v<n>` those of which the version has rows.
        `state` is opened, void or retracted. `reason` comes from the void or the tombstone, `retracted_at` from the tombstone.

        Raises:
            UnknownView, UnknownVersion.
        """
        registered = self._registry.named(view)
        if "@" in view:
            return releases_table(registered.view, self._registry.panes(registered))
        own = [releases_table(of.view, panes) for of, panes in self._registry.all_panes(view)]
        return pa.concat_tables(own).sort_by("pane_start")

    def stamp(self) -> object:
        """A value that changes when any process changes the store; it takes microseconds. It is of this open store alone."""
        return self._registry.stamp()

    def lineages(self) -> list[Lineage]:
        """The versions of every view, with what is collected of them when."""
        return self._registry.lineages()

    def published(self, view: str, after: int) -> list[Published]:
        """The panes of a view that were published after a publication (0: all), in the order of publication.

        Raises:
            UnknownView.
        """
        return self._registry.published_since(self._registry.named(view), after)

    def watch(
        self, view: str, after: int | None = None, *, wait: Callable[[], bool] = lambda: wait_for(POLL_S)
    ) -> Iterator[Published]:
        """Every pane of a view as it is published, each once. The iterator ends when it is closed.

        Args:
            after: the last publication that the caller knows (`Published.seq`); None: only future publications.
            wait: waits before the next look; False ends the watch.

        Raises:
            UnknownView.
        """
        self._registry.named(view)
        return watch(
            lambda: self._registry.last_seq(self._registry.named(view)),
            lambda seq: self._registry.published_since(self._registry.named(view), seq),
            after,
            wait,
        )

    def newest_snapshot(self) -> Snapshot:
        """The newest readable epoch, for reads in process. Raises StoreCorrupt: there is none."""
        for _ in range(_RETRIES):
            self.blocks.refresh()
            if self.blocks.problem is None or self.blocks.snapshot.epoch:
                return self.blocks.snapshot
            time.sleep(_UNDER_WAY_S)
        raise StoreCorrupt(self.blocks.problem)

    def _views_to_join(self, references: Sequence[Reference], clock: Clock | None) -> list[ViewToJoin]:
        """The views that the references name, each with its references."""
        views = []
        for view_id in dict.fromkeys(reference.registered.view_id for reference in references):
            of_view = tuple(reference for reference in references if reference.registered.view_id == view_id)
            registered = of_view[0].registered
            rows = sum(file.rows for file in self._registry.publications.files(registered.view_id))
            spent = SpentPanes.read(self._registry, registered, clock)
            views.append(ViewToJoin(of_view, rows, spent, self._reads(of_view, clock)))
        return views

    def _reads(self, of_view: tuple[Reference, ...], clock: Clock | None) -> RowSource:
        def reads(read: Callable[[StoredRows], _T]) -> _T:
            offline = self._history.offline
            return self._history.read(
                of_view[0].registered, None, None, lambda files: read(StoredRows(offline, of_view, tuple(files), clock))
            )

        return reads
