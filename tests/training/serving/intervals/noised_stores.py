"""Stores with noise that a test draws, beside the same stores without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.publish.publish import Publisher
from featurestore.registry.models import RegisteredModel
from featurestore.store import Store
from tests.featurestore.making import DAY, a_release, a_void, manifest_of
from training.serving.arrays import Arrays
from training.serving.ask import Ask, Keyed
from training.serving.inputs.model_inputs import ModelInputs
from training.serving.intervals.level import Level
from training.serving.intervals.plan import Drawn, IntervalPlan

NOW = 1000 * DAY


@dataclass(frozen=True)
class Names:
    """What a model reads: its features only, unless columns are named."""

    features: tuple[str, ...]
    names: tuple[str, ...]
    columns: tuple[str, ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)


def inputs_of(store: Store, features: Sequence[str], columns: Sequence[str] = ()) -> ModelInputs:
    names = Names(tuple(features), (*features, *columns), tuple(columns))
    return ModelInputs.of(RegisteredModel("late", 1, Path(), {}, {}, 0), names, store)


def noise_of(view: FeatureView, panes: int, seed: int) -> np.ndarray:
    """The noise of both aggregators, int64[P, K, S], by numpy."""
    rng, layout = np.random.default_rng(seed), layout_of(view)
    noise = np.zeros((panes, layout.keys, layout.slots_per_key), np.int64)
    for group in layout.groups:
        shape = (2, panes, layout.keys, len(group.slots))
        if view.privacy.mechanism == "gaussian":
            drawn = rng.normal(0, group.variance**0.5, shape)
        else:
            drawn = rng.laplace(0, (group.variance / 2) ** 0.5, shape)
        noise[:, :, list(group.slots)] = np.round(drawn).astype(np.int64).sum(axis=0)
    return noise


def publish(
    directory: Path, view: FeatureView, slots: np.ndarray, *, first: int = 0, voids: frozenset[int] = frozenset()
) -> None:
    """Publish the sums of consecutive panes, marked as noised."""
    items = [
        a_void(view, (first + i) * view.pane_us)
        if i in voids
        else replace(
            a_release(view, (first + i) * view.pane_us), manifest=manifest_of(view, noise="full"), slots=slots[i]
        )
        for i in range(len(slots))
    ]
    with Publisher(directory, lambda: NOW) as publisher:
        publisher.register(view)
        publisher.publish(items)


def released(inputs: ModelInputs, store: Store, entities: Mapping[str, list[Any]], count: int) -> Arrays:
    """The arrays that a request gets."""
    ask = Ask("late", None, Keyed(entities), count)
    return inputs.plan(store.blocks.require()).fill([ask], NOW).arrays


def draws(inputs: ModelInputs, store: Store, entities: Mapping[str, list[Any]], level: float = 0.9) -> Drawn:
    count = len(next(iter(entities.values())))
    plan = IntervalPlan.of(inputs, store, store.blocks.require())
    return plan.draws(entities, count, released(inputs, store, entities, count), Level.of(level))
