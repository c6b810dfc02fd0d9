"""A store with a part of every kind: two versions of a view, an on-demand view, a service, and models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np

from featurestore.define.kinds import Count
from featurestore.define.on_demand import Feature, OnDemandView, on_demand
from featurestore.define.release import RETRACTED, Void
from featurestore.define.services import FeatureService
from featurestore.publish.publish import Publisher
from tests.featurestore.making import DAY, HOUR, a_release, a_view, a_void, manifest_of

PLANTED: Final = "planted-text"
"""A text of a definition, a file or a reason, which no event may have."""
VIEW: Final = a_view(
    owner=PLANTED, description=PLANTED, tags={"team": PLANTED}, features=[Count("flights"), *a_view().features[1:]]
)
SEEN: Final = [a_release(VIEW, i * HOUR).release_id.hex() for i in range(3)]


@on_demand(outputs=["risk"])
def risk(late: Annotated[np.ndarray, Feature("delays:late_3h")]) -> np.ndarray:
    """Twice the rate."""
    return 2 * late


def make_store(directory: Path, *, plans: int = 2) -> tuple[OnDemandView, ...]:
    """`delays` with one pane under each plan, and three more under the first; returns the on-demand views."""
    tombstone = Void(manifest_of(VIEW), HOUR, 2 * HOUR, 90 * DAY, 90 * DAY, "live", f"{RETRACTED}: {PLANTED}", b"")
    with Publisher(directory, lambda: 100 * DAY) as publisher:
        publisher.register(VIEW)
        publisher.publish([a_release(VIEW, i * HOUR) for i in range(3)])
        publisher.publish([a_void(VIEW, 3 * HOUR), tombstone])
        for plan in range(1, plans):
            publisher.publish([a_release(VIEW, (3 + plan) * HOUR, plan_hash=f"{plan:02x}" * 32)])
        publisher.register_services([FeatureService("vector", ["delays:late_3h", "delays@v1:flights"])])
        publisher.register_model("late", {"model.bin": b"1"}, json.dumps(lineage()))
        publisher.register_model("odd", {"model.bin": b"1"}, json.dumps({"views": 3, "kind": PLANTED}))
    return (risk,)


def lineage(**other: Any) -> dict[str, Any]:
    return {
        "kind": "mlp",
        "service": "vector",
        "features": ["delays@v1:late_3h"],
        "labels": {"file": f"{PLANTED}.csv", "sha256": "ab" * 32, "rows": 12},
        "views": [{"name": "delays", "version": 1, "releases": SEEN}],
        **other,
    }
