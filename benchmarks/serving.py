"""Predictions by key: `covey serve --models` against servers of models that fetch their features.

    python -m benchmarks.serving [--seconds 4] [--peer-python PYTHON] [--quick]

The model is a network of twelve inputs as `covey train` exports it: ten features by key, of 10,000 keys, and two columns of the
request. Our server answers `POST /predict/late`, with key check, throttle and metrics. LitServe and mosec serve the same file, and
fetch the features of a whole batch from our server in one request; LitServe also with Feast's SDK in its own process, from SQLite
and from Redis on a Valkey server, plain and precomputed. The monolith is one FastAPI process with Feast's SDK and the model. Each
server has one worker, one thread of PyTorch, and batches of at most 64 rows that wait for 0.1 ms (mosec: 1 ms, its least). All get
the same bodies from the same clients, and must predict the same. A peer runs alone beside our server, in turns with it. Our server
has compiled the network (except with `--quick`), and the peers run it as `torch.export.load` gives it.

* `p50_over_fetch_ms`: the p50 of a prediction minus that of a bare read of the same rows from the same server, one row. The bodies
  repeat, so the read is of an answer that is kept, and the prediction is computed.
* `throughput_vs_litserve`, `throughput_vs_mosec`: requests a second of ours over theirs, 64 connections of wrk, one row each; both
  fetch from our server. `throughput_vs_litserve_feast_…`: with Feast.
* `vs_monolith`: the p50 of the faster monolith over ours, one row, one connection.
* `isolation_p50`, `isolation_p99`: the latency of a model on one connection while another model gets three times the rows a second
  that it may compute (200), over the latency without that flood. The load comes from the same machine.
* `batching_gain`: requests a second at 64 connections over those of the same model with `max_batch = 1`.

`--quick` measures ours only, for seconds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from featurestore.server.openapi import ROUTE
from simulations.measuring import print_figures
from tests.featurestore.valkey import NOT_HERE as NO_VALKEY
from tests.featurestore.valkey import PROGRAM as VALKEY
from tests.featurestore.valkey import Valkey

from .load_wrk import NOT_HERE, PROGRAM, Load, Request, mixed, overload
from .pit_join import peer_python
from .read_path_client import timed
from .read_path_servers import SERVICE, make_repository, write_rows
from .serving_servers import PATH, Peer, Target, peers_of, serve_models, serve_peer
from .serving_store import FLOOD_RATE, FLOODED, MODEL, UNBATCHED, make_serving_store, reads_of, requests_of

PEER_PACKAGES: Final = (
    "feast[redis]>=0.67 litserve>=0.2.19 mosec>=0.9.8 torch --extra-index-url https://download.pytorch.org/whl/cpu"
)
OWN: Final = "covey"
CONNECTIONS: Final = 64
BODIES: Final = 1_000
TURN: Final = 50
"""Requests of one client in a turn."""
FLOOD: Final = 3 * FLOOD_RATE
FLOOD_CONNECTIONS: Final = 16
_MAX_ERRORS: Final = 0.001
"""The largest share of requests that may fail: a busy machine may stop a server for longer than a client waits."""
_CLOSE: Final = 1e-4
"""How far predictions may be apart: PyTorch adds the same float32 in another order."""


@dataclass
class Found:
    """Seconds of requests, and loads, by what was asked."""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    loads: dict[str, Load] = field(default_factory=lambda: defaultdict(Load))

    def ms(self, name: str, percent: float = 50) -> float:
        """The latency that so many percent of the answers did not exceed."""
        return float(np.percentile(self.times[name], percent)) * 1e3


class Measure:
    """What is asked, and how long."""

    def __init__(self, seconds: int, scratch: Path) -> None:
        self.seconds, self.scratch = seconds, scratch
        self.bodies = requests_of(1, BODIES)
        self.reads = reads_of(self.bodies, SERVICE)

    def latencies(self, asked: Mapping[str, tuple[Target, str, list[bytes]]], found: Found) -> None:
        """Ask in turns, one new connection each, for so many seconds in all."""
        clients = {name: (target.client(path), bodies) for name, (target, path, bodies) in asked.items()}
        end, at = time.monotonic() + self.seconds, 0
        while time.monotonic() < end:
            for name, (client, bodies) in clients.items():
                for i in range(at, at + TURN):
                    found.times[name].append(timed(client.ask, bodies[i % BODIES]))
            at += TURN

    def load(self, target: Target, path: str, load: Load) -> None:
        """Keep a server busy."""
        headers = {**target.headers, "Content-Type": "application/json"}
        requests = [Request(path, headers, body) for body in self.bodies]
        mixed(load, target.url, requests, self.seconds, CONNECTIONS, self.scratch)
        if load.errors > load.requests * _MAX_ERRORS:
            raise SystemExit(f"{target.url}{path}: {load.errors} errors under load")

    @contextmanager
    def flood(self, target: Target, path: str) -> Iterator[None]:
        """Flood a model while the block runs, which must take less than so many seconds."""
        requests = [Request(path, {**target.headers, "Content-Type": "application/json"}, body) for body in self.bodies]
        given = target.url, requests, FLOOD, self.seconds + 1, FLOOD_CONNECTIONS, self.scratch
        thread = threading.Thread(target=lambda: refused.append(overload(*given)))
        refused: list[Any] = []
        thread.start()
        time.sleep(0.5)  # until wrk sends
        yield
        thread.join()
        if not refused or refused[0].errors or not refused[0].refused:
            raise SystemExit(f"the flood failed: {refused}")


def measure_own(own: Target, measure: Measure, turns: int) -> Found:
    """Our latencies with and without a flood, and loads with and without batches."""
    found = Found()
    predict = own, PATH, measure.bodies
    for _ in range(turns):
        measure.latencies({"predict": predict, "read": (own, ROUTE, measure.reads)}, found)
        measure.latencies({"quiet": predict}, found)
        with measure.flood(own, f"/predict/{FLOODED}"):
            measure.latencies({"flooded": predict}, found)
        for name in (MODEL, UNBATCHED):
            measure.load(own, f"/predict/{name}", found.loads[name])
    return found


def measure_peer(own: Target, peer: Target, measure: Measure, name: str, turns: int) -> Found:
    """A peer and ours in turns. Raises SystemExit: they predict otherwise."""
    targets = {OWN: own, name: peer}
    clients = [target.client() for target in targets.values()]
    for body in measure.bodies[:20]:
        ours, theirs = (orjson.loads(client.ask(body))["predictions"] for client in clients)
        if not np.allclose(ours, theirs, rtol=_CLOSE, atol=_CLOSE):
            raise SystemExit(f"{name} predicts {theirs}, and ours {ours}")
    found = Found()
    for _ in range(turns):
        measure.latencies({one: (target, PATH, measure.bodies) for one, target in targets.items()}, found)
        for one, target in targets.items():
            measure.load(target, PATH, found.loads[one])
    return found


def figures_of(own: Found, peers: Mapping[str, Found]) -> dict[str, Any]:
    """Return what the JSON line has."""
    found: dict[str, Any] = {
        "p50_over_fetch_ms": round(own.ms("predict") - own.ms("read"), 3),
        "p50_ms": round(own.ms("predict"), 3),
        "p99_ms": round(own.ms("predict", 99), 3),
        "p50_ms_read": round(own.ms("read"), 3),
        "isolation_p50": round(own.ms("flooded") / own.ms("quiet"), 2),
        "isolation_p99": round(own.ms("flooded", 99) / own.ms("quiet", 99), 2),
        "batching_gain": round(own.loads[MODEL].rps / own.loads[UNBATCHED].rps, 2),
        "rps": round(own.loads[MODEL].rps),
    }
    monoliths = [one.ms(name) / one.ms(OWN) for name, one in peers.items() if name.startswith("monolith")]
    for name, one in peers.items():
        plain = name.replace(", ", "_").replace(" ", "_")
        if not name.startswith("monolith"):
            found[f"throughput_vs_{plain}"] = round(one.loads[OWN].rps / one.loads[name].rps, 2)
        found[f"p50_ms_{plain}"] = round(one.ms(name), 3)
        found[f"rps_{plain}"] = round(one.loads[name].rps)
    return found | {"vs_monolith": round(min(monoliths), 2) if monoliths else None}


def show(own: Found, peers: Mapping[str, Found]) -> None:
    """Print latencies and throughputs of all servers."""
    table = Table(
        "server", "p50 ms", "p99 ms", "× ours", "requests/s", "ours ×", title=f"one row; {CONNECTIONS} connections"
    )
    load = own.loads[MODEL]
    table.add_row(OWN, f"{own.ms('predict'):.2f}", f"{own.ms('predict', 99):.2f}", "1.0", f"{load.rps:,.0f}", "1.0")
    for name, one in peers.items():
        slower, faster = one.ms(name) / one.ms(OWN), one.loads[OWN].rps / one.loads[name].rps
        latency = f"{one.ms(name):.2f}", f"{one.ms(name, 99):.2f}", f"{slower:.1f}"
        table.add_row(name, *latency, f"{one.loads[name].rps:,.0f}", f"{faster:.1f}")
    Console().print(table)


def main() -> None:
    """Print the table and, last, one JSON object."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=4, help="of each measurement in a turn")
    options.add_argument("--turns", type=int, default=3)
    options.add_argument(
        "--peer-python", type=Path, help="of an environment that has feast[redis], litserve, mosec and torch"
    )
    options.add_argument("--quick", action="store_true", help="measure our server only, for seconds")
    given = options.parse_args()
    if PROGRAM is None:
        raise SystemExit(NOT_HERE)
    with tempfile.TemporaryDirectory(prefix="covey-serving-") as name, ExitStack() as stack:
        scratch = Path(name)
        seconds, turns = (1, 1) if given.quick else (given.seconds, given.turns)
        measure = Measure(seconds, scratch)
        api_key = make_serving_store(scratch / "store")
        own = stack.enter_context(serve_models(scratch / "store", api_key, compiled=not given.quick))
        found, peers = measure_own(own, measure, turns), dict[str, Found]()
        if not given.quick:
            python = given.peer_python or _peer_python(scratch)
            for peer in peers_of(_repositories(scratch, python, stack)):
                peers[peer.name] = _measured(peer, python, own, measure, turns)
    show(found, peers)
    print_figures(figures_of(found, peers))


def _measured(peer: Peer, python: Path, own: Target, measure: Measure, turns: int) -> Found:
    log = measure.scratch / f"{peer.name}.log"
    with serve_peer(peer, python, measure.scratch / "model.pt2", own, log) as target:
        return measure_peer(own, target, measure, peer.name, turns)


def _peer_python(scratch: Path) -> Path:
    first, *others = PEER_PACKAGES.split()
    python = peer_python(scratch / "venv", first)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *others], check=True, timeout=1_200)
    return python


def _repositories(scratch: Path, python: Path, stack: ExitStack) -> dict[str, Path]:
    """Feast's repositories with the rows of our store."""
    rows = scratch / "rows.parquet"
    write_rows(scratch / "store", rows)
    online: dict[str, dict[str, Any]] = {"sqlite": {"type": "sqlite", "path": "online.db"}}
    if VALKEY is None:
        print(f"Redis is not measured: {NO_VALKEY}", file=sys.stderr)
    else:
        valkey = Valkey()
        stack.callback(valkey.stop)
        online["redis"] = {"type": "redis", "connection_string": f"127.0.0.1:{valkey.port}"}
    for store, settings in online.items():
        make_repository(scratch / store, python, rows, settings)
    return {store: scratch / store for store in online}


if __name__ == "__main__":
    main()
