"""`Panes` from the registry's records and the stored sums: the input from which a view's rows are computed and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from base.times import utc_text
from featurestore.define.decoded import Ints
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.panes import Panes
from featurestore.define.records import PaneRecord
from featurestore.errors import StoreCorrupt


def known_panes(view: FeatureView, records: Sequence[PaneRecord], stored: Mapping[int, Ints]) -> Panes:
    """The panes of those records that make rows, in their order.

    Args:
        stored: slots by pane start, int64[keys, slots_per_key].

    Raises:
        StoreCorrupt: the sums of an opened pane are missing.
    """
    layout = layout_of(view)
    slots = np.zeros((len(records), layout.keys, layout.slots_per_key), dtype=np.int64)
    for i, record in enumerate(records):
        if record.opened and record.pane_start not in stored:
            raise StoreCorrupt(f"view {view.name!r}, pane {utc_text(record.pane_start)}: its slots are missing")
        if record.opened:
            slots[i] = stored[record.pane_start]
    return Panes(
        np.array([r.pane_start for r in records], dtype=np.int64),
        np.array([r.opened for r in records], dtype=bool),
        np.array([r.manifest.site_share for r in records], dtype=np.int64),
        slots,
        np.array([r.manifest.suppressed for r in records], dtype=bool),
        np.array([float(r.manifest.noisers) for r in records]),
        np.array([r.released_at for r in records], dtype=np.int64),
        np.array([r.retracted_at for r in records], dtype=np.int64),
    )
