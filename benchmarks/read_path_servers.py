"""The servers of `benchmarks.read_path`: the same rows in Feast's online stores and in ours, and the serving processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Mean
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.release import Release
from featurestore.define.services import FeatureService
from featurestore.publish.publish import Publisher
from featurestore.server.api_keys import Consumers
from featurestore.server.throttle import MAX_RATE, Limits
from featurestore.store import Store
from tests.featurestore.making import HOUR, manifest_of

KEYS: Final = [f"k{i:05d}" for i in range(10_000)]
VIEW: Final = FeatureView(
    "floats",
    entity=Entity("key", domain=KEYS),
    features=[Mean(f"x{i}", clip=(0, 100), resolution=1.0) for i in range(10)],
    pane="1h",
    bounds=Bounds(max_cells=1),
    privacy=Privacy(rho=0.5, min_clients=2),
)
REFS: Final = [f"{VIEW.name}:{feature.name}" for feature in VIEW.features]
SERVICE: Final = "ten"
"""The feature service of all features."""
PRECOMPUTED: Final = "ten_precomputed"
"""The same service, precomputed by Feast."""
PEER: Final = Path(__file__).with_name("read_path_peer.py")

_START_S: Final = 120


@dataclass(frozen=True)
class Address:
    """The address of a server.

    Attributes:
        pid: process id of the server.
        scheme: http or https.
        port: HTTP port on the loopback.
        grpc: `host:port`; empty without gRPC.
    """

    pid: int
    port: int
    grpc: str = ""
    scheme: str = "http"


def make_store(folder: Path, settings: str) -> str:
    """Publish a pane of random means into a new store with these settings, for one consumer; returns its API key."""
    folder.mkdir()
    (folder / "covey.toml").write_text(settings)
    layout = layout_of(VIEW)
    slots = np.random.default_rng(0).integers(100, 1_000, (layout.keys, layout.slots_per_key))
    with Publisher(folder, lambda: 0) as publisher:
        publisher.register(VIEW)
        publisher.register_services([FeatureService(SERVICE, REFS)])
        publisher.publish([Release(manifest_of(VIEW), 0, HOUR, 2 * HOUR, 0, "live", slots)])
    return Consumers(folder).add("benchmark", Limits(MAX_RATE, MAX_RATE), 0, os.urandom)


def write_rows(store: Path, path: Path) -> None:
    """Write the rows of our store to a Parquet file, which fills Feast's stores."""
    with Store.open(store) as opened:
        table = opened.get(REFS, {"key": KEYS})
    names = ["key", *(feature.name for feature in VIEW.features)]
    now = pa.array([time.time_ns() // 1_000] * len(KEYS), pa.timestamp("us", "UTC"))
    pq.write_table(table.select(names).append_column("event_timestamp", now), path)


def make_repository(folder: Path, python: Path, rows: Path, online: dict[str, Any]) -> None:
    """A repository of Feast's with the rows in its online store."""
    folder.mkdir()
    settings = {
        "project": "peer",
        "provider": "local",
        "registry": "registry.db",
        "online_store": online,
        "entity_key_serialization_version": 3,
    }
    (folder / "feature_store.yaml").write_text(json.dumps(settings))  # JSON is YAML
    words = [str(python), str(PEER), str(folder), str(rows), VIEW.name, "key", SERVICE, PRECOMPUTED]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"FEAST_USAGE": "False"}, check=False)
    if done.returncode:
        raise SystemExit(f"Feast could not write: {done.stderr[-2_000:]}")


@contextmanager
def feast_serve(repository: Path, python: Path) -> Iterator[Address]:
    """Feast's server: one worker that is never restarted, without an access log."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [str(python.with_name("feast")), "--chdir", str(repository), "serve", "--port", str(port)]
    words += ["--workers", "1", "--max-requests", "0", "--no-access-log"]
    log = repository / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(words, stdout=output, stderr=output, env=os.environ | {"FEAST_USAGE": "False"}) as process,
    ):
        try:
            end = time.monotonic() + _START_S
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"feast serve did not start: {log.read_text()[-2_000:]}")
                time.sleep(0.1)
            yield Address(process.pid, port)
        finally:
            process.terminate()


@contextmanager
def covey_serve(store: Path, *options: str) -> Iterator[Address]:
    """Our server: one worker with key check, throttle and metrics, and gRPC beside it."""
    words = [sys.executable, "-m", "covey", "serve", "--store", str(store), "--port", "0", "--grpc-port", "0", "--keys"]
    words += ["--rate", str(MAX_RATE), "--requests", str(MAX_RATE), *options]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            port, scheme, grpc, said = 0, "", "", []
            for line in process.stderr or ():
                said.append(line)
                if ": serving " in line:
                    port, scheme = int(line.rpartition(":")[2]), line.partition("://")[0].rpartition(" ")[2]
                if "GetFeatures" in line:
                    grpc = line.partition("://")[2].split()[0]
                    yield Address(process.pid, port, grpc, scheme)
                    break
            else:
                raise SystemExit(f"covey serve did not start: {''.join(said)}")
        finally:
            process.terminate()


@contextmanager
def grpc_echo(reply: bytes) -> Iterator[str]:
    """`host:port` of a bare gRPC service that gives this reply."""
    words = [sys.executable, "-m", "benchmarks.grpc_echo", reply.hex()]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None:
                raise SystemExit("the bare gRPC service has no output")
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
