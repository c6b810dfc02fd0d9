"""Selects issues: the last published one of each (pane, release time), and the last released one of each pane."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .parquet import as_us

Ints = npt.NDArray[np.int64]


def issue_columns(rows: pa.Table, keys: int) -> tuple[Ints, Ints, Ints]:
    """(pane_start, released_at, seq) of each issue of an issue-major table of rows: int64[I] each."""
    return (
        as_us(rows.column("pane_start"))[::keys],
        as_us(rows.column("released_at"))[::keys],
        rows.column("seq").to_numpy()[::keys],
    )


def last_of_each(*by: Ints) -> Ints:
    """Indices of the last entry of each group. All arrays but the last identify the group; the last one ranks its entries."""
    order = np.lexsort(by[::-1])
    if len(order) == 0:
        return order
    group = np.column_stack([values[order] for values in by[:-1]])
    is_last = np.append((group[1:] != group[:-1]).any(axis=1), True)
    chosen: Ints = order[is_last]
    return chosen


def rows_of(issues: Ints, keys: int) -> Ints:
    """The row indices of these issues."""
    rows: Ints = (issues[:, None] * keys + np.arange(keys)).reshape(-1)
    return rows


def latest_issues(rows: pa.Table, keys: int) -> Ints:
    """Row indices of the last published issue of each (pane, release time), by pane, then release time."""
    return rows_of(last_of_each(*issue_columns(rows, keys)), keys)


def last_issue_of_each_pane(rows: pa.Table, keys: int) -> Ints:
    """Row indices of the last released (then last published) issue of each pane, by pane."""
    pane, released_at, seq = issue_columns(rows, keys)
    order = np.lexsort((seq, released_at, pane))
    if len(order) == 0:
        return order
    is_last = np.append(pane[order][1:] != pane[order][:-1], True)
    return rows_of(order[is_last], keys)
