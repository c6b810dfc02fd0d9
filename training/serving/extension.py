"""What the server of models adds to the feature server: the routes and calls of each protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI

from base.metrics import Sample
from featurestore.server.answer import Answer
from featurestore.server.extension import Front
from featurestore.server.guard import Gate
from featurestore.server.refusal import Refused
from featurestore.server.whole_routes import WholeRoute

from .serving import Serving


class ModelExtension:
    """An `Extension` of the feature server.

    Args:
        fronts: the protocols that ask `serving`.
    """

    def __init__(self, serving: Serving, fronts: Sequence[Front]) -> None:
        self._serving, self._fronts = serving, fronts

    def find(self, url: bytes) -> WholeRoute | None:
        """The route of a POST; None: another route of the server, or none, answers it."""
        for front in self._fronts:
            if (route := front.find(url)) is not None:
                return route
        return None

    def add_routes(self, app: FastAPI) -> None:
        """Add all other routes."""
        for front in self._fronts:
            front.add_routes(app)

    def openapi_paths(self) -> Mapping[str, Any]:
        """The paths of the OpenAPI document that FastAPI does not see."""
        return {path: item for front in self._fronts for path, item in front.openapi_paths().items()}

    def is_probe(self, path: str) -> bool:
        """Whether a path needs no key."""
        return any(front.is_probe(path) for front in self._fronts)

    def refusal(self, path: str, refused: Refused) -> Answer | None:
        """A refusal of the guard in the form of the path's protocol."""
        return next((found for front in self._fronts if (found := front.refusal(path, refused)) is not None), None)

    def add_services(self, server: Any, gate: Gate) -> None:
        """Add calls to a server of gRPC."""
        for front in self._fronts:
            front.add_services(server, gate)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Load the models, and serve them."""
        return self._serving.running()

    def waits_for(self) -> str | None:
        """The model that does not answer, of those that were asked for by name."""
        return self._serving.waits_for()

    def samples(self) -> Iterable[Sample]:
        """The metrics of the models."""
        return self._serving.samples()
