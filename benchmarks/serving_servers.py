"""The servers of `benchmarks.serving`: ours, and the peers, each one worker in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from .read_path_client import Client
from .read_path_servers import PRECOMPUTED, REFS, SERVICE, covey_serve
from .serving_store import COLUMNS, MODEL, MODELS, requests_of

PATH: Final = f"/predict/{MODEL}"
PEERS: Final = Path(__file__).with_name("serving_peers")
MAX_BATCH: Final = 64
DELAY_MS: Final = 0.1
"""How long a batch waits for others: the default of our server; 1 ms at mosec, which counts milliseconds."""
_START_S: Final = 120
_COMPILE_S: Final = 300


@dataclass(frozen=True)
class Target:
    """A server that predicts.

    Attributes:
        headers: of each request.
    """

    port: int
    headers: Mapping[str, str] = field(default_factory=dict)

    def client(self, path: str = PATH) -> Client:
        """A client with a connection of its own."""
        return Client(self.port, self.headers.get("Authorization", "").removeprefix("Bearer "), path)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Peer:
    """A peer, and where its features come from.

    Attributes:
        program: its file in `serving_peers`.
        repository: Feast's; None: our feature server answers.
    """

    name: str
    program: str
    repository: Path | None = None
    is_precomputed: bool = False


def peers_of(repositories: Mapping[str, Path]) -> list[Peer]:
    """All peers, with Feast's repositories by the names of their stores."""
    found = [Peer("litserve", "litserve_peer"), Peer("mosec", "mosec_peer")]
    for store, repository in repositories.items():
        found.append(Peer(f"litserve, feast {store}", "litserve_peer", repository))
        found.append(Peer(f"litserve, feast {store} precomputed", "litserve_peer", repository, is_precomputed=True))
        found.append(Peer(f"monolith, feast {store}", "monolith", repository))
    return found


@contextmanager
def serve_peer(peer: Peer, python: Path, model: Path, features: Target, log: Path) -> Iterator[Target]:
    """Run a peer until the end of the block.

    Args:
        features: our feature server.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    plan: dict[str, Any] = {
        "port": port,
        "model": str(model),
        "names": [ref.replace(":", "__") for ref in REFS],
        "columns": list(COLUMNS),
        "service": PRECOMPUTED if peer.is_precomputed else SERVICE,
        "max_batch": MAX_BATCH,
        "delay_ms": DELAY_MS,
    }
    if peer.repository is None:
        plan |= {"server": features.port, "api_key": features.headers["Authorization"].removeprefix("Bearer ")}
    else:
        plan["feast"] = str(peer.repository)
    environment = os.environ | {"PLAN": json.dumps(plan), "FEAST_USAGE": "False", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)  # the peers have an environment of their own
    words = [str(python), str(PEERS / f"{peer.program}.py")]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            words, stdout=output, stderr=output, env=environment, cwd=log.parent, start_new_session=True
        ) as process,
    ):
        try:
            yield _ready(Target(port), peer.name, lambda: process.poll() is None, log)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its workers are processes of its own session


@contextmanager
def serve_models(store: Path, api_key: str, *, compiled: bool) -> Iterator[Target]:
    """Run our server with all models until the end of the block.

    Args:
        compiled: wait until they run compiled, which takes a minute.
    """
    with covey_serve(store, "--models", "all", "--compile" if compiled else "--no-compile") as address:
        headers = {"Authorization": f"Bearer {api_key}"}
        target = Target(address.port, headers)
        paths = [f"/predict/{name}" for name in MODELS]
        _ready(target, "covey", lambda: psutil.pid_exists(address.pid), None, paths)
        if compiled:
            _wait_until_compiled(target)
        yield target


def _wait_until_compiled(target: Target) -> None:
    end, left = time.monotonic() + _COMPILE_S, list(MODELS)
    with httpx.Client(base_url=target.url, headers=dict(target.headers), trust_env=False, timeout=5) as client:
        while left:
            if "AOTInductor" in client.get(f"/v2/models/{left[0]}/config").text:
                left.pop(0)
            elif time.monotonic() > end:
                raise SystemExit(f"{left[0]} is not compiled (apt-get install g++)")
            else:
                time.sleep(0.5)


def _ready(
    target: Target, name: str, is_running: Callable[[], bool], log: Path | None, paths: Sequence[str] = (PATH,)
) -> Target:
    """Wait until the server predicts. Raises SystemExit: it ended, or takes too long."""
    (request,), end, left = requests_of(1, 1), time.monotonic() + _START_S, list(paths)
    headers = {**target.headers, "Content-Type": "application/json"}
    with httpx.Client(base_url=target.url, trust_env=False, timeout=5) as client:
        while left:
            with suppress(httpx.TransportError):
                if client.post(left[0], content=request, headers=headers).status_code == 200:
                    left.pop(0)
                    continue
            if not is_running() or time.monotonic() > end:
                said = "" if log is None else log.read_text(errors="replace")[-2_000:]
                raise SystemExit(f"{name} does not predict: {said}")
            time.sleep(0.1)
    return target
