"""Reads of the newest rows: Feast's server against ours, 10,000 keys of 10 floats, and our other read paths.

    python -m benchmarks.read_path [--rounds 40] [--peer-python PYTHON]

Feast serves the rows from SQLite, and from Redis on a Valkey server that the benchmark starts; without Valkey those figures are
left out. Feast is installed into a temporary environment with its Redis dependencies. `covey serve` serves the rows with key
check, throttle and metrics. Each server has one worker. The same client sends the same bodies over one kept connection, in turns;
the answers must have equal values. A time is from the first sent byte to the last received byte.

* `speedup_rows_N`: the p50 of the faster of Feast's two stores over ours, N random keys a request.
* `vs_feast_precomputed_N`: the p50 of Feast's precomputed feature service on Redis over that of the same service of ours, which
  computes each answer; `vs_feast_precomputed_sqlite_N` on SQLite. `p99_ms_1`: the p99 of ours, one key a request.
* `p50_ms_repeated_1`: the p50 of ours if the request came before in the same epoch. All other figures are of requests that are
  not repeated.
* `grpc_over_echo`: the p50 of GetFeatures of one key over that of a bare gRPC service with an answer of the same bytes.
* `inprocess_us_1`: `Reader.read` of one key, the best of many; `rocksdb_us_per_row`: of 1,000 random keys without a block.
* `redis_p50_ms_100`: `covey serve` with its rows in Redis instead of a block, 100 keys a request.
* `rps_per_core_10`: requests of 10 keys that our worker answers in a second of its CPU time while wrk keeps it busy;
  `rps_10` in a second of the clock. Left out where wrk is not installed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import timeit
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import orjson
import psutil
from rich.console import Console
from rich.table import Table

from featurestore.read import features_pb2 as pb
from featurestore.read import features_pb2_grpc as pb_grpc
from featurestore.read.messages import request_of
from featurestore.remote.grpc_transport import KEY
from featurestore.server.openapi import ROUTE
from featurestore.store import Store
from simulations.measuring import print_figures
from tests.featurestore.valkey import NOT_HERE, PROGRAM, Valkey

from .grpc_echo import METHOD, SERVICE
from .pit_join import peer_python
from .read_path_client import Client, Times, require_equal, timed
from .read_path_servers import (
    KEYS,
    REFS,
    Address,
    covey_serve,
    feast_serve,
    grpc_echo,
    make_repository,
    make_store,
    write_rows,
)
from .read_path_services import OWN, compared_services, service_figures

PEER_PACKAGE: Final = "feast[redis]>=0.67"
TURN: Final = {1: 20, 100: 5, 1_000: 2}
"""Number of requests in a turn, by rows of a request."""
LOADED: Final = 5_000
"""So many bodies are sent by wrk."""
WRK_S: Final = 5
CONNECTIONS: Final = 16


def bodies_of(rows: int, count: int) -> list[bytes]:
    """So many requests of random keys, the same in every run."""
    random = np.random.default_rng(rows)
    keys = np.array(KEYS)
    return [
        orjson.dumps({"features": REFS, "entities": {"key": random.choice(keys, rows).tolist()}}) for _ in range(count)
    ]


class Grpc:
    """Our service and a bare one, in turns."""

    def __init__(self, stack: ExitStack, address: str, api_key: str) -> None:
        self._requests = [request_of(REFS, {"key": [key]}) for key in KEYS]
        self._metadata = [(KEY, f"Bearer {api_key}")]
        own = stack.enter_context(grpc.insecure_channel(address))
        grpc.channel_ready_future(own).result(60)
        self._read: Any = pb_grpc.FeaturesStub(own).GetFeatures
        reply = self._read(self._requests[0], metadata=self._metadata).SerializeToString()
        bare = stack.enter_context(grpc.insecure_channel(stack.enter_context(grpc_echo(reply))))
        grpc.channel_ready_future(bare).result(60)
        self._echo = bare.unary_unary(
            f"/{SERVICE}/{METHOD}", pb.GetFeaturesRequest.SerializeToString, pb.GetFeaturesReply.FromString
        )

    def turn(self, times: Times, turn: int) -> None:
        """Ask each of them some times."""
        at = turn * TURN[1] % len(KEYS)
        fresh = self._requests[at : at + TURN[1]]
        asked = {"grpc": (self._read, fresh), "grpc repeated": (self._read, self._requests[:1] * TURN[1])}
        for name, (call, requests) in (asked | {"grpc echo": (self._echo, fresh)}).items():
            for request in requests:
                times[name, 1].append(timed(call, request, metadata=self._metadata))


def compared(clients: dict[str, Client], online: dict[str, Client], both: Grpc, rounds: int) -> Times:
    """Ask all servers in turns; those of `online` for 100 rows only."""
    bodies = {rows: bodies_of(rows, rounds * count) for rows, count in TURN.items()}
    for of_size in bodies.values():
        require_equal({name: client.ask(of_size[0]) for name, client in (clients | online).items()})
    times: Times = defaultdict(list)
    for turn in range(rounds):
        for rows, count in TURN.items():
            for name, client in (clients | (online if rows == 100 else {})).items():
                for i in range(turn * count, turn * count + count):
                    times[name, rows].append(timed(client.ask, bodies[rows][i]))
        both.turn(times, turn)
    return times


def loaded(address: Address, api_key: str, scratch: Path) -> dict[str, float | None]:
    """Measure the requests a second of our busy worker."""
    program = shutil.which("wrk")
    if program is None:
        print("wrk is not installed (apt-get install wrk)", file=sys.stderr)
        return {"rps_10": None, "rps_per_core_10": None}
    script, bodies = scratch / "requests.lua", ",\n".join(f"[==[{body.decode()}]==]" for body in bodies_of(10, LOADED))
    script.write_text(
        f"""
local bodies, requests, i = {{{bodies}}}, {{}}, 0
init = function()
  local headers = {{["authorization"] = "Bearer {api_key}", ["content-type"] = "application/json"}}
  for n, body in ipairs(bodies) do requests[n] = wrk.format("POST", "{ROUTE}", headers, body) end
end
request = function() i = i % #requests + 1; return requests[i] end
"""
    )
    words = [program, "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{WRK_S}s"]
    words += ["--script", str(script), f"http://127.0.0.1:{address.port}"]
    worker = psutil.Process(address.pid)
    before = worker.cpu_times()
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    after = worker.cpu_times()
    found = re.search(r"(\d+) requests in ([\d.]+)s", said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"wrk: {said}")
    cpu_s = after.user + after.system - before.user - before.system
    return {"rps_10": round(int(found[1]) / float(found[2])), "rps_per_core_10": round(int(found[1]) / cpu_s)}


def in_process(blocks: Path, rocksdb: Path) -> dict[str, float]:
    """µs of `Reader.read`."""
    with Store.open(blocks) as store:
        reader, keys = store.reader(REFS), {"key": [KEYS[777]]}
        best = min(timeit.repeat(lambda: reader.read(keys), number=20, repeat=2_000)) / 20
    with Store.open(rocksdb) as store:
        reader, random = store.reader(REFS), np.random.default_rng(2)
        batches = [{"key": random.choice(KEYS, 1_000).tolist()} for _ in range(50)]
        taken = [timed(reader.read, batch) for batch in batches]
    return {
        "inprocess_us_1": round(best * 1e6, 2),
        "rocksdb_us_per_row": round(float(np.median(taken)) / 1_000 * 1e6, 2),
    }


def main() -> None:
    """Print the table and, last, one JSON object."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument(
        "--peer-python", type=Path, help="of an environment that has feast[redis]; default: one is made"
    )
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="covey-reads-") as name, ExitStack() as stack:
        scratch = Path(name)
        python = given.peer_python or peer_python(scratch / "venv", PEER_PACKAGE)
        api_keys = {
            "covey": make_store(scratch / "covey", ""),
            "rocksdb": make_store(scratch / "rocksdb", "[online]\nblock_mib = 0\n"),
        }
        write_rows(scratch / "covey", scratch / "rows.parquet")
        peers = {"feast sqlite": {"type": "sqlite", "path": "online.db"}}
        if PROGRAM is None:
            print(f"Redis is not measured: {NOT_HERE}", file=sys.stderr)
        else:
            valkey = Valkey()
            stack.callback(valkey.stop)
            peers["feast redis"] = {"type": "redis", "connection_string": f"127.0.0.1:{valkey.port}"}
            api_keys["covey redis"] = make_store(scratch / "covey redis", valkey.toml(1, block_mib=0))
        clients: dict[str, Client] = {}
        for peer, online in peers.items():
            make_repository(scratch / peer, python, scratch / "rows.parquet", online)
            clients[peer] = Client(stack.enter_context(feast_serve(scratch / peer, python)).port, "")
        own = stack.enter_context(covey_serve(scratch / "covey"))
        clients["covey"] = Client(own.port, api_keys["covey"])
        redis = {
            one: Client(stack.enter_context(covey_serve(scratch / one)).port, key)
            for one, key in api_keys.items()
            if one == "covey redis"
        }
        times = compared(clients, redis, Grpc(stack, own.grpc, api_keys["covey"]), given.rounds)
        services = compared_services(clients["covey"], {peer: clients[peer] for peer in peers}, given.rounds)
        more = loaded(own, api_keys["covey"], scratch) | in_process(scratch / "covey", scratch / "rocksdb")
    show(times)
    show(services, OWN)
    print_figures(figures(times, list(peers)) | service_figures(services) | more)


def _ms(times: Sequence[float], percent: float) -> float:
    return float(np.percentile(times, percent)) * 1e3


def figures(times: Times, peers: Sequence[str]) -> dict[str, Any]:
    """Return the times for the JSON line."""
    own = {rows: _ms(times["covey", rows], 50) for rows in TURN}
    found: dict[str, Any] = {
        f"speedup_rows_{rows}": round(min(_ms(times[peer, rows], 50) for peer in peers) / own[rows], 2) for rows in TURN
    }
    found["grpc_over_echo"] = round(_ms(times["grpc", 1], 50) / _ms(times["grpc echo", 1], 50), 2)
    for percent in (50, 99):
        for (name, rows), taken in times.items():
            found[f"p{percent}_ms_{name.replace(' ', '_')}_{rows}"] = round(_ms(taken, percent), 3)
    redis = times.get(("covey redis", 100))
    return found | {"redis_p50_ms_100": None if redis is None else round(_ms(redis, 50), 3)}


def show(times: Times, own: str = "covey") -> None:
    """Print p50 and p99 of all servers."""
    table = Table("server", "rows", "p50 ms", "p99 ms", "× ours", title="10 floats a row, one kept connection")
    for (name, rows), taken in _by_rows(times):
        over = f"{_ms(taken, 50) / _ms(times[own, rows], 50):.1f}"
        table.add_row(name, f"{rows:,}", f"{_ms(taken, 50):.3f}", f"{_ms(taken, 99):.3f}", over)
    Console().print(table)


def _by_rows(times: Times) -> Iterator[tuple[tuple[str, int], list[float]]]:
    return iter(sorted(times.items(), key=lambda item: item[0][1]))


if __name__ == "__main__":
    main()
