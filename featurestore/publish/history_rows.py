"""All rows of a version, computed from the sums of all panes that it uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from base.times import DAY_US, day_of
from featurestore.define.records import FIRST_MOMENT, FileRecord, RegisteredView
from featurestore.offline.parquet import Offline, issue_table
from featurestore.offline.window_rows import issue_times, make_issues, reach_us
from featurestore.registry.publications import Publications
from featurestore.registry.selection import Selection

from .admission import Admission
from .sums import RowInputs, Sums, row_inputs


def write_history(
    publications: Publications,
    offline: Offline,
    registered: RegisteredView,
    selection: Selection,
    sums: Sums,
    seq: int,
    admitted: Sequence[Admission] = (),
) -> Iterator[tuple[FileRecord, int, int]]:
    """Write all rows of a version, in parts of whole days that are about as long as its longest window.

    Args:
        admitted: items that are about to be published, which the rows use.

    Yields:
        Each file, with the number of days that are done, and of all days.
    """
    reach = reach_us(registered.view)
    starts = [publications.pane_starts(selection, selection.rows_from)]
    starts += [np.array([item.pane_start for item in one.fresh], dtype=np.int64) for one in admitted]
    days = np.unique(day_of(np.concatenate(starts))).tolist()
    at_once = len(days) if admitted else max(1, reach // DAY_US)
    done = 0
    while done < len(days):
        part = days[done : done + at_once]
        done += len(part)
        first, end = part[0] * DAY_US, (part[-1] + 1) * DAY_US
        inputs = row_inputs(
            registered, selection, publications, sums, (max(first - reach, FIRST_MOMENT), end), admitted
        )
        table = rows_between(inputs, first, end, seq)
        if table is not None:
            for file in offline.write_days(registered, table, seq):
                yield file, done, len(days)


def rows_between(inputs: RowInputs, first: int, end: int, seq: int) -> pa.Table | None:
    """All issues of the panes with first ≤ start < end; None: there is none.

    Args:
        inputs: the panes of all of their windows.
    """
    view, panes = inputs.registered.view, inputs.panes
    ends = np.flatnonzero((panes.start >= first) & (panes.start < end))
    if not len(ends):
        return None
    pane, released_at = issue_times(view, panes, ends, np.full(len(ends), FIRST_MOMENT))
    published_at = np.array([one.published_at for one in inputs.records], dtype=np.int64)
    issues = make_issues(view, panes, pane, released_at)
    return issue_table(inputs.registered, panes, issues, inputs.stamps(published_at, seq))
