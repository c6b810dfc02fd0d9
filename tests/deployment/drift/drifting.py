"""A view of three shops with noise, whose history may have a shift at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drift_worlds import noise_sd
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Histogram, Rate
from featurestore.define.panes import NEVER, Panes
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.release import MILLION, Release
from featurestore.publish.publish import Publisher
from tests.featurestore.making import DAY, a_void, manifest_of

SHOPS = FeatureView(
    "shops",
    entity=Entity("shop", domain=["north", "south", "west"]),
    features=[Count("sales"), Rate("returned", where="returned >= 1"), Histogram("price", edges=[10])],
    pane="1d",
    windows=["7d"],
    bounds=Bounds(max_cells=1),
    privacy=Privacy(rho=0.1, min_clients=2),
)
MONDAY = 4 * DAY
"""1970-01-05."""
WEEKEND = np.array([1, 1, 1, 1, 1, 1.6, 0.4])


def sums(days: int, seed: int, *, jump: int = 0, last: int = 1, returned: float = 0.1) -> Any:
    """int64[days, 3, 5], noised sums: sales, (returned or not), and two cells of prices.

    Args:
        jump: more sales of `south` in each of the last days; returned: the share of returns there in these days.
    """
    rng = np.random.default_rng(seed)
    mean = np.array([400.0, 250.0, 60.0]) * WEEKEND[np.arange(days) % 7][:, None]
    mean[-last:, 1] += jump
    n = rng.poisson(mean)
    share = np.full((days, 3), 0.1)
    share[-last:, 1] = returned
    true = rng.binomial(n, share)
    cheap = rng.binomial(n, 0.7)
    exact = np.stack([n, 2 * true - n, n, cheap, n - cheap], axis=-1)
    return exact + np.rint(rng.normal(size=exact.shape) * noise_sd(SHOPS)).astype(np.int64)


def panes_of(slots: Any, **given: Any) -> Panes:
    """Daily panes with these sums, from a Monday on."""
    count = len(slots)
    start = MONDAY + np.arange(count, dtype=np.int64) * DAY
    usual: dict[str, Any] = {
        "start": start,
        "opened": np.ones(count, dtype=bool),
        "site_share": np.full(count, MILLION),
        "slots": slots,
        "withheld": np.zeros((count, 1), dtype=bool),
        "noise_units": np.full((count, 1), 2.0),
        "known": np.ones((count, 1), dtype=bool),
        "released_at": start + DAY,
        "retracted_at": np.full(count, NEVER),
    }
    return Panes(**(usual | given))


def publish(directory: Path, slots: Any, void: tuple[int, ...] = (), view: FeatureView = SHOPS) -> None:
    """Publish days with these sums into a store; those in `void` are not opened."""
    with Publisher(directory, lambda: 10_000 * DAY) as publisher:
        publisher.register(view)
        publisher.publish([
            a_void(view, MONDAY + i * DAY) if i in void else _release(view, MONDAY + i * DAY, each)
            for i, each in enumerate(slots)
        ])  # fmt: skip


def _release(view: FeatureView, start: int, slots: Any) -> Release:
    end = start + view.pane_us
    released = end + view.release_delay_us
    return Release(manifest_of(view, "full"), start, end, released, end + DAY, "replay", np.ascontiguousarray(slots))
