"""The store of `benchmarks.load`, and a process that publishes a release of each of its views every second.

    python -m benchmarks.load_store STORE

It publishes until SIGTERM.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np

from base.private_files import private_folder
from base.tls.authority import Authority
from base.tls.roles import TlsRole
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.release import Release
from featurestore.publish.publish import Publisher
from featurestore.server.api_keys import Consumers
from featurestore.server.throttle import MAX_RATE, Limits
from tests.featurestore.making import HOUR, manifest_of

from .read_path_servers import VIEW as FLOATS

DELAYS: Final = FeatureView(
    "delays",
    entity=Entity("airport", domain=[f"A{i:03d}" for i in range(400)]),
    features=[
        ClientCount("planes"),
        Count("flights"),
        Mean("delay", clip=(-60, 180)),
        Histogram("delay", edges=[0, 15, 60]),
    ],
    pane="1h",
    windows=["3h"],
    bounds=Bounds(max_cells=1),
    privacy=Privacy(rho=0.5, min_clients=2),
)
AREAS: Final = FeatureView(
    "areas",
    entity=Entity(["area", "hour"], domain=itertools.product(range(200), range(24))),
    features=[Count("trips"), Mean("fare", clip=(0, 100))],
    pane="1h",
    bounds=Bounds(max_cells=1),
    privacy=Privacy(rho=0.5, min_clients=2),
)
VIEWS: Final = (FLOATS, DELAYS, AREAS)
PANES: Final = 3
"""Panes that are published before the load."""
EVERY_S: Final = 1.0


def make_store(folder: Path) -> str:
    """Publish the first panes into a new store, with a certificate and for one consumer; returns its API key."""
    keys, now = private_folder(folder / "keys"), dt.datetime.now(dt.UTC)
    Authority.create(keys, now).issue(keys, TlsRole.SERVER, (), now)
    with Publisher(folder, lambda: 0) as publisher:
        for view in VIEWS:
            publisher.register(view)
        for pane in range(PANES):
            publish(publisher, pane)
    return Consumers(folder).add("benchmark", Limits(MAX_RATE, MAX_RATE), 0, os.urandom)


def publish(publisher: Publisher, pane: int) -> None:
    """Publish random sums of one pane of each view."""
    random = np.random.default_rng(pane)
    for view in VIEWS:
        layout = layout_of(view)
        slots = random.integers(100, 1_000, (layout.keys, layout.slots_per_key))
        start = pane * HOUR
        publisher.publish([Release(manifest_of(view), start, start + HOUR, start + 2 * HOUR, 0, "live", slots)])


def main() -> None:
    """Publish until SIGTERM."""
    with Publisher(Path(sys.argv[1]), lambda: 0) as publisher:
        for pane in itertools.count(PANES):
            started = time.monotonic()
            publish(publisher, pane)
            time.sleep(max(0.0, started + EVERY_S - time.monotonic()))


if __name__ == "__main__":
    main()
