"""Loads the versions of models that answer requests. It runs in a thread of its own, off the event loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from base.errors import CoveyError
from featurestore.errors import NothingToRollBack, UnknownModel
from featurestore.registry.models import RegisteredModel
from featurestore.registry.serving_versions import ModelHistory, Weights
from featurestore.store import Store
from training.fit.lineage import require_same

from .inputs import MAX_ROWS, ModelInputs
from .kinds.loading import Loading
from .kinds.model_kind import is_foreign, kind_of
from .kinds.open_runner import open_runner
from .loaded import LoadedVersion
from .settings import ServingSettings
from .signature import ModelSignature
from .states import Failed

_log = logging.getLogger("covey.server")


Loaded: TypeAlias = LoadedVersion | Failed


@dataclass(frozen=True)
class InForce:
    """What the registry says about a model.

    Attributes:
        known: the registered versions.
        weights: those that answer: the ones in force or, if one of these cannot be loaded and no other version is held, the ones
            that were in force before.
        loaded: versions that were loaded now, or failed.
        outdated: why a version that was loaded before cannot answer any more.
    """

    known: tuple[int, ...]
    weights: Weights
    loaded: Mapping[int, Loaded]
    outdated: Mapping[int, Failed]


class ModelLoader:
    """Loads models of a store.

    Args:
        views_file: the file of the on-demand views that the store was opened with.
    """

    def __init__(self, store: Store, settings: ServingSettings, loading: Loading, views_file: Path | None) -> None:
        self._store, self._settings, self._loading, self._views_file = store, settings, loading, views_file

    def stamp(self) -> object:
        """A value that changes when models, promotions or releases have changed."""
        return self._store.models_stamp(), self._store.blocks.snapshot

    def names(self) -> list[str]:
        """The names of all registered models."""
        return list(dict.fromkeys(model.name for model in self._store.models()))

    def look(self, name: str, held: Mapping[int, RegisteredModel], extra: Collection[int]) -> InForce | None:
        """Read the registry, and load what is missing; None: there is no such model.

        Args:
            held: versions that are loaded.
            extra: versions that are asked for beside those that answer.
        """
        try:
            # read before the versions, so that one that is registered meanwhile is not in force yet
            history = self._store.model_history(name)
        except UnknownModel:
            return None
        weights = history.in_force
        models = {model.version: model for model in self._store.models() if model.name == name}
        needed = dict.fromkeys(version for version in (*weights.versions, *extra) if version in models)
        loaded: dict[int, Loaded] = {version: self._load(models[version]) for version in needed if version not in held}
        if not held and any(isinstance(loaded.get(version), Failed) for version in weights.versions):
            weights = self._before(history, models, loaded)
        outdated = {version: why for version, model in held.items() if (why := self._outdated(model)) is not None}
        return InForce(tuple(models), weights, loaded, outdated)

    def _before(
        self, history: ModelHistory, models: Mapping[int, RegisteredModel], loaded: dict[int, Loaded]
    ) -> Weights:
        """The versions that were in force before, if they can be loaded: a server that was running then has kept them.

        Args:
            loaded: what was loaded now; it gets what is loaded here.
        """
        try:
            weights = history.in_force_before()
        except NothingToRollBack:
            return history.in_force
        for version in weights.versions:
            if version in models and version not in loaded:
                loaded[version] = self._load(models[version])
        if not all(isinstance(loaded.get(version), LoadedVersion) for version in weights.versions):
            return history.in_force
        _log.warning("%s: %s answers instead, which was in force before", history.model, weights)
        return weights

    def _load(self, model: RegisteredModel) -> Loaded:
        try:
            return self._opened(model)
        except CoveyError as error:
            _log.error("%s cannot be served: %s", str(model), str(error))
            return Failed(str(error))
        except Exception as error:  # noqa: BLE001 - a defect in one model must not prevent the others
            _log.exception("%s cannot be served", str(model))
            return Failed(f"{type(error).__name__}; the server's log has the details")

    def _opened(self, model: RegisteredModel) -> LoadedVersion:
        store, settings = self._store, self._settings.of(model.name)
        signature = ModelSignature.of(model)
        require_same(model, store, self._views_file)
        inputs = ModelInputs.of(model, signature, store, MAX_ROWS)
        runner = open_runner(model, replace(self._loading, limit_s=settings.limit_ms / 1_000))
        loaded = LoadedVersion(model, signature, inputs, runner, store.clock(), is_foreign(kind_of(model)))
        try:
            loaded.warm(store, (1, *settings.preferred, settings.max_batch))
        except BaseException:
            runner.close()
            raise
        _log.info("%s is ready (%s)", str(model), runner.how)
        return loaded

    def _outdated(self, model: RegisteredModel) -> Failed | None:
        try:
            require_same(model, self._store, self._views_file)
        except CoveyError as error:
            return Failed(str(error))
        return None


Load: TypeAlias = Callable[[str, Mapping[int, RegisteredModel], Collection[int]], InForce | None]
