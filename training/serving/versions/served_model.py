"""One model of a server, on its event loop: the versions that it holds, and which of them answers a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from featurestore.errors import UnknownModel
from featurestore.registry.serving_versions import Weights
from training.errors import ModelNotReady
from training.serving.batches.model_queue import ModelQueue

from .loaded import LoadedVersion
from .model_loader import InForce
from .states import Failed, ModelState, Ready, ServedVersion, Starting, VersionState

MAX_EXTRA: Final = 4
"""The most versions that are held beside those that answer, because requests have named them."""


class ServedModel:
    """A model by its name.

    Attributes:
        queue: the requests that wait.
        known: the registered versions.
        extra: versions that requests have named, beside those that answer; the last one was named last.
    """

    def __init__(self, name: str, queue: ModelQueue) -> None:
        self.name, self.queue = name, queue
        self.known: tuple[int, ...] = ()
        self.extra: dict[int, None] = {}
        self._weights: Weights | None = None
        self._held: dict[int, ServedVersion] = {}
        self._failed: dict[int, Failed] = {}
        self._is_looked_up = False

    @property
    def held(self) -> Mapping[int, ServedVersion]:
        """The loaded versions."""
        return self._held

    @property
    def heaviest(self) -> int | None:
        """The version with the largest share; None: none is in force yet."""
        return None if self._weights is None else self._weights.heaviest

    def find(self, version: int, *, is_named: bool) -> ServedVersion | None:
        """The version that answers a request; None: the request names one that is not loaded yet.

        Args:
            is_named: whether the request names the version; otherwise it was drawn.

        Raises:
            UnknownModel. ModelNotReady: it cannot be loaded.
        """
        if is_named and version not in self.known:
            if not self._is_looked_up:
                return None
            raise UnknownModel(f"{self.name}@v{version}", [f"{self.name}@v{one}" for one in self.known])
        found = self._held.get(version)
        if found is None and (failed := self._failed.get(version)) is not None:
            raise ModelNotReady(f"{self.name}@v{version}", failed.why)
        if found is None and not is_named:
            raise ModelNotReady(f"{self.name}@v{version}", "it is being loaded")
        return found

    def in_force(self) -> Weights:
        """The versions that answer requests. Raises UnknownModel. ModelNotReady: none is in force yet."""
        if self._weights is not None:
            return self._weights
        if self._is_looked_up and not self.known:
            raise UnknownModel(self.name, [])
        raise ModelNotReady(self.name, "it is being loaded")

    def drawn(self, draw: Callable[[], str]) -> int:
        """The version of a request that names none. Raises as `in_force`.

        Args:
            draw: the id of the request, by which one of several versions is drawn.
        """
        weights = self.in_force()
        return weights.shares[0][0] if len(weights.shares) == 1 else weights.pick(draw())

    def take_up(self, found: InForce | None) -> list[LoadedVersion]:
        """Take up what the registry says, between two batches. Returns versions that are not held any more.

        If a version that should answer cannot be loaded, the versions before stay in force.
        """
        self._is_looked_up = True
        if found is None:
            self.known, self._weights, self._failed, self.extra = (), None, {}, {}
            return self._let_go(set())
        self.known = found.known
        self._failed = {version: why for version, why in self._failed.items() if version in found.known}
        for version, why in found.outdated.items():
            self._failed[version] = why
        for version, loaded in found.loaded.items():
            match loaded:
                case Failed():
                    self._failed[version] = loaded
                case LoadedVersion():
                    self._failed.pop(version, None)
                    self._held[version] = ServedVersion(loaded.model, loaded.signature, loaded)
        gone = self._let_go(set(found.known) - found.outdated.keys())
        former = self._weights
        former_answers = former is not None and all(version in self._held for version in former.versions)
        if not former_answers or all(version in self._held for version in found.weights.versions):
            self._weights = found.weights
        kept = {*(self._weights.versions if self._weights else ()), *self.extra}
        return [*gone, *self._let_go(kept)]

    def fail(self, loaded: LoadedVersion, why: str) -> bool:
        """A version cannot answer any more. Returns whether it was held; it may have been taken away, and loaded again."""
        version = loaded.model.version
        held = self._held.get(version)
        if held is None or held.loaded is not loaded:
            return False
        self._failed[version] = Failed(why)
        del self._held[version]
        return True

    def name_version(self, version: int) -> None:
        """A request names a version that is not held."""
        self.extra.pop(version, None)
        self.extra[version] = None
        while len(self.extra) > MAX_EXTRA:
            del self.extra[next(iter(self.extra))]

    def why_not(self) -> str | None:
        """Why the model does not answer; None: it does."""
        if self._weights is None:
            return "no such model is registered" if self._is_looked_up else "it is being loaded"
        return next((self._failed[one].why for one in self._weights.versions if one not in self._held), None)

    def state(self) -> ModelState:
        """What is known of the model."""
        weights = () if self._weights is None else tuple(self._weights.shares)
        versions: dict[int, VersionState] = dict.fromkeys((version for version, _ in weights), Starting())
        versions |= {**self._failed, **dict.fromkeys(self._held, Ready())}
        return ModelState(self.name, weights, tuple(sorted(versions.items())), self.why_not())

    def _let_go(self, kept: set[int]) -> list[LoadedVersion]:
        gone = [version for version in self._held if version not in kept]
        return [self._held.pop(version).loaded for version in gone]
