"""A loaded version of a model: it computes batches, each of one epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from featurestore.errors import OnlineUnavailable
from featurestore.online.blocks import Snapshot
from featurestore.registry.models import RegisteredModel
from featurestore.store import Store
from training.errors import ModelFailed
from training.serving.arrays import Arrays, Floats32
from training.serving.ask import Ask, Floats, Keyed, Predicted
from training.serving.batches.job import INTERVALS, LOOP, SHARED, Outcome
from training.serving.inputs.input_plan import FeatureCounts, Filled, InputPlan
from training.serving.inputs.model_inputs import ModelInputs
from training.serving.intervals.intervals import Intervals
from training.serving.intervals.level import Level
from training.serving.intervals.plan import Drawn
from training.serving.kinds.runner import Runner
from training.serving.output_drift import OutputShares
from training.serving.signature import ModelSignature

QUICK_S: Final = 0.002
"""Batches that take less of a processor's time are computed on the event loop. All other requests wait for them, as for large reads
of features."""
QUICK_ROWS: Final = 1_024
"""Larger requests are computed by threads."""
_SMOOTHING: Final = 0.1

_NO_FEATURES: Final = FeatureCounts(0, 0, 0)


@dataclass(frozen=True)
class Stages:
    """The seconds of a batch: reading stored features; on-demand functions and noise for intervals; running the model."""

    fetch_s: float
    transform_s: float
    infer_s: float


@dataclass(frozen=True, eq=False)
class Computed:
    """A computed batch.

    Attributes:
        outcomes: one for each request, in their order.
        stages: of what was computed; None: nothing was.
        features: how many features were used, and how many of them were null or stale.
        outputs: how many outputs are in each part of the test rows' outputs.
        error: what failed for all requests; None: nothing.
    """

    outcomes: list[Outcome]
    seconds: float
    stages: Stages | None
    features: FeatureCounts = _NO_FEATURES
    outputs: Sequence[int] = ()
    error: Exception | None = None


@dataclass(eq=False)
class LoadedVersion:
    """A version that can compute.

    Attributes:
        loaded_at: µs since the epoch.
        is_foreign: whether it runs in a process of its own. It then has a compute thread of its own, which only waits, so that
            a model that does not end holds up no other one.
        busy_s: the processor's time of a batch as they are: at first, of one of the largest size.
        tested: the outputs for the test rows, from which those that are served may drift; None: the lineage does not have them.
    """

    model: RegisteredModel
    signature: ModelSignature
    inputs: ModelInputs
    runner: Runner
    loaded_at: int
    is_foreign: bool = False
    busy_s: float = 0.0
    intervals: Intervals = field(init=False, repr=False)
    tested: OutputShares | None = field(init=False, repr=False)
    _plan: tuple[Snapshot, InputPlan] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.intervals = Intervals(self.inputs)
        self.tested = OutputShares.of_lineage(self.model.lineage)

    def pool(self, ask: Ask) -> Hashable:
        """What computes a request."""
        if self.is_foreign:
            return self
        if ask.level is not None:
            return INTERVALS
        plan = self._plan
        is_quick = self.busy_s < QUICK_S and ask.rows <= QUICK_ROWS
        if plan is None or plan[1].blocking:
            is_quick = False
        return LOOP if is_quick else SHARED

    def compute(self, store: Store, asks: Sequence[Ask], clock: Callable[[], float] = time.perf_counter) -> Computed:
        """Compute a batch of requests, whose inputs were checked, from the newest epoch. It raises nothing."""
        start, began = clock(), time.thread_time()
        try:
            snapshot = store.blocks.require()
            filled = self._plan_of(snapshot).fill(asks, store.clock(), clock)
            read = clock()
            drawn = self._drawn(store, snapshot, asks, filled)
        except Exception as error:  # noqa: BLE001 - every error is the outcome of a request
            if len(asks) == 1 or isinstance(error, OnlineUnavailable):
                return _failed(error, len(asks), clock() - start)
            return self._each_alone(store, asks, error, clock)
        transformed = clock()
        try:
            values = self._run(filled.arrays)
            intervals = {at: self._interval(one) for at, one in drawn.items()}
            outcomes = self._outcomes(asks, filled, values, intervals)
            end = clock()
            if not drawn:
                self.busy_s += _SMOOTHING * (time.thread_time() - began - self.busy_s)
            on_demand_s = filled.computed_s
            stages = Stages(read - start - on_demand_s, transformed - read + on_demand_s, end - transformed)
            counted = () if self.tested is None else self.tested.count(values).tolist()
            return Computed(outcomes, end - start, stages, filled.counts(), counted)
        except Exception as error:  # noqa: BLE001 - every error is the outcome of the requests
            return _failed(error, len(asks), clock() - start)

    def drift(self, outputs: Sequence[int]) -> float | None:
        """The population stability index of served outputs, by their counts; None: they are too few, or nothing is known of it."""
        return (
            None if self.tested is None else self.tested.psi(np.array(outputs[: len(self.tested.shares)], np.float64))
        )

    def warm(self, store: Store, sizes: Sequence[int]) -> None:
        """Run for each size of a batch, so that the first request does not wait for it. Raises ModelFailed."""
        self._plan_of(store.blocks.require())
        for rows in sizes:
            zeros = Arrays.zeros(rows, len(self.signature.names))
            self.runner.run(zeros)
            began = time.thread_time()
            self.runner.run(zeros)
            self.busy_s = max(self.busy_s, time.thread_time() - began)

    def _plan_of(self, snapshot: Snapshot) -> InputPlan:
        known = self._plan
        if known is None or known[0] is not snapshot:
            known = self._plan = snapshot, self.inputs.plan(snapshot)
        return known[1]

    def _drawn(self, store: Store, snapshot: Snapshot, asks: Sequence[Ask], filled: Filled) -> dict[int, Drawn]:
        """The noised copies of the rows of each request that asks for an interval."""
        drawn: dict[int, Drawn] = {}
        for at, ask in enumerate(asks):
            if ask.level is not None and isinstance(ask.given, Keyed):
                own = filled.arrays.rows(filled.places[at])
                plan = self.intervals.plan(store, snapshot)
                drawn[at] = plan.draws(ask.given.entities, ask.rows, own, Level.of(ask.level))
        return drawn

    def _interval(self, drawn: Drawn) -> tuple[Floats, Floats]:
        return drawn.ends(np.concatenate([self._run(part) for part in drawn.parts()]))

    def _run(self, arrays: Arrays) -> Floats32:
        values = self.runner.run(arrays)
        if values.shape != (len(arrays.x),):
            raise ModelFailed(str(self.model), f"it gives {values.shape} for {len(arrays.x)} row(s)")
        return np.ascontiguousarray(values)  # a foreign model may give a column; answers are written from whole memory

    def _outcomes(
        self,
        asks: Sequence[Ask],
        filled: Filled,
        values: Floats32,
        intervals: Mapping[int, tuple[Floats, Floats]],
    ) -> list[Outcome]:
        model, outcomes, at = self.model, list[Outcome](), 0
        for i, ask in enumerate(asks):
            own = values[at : at + ask.rows]
            used = filled.used(i) if ask.explain else None
            outcomes.append(Predicted(model.name, model.version, filled.epoch, own, used, intervals.get(i)))
            at += ask.rows
        return outcomes

    def _each_alone(self, store: Store, asks: Sequence[Ask], error: Exception, clock: Callable[[], float]) -> Computed:
        """Compute each request alone: one of them cannot be read, and the others do not fail because of it."""
        alone = [self.compute(store, [ask], clock) for ask in asks]
        outcomes = [one.outcomes[0] for one in alone]
        failed = error if all(one.error is not None for one in alone) else None
        return Computed(outcomes, sum(one.seconds for one in alone), None, error=failed)


def _failed(error: Exception, count: int, seconds: float) -> Computed:
    return Computed([error] * count, seconds, None, error=error)
