"""One worker: the feature server behind its guard, and `python -m featurestore.server.worker`, as the supervisor starts it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from featurestore.define.views_file import load_declared
from featurestore.store import Store

from .api_keys import Consumers, KeyRing
from .app import FeatureServer, alone, health_of
from .grpc_service import grpc_beside
from .guard import Gate, Guard
from .hosts import Hosts
from .listen import serve
from .metrics import Counts
from .throttle import Limits, Throttle


@dataclass(frozen=True)
class ServerSettings:
    """The settings that all workers of a server share.

    Attributes:
        store: the store's directory.
        address, names: see `Hosts`.
        keys: whether requests need a key.
        limits: the limits of a consumer without own limits.
        views: the file of on-demand views, which are served, too.
        grpc: the address of the gRPC service, `host:port`; None: no gRPC.
    """

    store: Path
    keys: bool
    limits: Limits
    workers: int
    address: str
    names: tuple[str, ...] = ()
    views: Path | None = None
    grpc: str | None = None

    def to_json(self) -> str:
        """For a worker's command line."""
        paths = {"store": str(self.store), "views": None if self.views is None else str(self.views)}
        return json.dumps({**asdict(self), **paths})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        data = json.loads(text)
        views = None if data["views"] is None else Path(data["views"])
        limits, names = Limits(**data["limits"]), tuple(data["names"])
        return cls(
            Path(data["store"]), data["keys"], limits, data["workers"], data["address"], names, views, data["grpc"]
        )


@dataclass(frozen=True)
class WorkerFiles:
    """Descriptors that a worker inherits from its supervisor.

    Attributes:
        listening: the socket.
        counts: the file of `Counts`.
        alive: the end of a pipe that the supervisor holds open.
    """

    listening: int
    counts: int
    alive: int

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All descriptors."""
        return (self.listening, self.counts, self.alive)

    def to_json(self) -> str:
        """For a worker's command line."""
        return json.dumps(self.descriptors)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        return cls(*json.loads(text))


def guarded(settings: ServerSettings, counts: Counts) -> Guard:
    """The application of one worker."""
    on_demand = () if settings.views is None else load_declared(settings.views, need_views=False).on_demand
    store = Store.open(settings.store, on_demand=on_demand)
    keys = KeyRing(Consumers(settings.store)) if settings.keys else None
    gate = Gate(keys, Throttle(settings.limits, settings.workers), counts)
    beside = alone if settings.grpc is None else grpc_beside(settings.grpc, gate)
    hosts = Hosts(settings.address, settings.names)
    return Guard(FeatureServer(store, beside=beside), hosts, gate, counts, lambda: health_of(store.blocks))


def main(settings: str, files: str, number: str) -> None:
    """Serve until SIGTERM, or until the supervisor has ended."""
    signal.signal(signal.SIGTERM, _end)  # uvicorn raises it again after it has closed everything
    shared, own = ServerSettings.from_json(settings), WorkerFiles.from_json(files)
    threading.Thread(target=_end_with_the_supervisor, args=(own.alive,), daemon=True).start()
    app = guarded(shared, Counts(shared.workers, int(number), own.counts))
    with socket.socket(fileno=own.listening) as listening:
        serve(app, listening)


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)


def _end_with_the_supervisor(alive: int) -> None:
    os.read(alive, 1)  # the pipe is never written: this returns when no process holds its other end
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(*sys.argv[1:])
