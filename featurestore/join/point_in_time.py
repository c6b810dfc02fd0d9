"""Point-in-time joins: each label gets the values that were released by its time, and nothing later.

Every issue of a view has a row for every key of the domain, so a label's issue depends only on the label's time. The store
returns, of the rows released by t, the one with the greatest (pane end, release time). That rule is applied once to the
issues, which are few. Each label then takes a binary search and a gather (docs/adr/0003-join-on-issues.md). The label's time
also decides whether its row is stale (`featurestore.registry.staleness`).

Finding a label's row and reading it are two steps. The rows come from memory (`RowsInMemory`) or from the disk
(`featurestore.join.spill`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.define.decoded import Bytes, Status, made_stale, n_is_there, value_is_there
from featurestore.define.definitions import FeatureView
from featurestore.define.keys import domain_index
from featurestore.define.references import Reference
from featurestore.define.schema import bound_arrays, status_array
from featurestore.offline.last_issues import last_of_each
from featurestore.registry.staleness import SpentPanes

from .view_history import Rows, record_dtype

Ints = npt.NDArray[np.int64]
Times: TypeAlias = Callable[[pa.RecordBatch], tuple[Ints, npt.NDArray[np.bool_]]]
"""(int64[N] µs, bool[N] known) of a batch of labels."""


@dataclass(frozen=True, eq=False)
class JoinSide:
    """One view in a join: its visible issues by release time.

    Attributes:
        pane_end, released_at: int64[I], µs, both increasing.
        first_row: int64[I], each issue's first row among the view's stored rows; an issue has one row for each key.
        spent: the panes without budget.
    """

    references: tuple[Reference, ...]
    pane_end: Ints
    released_at: Ints
    first_row: Ints
    spent: SpentPanes

    @property
    def view(self) -> FeatureView:
        """The view."""
        return self.references[0].registered.view


@dataclass(frozen=True, eq=False)
class LabelRows:
    """The stored row of each label, and its status.

    Attributes:
        row: int64[N], the stored row; −1 if there is none, or it is too old.
        status: uint8[N] of `Status`: OK (the row's own statuses apply), STALE_BUDGET (they become stale), and for −1
            OUTSIDE_MAX_AGE or NOT_FOUND.
    """

    row: Ints
    status: Bytes


def make_side(references: tuple[Reference, ...], issues: tuple[Ints, Ints, Ints], spent: SpentPanes) -> JoinSide:
    """Select the visible issues of a view.

    Args:
        references: features of one view.
        issues: (pane_start, released_at, seq), in the order of storage.
    """
    view = references[0].registered.view
    chosen = visible_issues(*issues)
    pane_start, released_at, _ = issues
    first_row = chosen * len(view.entity.domain)
    return JoinSide(references, pane_start[chosen] + view.pane_us, released_at[chosen], first_row, spent)


def visible_issues(pane: Ints, released_at: Ints, seq: Ints) -> Ints:
    """Indices of the issues that a label can get, by release time.

    Three steps select them: of issues with equal (pane, release time) the last published one; then, in the order (release
    time, pane), those whose pane is at least the running maximum; then of equal release times the latest pane. The k-th issue
    is visible from its release until the release of the next one.
    """
    last = last_of_each(pane, released_at, seq)
    order = last[np.lexsort((pane[last], released_at[last]))]
    if len(order) == 0:
        return order
    risen = order[pane[order] >= np.maximum.accumulate(pane[order])]
    is_latest = np.append(released_at[risen][1:] != released_at[risen][:-1], True)
    visible: Ints = risen[is_latest]
    return visible


def find_rows(
    side: JoinSide, labels: pa.RecordBatch | pa.Table, times: Ints, known: npt.NDArray[np.bool_]
) -> LabelRows:
    """Find the stored row of each label."""
    view, count = side.view, labels.num_rows
    status = np.full(count, Status.NOT_FOUND, dtype=np.uint8)
    if len(side.released_at) == 0:
        return LabelRows(np.full(count, -1, dtype=np.int64), status)
    if view.entity.constant:
        key = np.zeros(count, dtype=np.int64)
    else:
        key = domain_index(view.entity, [labels.column(name) for name in view.entity.keys])
    issue = np.searchsorted(side.released_at, times, side="right") - 1
    found = known & (issue >= 0) & (key >= 0)
    pane_end = side.pane_end[issue]
    status[found] = Status.OK
    status[found & side.spent.stale_at(times, pane_end)] = Status.STALE_BUDGET
    if view.ttl_us is not None:
        status[found & (times - pane_end > view.ttl_us)] = Status.OUTSIDE_MAX_AGE
    return LabelRows(np.where(status < Status.OUTSIDE_MAX_AGE, side.first_row[issue] + key, -1), status)


def joined_columns(side: JoinSide, status: Bytes, rows: Rows) -> dict[str, pa.Array]:
    """The columns of each reference by name, one row for each label. A label without a value gets null and a status.

    Args:
        status: see `LabelRows`.
        rows: the row of each label, in the labels' order; any row for a label without one.
    """
    columns: dict[str, pa.Array] = {}
    for i, reference in enumerate(side.references):
        codes = rows[f"status{i}"]
        codes = np.where(status == Status.STALE_BUDGET, made_stale(codes), codes)
        codes = np.where(status >= Status.OUTSIDE_MAX_AGE, status, codes)
        hidden = ~value_is_there(codes)
        value, se = rows[f"value{i}"], rows[f"se{i}"]
        arrays = [_masked(value, hidden), _masked(se, hidden)]
        if reference.interval is not None:
            arrays += bound_arrays(reference.interval, value.astype(np.float64), se, hidden)
        if reference.served.has_n:
            arrays.append(_masked(rows[f"n{i}"], ~n_is_there(codes)))
        names = [field.name for field in reference.fields]
        columns |= zip(names, [*arrays, status_array(codes)], strict=True)
    return columns


def _masked(values: npt.NDArray[Any], hidden: npt.NDArray[np.bool_]) -> pa.Array:
    """Numbers, or lists of numbers ([N, cells]); null where `hidden`."""
    if values.ndim == 1:
        return pa.array(np.where(hidden, 0, values), mask=hidden)
    flat = pa.array(np.where(hidden[:, None], 0, values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1], mask=pa.array(hidden))


class RowsInMemory:
    """One view of a join, with all of its stored rows in memory."""

    def __init__(self, side: JoinSide, rows: Rows, times: Times) -> None:
        self._side, self._times = side, times
        self._rows = rows if len(rows) else np.zeros(1, dtype=record_dtype(side.references))

    def columns(self, _number: int, labels: pa.RecordBatch) -> dict[str, pa.Array]:
        """The columns of each reference by name, one row for each label."""
        label_rows = find_rows(self._side, labels, *self._times(labels))
        return joined_columns(self._side, label_rows.status, self._rows.take(np.maximum(label_rows.row, 0)))
