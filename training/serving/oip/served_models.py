"""What both transports answer about models, from the models of a process."""

from __future__ import annotations

from typing import Any, Final

from featurestore.errors import UnknownModel
from training.errors import ModelNotReady
from training.serving.serving import Serving
from training.serving.statistics.statistics import VersionStatistics
from training.serving.versions.states import ModelState

from .model_metadata import model_config, model_metadata, repository_index, server_metadata
from .model_statistics import model_statistics, with_latencies

UNSUPPORTED: Final = (
    "models are not loaded or unloaded by clients: the server follows the store, see `covey models promote` and "
    "`covey models rollback`"
)


class ServedModels:
    """The models of a process."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving

    def ready(self) -> bool:
        """Whether all models that were asked for answer."""
        return self.serving.waits_for() is None

    def why_not(self, name: str, version: int | None) -> str | None:
        """Why a model, or a version of it, does not answer; None: it does. Raises UnknownModel."""
        try:
            self.serving.served(name, version)
        except ModelNotReady as error:
            return str(error)
        return None

    def server_metadata(self) -> dict[str, Any]:
        """The server's name, version and extensions."""
        return server_metadata()

    def metadata(self, name: str, version: int | None) -> dict[str, Any]:
        """The inputs and outputs of a version. Raises UnknownModel, ModelNotReady."""
        return model_metadata(self.serving.served(name, version), self._state(name))

    def config(self, name: str, version: int | None) -> dict[str, Any]:
        """The configuration of a version. Raises UnknownModel, ModelNotReady."""
        served = self.serving.served(name, version)
        return model_config(served, self._state(name), self.serving.settings(name))

    def index(self, *, only_ready: bool) -> list[dict[str, Any]]:
        """The state of each version."""
        return repository_index(self.serving.models(), only_ready=only_ready)

    def statistics(self, name: str | None, version: int | None) -> list[dict[str, Any]]:
        """What each version has done, in all workers together; of one model, or of all. Raises UnknownModel."""
        return list(map(model_statistics, self._statistics(name, version)))

    def latencies(self, name: str | None, version: int | None) -> list[dict[str, Any]]:
        """The same with the histograms of stages, which the message of gRPC has no field for. Raises UnknownModel."""
        return list(map(with_latencies, self._statistics(name, version)))

    def _statistics(self, name: str | None, version: int | None) -> list[VersionStatistics]:
        if name is not None:
            self._state(name)
        found = self.serving.statistics()
        return [one for one in found if name in (None, one.model) and version in (None, one.version)]

    def _state(self, name: str) -> ModelState:
        models = self.serving.models()
        for one in models:
            if one.name == name:
                return one
        raise UnknownModel(name, [one.name for one in models])
