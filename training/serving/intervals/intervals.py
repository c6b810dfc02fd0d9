"""The intervals of one loaded version: the plan of the newest epoch that was asked for."""

from __future__ import annotations

import threading

from featurestore.online.blocks import Snapshot
from featurestore.store import Store
from training.errors import InputRefused
from training.serving.ask import Ask, Keyed, Raw
from training.serving.inputs.model_inputs import ModelInputs

from .level import Level
from .plan import IntervalPlan, require_rows


class Intervals:
    """Makes the plan of an epoch once, for any number of threads."""

    def __init__(self, inputs: ModelInputs) -> None:
        self._inputs = inputs
        self._lock = threading.Lock()
        self._plan: IntervalPlan | None = None

    def is_ready(self, snapshot: Snapshot) -> bool:
        """Whether the plan of this epoch is made, so that `plan` returns at once."""
        plan = self._plan
        return plan is not None and plan.epoch == snapshot.epoch

    def plan(self, store: Store, snapshot: Snapshot) -> IntervalPlan:
        """The plan of an epoch. Raises what `IntervalPlan.of` raises."""
        with self._lock:
            plan = self._plan
            if plan is None or plan.epoch != snapshot.epoch:
                plan = self._plan = IntervalPlan.of(self._inputs, store, snapshot, plan)
            return plan


def require_interval(ask: Ask, rows: int) -> None:
    """Check what a request with an interval asks, before it waits for anything.

    Raises:
        InputRefused: the level is none, the client brings the features, or there are too many rows.
    """
    if ask.level is None:
        return
    level = Level.of(ask.level)
    match ask.given:
        case Raw():
            raise InputRefused(
                "an interval needs rows by key: the noise of features that a client brings is unknown. Leave out the interval"
            )
        case Keyed():
            require_rows(rows, level)
