"""Loads the versions of models that answer requests. It runs in a thread of its own, off the event loop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from base.errors import CoveyError
from featurestore.errors import NothingToRollBack, UnknownModel
from featurestore.read.messages import MAX_ROWS
from featurestore.registry.models import RegisteredModel
from featurestore.registry.serving_versions import ModelHistory, Weights
from featurestore.store import Store
from training.lineage import require_same
from training.serving.inputs.model_inputs import ModelInputs
from training.serving.kinds.loading import Loading
from training.serving.kinds.model_kind import is_foreign, kind_of
from training.serving.kinds.open_runner import open_runner
from training.serving.settings import ServingSettings
from training.serving.signature import ModelSignature

from .loaded import LoadedVersion
from .states import Failed

_log = logging.getLogger("covey.server")


Loaded: TypeAlias = LoadedVersion | Failed


@dataclass(frozen=True)
class InForce:
    """What the registry says about a model.

    Attributes:
        known: the registered versions.
        history: what the registry says, by which a later look sees changes.
        weights: those that answer: the ones in force or, if one of these cannot be loaded and no other version is held, the ones
            that were in force before.
        loaded: versions that were loaded now, or failed.
        outdated: why a version that was loaded before cannot answer any more.
    """

    known: tuple[int, ...]
    history: ModelHistory
    weights: Weights
    loaded: Mapping[int, Loaded]
    outdated: Mapping[int, Failed]


class LoaderClosed(Exception):
    """The server is ending: its store may be closed, and is not read any more."""


class ModelLoader:
    """Loads models of a store.

    Args:
        views_file: the file of the on-demand views that the store was opened with.
    """

    def __init__(self, store: Store, settings: ServingSettings, loading: Loading, views_file: Path | None) -> None:
        self._store, self._settings, self._loading, self._views_file = store, settings, loading, views_file
        self._reads, self._is_open = threading.Lock(), True

    def close(self) -> None:
        """Read the store no more, so that it may be closed. A read under way is waited for, a model that hangs is not."""
        with self._reads:
            self._is_open = False

    @contextmanager
    def _reading(self) -> Iterator[Store]:
        with self._reads:
            if not self._is_open:
                raise LoaderClosed
            yield self._store

    def stamp(self) -> object:
        """A value that changes when models, promotions or releases have changed."""
        with self._reading() as store:
            return store.models_stamp(), store.blocks.snapshot

    def names(self) -> list[str]:
        """The names of all registered models."""
        with self._reading() as store:
            return store.model_names()

    def look(
        self,
        name: str,
        held: Mapping[int, RegisteredModel],
        extra: Collection[int],
        resting: Collection[int] = (),
        former: ModelHistory | None = None,
    ) -> InForce | None:
        """Read the registry, and load what is missing; None: there is no such model.

        Args:
            held: versions that are loaded.
            extra: versions that are asked for beside those that answer.
            resting: versions that have failed, and are not loaded again as long as the registry says the same of the model.
            former: what it said at the last look.
        """
        try:
            with self._reading() as store:
                history = store.model_history(name)
        except UnknownModel:
            return None
        weights, loaded = history.in_force, dict[int, Loaded]()
        asked_for = (version for version in extra if version in history.versions)
        left_out = {*held, *(resting if history == former else ())}
        self._load_missing(name, (*weights.versions, *asked_for), left_out, loaded)
        if not held and any(isinstance(loaded.get(version), Failed) for version in weights.versions):
            weights = self._before(history, loaded)
        outdated = {version: why for version, model in held.items() if (why := self._outdated(model)) is not None}
        return InForce(history.versions, history, weights, loaded, outdated)

    def _before(self, history: ModelHistory, loaded: dict[int, Loaded]) -> Weights:
        """The versions that were in force before, if they can be loaded: a server that was running then has kept them.

        Args:
            loaded: what was loaded now; it gets what is loaded here.
        """
        try:
            weights = history.in_force_before()
        except NothingToRollBack:
            return history.in_force
        self._load_missing(history.model, weights.versions, {}, loaded)
        if not all(isinstance(loaded.get(version), LoadedVersion) for version in weights.versions):
            return history.in_force
        _log.warning("%s: %s answers instead, which was in force before", history.model, weights)
        return weights

    def _load_missing(
        self, name: str, versions: Iterable[int], left_out: Collection[int], loaded: dict[int, Loaded]
    ) -> None:
        """Load those of some versions that are neither left out nor loaded. One that was deleted meanwhile is left out."""
        for version in versions:
            if version not in left_out and version not in loaded:
                with suppress(UnknownModel):
                    loaded[version] = self._load(f"{name}@v{version}")

    def _load(self, reference: str) -> Loaded:
        """Load `name@v<n>`. Raises UnknownModel."""
        try:
            with self._reading() as store:
                model = store.model(reference)
            return self._opened(model)
        except (UnknownModel, LoaderClosed):
            raise
        except CoveyError as error:
            _log.error("%s cannot be served: %s", reference, str(error))
            return Failed(str(error))
        except Exception as error:  # noqa: BLE001 - a defect in one model must not prevent the others
            _log.exception("%s cannot be served", reference)
            return Failed(f"{type(error).__name__}; the server's log has the details")

    def _opened(self, model: RegisteredModel) -> LoadedVersion:
        settings, signature = self._settings.of(model.name), ModelSignature.of(model)
        with self._reading() as store:
            require_same(model, store, self._views_file)
            inputs = ModelInputs.of(model, signature, store, MAX_ROWS)
        runner = open_runner(model, replace(self._loading, limit_s=settings.limit_ms / 1_000))
        loaded = LoadedVersion(model, signature, inputs, runner, store.clock(), is_foreign(kind_of(model)))
        try:
            with self._reading() as store:
                loaded.warm(store, (1, *settings.preferred, settings.max_batch))
        except BaseException:
            runner.close()
            raise
        _log.info("%s is ready (%s)", str(model), runner.how)
        return loaded

    def _outdated(self, model: RegisteredModel) -> Failed | None:
        try:
            with self._reading() as store:
                require_same(model, store, self._views_file)
        except CoveyError as error:
            return Failed(str(error))
        return None
