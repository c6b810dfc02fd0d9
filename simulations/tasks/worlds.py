"""One year in many worlds that differ only in price and noise. It is collected once, then noised for each world.

The protocol collects the exact sums of a view once, without noise. A world adds the noise of leader and helper: from the same
sampler, at the scale of the world's layout, and in the same order. `published` publishes the result as releases;
`simulations.tasks.world_join` computes what labels read of it.
`tests/simulations/test_tasks.py` checks that the releases equal those of `run_in_process` with the same seeds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from base.times import DAY_US
from crypto.noise import NoiseSource, SeededNoise
from deployment.coordinator.collector import releases_of
from edge_client.compute import compute, days_with_events
from edge_client.events import Events
from edge_client.participation import of_active_clients
from featurestore.define.definitions import FeatureView
from featurestore.define.release import Release, Void
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from federation import terms
from federation.aggregation import OpenedView, draw_noise
from federation.batch.reports import Reports
from federation.dating import Dating
from federation.noise_context import NoiseContext
from federation.plan import Plan, PlannedView, new_plan
from federation.protocol import run_collections

from .prices import Price

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DATING: Final = Dating.REPLAY_PANES
"""The study is about a collection that takes each pane when it has ended."""
_PLAN_ID: Final = bytes(16)


@dataclass(frozen=True)
class WorldNoise:
    """The price and the noise of a world.

    Attributes:
        seed: seed of the noise of both aggregators.
    """

    price: Price
    seed: int


@dataclass(frozen=True, eq=False)
class Exact:
    """The exact sums of a collection.

    Attributes:
        pane_starts: int64[P], µs; outcomes: uint8[P] of `Outcome`.
        sums: int64[opened, K, S], in the noise basis.
    """

    pane_starts: Ints
    outcomes: npt.NDArray[np.uint8]
    sums: Ints


def collect(view: FeatureView, events: Events, seed: int = 0) -> Exact:
    """Collect every pane of the days with events, through the whole protocol without noise.

    Args:
        seed: seed of report ids and shares, which do not change a sum.
    """
    panes = (days_with_events(view, events)[:, None] * DAY_US + np.arange(view.panes_per_day) * view.pane_us).ravel()
    reports = of_active_clients(panes, compute(view, events, panes=panes))
    plan = _plan(view, panes, noisy=False)
    batches = Reports(0, reports.pane.astype(np.uint32), reports.slots).batches()
    (opened,) = run_collections(plan, batches, np.random.default_rng(seed).bytes, None, None)
    return Exact(panes, opened.outcomes, opened.sums)


@contextmanager
def published(exact: Sequence[Exact], views: Sequence[FeatureView], noise: WorldNoise | None) -> Iterator[Store]:
    """Make a temporary store with the releases of a world.

    Args:
        views: the collected views at the price of the world, in the same order.
        noise: None publishes the exact sums, marked as exact.
    """
    after = max(int(one.pane_starts[-1]) for one in exact) + 2 * DAY_US
    with tempfile.TemporaryDirectory(prefix="covey-task-") as directory:
        with Publisher(Path(directory), lambda: after) as publisher:
            for view, opened in zip(views, opened_views(exact, views, noise), strict=True):
                publisher.register(view)
                publisher.publish(_releases(opened, noise, after))
        with Store.open(Path(directory)) as store:
            yield store


def opened_views(
    exact: Sequence[Exact], views: Sequence[FeatureView], noise: WorldNoise | None
) -> Iterator[tuple[Plan, OpenedView]]:
    """Add the noise of a world to the sums of each view. For the arguments see `published`."""
    sources = _sources(noise)
    for view, one in zip(views, exact, strict=True):
        plan = _plan(view, one.pane_starts, noisy=noise is not None)
        (planned,) = plan.views
        sums = one.sums.copy()
        context = NoiseContext.of_decrypted(plan, 0, b"", one.outcomes.tobytes(), sums)
        for source in sources:
            sums += draw_noise(planned.layout, len(sums), source, context)
        yield plan, OpenedView(planned, one.outcomes, sums)


def _releases(of: tuple[Plan, OpenedView], noise: WorldNoise | None, now: int) -> Iterator[Release | Void]:
    return releases_of(
        *of,
        now=now,
        dating=DATING,
        noise_source=", ".join(source.name for source in _sources(noise)) or "none",
        trust="in-process",
    )


def _sources(noise: WorldNoise | None) -> tuple[NoiseSource, ...]:
    return () if noise is None else tuple(SeededNoise(noise.seed, name) for name in ("leader", "helper"))


def joined(store: Store, labels: pa.Table, time: str, references: Sequence[str]) -> tuple[Floats, Floats]:
    """Read values and standard errors at the time of each label: float64[N, F] each, NaN for null."""
    table = store.join(labels, list(references), time, full_names=True, intervals=False).read_all()
    names = [reference.replace(":", "__") for reference in references]
    x, se = (
        np.column_stack([table[name + companion].cast(pa.float64()).to_numpy() for name in names])
        for companion in ("", "__se")
    )
    return x, se


def _plan(view: FeatureView, panes: Ints, *, noisy: bool) -> Plan:
    planned = PlannedView(view, panes, view.privacy.min_clients)
    noise = terms.Noise.FULL if noisy else terms.Noise.NONE
    return new_plan([planned], terms.Shares(), noise, plan_id=_PLAN_ID, sites=())
