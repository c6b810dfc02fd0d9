"""One worker: the feature server behind its guard, and `python -m featurestore.server.worker`, as the supervisor starts it."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading

from base.metrics import Role
from base.process_metrics import process_samples, started_at
from featurestore.define.views_file import load_declared
from featurestore.store import Store

from .api_keys import Consumers, KeyRing
from .app import FeatureServer, alone, health_of
from .grpc_service import grpc_beside
from .guard import Gate, Guard
from .hosts import Hosts
from .http_server import serve
from .metrics import Counts
from .settings import ServerSettings, WorkerFiles
from .throttle import Throttle


def guarded(settings: ServerSettings, counts: Counts) -> Guard:
    """The application of one worker."""
    on_demand = () if settings.views is None else load_declared(settings.views, need_views=False).on_demand
    store = Store.open(settings.store, on_demand=on_demand)
    keys = KeyRing(Consumers(settings.store)) if settings.keys else None
    gate = Gate(keys, Throttle(settings.limits, settings.workers), counts)
    beside = alone if settings.grpc is None else grpc_beside(settings.grpc, gate)
    hosts = Hosts(settings.address, settings.names)
    started = started_at(os.getpid() if settings.workers == 1 else os.getppid())
    return Guard(
        FeatureServer(store, beside=beside),
        hosts,
        gate,
        counts,
        lambda: health_of(store.blocks),
        process=lambda: process_samples(Role.SERVER, settings.store, started),
    )


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
