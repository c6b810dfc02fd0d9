"""A version computes a batch, and says how long its stages took."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

from featurestore.define.on_demand import Feature, on_demand
from featurestore.online.settings import OnlineSettings
from featurestore.read.request import RequestedRows
from featurestore.registry.models import RegisteredModel
from featurestore.store import Store
from tests.training.serving.inputs.test_model_inputs import NOW, make_store
from training.serving.arrays import Arrays, Floats32
from training.serving.ask import Ask, Keyed, Predicted
from training.serving.inputs.model_inputs import ModelInputs
from training.serving.signature import ModelSignature
from training.serving.versions.loaded import LoadedVersion, Stages


class Clock:
    """Seconds, which pass only when something takes them."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowRunner:
    how, failure = "slow", None

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def run(self, arrays: Arrays) -> Floats32:
        self._clock.now += 100
        return arrays.x.sum(axis=1)

    def close(self) -> None: ...


def test_stored_features_are_fetched_and_on_demand_features_are_transformed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()

    @on_demand(outputs=["double"])
    def slow(flights: Annotated[np.ndarray, Feature("area:flights")]) -> np.ndarray:
        clock.now += 10
        return 2 * flights

    def slow_rows(*given: Any) -> RequestedRows:
        clock.now += 1
        return RequestedRows(*given)

    monkeypatch.setattr("featurestore.read.request.RequestedRows", slow_rows)
    make_store(tmp_path, OnlineSettings())
    names = ("busy@v1:late", "slow:double")
    model = RegisteredModel("late", 1, Path(), {}, {}, 0)
    signature = ModelSignature(names, (), {}, names, None)
    with Store.open(tmp_path, on_demand=[slow], clock=lambda: NOW) as store:
        loaded = LoadedVersion(model, signature, ModelInputs.of(model, signature, store), SlowRunner(clock), NOW)
        asks = [Ask("late", None, Keyed({"dest": [dest], "area": ["NYC"]}), 1) for dest in ("ATL", "SFO")]
        computed = loaded.compute(store, asks, clock)
    assert [type(one) for one in computed.outcomes] == [Predicted] * 2
    assert computed.stages == Stages(fetch_s=2, transform_s=10, infer_s=100)  # two views, one of them only for `slow`
