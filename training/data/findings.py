"""Count the findings of a join, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from base.times import utc_text
from featurestore.define.decoded import Status
from featurestore.define.schema import status_codes

from .cache_files import NO_TIME
from .cache_report import FeatureFindings, Finding, JoinReport, ViewFindings
from .matrix import MatrixColumns, MatrixLayout, there
from .store_state import ViewState

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Findings:
    """Counts of findings over batches.

    Args:
        keys: columns that identify an example.
    """

    def __init__(self, views: Sequence[ViewState], layout: MatrixLayout, keys: Sequence[str]) -> None:
        self._keys = tuple(keys)
        self._layout = layout
        # the statuses of a view's first requested feature describe its rows
        first = {one.column.partition("__")[0]: one for one in reversed(layout.sources) if one.has_se}
        self._views = [(state, first[state.name]) for state in views if state.name in first]
        self._rows = 0
        self._counts = Counter[tuple[str, str]]()
        self._examples: dict[tuple[str, str], str] = {}
        self._statuses = {one.name: np.zeros(len(Status), np.int64) for one in layout.sources}

    def see(self, batch: pa.RecordBatch, times: Ints, first: int) -> None:
        """Count a batch.

        Args:
            times: int64[N], µs; NO_TIME for a row without a time.
            first: number of the first row.
        """
        self._rows += batch.num_rows
        known = times != NO_TIME
        self._add("", "without_time", ~known, batch, times, first)
        for state, source in self._views:
            for what, rows in _of_view(state, _codes(batch, source), times, known).items():
                self._add(state.name, what, rows, batch, times, first)
        for one in self._layout.sources:
            null = ~there(batch.column(one.column))
            if one.has_se:
                self._statuses[one.name] += np.bincount(_codes(batch, one)[null], minlength=len(Status))
            self._add(one.name, "null", null, batch, times, first)

    def report(self) -> JoinReport:
        """Return the report."""
        views = tuple(
            ViewFindings(
                state.name,
                state.first_release,
                state.newest_release,
                *(
                    self._finding(state.name, what)
                    for what in ("unreleased", "unknown_key", "beyond_ttl", "after_newest")
                ),
            )
            for state, _ in self._views
        )
        return JoinReport(
            self._rows, self._finding("", "without_time"), views, tuple(map(self._feature, self._layout.sources))
        )

    def _feature(self, source: MatrixColumns) -> FeatureFindings:
        null = self._finding(source.name, "null")
        counted = self._statuses[source.name]
        statuses = {status.name: int(counted[status]) for status in Status if counted[status]}
        if not source.has_se and null.rows:
            statuses = {"null in the labels": null.rows}
        return FeatureFindings(source.name, null, statuses)

    def _finding(self, of: str, what: str) -> Finding:
        rows = self._counts[of, what]
        return Finding(rows, rows / self._rows if self._rows else 0.0, self._examples.get((of, what)))

    def _add(self, of: str, what: str, rows: Bools, batch: pa.RecordBatch, times: Ints, first: int) -> None:
        count = int(np.count_nonzero(rows))
        if count and (of, what) not in self._examples:
            at = int(np.argmax(rows))
            parts = [f"{key}={batch.column(key)[at].as_py()!r}" for key in self._keys]
            parts.append("no time" if times[at] == NO_TIME else utc_text(int(times[at])))
            self._examples[of, what] = f"row {first + at:,} ({', '.join(parts)})"
        self._counts[of, what] += count


def _codes(batch: pa.RecordBatch, source: MatrixColumns) -> npt.NDArray[np.uint8]:
    return status_codes(batch.column(f"{source.column}__status"))


def _of_view(state: ViewState, codes: npt.NDArray[np.uint8], times: Ints, known: Bools) -> dict[str, Bools]:
    """Return the rows of each kind of finding, bool[N] each."""
    nothing = np.zeros(len(times), np.bool_)
    unreleased = known if state.first_release is None else known & (times < state.first_release)
    not_found = codes == np.uint8(Status.NOT_FOUND)
    return {
        "unreleased": unreleased,
        "unknown_key": known & not_found & ~unreleased,
        "beyond_ttl": codes == np.uint8(Status.OUTSIDE_MAX_AGE),
        "after_newest": nothing if state.newest_release is None else known & (times > state.newest_release),
    }
