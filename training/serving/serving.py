"""`Serving`: the models of a server. Every protocol asks it, on the event loop."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from featurestore.errors import UnknownModel
from featurestore.store import Store
from training.errors import DeadlineMissed, ModelBusy, ModelNotReady

from .ask import Ask, Predicted
from .batcher import Batcher, Finished
from .compute_threads import ComputeThreads
from .job import Done, Job, Outcome
from .loaded import Computed, LoadedVersion
from .model_loader import InForce, ModelLoader
from .model_queue import Batch, ModelQueue
from .served_model import ServedModel
from .settings import ModelSettings, ServingSettings
from .states import ModelState, ServedVersion

POLL_S: Final = 0.2
"""How often the server looks for new versions and promotions."""

_T = TypeVar("_T")

_log = logging.getLogger("covey.server")


class Ticket:
    """A question that was asked."""

    __slots__ = ("_withdraw",)

    def __init__(self, withdraw: Callable[[], None]) -> None:
        self._withdraw = withdraw

    def withdraw(self) -> None:
        """The client has gone away: if no batch has taken the question, it is not computed."""
        self._withdraw()


_ENDED: Final = Ticket(lambda: None)


class Serving:
    """The models of a store that a process serves.

    Args:
        names: the models; None: all that are registered, also later.
        draw: draws a version for requests without an id.
    """

    def __init__(
        self,
        store: Store,
        loader: ModelLoader,
        settings: ServingSettings,
        names: Sequence[str] | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._store, self._loader, self._settings, self._names, self._draw = store, loader, settings, names, draw
        self._models: dict[str, ServedModel] = {}
        self._waiting: dict[tuple[str, int], list[Job]] = {}
        """Jobs of versions that are not loaded yet, each named by its request."""
        self._busy: dict[LoadedVersion, int] = {}
        """How many batches of each version are computed now."""
        self._retired: set[LoadedVersion] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load the models, and serve them until the end of the block."""
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._threads = ComputeThreads(self._loop, self._settings.threads)
        self._batcher = Batcher(self._loop, self._settings.threads, self._compute, self._too_late, self._finished)
        self._loading = ThreadPoolExecutor(1, "covey-models")
        for name in self._names or ():
            self._add(name)
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            self._threads.close()
            self._loading.shutdown(wait=False, cancel_futures=True)
            for model in self._models.values():
                for held in model.held.values():
                    held.loaded.runner.close()

    def ask(self, ask: Ask, done: Done) -> Ticket:
        """Ask a model. `done` receives the predictions or the error on the event loop, perhaps at once."""
        try:
            model = self._model(ask.model)
            found = model.find(ask.version, lambda: ask.ident or str(self._draw()))
            settings, now = model.queue.settings, self._loop.time()
            timeout_s = settings.timeout_ms / 1_000 if ask.timeout_s is None else ask.timeout_s
            if found is None:
                return self._ask_later(model, ask, done, now, now + timeout_s)
            if (busy := model.queue.busy(now)) is not None:  # before the inputs are looked at
                raise busy
            rows = found.loaded.inputs.require(ask.given)
            model.queue.admit(rows, timeout_s, now)
        except Exception as error:  # noqa: BLE001 - every error is the outcome
            done(error)
            return _ENDED
        if rows != ask.rows:
            ask = replace(ask, rows=rows)
        job = Job(ask, found.loaded, done, now, now + timeout_s)
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

    def busy(self, name: str) -> ModelBusy | None:
        """Why a request to a model is refused now, whatever it asks; None: it may be admitted. Its body need not be read."""
        model = self._models.get(name)
        return None if model is None else model.queue.busy(self._loop.time())

    def served(self, name: str, version: int | None = None) -> ServedVersion:
        """A version that answers; of several in force, the one with the largest share.

        Raises:
            UnknownModel. ModelNotReady.
        """
        model = self._model(name)
        weights = model.state().weights
        if version is None and weights:
            version = max(weights, key=lambda one: (one[1], one[0]))[0]
        found = model.find(version, str)
        if found is None:
            raise ModelNotReady(f"{name}@v{version}", "it is not loaded; it is loaded when a request names it")
        return found

    def settings(self, name: str) -> ModelSettings:
        """How a model is served. Raises UnknownModel."""
        return self._model(name).queue.settings

    def models(self) -> tuple[ModelState, ...]:
        """What is known of each model, by name."""
        return tuple(self._models[name].state() for name in sorted(self._models))

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

    def _add(self, name: str) -> ServedModel:
        queue = ModelQueue(name, self._settings.of(name), self._loop.time())
        model = self._models[name] = ServedModel(name, queue)
        return model

    def _withdraw(self, model: ServedModel, job: Job) -> None:
        job.drop()
        self._batcher.withdraw(model.queue, job)

    def _ask_later(self, model: ServedModel, ask: Ask, done: Done, now: float, due: float) -> Ticket:
        """Load the version that a request names. The request waits for it."""
        assert ask.version is not None
        waiting = self._waiting.setdefault((model.name, ask.version), [])
        if sum(job.rows for job in waiting) >= model.queue.settings.queue:
            done(ModelBusy(f"{model.name}@v{ask.version}", "it is being loaded, and requests wait for it", POLL_S))
            return _ENDED
        job = Job(ask, ask.version, done, now, due)
        waiting.append(job)
        model.name_version(ask.version)
        self._wake.set()
        return Ticket(job.drop)

    def _too_late(self, queue: ModelQueue, job: Job) -> None:
        job.end(DeadlineMissed(queue.name, job.due_s - job.arrived_s, self._loop.time() - job.arrived_s))

    def _compute(self, queue: ModelQueue, batch: Batch, finished: Callable[[Finished], None]) -> None:
        loaded, asks = batch.target, [job.ask for job in batch.jobs]
        assert isinstance(loaded, LoadedVersion)
        self._busy[loaded] = self._busy.get(loaded, 0) + 1

        def done(made: Computed) -> None:
            self._busy[loaded] -= 1
            finished(made)
            self._close_if_idle(loaded)

        self._threads.submit(partial(loaded.compute, self._store, asks), done)

    def _finished(self, queue: ModelQueue, batch: Batch, made: Finished) -> None:
        """Count a batch."""

    async def _follow(self) -> None:
        """Take up new versions and promotions, as long as the server runs."""
        stamp: object = None
        while True:
            try:
                found = await self._off_the_loop(self._loader.stamp)
                if found != stamp or self._waiting:
                    stamp = found
                    await self._look()
            except Exception:  # noqa: BLE001 - a defect in one look must not prevent later ones
                _log.exception("the models cannot be looked up")
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            self._wake.clear()

    async def _look(self) -> None:
        if self._names is None:
            for name in await self._off_the_loop(self._loader.names):
                if name not in self._models:
                    self._add(name)
        for model in list(self._models.values()):
            held = {version: one.model for version, one in model.held.items()}
            extra = tuple(model.extra)
            found = await self._off_the_loop(partial(self._loader.look, model.name, held, extra))
            self._take_up(model, found)

    def _take_up(self, model: ServedModel, found: InForce | None) -> None:
        for gone in model.take_up(found):
            self._retired.add(gone)
            self._close_if_idle(gone)
        for (name, version), jobs in list(self._waiting.items()):
            if name == model.name:
                del self._waiting[name, version]
                for job in jobs:
                    self._ask_again(model, job)

    def _ask_again(self, model: ServedModel, job: Job) -> None:
        left_s = job.due_s - self._loop.time()
        if left_s <= 0:
            self._too_late(model.queue, job)
        else:
            self.ask(replace(job.ask, timeout_s=left_s), job.end)

    def _close_if_idle(self, loaded: LoadedVersion) -> None:
        """Close a version that was taken away after its last batch."""
        waiting = loaded in self._retired and self._models[loaded.model.name].queue.waiting(loaded)
        if loaded in self._retired and not waiting and not self._busy.get(loaded):
            self._retired.discard(loaded)
            self._busy.pop(loaded, None)
            self._loading.submit(loaded.runner.close)

    async def _off_the_loop(self, call: Callable[[], _T]) -> _T:
        return await self._loop.run_in_executor(self._loading, call)
