"""Point-in-time joins: to every label the values that were released at its time, and nothing later.

Every issue of a view has a row for every key of the domain, so which issue a label sees depends on its time alone. The rule
of the store — of the rows released by t, the one with the greatest (pane end, release time) — is settled once on the issues,
which are few; each label is then a binary search and a gather (docs/adr/0003-join-on-issues.md). Whether the row that it
sees is stale depends on the label's time too (`featurestore.staleness`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .definitions import FeatureView
from .keys import domain_index
from .latest import issue_columns, last_of_each, rows_of
from .references import Reference
from .schema import STATUS, feature_fields, status_array, status_codes, value_type
from .staleness import SpentPanes
from .values import Bytes, ServedFeature, Status, made_stale

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class JoinSide:
    """One view's rows as labels see them: issue-major, issues by release time, each as good as it gets at that time.

    Attributes:
        pane_end, released_at: int64[I], µs; both increase.
        rows: I·K rows with the columns of the asked features.
        status: for each reference, uint8[I·K] of `Status`.
        spent: the panes whose budget was gone.
    """

    view: FeatureView
    references: tuple[Reference, ...]
    pane_end: Ints
    released_at: Ints
    rows: pa.Table
    status: tuple[Bytes, ...]
    spent: SpentPanes


def make_side(view: FeatureView, references: tuple[Reference, ...], rows: pa.Table, spent: SpentPanes) -> JoinSide:
    """Settle which issue counts at which time; `rows` are issue-major with pane_start, released_at and seq."""
    keys = len(view.entity.domain)
    chosen = visible_issues(*issue_columns(rows, keys))
    pane_start, released_at, _ = issue_columns(rows, keys)
    columns = [name for reference in references for name in column_names(reference.served)]
    taken = rows.select(columns).combine_chunks().take(pa.array(rows_of(chosen, keys)))
    status = tuple(status_codes(taken.column(column_names(reference.served)[-1])) for reference in references)
    return JoinSide(view, references, pane_start[chosen] + view.pane_us, released_at[chosen], taken, status, spent)


def visible_issues(pane: Ints, released_at: Ints, seq: Ints) -> Ints:
    """Indices of the issues that some label can see, by release time.

    Of equal (pane, release time) the last published; then those whose pane is at least the running maximum in the order
    (release time, pane); then of equal release time the latest pane. The k-th is seen from its release on, until the next.
    """
    last = last_of_each(pane, released_at, seq)
    order = last[np.lexsort((pane[last], released_at[last]))]
    if len(order) == 0:
        return order
    risen = order[pane[order] >= np.maximum.accumulate(pane[order])]
    is_latest = np.append(released_at[risen][1:] != released_at[risen][:-1], True)
    visible: Ints = risen[is_latest]
    return visible


def column_names(served: ServedFeature) -> list[str]:
    """The stored columns of a served feature."""
    return [field.name for field in feature_fields(served)]


def joined_columns(
    side: JoinSide, labels: pa.RecordBatch | pa.Table, times: Ints, known: npt.NDArray[np.bool_]
) -> list[pa.Array]:
    """The arrays of each reference and its companions, a row a label; null with a status where there is nothing to see."""
    view = side.view
    count = labels.num_rows
    if view.entity.constant:
        key = np.zeros(count, dtype=np.int64)
    else:
        key = domain_index(view.entity, [labels.column(name) for name in view.entity.keys])
    issue = np.searchsorted(side.released_at, times, side="right") - 1
    found = known & (issue >= 0) & (key >= 0)
    row = np.where(found, issue * len(view.entity.domain) + key, 0)
    expired = stale = np.zeros(count, dtype=bool)
    if len(side.pane_end):
        pane_end = side.pane_end[np.maximum(issue, 0)]
        stale = found & side.spent.stale_at(times, pane_end)
        if view.ttl_us is not None:
            expired = found & (times - pane_end > view.ttl_us)
    at = pa.array(np.where(found & ~expired, row, 0), mask=~found | expired)
    arrays: list[pa.Array] = []
    for reference, status in zip(side.references, side.status, strict=True):
        *values, _ = column_names(reference.served)
        arrays += [_take(side.rows.column(name), at) for name in values]
        codes = np.full(count, Status.NOT_FOUND, dtype=np.uint8)
        codes[found] = status[row[found]]
        codes[stale] = made_stale(codes[stale])
        codes[expired] = Status.OUTSIDE_MAX_AGE
        arrays.append(status_array(codes))
    return arrays


def joined_fields(reference: Reference) -> list[pa.Field]:
    """The output fields of a reference, renamed to its column."""
    served = reference.served
    fields = [pa.field(reference.column, value_type(served)), pa.field(f"{reference.column}__se", pa.float64())]
    if served.has_n:
        fields.append(pa.field(f"{reference.column}__n", pa.int64()))
    return [*fields, pa.field(f"{reference.column}__status", STATUS)]


def _take(column: pa.ChunkedArray, at: pa.Array) -> pa.Array:
    if len(column) == 0:
        return pa.nulls(len(at), column.type)
    taken = column.take(at).combine_chunks()
    return taken if isinstance(taken, pa.Array) else taken.chunk(0)
