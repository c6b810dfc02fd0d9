"""`Store`: reads of a store. Values with their companions, whole batches at a time; nothing here writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .definitions import FeatureView
from .entities import KeyType
from .errors import BadReference, StoreCorrupt, StoreNotFound
from .features import Mean, Rate
from .join import JoinSide, column_names, joined_columns, joined_fields, make_side
from .keys import arrow_type, domain_index, encode_key
from .labels import label_batches, label_times
from .latest import last_issue_of_each_pane
from .layout import layout_of
from .offline import Offline, as_us
from .online import RocksOnline
from .packing import Packed, missing_rows, unpack, unpack_feature
from .publish import store_path
from .references import Reference, resolve
from .registry import FileRecord, RegisteredView, Registry
from .release import Release, Void
from .releases import published_release, published_void, releases_table
from .schema import TIMESTAMP, history_schema, offline_schema, status_array, status_codes, value_type
from .staleness import SpentPanes
from .times import day_of, to_us
from .values import Status, made_stale, n_is_there, served_features, value_is_there

_RETRIES: Final = 5

_T = TypeVar("_T")
Ints = npt.NDArray[np.int64]
Keys: TypeAlias = Mapping[str, Sequence[Any]] | pa.Table


class Store:
    """A store, opened for reading. Open it with `Store.open`; it is a context manager.

    Args:
        clock: wall clock in µs since the epoch, for ttl.
    """

    def __init__(self, directory: Path, clock: Callable[[], int]) -> None:
        root = store_path(directory)
        if not (root / "registry.db").is_file():
            raise StoreNotFound(str(directory))
        self._clock = clock
        self._online_path = root / "online"
        self._registry = Registry(root / "registry.db", read_only=True)
        self._offline = Offline(root / "offline")

    @classmethod
    def open(cls, directory: str | Path, *, clock: Callable[[], int] = lambda: time.time_ns() // 1_000) -> Self:
        """Open the store of a directory; a writer may be at work beside it.

        Raises:
            StoreNotFound: there is none. StoreCorrupt: it is not of this version.
        """
        return cls(Path(directory), clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the store."""
        self._registry.close()

    def views(self) -> list[FeatureView]:
        """The registered views, by name."""
        return [registered.view for registered in self._registry.views()]

    def key_types(self, refs: Sequence[str]) -> dict[str, KeyType]:
        """The join keys that these references need, with their types; none for constant entities."""
        types: dict[str, KeyType] = {}
        for reference in resolve(refs, self._registry.view, full_names=True):
            entity = reference.registered.view.entity
            if not entity.constant:
                types |= dict(zip(entity.keys, entity.types, strict=True))
        return types

    def get(
        self, refs: Sequence[str], keys: Keys | None = None, *, clamp: bool = False, full_names: bool = False
    ) -> pa.Table:
        """The latest values of some keys.

        Args:
            refs: `view:feature` (with a window as `view:feature_7d`), in the order of the answer.
            keys: a column for each join key, all of one length; None or {} where all entities are constant.
            clamp: hold counts and histogram cells at 0 or above, rates in [0, 1], means in their clip range.
            full_names: name the columns `view__feature`.

        Returns:
            The key columns as given; for each reference its value, `__se`, `__n` (Mean, Rate) and `__status` (of
            `featurestore.values.Status`; docs/serving.md has the table); for each view `<view>__pane_end` and
            `<view>__released_at`.

        Raises:
            BadReference, UnknownView, UnknownFeature; BadReference for missing or wrongly typed keys.
        """
        references = resolve(refs, self._registry.view, full_names=full_names)
        table = self._key_table(references, keys)
        _refuse_clash(references, table.column_names)
        count = table.num_rows if table.num_columns else 1
        columns: dict[str, pa.Array] = dict(zip(table.column_names, table.columns, strict=True))
        times: dict[str, pa.Array] = {}
        rows_by_view: dict[str, Packed] = {}
        online = RocksOnline.open_reader(self._online_path) if (self._online_path / "CURRENT").is_file() else None
        try:
            for reference in references:
                view = reference.registered.view
                if view.name not in rows_by_view:
                    rows_by_view[view.name] = self._online_rows(online, reference.registered, table, count)
                    for i, name in enumerate(("pane_end", "released_at")):
                        moment = rows_by_view[view.name]["times"][:, i]
                        is_missing = pa.array(rows_by_view[view.name]["status"][:, 0] == Status.NOT_FOUND)
                        times[f"{view.name}__{name}"] = pa.array(moment, mask=np.asarray(is_missing)).cast(TIMESTAMP)
                columns |= _answer(reference, rows_by_view[view.name], clamp=clamp)
        finally:
            if online is not None:
                online.close()
        return pa.table(columns | times)

    def history(self, view: str, start: datetime | None = None, end: datetime | None = None) -> pa.Table:
        """A row for every join key and closed pane with start ≤ pane_start < end, in its last issue, by pane, then key.

        Every row tells its own pane's statuses, a retracted pane VOID. The row of the view's newest pane, the one that
        `get` serves, is STALE_BUDGET when the budget of a later pane was gone; such a pane has no row.

        Raises:
            UnknownView.
        """
        registered = self._registry.view(view)
        schema = offline_schema(registered.view)
        low = None if start is None else to_us(start)
        high = None if end is None else to_us(end)
        first, last = None if low is None else day_of(low), None if high is None else day_of(high)
        columns = [name for name in schema.names if name != "slots"]
        spent, newest = SpentPanes.read(self._registry, registered), self._registry.last_row(registered.view_id)
        rows = self._read(registered, first, last, schema, columns)
        rows = rows.take(pa.array(last_issue_of_each_pane(rows, layout_of(registered.view).keys)))
        if newest is not None and spent.is_stale(newest + registered.view.pane_us):
            rows = _stale_from(rows, registered.view, newest)
        for bound, keep in ((low, pa.compute.greater_equal), (high, pa.compute.less)):
            if bound is not None:
                rows = rows.filter(keep(rows.column("pane_start").cast(pa.int64()), bound))
        wanted = history_schema(registered.view)
        return rows.select(wanted.names).cast(wanted)

    def join(
        self,
        labels: pa.Table | pa.RecordBatchReader | str | Path,
        features: Sequence[str],
        time: str,
        *,
        full_names: bool = False,
    ) -> pa.RecordBatchReader:
        """Point-in-time join: the labels in their order, with the values that were released at each label's time.

        `__status` is that of the label's time too: a value is STALE_BUDGET from the moment on at which a later pane was
        published without budget, and a pane is VOID from its retraction on.

        Args:
            labels: a table, a reader, or a `.parquet` or `.csv` file, with the join keys (none for constant entities).
            features: references, `view:feature`.
            time: the labels' time column.
            full_names: name the columns `view__feature`.

        Raises:
            BadReference: a missing or wrongly typed column, or names that clash. UnknownView, UnknownFeature.
        """
        references = resolve(features, self._registry.view, full_names=full_names)
        batches, schema = label_batches(labels, self.key_types(features))
        needed = [
            time,
            *(k for r in references if not r.registered.view.entity.constant for k in r.registered.view.entity.keys),
        ]
        for name in dict.fromkeys(needed):
            if schema.names.count(name) != 1:
                raise BadReference(
                    f"the labels have no column {name!r} (or have it twice); they have: {', '.join(schema.names)}"
                )
        _refuse_clash(references, schema.names)
        label_times(pa.array([], schema.field(time).type), time)  # refuse a wrong type before anything is read
        sides = self._sides(references)
        fields = [*schema, *(field for reference in references for field in joined_fields(reference))]
        joined_schema = pa.schema(fields)
        by_view = [reference for side in sides for reference in side.references]
        order = [by_view.index(reference) for reference in references]

        def joined() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                times, known = label_times(batch.column(time), time)
                parts: list[list[pa.Array]] = []
                for side in sides:
                    arrays = iter(joined_columns(side, batch, times, known))
                    parts += [[next(arrays) for _ in joined_fields(reference)] for reference in side.references]
                columns = [*batch.columns, *(array for i in order for array in parts[i])]
                yield pa.RecordBatch.from_arrays(columns, schema=joined_schema)

        return pa.RecordBatchReader.from_batches(joined_schema, joined())

    def release(self, release_id: bytes) -> Release | Void:
        """What was published of a pane, as it was signed: a release with its slots, or a void. Retracted or not.

        Raises:
            UnknownRelease. StoreCorrupt: its slots are not those that were published.
        """
        registered, pane = self._registry.find(release_id)
        if not pane.opened:
            return published_void(registered.view, pane)
        return published_release(registered.view, pane, self._slots(registered, pane.pane_start))

    def tombstone(self, release_id: bytes) -> Void | None:
        """The retraction of a release as it was signed, a void whose reason is RETRACTED (and why); None if there is none.

        Raises:
            UnknownRelease.
        """
        registered, pane = self._registry.find(release_id)
        return None if pane.tombstone is None else published_void(registered.view, pane.tombstone)

    def evidence(self, digest: bytes) -> bytes:
        """The bytes that were published under this SHA-256: a signed plan, or an aggregator's opening statement.

        Raises:
            UnknownEvidence. StoreCorrupt: they were changed.
        """
        return self._registry.evidence(digest)

    def all_evidence(self) -> Iterator[bytes]:
        """Every blob of evidence, for those who look for one by what stands in it."""
        return self._registry.all_evidence()

    def releases(self, view: str) -> pa.Table:
        """Every published pane of a view, by pane: state, times, and the terms under which it was opened.

        `state` is opened, void or retracted; `reason` is the void's or the tombstone's, `retracted_at` the tombstone's.

        Raises:
            UnknownView.
        """
        registered = self._registry.view(view)
        return releases_table(registered.view, self._registry.panes(registered.view_id))

    def _sides(self, references: Sequence[Reference]) -> list[JoinSide]:
        """The join sides of the views that the references name, in the order of their first mention."""
        sides = []
        for name in dict.fromkeys(reference.registered.view.name for reference in references):
            of_view = tuple(reference for reference in references if reference.registered.view.name == name)
            registered = of_view[0].registered
            schema = offline_schema(registered.view)
            columns = [column for reference in of_view for column in column_names(reference.served)]
            # before the rows: a void that is known then goes with rows that are at least as new
            spent = SpentPanes.read(self._registry, registered)
            rows = self._read(registered, None, None, schema, ["pane_start", "released_at", "seq", *columns])
            sides.append(make_side(registered.view, of_view, rows, spent))
        return sides

    def _slots(self, registered: RegisteredView, pane_start: int) -> Ints:
        """int64[keys, slots_per_key] of an opened pane, from its day's files."""
        day, keys = day_of(pane_start), layout_of(registered.view).keys
        stored = self._retried(
            registered, day, day, lambda files: self._offline.slots(files, offline_schema(registered.view), keys)
        )
        if pane_start not in stored:
            raise StoreCorrupt(f"view {registered.view.name!r}, pane {pane_start}: its slots are missing")
        return stored[pane_start]

    def _read(
        self, registered: RegisteredView, first: int | None, last: int | None, schema: pa.Schema, columns: Sequence[str]
    ) -> pa.Table:
        """Rows of some days."""
        return self._retried(registered, first, last, lambda files: self._offline.read(files, schema, columns))

    def _retried(
        self, registered: RegisteredView, first: int | None, last: int | None, read: Callable[[list[FileRecord]], _T]
    ) -> _T:
        """Read files of some days. One that was replaced between list and read means: ask for the list again."""
        for _ in range(_RETRIES):
            files = self._registry.files(registered.view_id, first, last)
            try:
                return read(files)
            except FileNotFoundError as error:
                missing = error
        raise StoreCorrupt(f"a file that the registry lists is missing: {missing}")

    def _key_table(self, references: Sequence[Reference], keys: Keys | None) -> pa.Table:
        """The given keys as a table with the join keys' types; BadReference if one is missing or odd."""
        given = keys if isinstance(keys, pa.Table) else dict(keys or {})
        types: dict[str, KeyType] = {}
        for reference in references:
            entity = reference.registered.view.entity
            if not entity.constant:
                types |= dict(zip(entity.keys, entity.types, strict=True))
        names = given.column_names if isinstance(given, pa.Table) else list(given)
        for name in types:
            if name not in names:
                raise BadReference(f"the join key {name!r} is missing; given: {', '.join(names) or 'none'}")
        if isinstance(given, pa.Table):
            return given
        for name, values in given.items():
            if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
                raise BadReference(f"the join key {name!r} takes a list of values; write {{{name!r}: [{values!r}]}}")
        try:
            columns = {
                name: pa.array(values, arrow_type(types[name]) if name in types else None)
                for name, values in given.items()
            }
            return pa.table(columns)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise BadReference(f"the join keys cannot be read: {str(error).splitlines()[0]}") from None

    def _online_rows(
        self, online: RocksOnline | None, registered: RegisteredView, table: pa.Table, count: int
    ) -> Packed:
        """Packed rows of a view, one a key; expired and missing ones carry that as their status."""
        view = registered.view
        if view.entity.constant:
            index = np.zeros(count, dtype=np.int64)
        else:
            index = domain_index(view.entity, [table.column(name) for name in view.entity.keys])
        rows = missing_rows(view, count)
        marker = None if online is None else online.marker(registered.view_id)
        if online is None or marker is None or marker.rows is None:
            return rows
        known = np.flatnonzero(index >= 0)
        places, back = np.unique(index[known], return_inverse=True)
        stored = online.get(registered.view_id, [encode_key(view.entity.domain[place]) for place in places.tolist()])
        if any(row is None for row in stored):
            raise StoreCorrupt(f"the online store lacks rows of view {view.name!r}")
        rows[known] = unpack(view, [row for row in stored if row is not None])[back]
        if view.ttl_us is not None and self._clock() - marker.rows.pane_end > view.ttl_us:
            rows["status"][known] = Status.OUTSIDE_MAX_AGE
        return rows


def _stale_from(rows: pa.Table, view: FeatureView, pane_start: int) -> pa.Table:
    """The rows with the statuses of one pane made stale."""
    is_newest = as_us(rows.column("pane_start")) == pane_start
    for served in served_features(view):
        name = f"{served.name}__status"
        codes = status_codes(rows.column(name))
        codes[is_newest] = made_stale(codes[is_newest])
        rows = rows.set_column(rows.column_names.index(name), name, status_array(codes))
    return rows


def _answer(reference: Reference, rows: Packed, *, clamp: bool) -> dict[str, pa.Array]:
    """The columns of one reference: value, `__se`, `__n`, `__status`."""
    served, name = reference.served, reference.column
    value, se, n, status = unpack_feature(reference.registered.view, served, rows)
    if clamp:
        feature = served.feature
        bounds = (0, 1) if isinstance(feature, Rate) else feature.bounds if isinstance(feature, Mean) else (0, np.inf)
        value = np.clip(value, *bounds)
        n = None if n is None else np.maximum(n, 0)
    hidden = ~value_is_there(status)
    shown = np.where(hidden[:, None] if value.ndim == 2 else hidden, 0, value)
    if served.shape == "list":
        flat = pa.array(shown.reshape(-1).astype(np.int64))
        columns = {name: pa.FixedSizeListArray.from_arrays(flat, served.width, mask=pa.array(hidden))}
    else:
        columns = {name: pa.array(shown, mask=hidden).cast(value_type(served))}
    columns[f"{name}__se"] = pa.array(se, mask=hidden)
    if n is not None:
        no_n = ~n_is_there(status)
        columns[f"{name}__n"] = pa.array(np.where(no_n, 0, n).astype(np.int64), mask=no_n)
    columns[f"{name}__status"] = status_array(status)
    return columns


def _refuse_clash(references: Sequence[Reference], given: Sequence[str]) -> None:
    for reference in references:
        for field in joined_fields(reference):
            if field.name in given:
                raise BadReference(f"the column {field.name!r} is there already; ask for full names (view__feature)")
