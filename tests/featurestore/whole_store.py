"""A store that contains an example of everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from featurestore.define.entities import Entity
from featurestore.define.kinds import Histogram, Mean
from featurestore.define.layout import layout_of
from featurestore.define.release import RETRACTED, Release, Void
from featurestore.define.services import FeatureService
from featurestore.publish.publish import Publisher

from .making import DAY, HOUR, a_release, a_view, a_void, manifest_of

VIEW = a_view()
AREA = a_view("area", entity=Entity("area", value="NYC"))
MANY = a_view(
    "many",
    entity=Entity(["id", "hub"], [(i, hub) for i in range(300) for hub in (False, True)]),
    features=[Mean("delay", clip=(-60, 180)), Histogram("delay", edges=[0, 15])],
)
REFS = ["delays:flights_3h", "many:delay_mean", "many:delay_hist_3h", "area:flights"]
KEYS = {"dest": ["ATL", "LAX", "XXX"], "id": [0, 299, 7], "hub": [True, False, True]}


def fill(directory: Path) -> None:
    """Several files, a complete day, voids, a retraction, evidence, a service, and a view before its first release."""
    layout, random = layout_of(MANY), np.random.default_rng(1)
    slots = random.integers(-50, 300, size=(4, layout.keys, layout.slots_per_key))
    terms = manifest_of(MANY, "discrete-gaussian")
    with Publisher(directory, lambda: 2 * DAY) as publisher:
        for view in (VIEW, MANY, AREA, a_view("empty")):
            publisher.register(view)
        publisher.publish([a_release(VIEW, i * HOUR, i) for i in range(20)], [b"a plan", b"a statement"])
        publisher.publish([a_release(VIEW, i * HOUR, i) for i in range(20, 26)])
        publisher.publish(
            [Release(terms, i * HOUR, (i + 1) * HOUR, (i + 2) * HOUR, 0, "live", one) for i, one in enumerate(slots)]
        )
        publisher.publish([a_release(AREA, 0, 3), a_void(AREA, HOUR, "BUDGET_SPENT"), a_void(VIEW, 26 * HOUR)])
        gone = a_release(VIEW, 25 * HOUR, 25)
        publisher.publish(
            [Void(gone.manifest, gone.pane_start, gone.pane_end, 2 * DAY, 0, "live", f"{RETRACTED}: broken", b"signed")]
        )
        publisher.register_services([FeatureService("model", REFS)])
