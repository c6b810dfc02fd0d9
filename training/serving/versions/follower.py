"""Follows the registry while a server runs: loads versions beside those that answer, takes them up between batches, closes them."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

from base.errors import CoveyError
from featurestore.registry.serving_versions import ModelHistory
from training.serving.batches.compute_threads import ComputeThreads
from training.serving.batches.job import INTERVALS, SHARED
from training.serving.batches.model_queue import ModelQueue
from training.serving.settings import ServingSettings

from .loaded import LoadedVersion
from .model_loader import InForce, ModelLoader
from .served_model import ServedModel

POLL_S: Final = 0.2
"""How often the server looks for new versions and promotions."""
FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 60.0
"""A version whose process was ended is loaded again after the first time, then after twice as long each time until the last."""

_AFTER_DEFECT_S: Final = 1.0
_NEVER_FAILED: Final = (-math.inf, FIRST_RETRY_S)

_T = TypeVar("_T")
_log = logging.getLogger("covey.server")


class Follower:
    """The models of a server, as the registry has them.

    Args:
        names: the models; None: all that are registered, also later.
        taken_up: called for a model after its versions were looked up.
        opened, closed: called for a version that has threads of its own, before it is used and after.

    Attributes:
        models: by name.
    """

    def __init__(
        self,
        loader: ModelLoader,
        settings: ServingSettings,
        names: Sequence[str] | None,
        taken_up: Callable[[ServedModel], None],
        opened: Callable[[LoadedVersion], None],
        closed: Callable[[LoadedVersion], None],
        clock: Callable[[], float],
    ) -> None:
        self._loader, self._settings, self._names = loader, settings, names
        self._taken_up, self._opened, self._closed, self._clock = taken_up, opened, closed, clock
        self.models: dict[str, ServedModel] = {}
        self._own: dict[LoadedVersion, ComputeThreads] = {}
        self._computing: dict[LoadedVersion, int] = {}
        self._retired: set[LoadedVersion] = set()
        self._retries: dict[tuple[str, int], tuple[float, float]] = {}
        """When a version failed last, and how long it then waited."""
        self._resting: dict[tuple[str, int], asyncio.TimerHandle] = {}
        """The versions that are not loaded again yet."""
        self._histories: dict[str, ModelHistory] = {}
        """Of each model, at the last look."""

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._loading = ComputeThreads(self._loop, 1, "covey-models")  # a load that hangs does not hold up the end
        self._shared: dict[Hashable, ComputeThreads] = {
            SHARED: ComputeThreads(self._loop, self._settings.threads),
            INTERVALS: ComputeThreads(self._loop, 1, "covey-of-intervals"),
        }
        for name in self._names or ():
            self._add(name)
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """End, and close all versions."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._loader.close()
        for timer in self._resting.values():
            timer.cancel()
        for threads in (self._loading, *self._shared.values(), *self._own.values()):
            threads.close()
        held = [one.loaded for model in self.models.values() for one in model.held.values()]
        for loaded in {*held, *self._retired}:
            loaded.runner.close()

    def look_soon(self) -> None:
        """Look at once: a request names a version that is not loaded."""
        self._wake.set()

    def begin(self, loaded: LoadedVersion, pool: Hashable) -> ComputeThreads:
        """A version computes a batch; returns the threads of the pool, for which the event loop has no use."""
        self._computing[loaded] = self._computing.get(loaded, 0) + 1
        return self._own.get(loaded) or self._shared.get(pool, self._shared[SHARED])

    def end(self, loaded: LoadedVersion) -> None:
        """A batch of a version has ended."""
        self._computing[loaded] -= 1
        if loaded in self._retired:
            self._close_if_idle(loaded)

    def fail(self, loaded: LoadedVersion, why: str) -> None:
        """A version's process was ended. It is loaded again later."""
        key = name, _ = loaded.model.name, loaded.model.version
        if not self.models[name].fail(loaded, why):
            return  # it is closed already, or after this batch
        self._retire(loaded)
        now, (failed_at, last_s) = self._clock(), self._retries.get(key, _NEVER_FAILED)
        again_s = FIRST_RETRY_S if now - failed_at > 2 * LAST_RETRY_S else min(2 * last_s, LAST_RETRY_S)
        self._retries[key] = now, again_s
        _log.error("%s has failed, and is loaded again in %d s: %s", str(loaded.model), again_s, why)
        if (former := self._resting.get(key)) is not None:
            former.cancel()
        self._resting[key] = self._loop.call_later(again_s, self._load_again, key)

    def _load_again(self, key: tuple[str, int]) -> None:
        del self._resting[key]
        self._wake.set()

    async def _follow(self) -> None:
        stamp: object = None
        while True:
            try:
                found = await self._off_the_loop(self._loader.stamp)
                if found != stamp or self._wake.is_set():
                    self._wake.clear()
                    await self._look()
                    stamp = found
            except Exception:  # noqa: BLE001 - a defect in one look must not prevent later ones
                _log.exception("the models cannot be looked up")
                await asyncio.sleep(_AFTER_DEFECT_S)
            for loaded in list(self._retired):  # their last requests may have been withdrawn
                self._close_if_idle(loaded)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()

    async def _look(self) -> None:
        if self._names is None:
            for name in await self._off_the_loop(self._loader.names):
                if name not in self.models:
                    self._add(name)
        for model in list(self.models.values()):
            held = {version: one.model for version, one in model.held.items()}
            try:
                resting = {version for name, version in self._resting if name == model.name}
                former = self._histories.get(model.name)
                look = partial(self._loader.look, model.name, held, tuple(model.extra), resting, former)
                found = await self._off_the_loop(look)
            except CoveyError as error:  # its rows are damaged; the other models follow
                _log.error("%s cannot be looked up, and stays as it is: %s", model.name, str(error))
                continue
            self._take_up(model, found)

    def _take_up(self, model: ServedModel, found: InForce | None) -> None:
        """Take up what was loaded, between two batches: it runs on the event loop, where batches are made."""
        if found is not None:
            self._histories[model.name] = found.history
        for loaded in () if found is None else found.loaded.values():
            if isinstance(loaded, LoadedVersion) and loaded.is_foreign:
                self._own[loaded] = ComputeThreads(self._loop, 1)
                self._opened(loaded)
        for gone in model.take_up(found):
            self._retire(gone)
        self._taken_up(model)

    def _add(self, name: str) -> None:
        self.models[name] = ServedModel(name, ModelQueue(name, self._settings.of(name), self._clock()))

    def _retire(self, loaded: LoadedVersion) -> None:
        self._retired.add(loaded)
        self._close_if_idle(loaded)

    def _close_if_idle(self, loaded: LoadedVersion) -> None:
        """Close a version that was taken away, after its last batch."""
        if self._computing.get(loaded) or self.models[loaded.model.name].queue.waiting(loaded):
            return
        self._retired.discard(loaded)
        self._computing.pop(loaded, None)
        if (own := self._own.pop(loaded, None)) is not None:
            own.close()
            self._closed(loaded)
        self._submit(loaded.runner.close)

    async def _off_the_loop(self, call: Callable[[], _T]) -> _T:
        return await self._submit(call)

    def _submit(self, call: Callable[[], _T]) -> asyncio.Future[_T]:
        made: asyncio.Future[_T] = self._loop.create_future()

        def work() -> Callable[[], None]:
            try:
                return partial(made.set_result, call())
            except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
                return partial(made.set_exception, error)

        def done(give: Callable[[], None]) -> None:
            if not made.done():
                give()

        self._loading.submit(work, done)
        return made
