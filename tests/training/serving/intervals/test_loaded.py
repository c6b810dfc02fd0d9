"""A batch of requests of which some ask for intervals."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.registry.models import RegisteredModel
from featurestore.store import Store
from tests.featurestore.making import a_view
from training.errors import InputRefused, ModelBusy, ModelFailed, ModelNotReady
from training.serving.arrays import Arrays, Floats32
from training.serving.ask import Ask, Keyed, Predicted, Raw
from training.serving.batches.job import Job, Outcome
from training.serving.intervals.intervals import Intervals, require_interval
from training.serving.intervals.preparing import Preparing
from training.serving.predict.bodies import render
from training.serving.versions.loaded import LoadedVersion

from .noised_stores import Names, inputs_of, noise_of, publish

MODEL = RegisteredModel("busy", 1, Path(), {}, {}, 0)
KEYS = ["ATL", "LAX", "SFO"]


class Doubling:
    """A model that doubles its first feature, and keeps the sizes that it was run with."""

    how = "doubling"

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def run(self, arrays: Arrays) -> Floats32:
        self.sizes.append(len(arrays.x))
        return 2 * arrays.x[:, 0]

    def close(self) -> None:
        """It holds nothing."""


def weekly() -> FeatureView:
    return a_view("weekly", entity=Entity("dest", domain=KEYS), features=[Count("flights")], pane="1d", windows=["7d"])


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("weekly")
    publish(directory, weekly(), 500 + noise_of(weekly(), 8, 1))
    return directory


@pytest.fixture
def store(directory: Path) -> Iterator[Store]:
    with Store.open(directory) as store:
        yield store


def loaded(store: Store) -> tuple[LoadedVersion, Doubling]:
    features, runner = ("weekly@v1:flights_7d",), Doubling()
    signature: Any = Names(features, features)
    return LoadedVersion(MODEL, signature, inputs_of(store, features), runner, 0), runner


def an_ask(*dests: str, level: float | None = 0.9) -> Ask:
    return Ask("busy", None, Keyed({"dest": list(dests)}), len(dests), level=level)


def raw(level: float | None = None) -> Ask:
    return Ask("busy", None, Raw(Arrays.zeros(2, 1)), 2, level=level)


def test_requests_of_one_batch_have_intervals_if_they_ask_for_them(store: Store) -> None:
    version, runner = loaded(store)
    made = version.compute(
        store, [an_ask("ATL", level=None), an_ask("LAX", "ATL"), raw(), an_ask("ATL", "nowhere", level=0.8)]
    )
    plain, both, brought, lower = made.outcomes
    assert isinstance(plain, Predicted)
    assert isinstance(both, Predicted)
    assert isinstance(brought, Predicted)
    assert isinstance(lower, Predicted)
    assert plain.interval is brought.interval is None
    assert runner.sizes == [7, 78, 78]
    for one in (both, lower):
        assert one.interval is not None
        low, high = one.interval
        assert low.dtype == high.dtype == np.float64
        assert len(low) == len(high) == 2
    assert both.interval[0][1] < plain.values[0] < both.interval[1][1]
    assert both.interval[0][1] <= lower.interval[0][0] < lower.interval[1][0] <= both.interval[1][1]
    assert np.isnan(lower.interval[0]).tolist() == np.isnan(lower.interval[1]).tolist() == [False, True]


def test_a_request_that_cannot_have_its_interval_fails_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.serving.intervals.plan.MOST_DRAWN", 100)
    version, _ = loaded(store)
    refused, other = version.compute(store, [an_ask("ATL", "LAX", "SFO"), an_ask("ATL")]).outcomes
    assert isinstance(refused, InputRefused)
    assert isinstance(other, Predicted)


def test_a_model_that_fails_for_a_copy_fails_the_request(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    version, runner = loaded(store)
    monkeypatch.setattr(runner, "run", lambda arrays: np.zeros(min(len(arrays.x), 5), np.float32))
    (failed,) = version.compute(store, [an_ask("ATL")]).outcomes
    assert isinstance(failed, ModelFailed)


def test_outputs_that_are_a_column_are_answered(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    version, runner = loaded(store)
    monkeypatch.setattr(runner, "run", lambda arrays: np.repeat(arrays.x, 2, axis=1)[:, 0])
    (made,) = version.compute(store, [an_ask("ATL", "LAX")]).outcomes
    assert isinstance(made, Predicted)
    answer = orjson.loads(render(made, 0.9))
    assert answer["predictions"] == made.values.tolist()


def test_many_copies_come_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.serving.intervals.plan._ROWS_AT_ONCE", 100)
    version, runner = loaded(store)
    (made,) = version.compute(store, [an_ask("ATL", "LAX", "SFO")]).outcomes
    assert isinstance(made, Predicted)
    assert runner.sizes == [3, 100, 17]


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (an_ask("ATL", level=0.4), "interval=0.4: a level must be above 0.5"),
        (an_ask("ATL", level=1.0), "at most 0.999"),
        (raw(0.9), "an interval needs rows by key"),
        (an_ask(*["ATL"] * 6722), "6,722 rows with an interval take 262,158 predictions"),
    ],
)
def test_what_an_interval_cannot_be_of_is_refused_before_anything_is_read(ask: Ask, says: str) -> None:
    with pytest.raises(InputRefused, match=says):
        require_interval(ask, ask.rows)
    require_interval(an_ask("ATL", level=None), 10**9)


def test_requests_wait_until_the_sums_are_read_and_then_are_asked_again(store: Store) -> None:
    outcomes: list[Outcome] = []

    async def ask() -> None:
        intervals, asked = Intervals(inputs_of(store, ["weekly@v1:flights_7d"])), list[Job]()
        done = asyncio.Event()

        def again(job: Job) -> None:
            asked.append(job)
            assert not preparing.is_needed(intervals)
            if len(asked) == 2:
                done.set()

        preparing = Preparing(store, again)
        assert preparing.is_needed(intervals)
        jobs = [Job(an_ask("ATL", "LAX"), None, outcomes.append, 0.0, 1.0) for _ in range(3)]
        preparing.add(intervals, jobs[0], most_rows=4)
        preparing.add(intervals, jobs[1], most_rows=4)
        with pytest.raises(ModelBusy, match="are being read"):
            preparing.add(intervals, jobs[2], most_rows=4)
        async with asyncio.timeout(120):
            await done.wait()
        assert asked == jobs[:2]
        preparing.close(lambda job: ModelNotReady(job.ask.model, "it ends"))

    asyncio.run(ask())
    assert not outcomes


@pytest.mark.parametrize("error", [ModelNotReady("busy", "a publication is under way"), InputRefused("too many sums")])
def test_what_prevents_intervals_is_the_outcome(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    threads: set[str] = set()

    def fails(*_: object) -> None:
        threads.add(threading.current_thread().name)
        raise error

    monkeypatch.setattr("training.serving.intervals.preparing._PAUSE_S", 0.0)
    monkeypatch.setattr(Intervals, "plan", fails)

    async def ask() -> Outcome:
        made: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        preparing = Preparing(store, lambda job: None)
        preparing.add(
            Intervals(inputs_of(store, ["weekly@v1:flights_7d"])),
            Job(an_ask("ATL"), None, made.set_result, 0.0, 1.0),
            9,
        )
        async with asyncio.timeout(120):
            outcome = await made
        preparing.close(lambda job: ModelNotReady(job.ask.model, "it ends"))
        return outcome

    assert asyncio.run(ask()) is error
    assert threads == {"covey-intervals_0"}


def test_the_plan_of_an_epoch_is_made_once(store: Store) -> None:
    intervals = Intervals(inputs_of(store, ["weekly@v1:flights_7d"]))
    snapshot = store.blocks.require()
    assert not intervals.is_ready(snapshot)
    made = intervals.plan(store, snapshot)
    assert intervals.is_ready(snapshot)
    assert intervals.plan(store, snapshot) is made
