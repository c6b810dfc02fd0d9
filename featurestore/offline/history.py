"""The history of a view from its current Parquet files. A publication may replace files while they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa

from base.times import day_of, span_of, utc_text
from featurestore.define.decoded import Ints, made_stale
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.records import FileRecord, RegisteredView
from featurestore.define.schema import (
    bound_arrays,
    floats_of,
    history_schema,
    offline_schema,
    status_array,
    status_codes,
)
from featurestore.define.values import interval_of, served_features
from featurestore.errors import StoreCorrupt
from featurestore.registry.registry import Registry
from featurestore.registry.staleness import SpentPanes

from .last_issues import last_issue_of_each_pane
from .parquet import Offline, as_us

_RETRIES: Final = 5
_PART_ROWS: Final = 65_536
_T = TypeVar("_T")


class History:
    """Reads the files that the registry lists.

    Attributes:
        offline: the folder of files.
    """

    def __init__(self, registry: Registry, offline: Offline) -> None:
        self._registry, self.offline = registry, offline

    def table(self, registered: RegisteredView, start: int | None, end: int | None, *, intervals: bool) -> pa.Table:
        """A row for every join key and closed pane with start ≤ pane_start < end (µs), in its last issue.

        See `Store.history`.
        """
        view, schema = registered.view, offline_schema(registered.view)
        first, last = None if start is None else day_of(start), None if end is None else day_of(end)
        columns = [name for name in schema.names if name != "slots"]
        spent, newest = SpentPanes.read(self._registry, registered), self._registry.last_row(registered)
        rows = self.read(registered, first, last, lambda files: self.offline.read(files, schema, columns))
        rows = rows.take(pa.array(last_issue_of_each_pane(rows, layout_of(view).keys)))
        if newest is not None and spent.is_stale(newest + view.pane_us):
            rows = _stale_from(rows, view, newest)
        for bound, keep in ((start, pa.compute.greater_equal), (end, pa.compute.less)):
            if bound is not None:
                rows = rows.filter(keep(rows.column("pane_start").cast(pa.int64()), bound))
        if intervals:
            rows = _with_intervals(rows, view)
        wanted = history_schema(view, intervals=intervals)
        return rows.select(wanted.names).cast(wanted)

    def parts(
        self, registered: RegisteredView, start: int | None, end: int | None, *, intervals: bool
    ) -> Iterator[pa.Table]:
        """The rows of `table`, in parts of one or more whole days with about `_PART_ROWS` rows."""
        first, last = None if start is None else day_of(start), None if end is None else day_of(end)
        rows: Counter[int] = Counter()
        for file in self.read(registered, first, last, lambda files: files):
            rows[file.day] += file.rows
        for days in _grouped(rows):
            low, high = span_of(days)
            between = low if start is None else max(low, start), high if end is None else min(high, end)
            yield self.table(registered, *between, intervals=intervals)

    def slots(self, registered: RegisteredView, pane_start: int) -> Ints:
        """int64[keys, slots_per_key] of an opened pane, from its day's files. Raises StoreCorrupt: they are missing."""
        day, keys = day_of(pane_start), layout_of(registered.view).keys
        schema = offline_schema(registered.view)
        stored = self.read(registered, day, day, lambda files: self.offline.slots(files, schema, keys))
        if pane_start not in stored:
            raise StoreCorrupt(f"view {registered.view.name!r}, pane {utc_text(pane_start)}: its slots are missing")
        return stored[pane_start]

    def read(
        self, registered: RegisteredView, first: int | None, last: int | None, read: Callable[[list[FileRecord]], _T]
    ) -> _T:
        """Read the files of some days; None: an open end. If a listed file is replaced meanwhile, list the files again.

        Raises:
            StoreCorrupt: a listed file stays missing.
        """
        for _ in range(_RETRIES):
            files = self._registry.publications.files(registered.view_id, first, last)
            try:
                return read(files)
            except FileNotFoundError as error:
                missing = error
        raise StoreCorrupt(f"a file that the registry lists is missing: {missing}")


def _grouped(rows: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """[first, end) of each group of days, by day, with about `_PART_ROWS` rows; a day is in one group."""
    days = sorted(rows)
    held = begun = 0
    for at, day in enumerate(days):
        held += rows[day]
        if held >= _PART_ROWS or day == days[-1]:
            yield days[begun], day + 1
            held, begun = 0, at + 1


def _with_intervals(rows: pa.Table, view: FeatureView) -> pa.Table:
    """The rows, with `__lo` and `__hi` of each feature."""
    for served in served_features(view):
        value, se = (rows.column(name).combine_chunks() for name in (served.name, f"{served.name}__se"))
        hidden = np.asarray(value.is_null())
        ends = bound_arrays(interval_of(view, served), floats_of(value), floats_of(se), hidden)
        for end, array in zip(("lo", "hi"), ends, strict=True):
            rows = rows.append_column(f"{served.name}__{end}", array)
    return rows


def _stale_from(rows: pa.Table, view: FeatureView, pane_start: int) -> pa.Table:
    """The rows, with the statuses of one pane made stale."""
    is_newest = as_us(rows.column("pane_start")) == pane_start
    for served in served_features(view):
        name = f"{served.name}__status"
        codes = status_codes(rows.column(name))
        codes[is_newest] = made_stale(codes[is_newest])
        rows = rows.set_column(rows.column_names.index(name), name, status_array(codes))
    return rows
