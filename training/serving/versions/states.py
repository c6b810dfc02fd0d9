"""The state of each version of a model that a server knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from featurestore.registry.models import RegisteredModel
from training.serving.signature import ModelSignature

from .loaded import LoadedVersion


@dataclass(frozen=True)
class Starting:
    """The version is being loaded."""


@dataclass(frozen=True)
class Ready:
    """The version answers."""


@dataclass(frozen=True)
class Failed:
    """The version cannot answer; says why."""

    why: str


VersionState: TypeAlias = Starting | Ready | Failed


@dataclass(frozen=True, eq=False)
class ServedVersion:
    """A version of a model that is ready.

    Attributes:
        how: how it runs, such as `eager` or `trees`.
        loaded_at: µs since the epoch.
    """

    model: RegisteredModel
    signature: ModelSignature
    loaded: LoadedVersion

    @property
    def how(self) -> str:
        """How it runs, such as `eager` or `trees`."""
        return self.loaded.runner.how

    @property
    def loaded_at(self) -> int:
        """When it was loaded, µs since the epoch."""
        return self.loaded.loaded_at


@dataclass(frozen=True)
class ModelState:
    """What a server knows of a model.

    Attributes:
        weights: (version, share) of the versions that answer.
        versions: the state of each version that is held, and of those that failed to load.
        why: why the model is not ready; None: it is.
    """

    name: str
    weights: tuple[tuple[int, float], ...]
    versions: tuple[tuple[int, VersionState], ...]
    why: str | None
