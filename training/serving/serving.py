"""`Serving`: the models of a server. Every protocol asks it, on the event loop."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from base.metrics import MODEL_PSI, Sample
from featurestore.errors import UnknownModel
from featurestore.store import Store
from training.errors import DeadlineMissed, ModelBusy, ModelNotReady
from training.serving.batches.batcher import Batcher, Finished
from training.serving.batches.job import LOOP, Done, Job, Outcome
from training.serving.batches.model_queue import Batch, ModelQueue
from training.serving.batches.outcomes import outcome_name
from training.serving.statistics.counters import ModelCounters
from training.serving.statistics.statistics import VersionStatistics, ready_samples
from training.serving.versions.follower import POLL_S, Follower
from training.serving.versions.loaded import Computed, LoadedVersion
from training.serving.versions.model_loader import ModelLoader
from training.serving.versions.served_model import ServedModel
from training.serving.versions.states import ModelState, ServedVersion

from .ask import Ask, Predicted
from .intervals.intervals import require_interval
from .intervals.preparing import Preparing
from .settings import ModelSettings, ServingSettings

COUNT_S: Final = 0.2
"""How often a worker counts the rows that wait."""


class Ticket:
    """A question that was asked."""

    __slots__ = ("_withdraw",)

    def __init__(self, withdraw: Callable[[], None]) -> None:
        self._withdraw = withdraw

    def withdraw(self) -> None:
        """The client has gone away: if no batch has taken the question, it is not computed."""
        self._withdraw()


_ENDED: Final = Ticket(lambda: None)
_ENDING: Final = "the server is ending"


class Serving:
    """The models of a store that a process serves.

    Batches whose features are in memory, and which take less than `QUICK_S`, are computed on the event loop; others by threads.

    Args:
        names: the models; None: all that are registered, also later.
        counters: counts what the models do.
        draw: draws a version for requests without an id.
        clock: seconds of a steady clock.
    """

    def __init__(
        self,
        store: Store,
        loader: ModelLoader,
        settings: ServingSettings,
        names: Sequence[str] | None = None,
        counters: ModelCounters | None = None,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._store, self._settings, self._names, self._draw, self._clock = store, settings, names, draw, clock
        self._counters = counters or ModelCounters()
        self._follower = Follower(loader, settings, names, self._taken_up, self._opened, self._closed, clock)
        self._models = self._follower.models
        self._waiting: dict[tuple[str, int], list[Job]] = {}
        """Jobs of versions that are not loaded yet, and that requests have named."""
        self._computing: dict[int, Batch] = {}
        """Batches that threads compute."""
        self._is_ending = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load the models, and serve them until the end of the block."""
        loop, threads = asyncio.get_running_loop(), self._settings.threads
        self._loop = loop
        self._batcher = Batcher(loop, threads, self._compute, self._too_late, self._finished, self._clock)
        self._preparing = Preparing(self._store, self._ask_again)
        self._follower.start()
        counting = asyncio.create_task(self._go_on_counting())
        try:
            yield
        finally:
            counting.cancel()
            self._end_requests()
            self._preparing.close(_ending)
            await self._follower.stop()

    def _end_requests(self) -> None:
        """Give an outcome to all that wait."""
        self._is_ending = True
        waiting = [job for jobs in self._waiting.values() for job in jobs]
        computing = [job for batch in self._computing.values() for job in batch.jobs]
        queued = [job for model in self._models.values() for job in self._batcher.drain(model.queue)]
        for job in (*waiting, *computing, *queued):
            job.end(_ending(job))

    def ask(self, ask: Ask, done: Done) -> Ticket:
        """Ask a model. `done` receives the predictions or the error on the event loop, perhaps at once."""
        version = None
        try:
            if self._is_ending:
                raise ModelNotReady(ask.model, _ENDING)
            model = self._model(ask.model)
            is_named = ask.version is not None
            version = model.drawn(lambda: ask.ident or str(self._draw())) if ask.version is None else ask.version
            found = model.find(version, is_named=is_named)
            settings, now = model.queue.settings, self._clock()
            timeout_s = settings.timeout_ms / 1_000 if ask.timeout_s is None else ask.timeout_s
            if found is None:
                return self._ask_later(model, ask, done, now, now + timeout_s)
            if (busy := model.queue.busy(now)) is not None:  # before the inputs are looked at
                raise busy
            rows = found.loaded.inputs.require(ask.given)
            require_interval(ask, rows)
            if ask.level is not None and self._preparing.is_needed(found.loaded.intervals):
                waiting = Job(replace(ask, rows=rows), None, done, now, now + timeout_s)
                return self._ask_prepared(model, found.loaded, waiting)
            model.queue.admit(rows, timeout_s, now)
        except Exception as error:  # noqa: BLE001 - every error is the outcome
            if version is not None and not isinstance(error, UnknownModel):
                self._counters.of(ask.model, version).outcome(outcome_name(error), 0.0)
            done(error)
            return _ENDED
        loaded = found.loaded
        if rows != ask.rows:
            ask = replace(ask, rows=rows)
        job = Job(ask, loaded, done, now, now + timeout_s, loaded.pool(ask))
        self._batcher.add(model.queue, job)
        return Ticket(partial(self._withdraw, model, job))

    async def asked(self, ask: Ask) -> Predicted:
        """Ask a model, in a task. Raises what `ask` gives."""
        made: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if not made.done():
                made.set_result(outcome)

        ticket = self.ask(ask, done)
        try:
            outcome = await made
        except asyncio.CancelledError:
            ticket.withdraw()
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def busy(self, name: str, version: int | None) -> ModelBusy | None:
        """Why a request to a model is refused now, whatever it asks; None: it may be admitted. The body need not be read.

        Args:
            version: the one that the request names; None: it names none, and its refusal counts for the heaviest version.
        """
        model = self._models.get(name)
        busy = None if model is None else model.queue.busy(self._clock())
        if busy is not None and model is not None:
            counted = model.heaviest if version is None else version
            if counted in model.known:
                self._counters.of(name, counted).outcome(outcome_name(busy), 0.0)
        return busy

    def served(self, name: str, version: int | None = None) -> ServedVersion:
        """A version that answers; of several in force, the one with the largest share.

        Raises:
            UnknownModel. ModelNotReady.
        """
        model = self._model(name)
        is_named = version is not None
        if version is None:
            version = model.in_force().heaviest
        found = model.find(version, is_named=is_named)
        if found is None:
            raise ModelNotReady(f"{name}@v{version}", "it is not loaded; it is loaded when a request names it")
        return found

    def settings(self, name: str) -> ModelSettings:
        """How a model is served. Raises UnknownModel."""
        return self._model(name).queue.settings

    def models(self) -> tuple[ModelState, ...]:
        """What is known of each model, by name."""
        return tuple(self._models[name].state() for name in sorted(self._models))

    def statistics(self) -> list[VersionStatistics]:
        """What each version has done since the server began, in all workers."""
        self._count_waiting()
        return self._counters.statistics()

    def samples(self) -> Iterator[Sample]:
        """The metrics of the models."""
        yield from ready_samples(self.models())
        for one in self.statistics():
            yield from one.samples()
            held = self._models[one.model].held.get(one.version) if one.model in self._models else None
            if held is not None and (psi := held.loaded.drift(one.outputs)) is not None:
                yield Sample(MODEL_PSI, (one.model, str(one.version)), psi)

    def waits_for(self) -> str | None:
        """The model that was asked for by name and does not answer, and why; None: all do."""
        for name in self._names or ():
            if (why := self._models[name].why_not()) is not None:
                return f"model {name}: {why}"
        return None

    def _model(self, name: str) -> ServedModel:
        model = self._models.get(name)
        if model is None:
            raise UnknownModel(name, sorted(self._models))
        return model

    def _withdraw(self, model: ServedModel, job: Job) -> None:
        job.drop()
        if self._batcher.withdraw(model.queue, job):
            self._count(job, "gone")

    def _ask_later(self, model: ServedModel, ask: Ask, done: Done, now: float, due: float) -> Ticket:
        """Load the version that a request names. The request waits for it."""
        assert ask.version is not None
        waiting = self._waiting.setdefault((model.name, ask.version), [])
        waiting[:] = [job for job in waiting if job.is_open]
        if sum(job.rows for job in waiting) >= model.queue.settings.queue:
            done(ModelBusy(f"{model.name}@v{ask.version}", "it is being loaded, and requests wait for it", POLL_S))
            return _ENDED
        job = Job(ask, None, done, now, due)
        waiting.append(job)
        self._end_when_due(model, job)
        model.name_version(ask.version)
        self._follower.look_soon()
        return Ticket(job.drop)

    def _taken_up(self, model: ServedModel) -> None:
        """Ask again what has waited for a version."""
        for key in [key for key in self._waiting if key[0] == model.name]:
            for job in self._waiting.pop(key):
                self._ask_again(job)

    def _ask_prepared(self, model: ServedModel, loaded: LoadedVersion, job: Job) -> Ticket:
        """Read the sums behind the intervals of an epoch. The request waits for them."""
        self._preparing.add(loaded.intervals, job, model.queue.settings.queue)
        self._end_when_due(model, job)
        return Ticket(job.drop)

    def _end_when_due(self, model: ServedModel, job: Job) -> None:
        """End a request that is in no queue at its deadline. It has no effect after the request's outcome."""
        self._loop.call_later(job.due_s - job.arrived_s, self._too_late, model.queue, job)

    def _ask_again(self, job: Job) -> None:
        if not job.is_open:
            return
        left_s = job.due_s - self._clock()
        if left_s <= 0:
            self._too_late(self._models[job.ask.model].queue, job)
        else:
            self.ask(replace(job.ask, timeout_s=left_s), job.end)

    def _opened(self, loaded: LoadedVersion) -> None:
        self._batcher.open_pool(loaded)

    def _closed(self, loaded: LoadedVersion) -> None:
        self._batcher.close_pool(loaded)

    def _too_late(self, queue: ModelQueue, job: Job) -> None:
        self._count(job, "late")
        job.end(DeadlineMissed(queue.name, job.due_s - job.arrived_s, self._clock() - job.arrived_s))

    def _compute(self, queue: ModelQueue, batch: Batch, finished: Callable[[Finished], None]) -> None:
        loaded, asks = batch.target, [job.ask for job in batch.jobs]
        assert isinstance(loaded, LoadedVersion)

        def done(made: Computed) -> None:
            self._computing.pop(id(batch), None)
            finished(made)
            if (why := loaded.runner.failure) is not None:
                self._fail(queue, loaded, why)
            self._follower.end(loaded)

        threads = self._follower.begin(loaded, batch.jobs[0].pool)
        if batch.jobs[0].pool is LOOP:
            done(loaded.compute(self._store, asks))
        else:
            self._computing[id(batch)] = batch
            threads.submit(partial(loaded.compute, self._store, asks), done)

    def _fail(self, queue: ModelQueue, loaded: LoadedVersion, why: str) -> None:
        """A foreign model has failed for good: its process has ended, and it is loaded again later."""
        self._follower.fail(loaded, why)
        for job in self._batcher.fail(queue, loaded, ModelNotReady(str(loaded.model), why)):
            self._count(job, "not_ready")

    def _finished(self, queue: ModelQueue, batch: Batch, made: Finished) -> None:
        assert isinstance(made, Computed)
        for job, outcome in zip(batch.jobs, made.outcomes, strict=True):
            self._count(job, outcome_name(outcome))
        counter = self._counters.of(queue.name, _version(batch.jobs[0]))
        for job in batch.jobs:
            counter.stage("queue", batch.taken_s - job.arrived_s)
        if made.stages is not None:
            counter.batch(batch.rows, self._store.clock())
            counter.stage("fetch", made.stages.fetch_s)
            counter.stage("transform", made.stages.transform_s)
            counter.stage("infer", made.stages.infer_s)
            counter.features(made.features)
            counter.outputs(made.outputs)

    def _count(self, job: Job, outcome: str) -> None:
        if job.target is not None:
            seconds = self._clock() - job.arrived_s
            self._counters.of(job.ask.model, _version(job)).outcome(outcome, seconds)

    def _count_waiting(self) -> None:
        self._counters.waiting(
            {
                (model.name, version): model.queue.waiting(held.loaded)
                for model in self._models.values()
                for version, held in model.held.items()
            }
        )

    async def _go_on_counting(self) -> None:
        """Count what waits, for other workers, which may be asked for the metrics."""
        while True:
            self._count_waiting()
            await asyncio.sleep(COUNT_S)


def _ending(job: Job) -> ModelNotReady:
    return ModelNotReady(job.ask.model, _ENDING)


def _version(job: Job) -> int:
    assert isinstance(job.target, LoadedVersion)
    return job.target.model.version
