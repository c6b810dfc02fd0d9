"""Checks that the decoded rows of a version in Parquet follow from the released sums beside them.

Every row of a day is computed again from the sums of its window, as the publisher computes it. Keys, times, values, errors,
statuses and coverage are compared. Floats may differ in their last digits, because machines differ there.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from base.times import DAY_US
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.records import FIRST_MOMENT, RegisteredView
from featurestore.define.schema import offline_schema
from featurestore.offline.last_issues import latest_issues
from featurestore.offline.parquet import Offline
from featurestore.offline.window_rows import reach_us
from featurestore.registry.registry import Registry

from .history_rows import rows_between
from .sums import Sums, row_inputs

_OF_A_PUBLICATION: Final = ("published_at", "seq")
"""Columns that name the publication of a row; they do not follow from sums."""
_CLOSE: Final = 1e-9


class RowsCheck:
    """Checks the days of one version, one after another."""

    def __init__(self, registry: Registry, offline: Offline, registered: RegisteredView) -> None:
        self._offline, self._registered, self._publications = offline, registered, registry.publications
        self._selection = registry.selection(registered)
        self._files = registry.publications.files(registered.view_id)
        self._sums = Sums.of(registry.publications, offline, registry.lineage(registered.view.name))

    def problem(self, day: int) -> str | None:
        """The problem of the rows of a day; None: there is none. Raises StoreCorrupt."""
        view, keys = self._registered.view, layout_of(self._registered.view).keys
        if self._selection.sums_from > FIRST_MOMENT and day * DAY_US < self._selection.sums_from + reach_us(view):
            return None  # its windows reach to panes whose sums have left
        files = [file for file in self._files if file.day == day]
        schema = offline_schema(view)
        rows = self._offline.read(files, schema, schema.names).combine_chunks()
        if rows.num_rows % keys:
            return "its issues do not have a row for every key"
        stored = rows.take(pa.array(latest_issues(rows, keys)))
        expected = self._expected(view, day)
        if stored.num_rows != expected.num_rows:
            return f"it holds {stored.num_rows:,} current rows; its sums give {expected.num_rows:,}"
        for name in schema.names:
            if name not in _OF_A_PUBLICATION:
                odd = np.flatnonzero(_differ(stored.column(name), expected.column(name)))
                if len(odd):
                    was, due = (table.column(name)[int(odd[0])].as_py() for table in (stored, expected))
                    return f"{len(odd):,} values of {name!r} do not follow from the sums; one is {was!r} instead of {due!r}"
        return None

    def _expected(self, view: FeatureView, day: int) -> pa.Table:
        """The rows of a day, computed from the sums of all panes whose windows reach into it."""
        first, end = day * DAY_US, (day + 1) * DAY_US
        between = max(first - reach_us(view), FIRST_MOMENT), end
        inputs = row_inputs(self._registered, self._selection, self._publications, self._sums, between)
        expected = rows_between(inputs, first, end, 0)
        return offline_schema(view).empty_table() if expected is None else expected


def _differ(stored: pa.ChunkedArray, expected: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """bool[N]: where two columns differ; lists are compared element by element."""
    mine, due = (_plain(column) for column in (stored, expected))
    differ: npt.NDArray[np.bool_] = np.asarray(mine.is_null()) != np.asarray(due.is_null())
    if pa.types.is_fixed_size_list(mine.type):
        differ |= np.array([a != b for a, b in zip(mine.to_pylist(), due.to_pylist(), strict=True)], dtype=bool)
        return differ
    if pa.types.is_floating(mine.type):
        one, other = (column.to_numpy(zero_copy_only=False) for column in (mine, due))
        with np.errstate(invalid="ignore"):
            differ |= ~np.isclose(one, other, rtol=_CLOSE, atol=0.0, equal_nan=True)
    else:
        differ |= ~np.asarray(pa.compute.fill_null(pa.compute.equal(mine, due), True))
    return differ


def _plain(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.cast(pa.string()) if pa.types.is_dictionary(array.type) else array
