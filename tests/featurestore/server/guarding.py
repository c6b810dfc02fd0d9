"""A feature server behind its guard, in this process, with clocks that a test moves."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from featurestore.server.answer import App
from featurestore.server.api_keys import CHECK_S, Consumers, KeyRing
from featurestore.server.app import FeatureServer, health_of
from featurestore.server.guard import Gate, Guard
from featurestore.server.hosts import Hosts
from featurestore.server.metrics import Counts
from featurestore.server.throttle import Limits, ServerLimits, Throttle
from featurestore.store import Store
from tests.featurestore.making import HOUR

ROUTE = "/get-online-features"
NO_LIMITS = Limits()
SCHEMATHESIS = "testserver"
"""The host name in its requests."""


@dataclass
class Guarded:
    """A guarded server over the store of a directory. `now` is the steady clock, in seconds."""

    directory: Path
    with_keys: bool = True
    default: Limits = NO_LIMITS
    together: Limits = NO_LIMITS
    workers: int = 1
    now: float = 0.0
    wall_us: int = 2 * HOUR
    refusals: list[int] = field(default_factory=list)
    app: Guard = field(init=False)
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = store = Store.open(self.directory, clock=lambda: self.wall_us)
        self.consumers = Consumers(self.directory)
        keys = KeyRing(self.consumers, lambda: self.now) if self.with_keys else None
        gate = Gate(keys, Throttle(ServerLimits(self.default, self.together), self.workers, lambda: self.now), Counts())
        server = FeatureServer(store)
        self.app = Guard(
            server,
            Hosts("127.0.0.1", (SCHEMATHESIS,)),
            gate,
            lambda: health_of(store.blocks),
            lambda: self.wall_us,
        )

    def add(self, name: str, limits: Limits = NO_LIMITS) -> str:
        """Make a consumer with a key that the running server accepts."""
        key = self.consumers.add(name, limits, 0, os.urandom)
        self.now += CHECK_S
        return key

    def ask(self, method: str, path: str, key: str | None = None, **given: Any) -> httpx.Response:
        """One request, with a key as the bearer's."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return ask(self.app, method, path, headers={**headers, **given.pop("headers", {})}, **given)

    def read(self, key: str | None = None, rows: int = 1, **given: Any) -> httpx.Response:
        """Read some rows."""
        body = {"features": ["delays:flights"], "entities": {"dest": ["ATL"] * rows}}
        return self.ask("POST", ROUTE, key, json=body, **given)


def ask(app: App, method: str, path: str, **given: Any) -> httpx.Response:
    """One request to an ASGI application; a defect of it is an answer, as a server would make it."""

    async def one() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **given)

    return asyncio.run(one())
