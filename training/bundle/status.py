"""The state of a bundle: the steps that are done, what is in force, and the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featurestore.errors import UnknownModel
from featurestore.online.settings import store_path
from featurestore.store import Store
from training.fit.config import TrainConfig

from .collect import COLLECT
from .deploy import STEPS
from .record import BundleRecord
from .serve import SERVE
from .server_files import ServerFolder, ServerState


def status_of(config: TrainConfig) -> dict[str, Any]:
    """The state as JSON values. Raises StoreNotFound, BundleRecordBroken."""
    record = BundleRecord.load(store_path(config.store), config.name)
    with Store.open(config.store) as store:
        try:
            shares = {f"v{version}": share for version, share in store.in_force(config.name).shares}
        except UnknownModel:
            shares = {}
    return {
        "model": config.name,
        "store": str(config.store),
        "steps": {
            name: {"at": record.steps[name].at, "output": record.steps[name].output}
            for name in STEPS
            if name in record.steps
        },
        "left_out": [name for name, section in ((COLLECT, config.collect), (SERVE, config.serve)) if section is None],
        "in_force": shares,
        "server": _server(ServerState.running(ServerFolder(config.store, config.name))),
    }


def status_lines(status: Mapping[str, Any]) -> Iterator[str]:
    """The state for people."""
    for name in STEPS:
        done = status["steps"].get(name)
        state = "left out" if name in status["left_out"] else "not done" if done is None else f"done {done['at']}"
        yield f"{name:8}  {state}"
    shares = " ".join(f"{version}={share:.4g}" for version, share in status["in_force"].items())
    yield f"in force  {shares or 'no version'}"
    server = status["server"]
    if server is None:
        yield "server    does not run"
    else:
        state = "ready" if server["ready"] else server["why"] or f"waits for {server['waits_for']}"
        yield f"server    {state}, {server['address']}, started again {server['restarts']} time(s)"


def _server(state: ServerState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {
        "address": state.address,
        "ready": state.is_ready,
        "pid": state.pid,
        "supervisor": state.supervisor.pid,
        "waits_for": state.waits_for,
        "why": state.why,
        "restarts": state.restarts,
    }
