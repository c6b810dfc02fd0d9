"""The models of a server in this process: versions that are named, fail, or are taken away."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from base.metrics import MODEL_BATCH_ROWS, MODEL_FEATURES, MODEL_READY, MODEL_REQUESTS, MODEL_SECONDS
from base.times import wall_clock
from featurestore.errors import BadReference, OnlineUnavailable, UnknownModel
from featurestore.publish.model_versions import delete_models, promote
from featurestore.publish.publish import Publisher
from featurestore.registry.serving_versions import parse_serving
from featurestore.store import Store
from tests.featurestore.making import DAY
from training.errors import DeadlineMissed, ModelBusy, ModelFailed, ModelNotReady
from training.serving.arrays import Arrays
from training.serving.ask import Ask, Keyed, Predicted
from training.serving.batches.job import INTERVALS, LOOP, SHARED, Outcome
from training.serving.kinds.loading import Loading
from training.serving.kinds.own_runners import TreesRunner
from training.serving.serving import Serving
from training.serving.settings import ModelSettings, ServingSettings
from training.serving.versions.loaded import LoadedVersion
from training.serving.versions.model_loader import ModelLoader
from training.serving.versions.states import Failed, Ready

TREES = "trees.json"
ROW = {"dest": ["ATL"], "distance": [500.0]}


def asking(name: str = "trees", version: int | None = None, **given: Any) -> Ask:
    return Ask(name, version, Keyed(given.pop("entities", ROW)), given.pop("rows", 1), **given)


def register(directory: Path, files: Mapping[str, bytes] | None = None) -> None:
    """Another version of `trees`; by default one that is like the first."""
    with Store.open(directory) as store:
        first = store.model("trees@v1")
        with Publisher(directory, lambda: 100 * DAY) as publisher:
            publisher.register_model("trees", files or {TREES: first.read(TREES)}, json.dumps(first.lineage))


class Running:
    """Models in a running event loop."""

    def __init__(self, directory: Path, store: Store, serving: Serving) -> None:
        self.directory, self.store, self.serving = directory, store, serving

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(120):
            while not happened():
                await asyncio.sleep(0.005)

    async def ready(self, name: str, version: int) -> None:
        await self.until(lambda: (version, Ready()) in self.versions(name))

    def versions(self, name: str) -> tuple[Any, ...]:
        return next((one.versions for one in self.serving.models() if one.name == name), ())

    def promote(self, *words: str) -> None:
        promote(self.directory, "trees", parse_serving("trees", words), wall_clock)


Scenario = Callable[[Running], Awaitable[None]]


def serve(
    directory: Path,
    scenario: Scenario,
    names: tuple[str, ...] | None = None,
    settings: ServingSettings = ServingSettings(),  # noqa: B008 - it is frozen
) -> None:
    async def run() -> None:
        with Store.open(directory) as store:
            loader = ModelLoader(store, settings, Loading(compile=False), None)
            serving = Serving(store, loader, settings, names)
            async with serving.running():
                running = Running(directory, store, serving)
                if names is None:
                    await running.ready("trees", 1)
                await scenario(running)

    asyncio.run(run())


def test_a_new_version_takes_over_and_the_former_one_is_closed(own_model_store: Path) -> None:
    async def scenario(running: Running) -> None:
        first = running.serving.served("trees").loaded
        register(own_model_store)
        await running.ready("trees", 2)
        assert (await running.serving.asked(asking())).version == 2
        assert running.serving.served("trees").model.version == 2
        assert [version for version, _ in running.versions("trees")] == [2]
        assert first not in running.serving._follower._retired

    serve(own_model_store, scenario)


def test_a_version_that_cannot_be_loaded_leaves_the_former_one_in_force(own_model_store: Path) -> None:
    async def scenario(running: Running) -> None:
        register(own_model_store, {TREES: b"[]"})
        await running.until(lambda: len(running.versions("trees")) == 2)
        assert (await running.serving.asked(asking())).version == 1
        (_, first), (_, second) = running.versions("trees")
        assert first == Ready()
        assert isinstance(second, Failed)
        assert "trees.json is refused" in second.why
        with pytest.raises(ModelNotReady, match=r"trees@v2 is not ready: .*trees\.json is refused"):
            await running.serving.asked(asking(version=2))
        with pytest.raises(UnknownModel):
            await running.serving.asked(asking(version=3))
        counted = {(one.model, one.version): one.requests["not_ready"] for one in running.serving.statistics()}
        assert counted == {("late", 1): 0, ("trees", 1): 0, ("trees", 2): 1}
        ready = {one.labels: one.value for one in running.serving.samples() if one.metric is MODEL_READY}
        assert ready == {("late", "1"): 1.0, ("trees", "1"): 1.0, ("trees", "2"): 0.0}
        register(own_model_store)
        await running.ready("trees", 3)
        assert (await running.serving.asked(asking())).version == 3

    serve(own_model_store, scenario)


def test_a_file_that_was_changed_is_not_served(own_model_store: Path) -> None:
    with Store.open(own_model_store) as store:
        path = store.model("trees").folder / TREES
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))

    async def scenario(running: Running) -> None:
        await running.ready("late", 1)
        await running.until(lambda: bool(running.versions("trees")))
        with pytest.raises(ModelNotReady, match="differs from the registered file"):
            await running.serving.asked(asking())
        assert (await running.serving.asked(asking("late"))).version == 1
        assert running.serving.waits_for() == (
            "model trees: model trees@v1: trees.json differs from the registered file"
        )

    serve(own_model_store, scenario, ("late", "trees"))


def test_a_request_may_name_a_version_that_does_not_answer_others(own_model_store: Path) -> None:
    register(own_model_store)

    async def scenario(running: Running) -> None:
        await running.until(lambda: bool(running.versions("trees")))
        await running.ready("trees", 2)
        named = await asyncio.gather(*(running.serving.asked(asking(version=1)) for _ in range(5)))
        assert [one.version for one in named] == [1] * 5
        assert (await running.serving.asked(asking())).version == 2
        for unknown in (3, 0):
            with pytest.raises(UnknownModel, match=f"trees@v{unknown}"):
                await running.serving.asked(asking(version=unknown))

    serve(own_model_store, scenario, ("trees",))


def test_requests_that_have_ended_take_no_place_of_others_that_wait_for_a_version(
    own_model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(own_model_store)
    real, may_load = ModelLoader._opened, threading.Event()

    def opened(self: ModelLoader, model: Any) -> LoadedVersion:
        assert model.version == 2 or may_load.wait(30)
        return real(self, model)

    monkeypatch.setattr(ModelLoader, "_opened", opened)

    async def scenario(running: Running) -> None:
        await running.ready("trees", 2)
        for _ in range(2):
            named = [running.serving.asked(asking(version=1, timeout_s=0.01)) for _ in range(4)]
            ended = await asyncio.gather(*named, return_exceptions=True)
            assert [type(one) for one in ended] == [DeadlineMissed] * 4
        last = asyncio.ensure_future(running.serving.asked(asking(version=1, timeout_s=30.0)))
        await asyncio.sleep(0)
        may_load.set()
        assert (await last).version == 1

    serve(own_model_store, scenario, ("trees",), ServingSettings(ModelSettings(queue=4)))


def test_weights_draw_by_the_request_and_a_deleted_version_is_unknown(own_model_store: Path) -> None:
    register(own_model_store)

    async def scenario(running: Running) -> None:
        running.promote("v1=0.5", "v2=0.5")
        await running.until(lambda: len(running.serving.models()[-1].weights) == 2)
        await running.ready("trees", 2)
        drawn = [(await running.serving.asked(asking(ident=str(i)))).version for i in range(40)]
        assert set(drawn) == {1, 2}
        assert drawn == [(await running.serving.asked(asking(ident=str(i)))).version for i in range(40)]
        assert {(await running.serving.asked(asking())).version for _ in range(40)} == {1, 2}
        running.promote("v2")
        await running.until(lambda: len(running.serving.models()[-1].weights) == 1)
        delete_models(own_model_store, "trees@v1", wall_clock)
        await running.until(lambda: [version for version, _ in running.versions("trees")] == [2])
        with pytest.raises(UnknownModel):
            await running.serving.asked(asking(version=1))

    serve(own_model_store, scenario, ("trees",))


def test_a_model_that_is_not_registered_is_waited_for(own_model_store: Path) -> None:
    async def scenario(running: Running) -> None:
        await running.until(lambda: running.serving.waits_for() == "model later: no such model is registered")
        with pytest.raises(UnknownModel):
            await running.serving.asked(asking("later"))
        with pytest.raises(UnknownModel, match="it has: later, trees"):
            await running.serving.asked(asking("late"))  # it is registered, but this server does not serve it

    serve(own_model_store, scenario, ("trees", "later"))


def test_the_mistakes_of_one_request_do_not_reach_another(own_model_store: Path) -> None:
    async def scenario(running: Running) -> None:
        asks = [asking(), asking(entities={"dest": ["ATL"]}), asking(entities={**ROW, "dest": [5]}), asking("nothing")]
        got = await asyncio.gather(*map(running.serving.asked, asks), return_exceptions=True)
        assert [type(one) for one in got] == [Predicted, BadReference, BadReference, UnknownModel]

    serve(own_model_store, scenario)


def test_a_batch_that_cannot_be_read_is_computed_request_by_request(
    own_model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.serving.inputs.input_plan import InputPlan

    real = InputPlan.fill

    def fill(self: InputPlan, asks: list[Ask], *more: Any) -> Any:
        if any(ask.ident == "bad" for ask in asks):
            raise OSError("a disk")
        return real(self, asks, *more)

    monkeypatch.setattr(InputPlan, "fill", fill)

    async def scenario(running: Running) -> None:
        asks = [asking(), asking(ident="bad"), asking()]
        got = await asyncio.gather(*map(running.serving.asked, asks), return_exceptions=True)
        assert [type(one) for one in got] == [Predicted, OSError, Predicted]
        counted = {one.model: one for one in running.serving.statistics()}["trees"]
        assert (counted.requests["ok"], counted.requests["failed"]) == (2, 1)

    serve(own_model_store, scenario)


def test_requests_join_into_batches_of_one_epoch(own_model_store: Path) -> None:
    async def scenario(running: Running) -> None:
        got = await asyncio.gather(*(running.serving.asked(asking()) for _ in range(100)))
        assert len({one.epoch for one in got}) == 1
        (counted,) = (one for one in running.serving.statistics() if one.model == "trees")
        assert counted.rows == 100
        assert sum(counted.batches.counts) == 2  # of at most 64 rows
        assert counted.requests["ok"] == 100
        assert counted.features == {"used": 300, "null": 0, "stale": 0}
        assert sum(counted.outputs) == 100
        samples = {one.metric for one in running.serving.samples()}
        assert {MODEL_BATCH_ROWS, MODEL_FEATURES, MODEL_REQUESTS, MODEL_SECONDS} <= samples

    serve(own_model_store, scenario)


def test_an_online_store_that_is_away_fails_a_batch_once(
    own_model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.serving.inputs.input_plan import InputPlan

    tries: list[int] = []

    def fill(_: InputPlan, asks: list[Ask], *__: Any) -> Any:
        tries.append(len(asks))
        raise OnlineUnavailable("no answer")  # each try may wait for a timeout

    monkeypatch.setattr(InputPlan, "fill", fill)

    async def scenario(running: Running) -> None:
        got = await asyncio.gather(*(running.serving.asked(asking()) for _ in range(3)), return_exceptions=True)
        assert [type(one) for one in got] == [OnlineUnavailable] * 3
        assert tries == [3]

    serve(own_model_store, scenario)


def test_a_receiver_that_fails_does_not_take_the_answers_of_others(own_model_store: Path) -> None:
    async def scenario(running: Running) -> None:
        def fails(_: Outcome) -> None:
            raise ValueError("a defect")

        got: list[Outcome] = []
        for done in (fails, got.append, fails, got.append):
            running.serving.ask(asking(), done)
        await running.until(lambda: len(got) == 2)
        assert (await running.serving.asked(asking())).version == 1

    serve(own_model_store, scenario)


def test_a_version_that_was_taken_away_is_closed_although_its_last_request_was_withdrawn(
    own_model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(monkeypatch)

    async def scenario(running: Running) -> None:
        first = running.serving.served("trees").loaded
        closed: list[int] = []
        monkeypatch.setattr(type(first.runner), "close", lambda _: closed.append(1))
        ticket = running.serving.ask(asking(), lambda _: None)
        await asyncio.sleep(0)
        register(own_model_store)
        await running.ready("trees", 2)
        assert closed == []
        ticket.withdraw()
        await running.until(lambda: closed == [1])

    serve(own_model_store, scenario, settings=ServingSettings(ModelSettings(max_queue_delay_us=10_000_000)))


def test_a_request_does_not_wait_longer_than_its_timeout_for_a_version_to_load(
    own_model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(own_model_store)
    loads = threading.Event()
    real = ModelLoader._opened

    def opened(self: ModelLoader, model: Any) -> LoadedVersion:
        if model.version == 1:
            assert loads.wait(30)
        return real(self, model)

    monkeypatch.setattr(ModelLoader, "_opened", opened)

    async def scenario(running: Running) -> None:
        await running.ready("trees", 2)
        with pytest.raises(DeadlineMissed):
            await running.serving.asked(asking(version=1, timeout_s=0.01))
        loads.set()
        assert (await running.serving.asked(asking(version=1, timeout_s=30))).version == 1

    serve(own_model_store, scenario, ("trees",))


SLOW = ServingSettings(ModelSettings(queue=4, max_queue_delay_us=200_000, timeout_ms=10_000))


def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in threads, as for a large model, so that requests wait for each other."""
    monkeypatch.setattr(LoadedVersion, "pool", lambda self, _: SHARED)


def test_a_full_queue_refuses_before_the_inputs_are_read(
    own_model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(monkeypatch)

    async def scenario(running: Running) -> None:
        assert running.serving.busy("trees", None) is None
        waiting = [asyncio.ensure_future(running.serving.asked(asking())) for _ in range(4)]
        await asyncio.sleep(0)
        assert isinstance(running.serving.busy("trees", None), ModelBusy)
        with pytest.raises(ModelBusy):
            await running.serving.asked(asking(entities={}))
        assert (await running.serving.asked(asking("late"))).model == "late"
        assert len(await asyncio.gather(*waiting)) == 4
        assert running.serving.busy("trees", None) is None
        counted = {one.model: one for one in running.serving.statistics()}["trees"]
        assert (counted.requests["busy"], counted.requests["ok"]) == (2, 4)

    serve(own_model_store, scenario, settings=SLOW)


def test_a_refusal_counts_for_the_version_that_the_request_names(
    own_model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(monkeypatch)
    register(own_model_store)

    async def scenario(running: Running) -> None:
        await running.ready("trees", 2)
        waiting = [asyncio.ensure_future(running.serving.asked(asking())) for _ in range(4)]
        await asyncio.sleep(0)
        for version in (1, 1, None, 3):  # 3: there is none
            assert isinstance(running.serving.busy("trees", version), ModelBusy)
        await asyncio.gather(*waiting)
        counted = {one.version: one.requests["busy"] for one in running.serving.statistics() if one.model == "trees"}
        assert counted == {1: 2, 2: 1}

    serve(own_model_store, scenario, ("trees",), settings=SLOW)


def test_other_workers_see_what_waits_in_this_one(own_model_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch)

    async def scenario(running: Running) -> None:
        def waiting() -> dict[str, int]:
            return {one.model: one.waiting for one in running.serving._counters.statistics()}

        ticket = running.serving.ask(asking(), lambda _: None)
        await running.until(lambda: waiting() == {"late": 0, "trees": 1})
        ticket.withdraw()
        await running.until(lambda: waiting() == {"late": 0, "trees": 0})

    settings = ServingSettings(ModelSettings(max_queue_delay_us=10_000_000, timeout_ms=60_000))
    serve(own_model_store, scenario, settings=settings)


def test_a_request_that_is_withdrawn_is_not_computed(own_model_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch)

    async def scenario(running: Running) -> None:
        got: list[Outcome] = []
        ticket = running.serving.ask(asking(), got.append)
        kept = asyncio.ensure_future(running.serving.asked(asking()))
        gone = asyncio.ensure_future(running.serving.asked(asking()))
        await asyncio.sleep(0)
        ticket.withdraw()
        gone.cancel()
        await kept
        counted = {one.model: one for one in running.serving.statistics()}["trees"]
        assert (counted.requests["gone"], counted.requests["ok"], counted.rows) == (2, 1, 1)
        assert got == []

    serve(own_model_store, scenario, settings=SLOW)


def test_a_timeout_that_cannot_be_kept_is_refused(own_model_store: Path) -> None:
    async def scenario(running: Running) -> None:
        with pytest.raises(DeadlineMissed):
            await running.serving.asked(asking(timeout_s=0.0))
        with pytest.raises(DeadlineMissed):
            await running.serving.asked(asking(timeout_s=1e-9))
        counted = {one.model: one for one in running.serving.statistics()}["trees"]
        assert (counted.requests["late"], counted.rows) == (2, 0)

    serve(own_model_store, scenario)


def test_quick_models_are_computed_on_the_event_loop_and_intervals_in_threads(own_model_store: Path) -> None:
    async def scenario(running: Running) -> None:
        loaded = running.serving.served("trees").loaded
        loaded.busy_s = 0.0
        assert loaded.pool(asking()) == LOOP
        assert loaded.pool(asking(level=0.9)) == INTERVALS
        assert loaded.pool(asking(rows=1_025)) == SHARED
        loaded.busy_s = 1.0
        assert loaded.pool(asking()) == SHARED
        loaded.is_foreign = True
        assert loaded.pool(asking()) is loaded

    serve(own_model_store, scenario)


def test_a_large_request_holds_up_no_small_one_of_its_model(
    own_model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, may_end, real = threading.Event(), threading.Event(), TreesRunner.run

    def run(self: TreesRunner, arrays: Arrays) -> Any:
        if len(arrays.x) > 1_024:
            entered.set()
            may_end.wait(120)
        return real(self, arrays)

    monkeypatch.setattr(TreesRunner, "run", run)

    async def scenario(running: Running) -> None:
        many = {name: values * 2_000 for name, values in ROW.items()}
        large = asyncio.ensure_future(running.serving.asked(asking(entities=many, rows=2_000, timeout_s=60.0)))
        await running.until(entered.is_set)
        assert len((await running.serving.asked(asking(timeout_s=60.0))).values) == 1
        assert not large.done()
        may_end.set()
        assert len((await large).values) == 2_000

    serve(own_model_store, scenario)


class Ended:
    """The runner of a foreign model, whose process ends at each batch once it is told to."""

    how = "ended"

    def __init__(self, inner: Any) -> None:
        self._inner, self.fails, self.closed = inner, False, 0
        self.failure: str | None = None
        self.may_end = threading.Event()
        self.may_end.set()

    def run(self, arrays: Any) -> Any:
        if self.fails:
            self.may_end.wait(30)
            self.failure = "its process ended"
            raise ModelFailed("trees@v1", "its process ended")
        return self._inner.run(arrays)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[Ended]:
    """The runners of `trees`, each loaded once, as of a foreign model."""
    made: list[Ended] = []
    real = ModelLoader._opened

    def opened(self: ModelLoader, model: Any) -> LoadedVersion:
        loaded = real(self, model)
        if model.name == "trees":
            made.append(Ended(loaded.runner))
            loaded.runner, loaded.is_foreign = made[-1], True
        return loaded

    monkeypatch.setattr(ModelLoader, "_opened", opened)
    return made


def test_a_foreign_model_that_ends_is_not_ready_and_is_loaded_again(own_model_store: Path, ended: list[Ended]) -> None:
    async def scenario(running: Running) -> None:
        assert (await running.serving.asked(asking())).version == 1
        ended[0].fails = True
        with pytest.raises(ModelFailed, match="its process ended"):
            await running.serving.asked(asking())
        with pytest.raises(ModelNotReady, match="its process ended"):
            await running.serving.asked(asking())
        assert (await running.serving.asked(asking("late"))).version == 1
        await running.until(lambda: len(ended) == 2 and running.serving.models()[-1].why is None)
        assert (await running.serving.asked(asking())).version == 1
        await running.until(lambda: ended[0].closed == 1)

    serve(own_model_store, scenario)
    assert ended[1].closed == 1


def test_a_process_that_ends_after_its_version_was_loaded_again_takes_no_other_away(
    own_model_store: Path, ended: list[Ended]
) -> None:
    register(own_model_store)

    async def scenario(running: Running) -> None:
        running.promote("v1")
        await running.until(lambda: running.serving.models()[-1].weights == ((1, 1.0),))
        first = next(one for one in ended if one is running.serving.served("trees").loaded.runner)
        first.fails = True
        first.may_end.clear()
        asked = asyncio.ensure_future(running.serving.asked(asking(timeout_s=30.0)))
        for version in (2, 1):
            running.promote(f"v{version}")
            await running.until(lambda version=version: running.serving.models()[-1].weights == ((version, 1.0),))
        first.may_end.set()
        with pytest.raises(ModelFailed):
            await asked
        assert (await running.serving.asked(asking())).version == 1
        await running.until(lambda: first.closed == 1)
        assert sum(one.closed == 0 for one in ended) == 1

    serve(own_model_store, scenario, ("trees",))
    assert [one.closed for one in ended] == [1] * len(ended)


def test_requests_that_wait_at_the_end_get_an_outcome(own_model_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(own_model_store)
    may_go_on, computing, real, real_run = threading.Event(), threading.Event(), ModelLoader._opened, TreesRunner.run
    got: list[Outcome] = []

    def opened(self: ModelLoader, model: Any) -> LoadedVersion:
        assert model.version == 2 or may_go_on.wait(30)
        return real(self, model)

    def run(self: TreesRunner, arrays: Arrays) -> Any:
        if len(arrays.x) == 2_000:
            computing.set()
            may_go_on.wait(30)
        return real_run(self, arrays)

    monkeypatch.setattr(ModelLoader, "_opened", opened)
    monkeypatch.setattr(TreesRunner, "run", run)
    monkeypatch.setattr(LoadedVersion, "pool", lambda self, ask: SHARED)
    servings: list[Serving] = []

    async def scenario(running: Running) -> None:
        await running.ready("trees", 2)
        servings.append(running.serving)
        many = {name: values * 2_000 for name, values in ROW.items()}
        running.serving.ask(asking(entities=many, rows=2_000, timeout_s=60.0), got.append)
        await running.until(computing.is_set)
        running.serving.ask(asking(timeout_s=60.0), got.append)
        running.serving.ask(asking(version=1, timeout_s=60.0), got.append)
        assert got == []

    try:
        serve(own_model_store, scenario, ("trees",), ServingSettings(threads=1))
    finally:
        may_go_on.set()
    servings[0].ask(asking(), got.append)  # nothing computes any more
    assert [str(one) for one in got] == ["model trees is not ready: the server is ending"] * 4
    assert {type(one) for one in got} == {ModelNotReady}


def test_a_load_that_hangs_does_not_hold_up_the_end(own_model_store: Path) -> None:
    program = f"""
import threading
from pathlib import Path
from tests.training.serving import test_serving as t

entered = threading.Event()

def hang(self, model):
    entered.set()
    threading.Event().wait()

async def scenario(running):
    await running.until(entered.is_set)

t.ModelLoader._opened = hang
t.serve(Path({str(own_model_store)!r}), scenario, ("trees",))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


def test_a_version_that_failed_is_loaded_again_after_its_pause_or_if_its_model_has_changed(
    own_model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.serving.versions.follower.FIRST_RETRY_S", 3_600.0)
    looks: list[str] = []
    real = ModelLoader.look

    def look(self: ModelLoader, name: str, *more: Any) -> Any:
        looks.append(name)
        return real(self, name, *more)

    monkeypatch.setattr(ModelLoader, "look", look)

    async def scenario(running: Running) -> None:
        follower = running.serving._follower
        await running.ready("trees", 1)
        follower.fail(running.serving.served("trees").loaded, "it ended")
        looks.clear()
        follower.look_soon()  # as for a release
        await running.until(lambda: "trees" in looks)
        follower.look_soon()
        await running.until(lambda: looks.count("trees") == 2)
        with pytest.raises(ModelNotReady, match="it ended"):
            running.serving.served("trees")
        follower._load_again(("trees", 1))
        await running.ready("trees", 1)
        follower.fail(running.serving.served("trees").loaded, "it ended")
        running.promote("v1")
        await running.ready("trees", 1)

    serve(own_model_store, scenario, ("trees", "late"))
