"""What another program adds to the feature server: routes, calls of gRPC, and metrics, behind the same guard, TLS and limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol

from fastapi import FastAPI

from base.metrics import Sample

from .answer import Answer
from .guard import Gate
from .refusal import Refused
from .whole_routes import WholeRoute


class Front(Protocol):
    """One protocol that is added to a feature server."""

    def find(self, url: bytes) -> WholeRoute | None:
        """The route of a POST; None: another route of the server, or none, answers it."""

    def add_routes(self, app: FastAPI) -> None:
        """Add all other routes."""

    def openapi_paths(self) -> Mapping[str, Any]:
        """Paths of the OpenAPI document that FastAPI does not see."""
        ...

    def is_probe(self, path: str) -> bool:
        """Whether a path needs no key, because probes have none."""
        ...

    def refusal(self, path: str, refused: Refused) -> Answer | None:
        """A refusal of the guard in the form of this path; None: it is answered as a problem."""
        ...

    def add_services(self, server: Any, gate: Gate) -> None:
        """Add calls to a server of gRPC (grpc.aio.Server). `gate` admits their callers and counts them."""


class Extension(Front, Protocol):
    """What is added to a feature server: protocols, and what runs behind them."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Runs while the server answers, on its event loop."""
        ...

    def waits_for(self) -> str | None:
        """What `/readyz` waits for; None: the extension is ready."""

    def samples(self) -> Iterable[Sample]:
        """Samples of `/metrics`."""
        ...


class NoExtension:
    """A feature server alone."""

    def find(self, url: bytes) -> WholeRoute | None:
        """No route."""
        return None

    def add_routes(self, app: FastAPI) -> None:
        """Add nothing."""

    def openapi_paths(self) -> Mapping[str, Any]:
        """No path."""
        return {}

    def is_probe(self, path: str) -> bool:
        """No path."""
        return False

    def refusal(self, path: str, refused: Refused) -> Answer | None:
        """No form of its own."""
        return None

    def add_services(self, server: Any, gate: Gate) -> None:
        """Add nothing."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Run nothing."""
        return nullcontext()

    def waits_for(self) -> str | None:
        """Nothing."""
        return None

    def samples(self) -> Iterable[Sample]:
        """No samples."""
        return ()
