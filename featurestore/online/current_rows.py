"""The expected rows of the online store and the blocks: those of a view's newest pane end, in their last issue.

They follow from the registry and the Parquet files alone. The publisher writes them, a rebuild writes them again, and a check
of the store compares them bit by bit.
"""

from __future__ import annotations

import pyarrow as pa

from base.times import day_of, utc_text
from featurestore.define.layout import layout_of
from featurestore.define.records import RegisteredView
from featurestore.define.schema import offline_schema
from featurestore.errors import StoreCorrupt
from featurestore.offline.last_issues import last_issue_of_each_pane
from featurestore.offline.parquet import Offline, as_us
from featurestore.registry.registry import Registry
from featurestore.registry.staleness import SpentPanes

from .block_writer import CurrentRows
from .interface import OnlineMarker, RowTimes
from .packing import pack


def current_rows(registry: Registry, offline: Offline, registered: RegisteredView, seq: int) -> CurrentRows:
    """The newest rows of a view after its publication `seq` (0: there is none yet).

    Raises:
        FileNotFoundError: a file that the registry lists is missing. StoreCorrupt: a file does not match the registry.
    """
    if not seq:
        return CurrentRows(registered)
    view, last = registered.view, registry.last_row(registered)
    if last is None:  # there are only voids that make no row
        return CurrentRows(registered, None, OnlineMarker(seq, None))
    files = registry.publications.files(registered.view_id, day_of(last), day_of(last))
    schema = offline_schema(view)
    with_pane = [
        file for file in files if (as_us(offline.read([file], schema, ["pane_start"])["pane_start"]) == last).any()
    ]
    rows = offline.read(with_pane, schema, schema.names)
    rows = rows.filter(pa.compute.equal(rows.column("pane_start").cast(pa.int64()), last)).combine_chunks()
    if not rows.num_rows:
        raise StoreCorrupt(f"view {view.name!r}: the rows of its newest pane, of {utc_text(last)}, are missing")
    rows = rows.take(pa.array(last_issue_of_each_pane(rows, layout_of(view).keys)))
    times = RowTimes(last + view.pane_us, int(as_us(rows.column("released_at"))[0]))
    packed = pack(view, rows)
    packed["status"] = SpentPanes.read(registry, registered).newest_status(packed["status"], times.pane_end)
    (pane,) = registry.panes(registered, last, last + 1)
    return CurrentRows(registered, packed, OnlineMarker(seq, times), pane.manifest.sites, pane.release_id)
