"""`Panes` from the registry's records and the stored sums: the input from which a view's rows are computed and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from base.times import utc_text
from featurestore.define.carry import Carry
from featurestore.define.decoded import Ints
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.panes import Panes, suppressed_cells
from featurestore.define.records import PaneRecord
from featurestore.errors import StoreCorrupt

_NO_SOURCES: Final[Mapping[int, FeatureView]] = {}
_ALL_KNOWN: Final = np.ones((1, 1), dtype=bool)


def known_panes(
    view: FeatureView,
    records: Sequence[PaneRecord],
    stored: Mapping[int, Ints],
    sources: Mapping[int, FeatureView] = _NO_SOURCES,
) -> Panes:
    """The panes of those records that make rows, in their order.

    Args:
        stored: slots by pane start, int64[keys, slots_per_key] in the layout of the definition for which the pane was opened.
        sources: by pane start, the definition for which a pane was opened, where it belongs to another collection of the view's
            name.

    Raises:
        StoreCorrupt: the sums of an opened pane are missing, or do not have the shape of their layout.
    """
    layout = layout_of(view)
    origins = [sources.get(record.pane_start, view) for record in records]
    carry_to = {id(origin): Carry.between(origin, view) for origin in (view, *sources.values())}
    carries = [carry_to[id(origin)] for origin in origins]
    count, features, groups = len(records), len(view.collected), len(layout.groups)
    slots = np.zeros((count, layout.keys, layout.slots_per_key), dtype=np.int64)
    withheld = np.zeros((count, layout.keys if any(r.manifest.suppressed for r in records) else 1), dtype=bool)
    for i, (record, origin, carry) in enumerate(zip(records, origins, carries, strict=True)):
        if record.opened and carry.any:
            opened = _slots_of(origin, record, stored)
            slots[i] = carry.slots(opened)
            if record.manifest.suppressed:
                withheld[i] = suppressed_cells(origin, opened[None], _ALL_KNOWN)[0]
    units = np.array([record.manifest.noisers * carry.units for record, carry in zip(records, carries, strict=True)])
    return Panes(
        np.array([r.pane_start for r in records], dtype=np.int64),
        np.array([r.opened for r in records], dtype=bool),
        np.array([r.manifest.site_share for r in records], dtype=np.int64),
        slots,
        withheld,
        units.reshape(count, groups),
        np.array([carry.carried for carry in carries], dtype=bool).reshape(count, features),
        np.array([r.released_at for r in records], dtype=np.int64),
        np.array([r.retracted_at for r in records], dtype=np.int64),
    )


def _slots_of(origin: FeatureView, record: PaneRecord, stored: Mapping[int, Ints]) -> Ints:
    """The stored sums of an opened pane. Raises StoreCorrupt."""
    layout, slots = layout_of(origin), stored.get(record.pane_start)
    about = f"view {origin.name!r}, pane {utc_text(record.pane_start)}"
    if slots is None:
        raise StoreCorrupt(f"{about}: its slots are missing")
    if slots.shape != (layout.keys, layout.slots_per_key):
        raise StoreCorrupt(
            f"{about}: its slots have the shape {slots.shape}, not {(layout.keys, layout.slots_per_key)}"
        )
    return slots
