"""The published and signed releases and voids, from the registry's records, and the table that lists them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from base.times import utc_text
from featurestore.define.definitions import FeatureView
from featurestore.define.records import PaneRecord
from featurestore.define.release import Release, Void
from featurestore.define.schema import TIMESTAMP
from featurestore.errors import StoreCorrupt


def published_release(view: FeatureView, pane: PaneRecord, slots: npt.NDArray[np.int64]) -> Release:
    """The release of an opened pane, retracted or not. Raises StoreCorrupt: its slots or record differ from the published ones."""
    times = (pane.pane_start, pane.pane_start + view.pane_us, pane.released_at, pane.published_at)
    release = Release(pane.manifest, *times, pane.clock, slots, pane.signature)
    if release.content_hash != pane.content:
        raise StoreCorrupt(f"{_where(view, pane)}: the stored slots differ from the published ones")
    if pane.reason is not None:
        raise StoreCorrupt(f"{_where(view, pane)}: it is opened, but has the reason {pane.reason!r}")
    return release


def published_void(view: FeatureView, pane: PaneRecord) -> Void:
    """The void or tombstone of a record. Raises StoreCorrupt: the record differs from the published one."""
    if pane.reason is None:
        raise StoreCorrupt(f"{_where(view, pane)}: a void without a reason")
    times = (pane.pane_start, pane.pane_start + view.pane_us, pane.released_at, pane.published_at)
    void = Void(pane.manifest, *times, pane.clock, pane.reason, pane.signature)
    if void.content_hash != pane.content:
        raise StoreCorrupt(f"{_where(view, pane)}: its reason differs from the published one")
    return void


def _where(view: FeatureView, pane: PaneRecord) -> str:
    return f"view {view.name!r}, pane of {utc_text(pane.pane_start)}"


def releases_table(view: FeatureView, panes: Sequence[PaneRecord]) -> pa.Table:
    """A row for each published pane: state, times, and the terms of its opening."""
    terms = ("plan_hash", "protection", "validity", "participation", "noise", "noise_source")
    return pa.table(
        {
            "release_id": _texts([pane.release_id.hex() for pane in panes]),
            "pane_start": _times([pane.pane_start for pane in panes]),
            "pane_end": _times([pane.pane_start + view.pane_us for pane in panes]),
            "state": _texts([_state(pane) for pane in panes]),
            "reason": _texts([(pane.tombstone or pane).reason for pane in panes]),
            "released_at": _times([pane.released_at for pane in panes]),
            "retracted_at": _times([pane.tombstone.released_at if pane.tombstone else None for pane in panes]),
            "published_at": _times([pane.published_at for pane in panes]),
            "clock": _texts([pane.clock for pane in panes]),
            **{term: _texts([getattr(pane.manifest, term) for pane in panes]) for term in terms},
            "min_clients": pa.array([pane.manifest.min_clients for pane in panes], pa.int64()),
            "micro_rho": pa.array([pane.manifest.micro_rho for pane in panes], pa.int64()),
            "trust": _texts([pane.manifest.trust for pane in panes]),
            "signature": _texts([pane.signature.hex() for pane in panes]),
            "manifest": _texts([pane.manifest.to_json() for pane in panes]),
        }
    )


def _state(pane: PaneRecord) -> str:
    if pane.tombstone is not None:
        return "retracted"
    return "opened" if pane.opened else "void"


def _texts(values: Sequence[str | None]) -> pa.Array:
    return pa.array(values, pa.string())  # a version without panes has the same types


def _times(values: Sequence[int | None]) -> pa.Array:
    return pa.array(values, pa.int64()).cast(TIMESTAMP)
