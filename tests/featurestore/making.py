"""Small views and releases, made by hand: the store does not depend on how sums are collected."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.release import Clock, GroupNoise, Manifest, Release, Void
from featurestore.define.wire import definition_hash
from featurestore.join.memory import Memory
from featurestore.publish.publish import Publisher

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def a_view(name: str = "delays", **given: Any) -> FeatureView:
    """Two destinations, hourly, with a window of three hours."""
    usual: dict[str, Any] = {
        "entity": Entity("dest", domain=["ATL", "LAX"]),
        "features": [Count("flights"), Rate("late", where="delay >= 15")],
        "pane": "1h",
        "windows": ["3h"],
        "bounds": Bounds(max_cells=1),
        "privacy": Privacy(rho=0.5, min_clients=2),
        "release_delay": "30m",
    }
    return FeatureView(name, **(usual | given))


def manifest_of(view: FeatureView, noise: str = "none", **given: Any) -> Manifest:
    """A manifest that fits the view."""
    layout = layout_of(view)
    usual: dict[str, Any] = {
        "view": view.name,
        "view_version": 1,
        "definition_hash": definition_hash(view).hex(),
        "plan_hash": "00" * 32,
        "protection": "shares",
        "validity": "none",
        "noise": noise,
        "noise_source": "none" if noise == "none" else "seeded",
        "noisers": 0 if noise == "none" else 2,
        "noise_factor": 0.0 if noise == "none" else math.sqrt(2),
        "groups": tuple(GroupNoise.of(group, noisy=noise != "none") for group in layout.groups),
        "micro_rho": layout.micro_rho,
        "micro_epsilon": layout.micro_epsilon,
        "delta": view.privacy.delta,
        "min_clients": view.privacy.min_clients,
        "participation": "active",
        "outside_claim": ("activity",),
        "trust": "in-process",
        "commitments": ("", ""),
    }
    return Manifest(**(usual | given))


def a_release(
    view: FeatureView, start: int, value: int = 10, *, released_at: int | None = None, **given: Any
) -> Release:
    """A pane whose slots all hold one value. It is replayed unless `released_at` is given."""
    layout, end = layout_of(view), start + view.pane_us
    slots = np.full((layout.keys, layout.slots_per_key), value, dtype=np.int64)
    released = end + view.release_delay_us if released_at is None else released_at
    clock: Clock = "replay" if released_at is None else "live"
    return Release(manifest_of(view, **given), start, end, released, end + DAY, clock, slots)


def a_void(view: FeatureView, start: int, reason: str = "BATCH_TOO_SMALL") -> Void:
    """A replayed pane that was not opened."""
    end = start + view.pane_us
    return Void(manifest_of(view), start, end, end + view.release_delay_us, end + DAY, "replay", reason)


@contextmanager
def limited_to(memory: Memory) -> Iterator[None]:
    """Give joins this much memory, whatever the machine has and the limit says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Memory, "within", lambda *_, **__: memory)
        yield


def fill(directory: Path, view: FeatureView, panes: int, clock: int = 100 * DAY) -> None:
    """Publish the first panes since the epoch; pane i holds i + 1 everywhere."""
    with Publisher(directory, lambda: clock) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, i * view.pane_us, i + 1) for i in range(panes)])
