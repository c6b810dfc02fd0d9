"""One feature of some keys over time, as arrays: the columns of `history` that a chart needs, and no others.

A file is read once: it never changes after it was written, so its decoded columns may be kept under its path. After a
publication only the new files are read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from base.times import day_of
from featurestore.define.decoded import Bytes, Floats, Ints, made_stale, n_is_there, value_is_there
from featurestore.define.layout import layout_of
from featurestore.define.records import FileRecord, RegisteredView
from featurestore.define.schema import feature_fields, floats_of, offline_schema, status_codes
from featurestore.define.values import ServedFeature, interval_of
from featurestore.errors import SeriesTooLong
from featurestore.registry.registry import Registry
from featurestore.registry.staleness import SpentPanes

from .history import History
from .parquet import Offline, as_us

MAX_ROWS: Final = 100_000_000
"""The most stored rows that one series reads: about a minute."""
MAX_VALUES: Final = 20_000_000
"""The most numbers that one series holds at a time: 160 MB of values and as much of standard errors."""
_BATCH_VALUES: Final = 262_144
"""The most numbers of a feature that are decoded at once; a row of a list has as many as it has cells."""
_THREADS: Final = 4
_KEPT_BYTES: Final = 128 * 2**20


@dataclass(frozen=True, eq=False)
class Series:
    """One feature of K keys in P panes, each in its last issue.

    Attributes:
        places: int64[K], of the keys in the sorted domain.
        pane_start, released_at: int64[P], µs; pane_start is increasing.
        release_id: hexadecimal, one a pane.
        value, low, high: float64[P, K], or float64[P, K, cells] of a list; NaN where the status has no value. low and high are
            the ends of the 95 % interval.
        se: float64[P, K]; NaN where the status has no value.
        n: float64[P, K] of a ratio, NaN where the status has none; else None.
        status: uint8[P, K] of `Status`.
    """

    places: Ints
    pane_start: Ints
    released_at: Ints
    release_id: tuple[str, ...]
    value: Floats
    se: Floats
    low: Floats
    high: Floats
    n: Floats | None
    status: Bytes


@dataclass(frozen=True, eq=False)
class _Issues:
    """The rows of some issues, of all keys or of chosen ones; the arrays are as in `Series`, with an issue for each pane."""

    pane_start: Ints
    released_at: Ints
    seq: Ints
    release_id: npt.NDArray[Any]
    value: Floats
    se: Floats
    n: Floats | None
    status: Bytes

    @property
    def nbytes(self) -> int:
        return sum(int(one.nbytes) for one in vars(self).values() if one is not None)

    def of_keys(self, places: Ints) -> _Issues:
        """The same issues of some keys only."""
        n = None if self.n is None else self.n[:, places]
        stamps = self.pane_start, self.released_at, self.seq, self.release_id
        return _Issues(*stamps, self.value[:, places], self.se[:, places], n, self.status[:, places])

    def chosen(self, issues: Ints) -> _Issues:
        """Some of the issues."""
        n = None if self.n is None else self.n[issues]
        stamps = self.pane_start[issues], self.released_at[issues], self.seq[issues], self.release_id[issues]
        return _Issues(*stamps, self.value[issues], self.se[issues], n, self.status[issues])


class SeriesCache:
    """The decoded columns of files, by path and feature; the least recently used ones leave. Any thread may use it."""

    def __init__(self, most_bytes: int = _KEPT_BYTES) -> None:
        self._most, self._bytes = most_bytes, 0
        self._kept: OrderedDict[tuple[str, str], _Issues] = OrderedDict()
        self._lock = Lock()

    def get(self, path: str, feature: str) -> _Issues | None:
        """What is kept of a file, or None."""
        with self._lock:
            found = self._kept.get((path, feature))
            if found is not None:
                self._kept.move_to_end((path, feature))
            return found

    def put(self, path: str, feature: str, issues: _Issues) -> None:
        """Keep the columns of a file, if they are a small part of the cache."""
        if issues.nbytes * 8 > self._most:
            return
        with self._lock:
            before = self._kept.pop((path, feature), None)
            self._bytes += issues.nbytes - (0 if before is None else before.nbytes)
            self._kept[path, feature] = issues
            while self._bytes > self._most:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= oldest.nbytes


def read_series(
    registry: Registry,
    history: History,
    registered: RegisteredView,
    served: ServedFeature,
    places: Ints,
    between: tuple[int | None, int | None],
    cache: SeriesCache,
) -> Series:
    """One feature of some keys, for the panes with start ≤ pane_start < end (µs).

    Raises:
        SeriesTooLong: the stored rows, or the values, are too many. StoreCorrupt.
    """
    view, (start, end) = registered.view, between
    keys = layout_of(view).keys
    first, last = None if start is None else day_of(start), None if end is None else day_of(end)
    spent, newest = SpentPanes.read(registry, registered), registry.last_row(registered)

    def read(files: list[FileRecord]) -> _Issues:
        rows = sum(file.rows for file in files)
        numbers = rows // keys * len(places) * served.width
        if rows > MAX_ROWS or numbers > MAX_VALUES:
            raise SeriesTooLong(view.name, rows, MAX_ROWS, numbers, MAX_VALUES)
        reader = _FileReader(history.offline, registered, served, cache)

        def issues_of(file: FileRecord) -> _Issues:
            return reader.read(file, places)

        if all(cache.get(file.path, served.name) for file in files):
            return _concatenated([reader.nothing(len(places)), *map(issues_of, files)])
        with ThreadPoolExecutor(_THREADS) as pool:  # Arrow decodes files without the interpreter's lock
            issues = list(pool.map(issues_of, files))
        return _concatenated([reader.nothing(len(places)), *issues])

    found = history.read(registered, first, last, read)
    order = np.lexsort((found.seq, found.released_at, found.pane_start))
    pane = found.pane_start[order]
    is_last = np.append(pane[1:] != pane[:-1], True)[: len(pane)]
    if start is not None:
        is_last &= pane >= start
    if end is not None:
        is_last &= pane < end
    found = found.chosen(order[is_last])
    status = found.status
    if newest is not None and spent.is_stale(newest + view.pane_us):
        is_newest = found.pane_start == newest
        status = np.where(is_newest[:, None], made_stale(status), status)
    return _with_bounds(found, status, registered, served, places)


def _concatenated(parts: Sequence[_Issues]) -> _Issues:
    n = [part.n for part in parts if part.n is not None]
    return _Issues(
        np.concatenate([part.pane_start for part in parts]),
        np.concatenate([part.released_at for part in parts]),
        np.concatenate([part.seq for part in parts]),
        np.concatenate([part.release_id for part in parts]),
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.se for part in parts]),
        np.concatenate(n) if n else None,
        np.concatenate([part.status for part in parts]),
    )


def _with_bounds(
    found: _Issues, status: Bytes, registered: RegisteredView, served: ServedFeature, places: Ints
) -> Series:
    hidden = ~value_is_there(status)
    se = np.where(hidden, np.nan, found.se)
    value = np.where(hidden[:, :, None] if served.is_list else hidden, np.nan, found.value)
    flat = value.reshape(-1, served.width) if served.is_list else value.reshape(-1)
    with np.errstate(all="ignore"):
        low, high = (
            end.reshape(value.shape) for end in interval_of(registered.view, served).bounds(flat, se.reshape(-1))
        )
    n = None if found.n is None else np.where(n_is_there(status), found.n, np.nan)
    ids = tuple(found.release_id.tolist())
    return Series(places, found.pane_start, found.released_at, ids, value, se, low, high, n, status)


@dataclass(frozen=True, eq=False)
class _FileReader:
    """Reads one feature from files of one version."""

    offline: Offline
    registered: RegisteredView
    served: ServedFeature
    cache: SeriesCache

    def read(self, file: FileRecord, places: Ints) -> _Issues:
        """The issues of a file, of some keys. Raises FileNotFoundError: it was replaced meanwhile."""
        keys, feature = layout_of(self.registered.view).keys, self.served.name
        if (kept := self.cache.get(file.path, feature)) is not None:
            return kept.of_keys(places)
        if file.rows * self.served.width <= _BATCH_VALUES:
            issues = self._decoded(self.offline.read([file], self._schema, self._columns), keys)
            self.cache.put(file.path, feature, issues)
            return issues.of_keys(places)
        return self._in_batches(file, places, keys)

    def nothing(self, keys: int) -> _Issues:
        """No issue."""
        return self._decoded(self._empty(), keys)

    def _in_batches(self, file: FileRecord, places: Ints, keys: int) -> _Issues:
        """As `read`, for a file whose rows are not all held in memory."""
        order = np.argsort(places, kind="stable")
        wanted = (np.arange(file.rows // keys)[:, None] * keys + places[order]).reshape(-1)
        parts, first = [self._empty()], 0
        size = max(1, _BATCH_VALUES // self.served.width)
        for batch in self.offline.batches(file, self._schema, self._columns, size):
            low, high = np.searchsorted(wanted, [first, first + batch.num_rows])
            if low < high:
                parts.append(pa.table(batch.take(pa.array(wanted[low:high] - first))))
            first += batch.num_rows
        return self._decoded(pa.concat_tables(parts), len(places)).of_keys(np.argsort(order, kind="stable"))

    def _empty(self) -> pa.Table:
        stored = self._schema
        return pa.schema([stored.field(name) for name in self._columns]).empty_table()

    @property
    def _schema(self) -> pa.Schema:
        return offline_schema(self.registered.view)

    @property
    def _columns(self) -> Sequence[str]:
        fields = feature_fields(self.served, self.served.name, intervals=False)
        return ["pane_start", "released_at", "seq", "release_id", *(field.name for field in fields)]

    def _decoded(self, rows: pa.Table, keys: int) -> _Issues:
        pane_start, released_at = (as_us(rows.column(name))[::keys] for name in ("pane_start", "released_at"))
        ids = rows.column("release_id").take(pa.array(np.arange(0, rows.num_rows, keys)))
        value, se, *n, status = (
            rows.column(field.name).combine_chunks()
            for field in feature_fields(self.served, self.served.name, intervals=False)
        )
        shape = (-1, keys, self.served.width) if self.served.is_list else (-1, keys)
        return _Issues(
            pane_start,
            released_at,
            rows.column("seq").to_numpy()[::keys],
            np.array(ids.to_pylist(), dtype="U32"),
            floats_of(value).reshape(shape),
            floats_of(se).reshape(-1, keys),
            floats_of(n[0]).reshape(-1, keys) if n else None,
            status_codes(status).reshape(-1, keys),
        )
