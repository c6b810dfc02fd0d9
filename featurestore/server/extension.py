"""What another program adds to the feature server: routes, calls of gRPC, and metrics, behind the same guard, TLS and limits."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol

from fastapi import FastAPI

from base.metrics import Sample

from .guard import Gate
from .whole_routes import WholeRoute


class Extension(Protocol):
    """What is added to a feature server."""

    def find(self, url: bytes) -> WholeRoute | None:
        """The route of a POST; None: another route of the server, or none, answers it."""

    def add_routes(self, app: FastAPI) -> None:
        """Add all other routes."""

    def add_services(self, server: Any, gate: Gate) -> None:
        """Add calls to a server of gRPC (grpc.aio.Server). `gate` admits their callers and counts them."""

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
