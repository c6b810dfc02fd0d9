"""Two neighbouring worlds, run once through the real chain up to the aggregators that wait for their noise.

The worlds differ in all events of one client-day: the canary's events, or none. Participation is `all`: every client sends a
report for every pane, also a report of zeros, so both worlds have the same number of reports. The canary tries more than the
bounds allow in every direction. What remains of it is the worst case within the bounds: `max_cells` cells of
`max_events_per_cell` events each, with every value at the far end of its clip range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final

import numpy as np
import pyarrow as pa

from edge_client.compute import UsedCells
from edge_client.events import Events, make_events
from edge_client.participation import of_every_client
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import ViewFeature
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from federation.aggregation import Aggregation, ClosedAggregation
from federation.batch.reports import Reports
from federation.plan import Plan, PlannedView
from federation.sharding import shard
from tests.edge_client.used_after import used_after
from tests.federation.words import plan_in_words

from .chain import Chain

CLIENTS: Final = 20
CANARY: Final = 0
KEYS: Final = 2
PANES: Final = 3
HOUR_US: Final = 3_600 * 10**6
FIRST_PANE: Final = int(datetime(2021, 3, 1, 9, tzinfo=UTC).timestamp()) * 10**6
FAR_BEYOND: Final = 1_000.0
"""The canary's values: ten times the upper end of the clip range."""
ZCDP: Final = Privacy(rho=0.1, min_clients=CLIENTS)
SHARED: Final = Privacy(rho=0.1, min_clients=CLIENTS, noisers="shared")
PURE_DP: Final = Privacy(epsilon=1.0, mechanism="laplace", min_clients=CLIENTS)


def _view(
    name: str, *features: ViewFeature, max_cells: int = 2, max_events: int = 2, privacy: Privacy = ZCDP
) -> FeatureView:
    return FeatureView(
        name,
        entity=Entity("k", domain=range(KEYS)),
        features=features,
        pane="1h",
        bounds=Bounds(max_cells, max_events_per_cell=max_events),
        privacy=privacy,
    )


def with_noise(sigma_sq: Fraction, max_events: int, feature: ViewFeature, delta: float = 1e-6) -> FeatureView:
    """A view of one cell a client-day, to whose sums each aggregator adds noise of this σ²."""
    privacy = Privacy(rho=max_events**2 / (2 * sigma_sq), delta=delta, min_clients=CLIENTS)
    return _view("some_noise", feature, max_cells=1, max_events=max_events, privacy=privacy)


COUNT: Final = _view("a_count", Count("n"))
MEAN: Final = _view("a_mean", Mean("x", clip=(0, 100), resolution=1))
HISTOGRAM: Final = _view("a_histogram", Histogram("x", edges=[25, 50, 75]))
ALL_KINDS: Final = (
    Count("n"),
    ClientCount("clients"),
    Mean("x", clip=(0, 100), resolution=1),
    Histogram("x", edges=[25, 50, 75]),
    Rate("high", where="x >= 40"),
)
WHOLE_VIEW: Final = _view("a_whole_view", *ALL_KINDS)

CLIENT_COUNT: Final = _view("a_client_count", ClientCount("clients"))
RATE: Final = _view("a_rate", Rate("high", where="x >= 40"))
SHARED_COUNT: Final = _view("a_shared_count", Count("n"), privacy=SHARED)
SHARED_WHOLE_VIEW: Final = _view("a_shared_whole_view", *ALL_KINDS, privacy=SHARED)
TWO_FEATURES: Final = _view("two_features", Count("n"), Rate("high", where="x >= 40", weight=2))
LAPLACE_COUNT: Final = _view("a_laplace_count", Count("n"), max_cells=1, privacy=PURE_DP)


@dataclass(frozen=True, eq=False)
class World:
    """One world after all its reports arrived. Only noise and opening are left.

    Attributes:
        plan: one view, `PANES` panes of one day.
    """

    plan: Plan
    leader: ClosedAggregation
    helper: ClosedAggregation


def run_world(view: FeatureView, chain: Chain, *, canary: bool) -> World:
    """Events → reports → shares → closed aggregators, with every step real.

    Args:
        canary: whether the canary has its events. It reports in any case.
    """
    rng = np.random.default_rng(0)
    starts = FIRST_PANE + np.arange(PANES) * HOUR_US
    plan = plan_in_words(rng.bytes(16), (PlannedView(view, starts, CLIENTS),), "full", participation="all")
    leader, helper = Aggregation.start("leader", plan), Aggregation.start("helper", plan)
    for reports in _reports(view, _events(rng, view.bounds.max_events_per_cell, canary=canary), chain):
        to_leader, to_helper = shard(plan, reports, rng.bytes)
        leader, helper = leader.add(to_leader), helper.add(to_helper)
    return World(plan, leader.close(), helper.close())


def _events(rng: np.random.Generator, max_events: int, *, canary: bool) -> Events:
    """Ten random events of every other client, the same in both worlds, and the canary's events or none."""
    others = np.repeat(np.arange(1, CLIENTS), 10)
    client = others
    key = rng.integers(0, KEYS, len(others))
    time_us = FIRST_PANE + rng.integers(0, PANES * HOUR_US, len(others))
    x = rng.uniform(-20, 120, len(others))
    if canary:
        cells = [(pane, k) for pane in range(PANES) for k in range(KEYS) if (pane, k) != (0, 1)]
        pane, k = np.repeat(np.array(cells), 2 * max_events, axis=0).T  # twice what a cell may hold
        client = np.concatenate((client, np.full(len(k), CANARY)))
        key = np.concatenate((key, k))
        time_us = np.concatenate((time_us, FIRST_PANE + pane * HOUR_US + np.arange(len(k)) * 10**6))
        x = np.concatenate((x, np.full(len(k), FAR_BEYOND)))
    table = pa.table({"who": client, "k": key, "t": pa.array(time_us, pa.timestamp("us")), "x": x})
    return make_events(table, "who", "t")


def _reports(view: FeatureView, events: Events, chain: Chain) -> Iterator[Reports]:
    """One batch a pane with a report of every client, hour by hour, as a site answers pane by pane."""
    seat_of = np.array([int(name) for name in events.identities.to_pylist()])
    used = UsedCells.none()
    for index in range(PANES):
        start = FIRST_PANE + index * HOUR_US
        made = chain.compute_pane(view, events, used, start)
        used = used_after(used, made)
        every = of_every_client(np.array([start]), made, seat_of, CLIENTS)
        yield Reports(0, np.full(CLIENTS, index, np.uint32), every.slots)
