"""The Open Inference Protocol as one of the protocols of a server of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI

from featurestore.server.answer import Answer
from featurestore.server.guard import Gate
from featurestore.server.refusal import Refused
from featurestore.server.whole_routes import WholeRoute
from training.serving.serving import Serving

from .errors import failed
from .infer_route import InferRoute
from .openapi import PATHS
from .routes import LIVE, READY, RepositoryRoute, add_routes
from .served_models import ServedModels
from .service import InferenceService

ROOT: Final = "/v2"


class OpenInference:
    """The protocol over HTTP and gRPC. It is a `Front`."""

    def __init__(self, serving: Serving) -> None:
        self._models = ServedModels(serving)
        self._infer, self._repository = InferRoute(serving), RepositoryRoute(self._models)

    def find(self, url: bytes) -> WholeRoute | None:
        """The route of a POST; None: it is of another protocol."""
        if self._infer.matches(url):
            return self._infer
        return self._repository if url.startswith(b"/v2/") else None

    def add_routes(self, app: FastAPI) -> None:
        """Add the routes of GET."""
        add_routes(app, self._models)

    def add_services(self, server: Any, gate: Gate) -> None:
        """Add the calls to a server of gRPC."""
        InferenceService(self._models, gate).add_to(server)

    def openapi_paths(self) -> Mapping[str, Any]:
        """The paths of its OpenAPI document."""
        return PATHS

    def is_probe(self, path: str) -> bool:
        """Whether a path needs no key."""
        return path in (LIVE, READY)

    def refusal(self, path: str, refused: Refused) -> Answer | None:
        """A refusal of the guard in the protocol's form; None: the path is of another protocol."""
        return failed(refused) if path == ROOT or path.startswith(f"{ROOT}/") else None
