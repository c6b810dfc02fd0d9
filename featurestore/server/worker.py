"""One worker: the feature server behind its guard, and `python -m featurestore.server.worker`, as the supervisor starts it."""

from __future__ import annotations

import gc
import sys

from base.start_up import GC_THRESHOLD, end_quickly, hide_pandas

from .settings import ServerSettings, WorkerFiles

if __name__ == "__main__":
    gc.set_threshold(GC_THRESHOLD)
    if ServerSettings.from_json(sys.argv[1]).views is None:  # no user code runs
        hide_pandas()

import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import TypeAlias

from base.metrics import Role, Sample
from base.process_metrics import certificate_samples, process_samples, started_at
from base.role_process import working_as
from featurestore.define.views_file import load_declared
from featurestore.store import Store

from .api_keys import Consumers, KeyRing
from .app import Beside, FeatureServer, alone, health_of
from .connections import Connections
from .extension import Extension, NoExtension
from .grpc_service import grpc_beside
from .guard import Gate, Guard
from .hosts import Hosts
from .http_server import serve
from .metrics import Counts
from .throttle import Throttle

Extend: TypeAlias = Callable[[Store, Throttle], Extension]
"""Makes what a worker adds to the feature server of a store. The throttle is the server's: a consumer has one limit for both."""


def no_extension(_: Store, __: Throttle) -> Extension:
    """A feature server alone."""
    return NoExtension()


def run_worker(
    settings: ServerSettings, counts: Counts, listening: socket.socket, extend: Extend = no_extension
) -> None:
    """Serve as one worker until SIGINT or SIGTERM, which is raised again."""
    connections = Connections(settings.limits.share(settings.workers))
    serve(_guarded(settings, counts, connections, extend), listening, connections, settings.endpoint.tls)


def _guarded(settings: ServerSettings, counts: Counts, connections: Connections, extend: Extend) -> Guard:
    on_demand = () if settings.views is None else load_declared(settings.views, need_views=False).on_demand
    store = Store.open(settings.store, on_demand=on_demand)
    keys = KeyRing(Consumers(settings.store)) if settings.keys else None
    throttle = Throttle(settings.limits, settings.workers)
    gate = Gate(keys, throttle, counts)
    endpoint, extension = settings.endpoint, extend(store, throttle)
    beside: Beside = alone
    if endpoint.grpc is not None:
        beside = grpc_beside(endpoint.grpc, gate, connections.most, endpoint.tls, extension.add_services)
    started = started_at(os.getpid() if settings.workers == 1 else os.getppid())
    return Guard(
        FeatureServer(store, beside=beside, extension=extension),
        Hosts(endpoint.address, endpoint.names),
        gate,
        lambda: health_of(store.blocks),
        process=lambda: [*samples_of(settings, started), *extension.samples()],
    )


def samples_of(settings: ServerSettings, started: float) -> list[Sample]:
    """The metrics of the server's process, and the end of its certificate.

    Args:
        started: seconds since the epoch.
    """
    tls, found = settings.endpoint.tls, process_samples(Role.SERVER, settings.store, started)
    return found if tls is None else [*found, *certificate_samples(Role.SERVER, tls.certificate)]


def main(settings: str, files: str, number: str) -> None:
    """Serve until SIGTERM, or until the supervisor has ended."""
    run_supervised(ServerSettings.from_json(settings), WorkerFiles.from_json(files), int(number), no_extension)


def run_supervised(settings: ServerSettings, files: WorkerFiles, number: int, extend: Extend) -> None:
    """Serve as a worker of a supervisor until SIGTERM, or until the supervisor has ended."""
    signal.signal(signal.SIGTERM, _end)  # uvicorn raises it again after it has closed everything
    threading.Thread(target=_end_with_the_supervisor, args=(files.alive,), daemon=True).start()
    with working_as("server"), socket.socket(fileno=files.listening) as listening:
        run_worker(settings, Counts(settings.workers, number, files.counts), listening, extend)


def _end(_number: int, _frame: object) -> None:
    end_quickly()
    sys.exit(0)


def _end_with_the_supervisor(alive: int) -> None:
    os.read(alive, 1)  # the pipe is never written: this returns when no process holds its other end
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(*sys.argv[1:])
