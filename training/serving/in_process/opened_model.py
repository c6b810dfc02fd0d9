"""Predict with a registered model, from the newest values of the online store."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from featurestore.read.vectors import as_lists
from featurestore.registry.models import RegisteredModel
from featurestore.store import Store
from training.lineage import require_same
from training.serving.ask import Ask, Floats, Keyed, Used
from training.serving.inputs.model_inputs import ModelInputs
from training.serving.intervals.intervals import Intervals, require_interval
from training.serving.intervals.level import Level
from training.serving.kinds.loading import Loading
from training.serving.kinds.open_runner import open_runner
from training.serving.kinds.runner import Runner
from training.serving.signature import ModelSignature


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for N keys, of one epoch of the store.

    Attributes:
        values: float64[N], probabilities for a binary target.
        used: the features that they were computed from.
        interval: the ends of each prediction's interval, NaN where it has none; None: it was not asked for.
    """

    values: npt.NDArray[np.float64]
    used: Used
    interval: tuple[Floats, Floats] | None = None


class OpenedModel:
    """A registered model, ready to predict. Open it with `OpenedModel.open`.

    Attributes:
        model: the registered model.
        features: references of its features, with versions of views.
        inputs: what `predict` takes: join keys, inputs of on-demand views and plain columns, with their types.
    """

    def __init__(self, model: RegisteredModel, store: Store, runner: Runner) -> None:
        self.model, self._runner, self._store = model, runner, store
        signature = ModelSignature.of(model)
        self._inputs = ModelInputs.of(model, signature, store, most_rows=sys.maxsize)
        self._plan, self._intervals = self._inputs.plan(store.newest_snapshot()), Intervals(self._inputs)
        self.features, self.columns, self.inputs = signature.features, signature.columns, self._inputs.types

    @classmethod
    def open(cls, store: Store, name: str, views_file: Path | None = None, *, trust: bool = False) -> Self:
        """Open the newest version of a model, or `name@v<n>`.

        Args:
            store: a store that was opened with the on-demand views of `views_file`, if any.
            trust: load a model that may run code.

        Raises:
            UnknownModel. ModelOutdated: a view or the file of on-demand views has changed since the training.
            StoreCorrupt: the model's file has changed since it was registered. ModelRefused: `covey train` does not write
                such an archive, or it holds code. ModelUntrusted, and others as `open_runner`.
        """
        model = store.model(name)
        require_same(model, store, views_file)
        runner = open_runner(model, Loading(trust=trust, compile=False))
        try:
            return cls(model, store, runner)
        except BaseException:
            runner.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process of a foreign model."""
        self._runner.close()

    def predict(self, given: Mapping[str, Sequence[Any]], level: float | None = None) -> Predictions:
        """Predict for some keys, from the newest epoch.

        Args:
            given: a list for each of `inputs`, all of one length; {} if there are none.
            level: of an interval of each prediction, such as 0.9; None: no interval.

        Raises:
            BadReference: an input is missing, unknown, or has another type. InputRefused: a number is infinite or beyond
                float32, or there is no interval. ReleaseExpired: sums behind an interval have left the store. OnDemandFailed.
                ModelFailed. ModelNotReady: a publication is under way, so there is no interval yet.
        """
        keyed = Keyed(as_lists(given)[0])
        ask = Ask(self.model.name, self.model.version, keyed, self._inputs.require(keyed), level=level)
        require_interval(ask, ask.rows)
        snapshot = self._store.newest_snapshot()
        if snapshot.epoch != self._plan.epoch:
            self._plan = self._inputs.plan(snapshot)
        filled = self._plan.fill([ask], self._store.clock())
        values = self._runner.run(filled.arrays).astype(np.float64)
        interval = None
        if level is not None:
            plan = self._intervals.plan(self._store, snapshot)
            drawn = plan.draws(keyed.entities, ask.rows, filled.arrays, Level.of(level))
            interval = drawn.ends(np.concatenate([self._runner.run(part) for part in drawn.parts()]))
        return Predictions(values, filled.used(0), interval)
