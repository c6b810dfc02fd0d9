"""The feature server under load from wrk, while another process publishes: against a bare ASGI application, and beyond its limit.

    python -m benchmarks.load [--seconds 60]

The reads are a mix: 1, 10 and 100 rows of three views, equally often. Nine of ten are answered as JSON, the form of Feast's
clients, who read for single decisions; one of ten is answered as Arrow, with the interval of every feature, as trainers and
batch jobs read. The requests repeat, so JSON answers of one row are kept ones until the next publication. The bare application
runs in the same uvicorn with the same settings, reads the same bodies, and answers as many constant bytes; its connections are as
many, and the publisher publishes meanwhile, too. The servers are loaded in turns of a few seconds, so that other work of the
machine meets all. Each has one worker.

* `rps_over_bare_asgi`: requests a second of `covey serve`, with key check, throttle and metrics, over those of the bare one.
* `json_rows_1_over_bare_asgi`, …, `arrow_rows_100_over_bare_asgi`: the same for each form and number of rows alone.
* `p99_ms`: the latency of 99 % of its answers, with all connections busy; `errors`: answers that are not 2xx, and failures.
* `tls_ratio`: requests a second with TLS over those without.
* `overload_429_share`: with three times `--total-requests` sent, the part of answers that are 429: two thirds if it is exact.
* `overload_p99_ms`, `overload_429_p99_ms`: the latency of the admitted, and of the refused.
* `rss_growth_mb`: how much the server's memory grew over the whole overload.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import orjson
import psutil
from rich.console import Console
from rich.table import Table

from featurestore.remote.http_transport import ARROW
from featurestore.server.openapi import ROUTE
from simulations.measuring import print_figures

from .load_store import VIEWS, make_store
from .load_wrk import NOT_HERE, PROGRAM, Load, Overload, Request, mixed, overload
from .read_path_servers import Address, covey_serve

ROWS: Final = (1, 10, 100)
EACH: Final = 20
"""Requests of each view and number of rows."""
ARROW_OF: Final = 10
"""One of so many reads is answered as Arrow."""
TURN_S: Final = 5
CONNECTIONS: Final = 8
LIMIT: Final = 100
"""The configured limit of the overload, requests a second."""
TIMES: Final = 3
OVERLOAD_CONNECTIONS: Final = 48
"""So many that the pauses between a connection's requests are long beside its answers; else fewer are sent than planned."""
WARM_S: Final = 5


Kind = tuple[str, int]
"""The form of an answer, and its rows."""


def requests_of(api_key: str) -> list[tuple[Kind, Request]]:
    """The mix, in random order; the same in every run."""
    random = np.random.default_rng(7)
    found: list[tuple[Kind, Request]] = []
    for view in VIEWS:
        names, domain = view.entity.keys, view.entity.domain
        refs = [f"{view.name}:{feature.name}" for feature in view.features]
        for rows in ROWS:
            for number in range(EACH):
                keys = [domain[i] for i in random.integers(0, len(domain), rows)]
                columns = {name: [key[at] for key in keys] for at, name in enumerate(names)}
                headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
                form = "json"
                if number % ARROW_OF == 0:
                    form, headers["Accept"] = "arrow", ARROW
                body = orjson.dumps({"features": refs, "entities": columns})
                found.append(((form, rows), Request(ROUTE, headers, body)))
    return [found[i] for i in random.permutation(len(found))]


@dataclass(frozen=True)
class Read:
    """A request of the mix.

    Attributes:
        bare: the same request to the bare application, with the size of our answer as its path.
    """

    kind: Kind
    request: Request
    bare: Request


def reads_of(api_key: str, url: str) -> list[Read]:
    """The mix. SystemExit: the server of this URL does not answer."""
    found = []
    with httpx.Client(base_url=url) as client:
        for kind, one in requests_of(api_key):
            answer = client.post(one.path, content=one.body, headers=dict(one.headers))
            if answer.status_code != httpx.codes.OK:
                raise SystemExit(f"no answer: {answer.text[:1_000]}")
            found.append(Read(kind, one, Request(f"/{len(answer.content)}", one.headers, one.body)))
    return found


@contextmanager
def bare_serve() -> Iterator[int]:
    """The port of the bare application."""
    with subprocess.Popen([sys.executable, "-m", "benchmarks.load_bare"], stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None:
                raise SystemExit("the bare application has no output")
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@contextmanager
def publishing(store: Path) -> Iterator[None]:
    """A process that publishes. SystemExit: it failed."""
    with subprocess.Popen([sys.executable, "-m", "benchmarks.load_store", str(store)]) as process:
        try:
            yield
            if process.poll() is not None:
                raise SystemExit(f"the publisher ended with {process.returncode}")
        finally:
            process.terminate()


def url_of(server: Address) -> str:
    """The URL of a server on the loopback."""
    return f"{server.scheme}://127.0.0.1:{server.port}"


def resident_mb(server: Address) -> float:
    """The memory that a server occupies."""
    size: int = psutil.Process(server.pid).memory_info().rss
    return size / 1e6


def in_turns(urls: Mapping[str, tuple[str, Sequence[Request]]], seconds: int, scratch: Path) -> dict[str, Load]:
    """Load each server for so many seconds, in turns."""
    loads = {name: Load() for name in urls}
    for _ in range(max(1, seconds // TURN_S)):
        for name, (url, requests) in urls.items():
            mixed(loads[name], url, requests, min(seconds, TURN_S), CONNECTIONS, scratch)
    return loads


def each_kind(bare: str, own: str, reads: Sequence[Read], seconds: int, scratch: Path) -> dict[str, float]:
    """For each kind of read, our requests a second over those of the bare application."""
    found = {}
    for form, rows in sorted({read.kind for read in reads}):
        some = [read for read in reads if read.kind == (form, rows)]
        urls = {"bare": (bare, [one.bare for one in some]), "own": (own, [one.request for one in some])}
        loads = in_turns(urls, seconds, scratch)
        found[f"{form}_rows_{rows}_over_bare_asgi"] = round(loads["own"].rps / loads["bare"].rps, 3)
    return found


def overloaded(store: Path, requests: Sequence[Request], seconds: int, scratch: Path) -> tuple[Overload, float]:
    """(what a server with a limit answered, by how many MB its memory grew)."""
    with covey_serve(store, "--total-requests", str(LIMIT)) as server:
        url, rate = url_of(server), float(TIMES * LIMIT)
        overload(url, requests, rate, WARM_S, OVERLOAD_CONNECTIONS, scratch)
        before = resident_mb(server)
        found = overload(url, requests, rate, seconds, OVERLOAD_CONNECTIONS, scratch)
        return found, resident_mb(server) - before


def _ms(us: Sequence[int], percent: float) -> float:
    return float(np.percentile(us, percent)) / 1e3 if us else float("nan")


def figures(loads: dict[str, Load], beyond: Overload, grown_mb: float) -> dict[str, float | int]:
    """Return the results for the JSON line."""
    own, answered = loads["covey"], len(beyond.admitted) + len(beyond.refused)
    return {
        "rps_over_bare_asgi": round(own.rps / loads["bare ASGI"].rps, 3),
        "p99_ms": round(own.ms(99), 2),
        "errors": sum(load.errors for load in loads.values()) + beyond.errors,
        "tls_ratio": round(loads["covey, TLS"].rps / own.rps, 3),
        "overload_429_share": round(len(beyond.refused) / max(1, answered), 3),
        "overload_p99_ms": round(_ms(beyond.admitted, 99), 2),
        "overload_429_p99_ms": round(_ms(beyond.refused, 99), 2),
        "overload_offered": round(answered / beyond.seconds / LIMIT, 2),
        "rss_growth_mb": round(grown_mb, 1),
        "rps": round(own.rps),
        "requests": own.requests,
    }


def show(loads: dict[str, Load], beyond: Overload) -> None:
    """Print the loads, and the answers beyond the limit."""
    table = Table("server", "requests/s", "p50 ms", "p99 ms", "errors", title=f"{CONNECTIONS} connections, mixed reads")
    for name, load in loads.items():
        table.add_row(name, f"{load.rps:,.0f}", f"{load.ms(50):.2f}", f"{load.ms(99):.2f}", str(load.errors))
    Console().print(table)
    table = Table("answer", "a second", "p50 ms", "p99 ms", title=f"{TIMES} times the limit of {LIMIT} requests/s")
    for name, us in (("200", beyond.admitted), ("429", beyond.refused)):
        table.add_row(name, f"{len(us) / beyond.seconds:,.0f}", f"{_ms(us, 50):.2f}", f"{_ms(us, 99):.2f}")
    Console().print(table)


def main() -> None:
    """Print the tables and, last, one JSON object."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--seconds", type=int, default=60, help="of load for each server; a third of it beyond the limit"
    )
    seconds = options.parse_args().seconds
    if PROGRAM is None:
        print(f"not measured: {NOT_HERE}", file=sys.stderr)
        print_figures({"skipped": NOT_HERE})
        return
    with tempfile.TemporaryDirectory(prefix="covey-load-") as name, ExitStack() as stack:
        scratch = Path(name)
        store = scratch / "store"
        api_key = make_store(store)
        stack.enter_context(publishing(store))
        plain, tls = (stack.enter_context(covey_serve(store, *words)) for words in ((), ("--tls",)))
        bare = f"http://127.0.0.1:{stack.enter_context(bare_serve())}"
        reads = reads_of(api_key, url_of(plain))
        requests = [read.request for read in reads]
        urls = {
            "bare ASGI": (bare, [read.bare for read in reads]),
            "covey": (url_of(plain), requests),
            "covey, TLS": (url_of(tls), requests),
        }
        in_turns(urls, 1, scratch)  # warm
        loads = in_turns(urls, seconds, scratch)
        kinds = each_kind(bare, url_of(plain), reads, max(1, seconds // TURN_S), scratch)
        beyond, grown_mb = overloaded(store, requests, max(WARM_S, seconds // 3), scratch)
    show(loads, beyond)
    print_figures(figures(loads, beyond, grown_mb) | kinds)


if __name__ == "__main__":
    main()
