"""The cost of host check, key, throttle and metrics for a request: the guarded server against the bare one, in process.

Both answer the same request (1 row × 1 feature) without a socket, in turns. The figures are µs of CPU time of this process, so
other programs matter little: the median of the means of rounds.

    python -m benchmarks.guards
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.privacy import Bounds, Privacy
from featurestore.publish.publish import Publisher
from featurestore.server.answer import App, Message
from featurestore.server.api_keys import Consumers, KeyRing
from featurestore.server.app import FeatureServer, health_of
from featurestore.server.guard import Gate, Guard
from featurestore.server.hosts import Hosts
from featurestore.server.metrics import Counts
from featurestore.server.openapi import ROUTE
from featurestore.server.throttle import Limits, ServerLimits, Throttle
from featurestore.store import Store
from simulations.measuring import print_figures

ROUNDS = 40
REQUESTS = 500
CONSUMERS = 100
BODY = b'{"features": ["delays:flights"], "entities": {"dest": ["ATL"]}}'
VIEW = FeatureView(
    "delays",
    entity=Entity("dest", domain=["ATL", "LAX"]),
    features=[Count("flights")],
    pane="1h",
    bounds=Bounds(max_cells=1),
    privacy=Privacy(rho=0.5, min_clients=2),
)


def main() -> None:
    """Print µs a request, and one JSON line."""
    with tempfile.TemporaryDirectory(prefix="covey-bench-") as folder:
        store = Path(folder)
        with Publisher(store, lambda: 0) as publisher:
            publisher.register(VIEW)
        keys = [Consumers(store).add(f"c{i}", Limits(10**9, 10**9), 0, os.urandom) for i in range(CONSUMERS)]
        opened = Store.open(store)
        bare = FeatureServer(opened)
        gate = Gate(KeyRing(Consumers(store)), Throttle(ServerLimits()), Counts())
        guard = Guard(bare, Hosts("127.0.0.1"), gate, lambda: health_of(opened.blocks))
        bare_us, guarded_us = asyncio.run(_measure(bare, guard, keys[CONSUMERS // 2]))
    table = Table("server", "µs of CPU a request", title="in process, without a socket")
    table.add_row("bare", f"{bare_us:.1f}")
    table.add_row("behind its guard", f"{guarded_us:.1f}")
    table.add_row("host, key, throttle and metrics", f"{guarded_us - bare_us:.1f}")
    Console().print(table)
    figures = {"bare_us": bare_us, "guarded_us": guarded_us, "guards_us": guarded_us - bare_us}
    print_figures({name: round(value, 2) for name, value in figures.items()} | {"consumers": CONSUMERS})


async def _measure(bare: App, guarded: App, key: str) -> tuple[float, float]:
    times: dict[str, list[float]] = {"bare": [], "guarded": []}
    for _ in range(ROUNDS):
        for name, app in (("bare", bare), ("guarded", guarded)):
            times[name].append(await _round(app, key))
    return median(times["bare"]), median(times["guarded"])


async def _round(app: App, key: str) -> float:
    """Mean µs of CPU time of a request."""
    headers = [
        (b"host", b"127.0.0.1:6566"),
        (b"user-agent", b"python-requests/2.32"),
        (b"accept-encoding", b"gzip, deflate"),
        (b"accept", b"*/*"),
        (b"connection", b"keep-alive"),
        (b"authorization", f"Bearer {key}".encode()),
        (b"content-length", b"63"),
        (b"content-type", b"application/json"),
    ]
    answered = 0

    async def receive() -> Message:
        return {"type": "http.request", "body": BODY}

    async def send(message: Message) -> None:
        nonlocal answered
        answered += message.get("status", 0) == 200

    start = time.process_time_ns()
    for _ in range(REQUESTS):
        await app({"type": "http", "method": "POST", "path": ROUTE, "headers": headers}, receive, send)
    took = time.process_time_ns() - start
    if answered != REQUESTS:
        raise SystemExit(f"{answered} of {REQUESTS} requests were answered")
    return took / REQUESTS / 1_000


if __name__ == "__main__":
    main()
