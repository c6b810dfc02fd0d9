"""Reads of a feature service: Feast's precomputed vectors against our server.

Feast keeps one value for each key with all features of the service (`precompute_online`), so that its server reads one value a
key. The names are in full, because Feast's precomputed vectors have those. The bodies and the client are the same for all. No
body comes twice, except those of `OWN_AGAIN`: our server keeps small answers whose requests are repeated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson

from featurestore.server.prepared import MAX_ROWS

from .read_path_client import Client, Times, require_equal, timed
from .read_path_servers import KEYS, PRECOMPUTED, SERVICE

TURN: Final = {1: 20, 100: 5, 500: 2}
"""Number of requests in a turn, by rows of a request."""
OWN: Final = "covey service"
OWN_AGAIN: Final = "covey service, repeated"
AGAIN: Final = 5
"""So many bodies are repeated."""


def bodies_of(rows: int, service: str, count: int) -> list[bytes]:
    """So many requests of random keys, the same in every run."""
    random, keys = np.random.default_rng(rows), np.array(KEYS)
    return [
        orjson.dumps(
            {
                "feature_service": service,
                "entities": {"key": random.choice(keys, rows).tolist()},
                "full_feature_names": True,
            }
        )
        for _ in range(count)
    ]


def compared_services(own: Client, peers: Mapping[str, Client], rounds: int) -> Times:
    """Ask all servers in turns. Raises SystemExit: the answers differ."""
    asked = {OWN: (own, SERVICE), OWN_AGAIN: (own, SERVICE)}
    asked |= {f"{name} precomputed": (one, PRECOMPUTED) for name, one in peers.items()}
    bodies = {
        (name, rows): bodies_of(rows, service, AGAIN if name == OWN_AGAIN else rounds * count)
        for name, (_, service) in asked.items()
        for rows, count in TURN.items()
        if name != OWN_AGAIN or rows <= MAX_ROWS
    }
    for rows in TURN:
        firsts = {
            name: client.ask(bodies[name, rows][0]) for name, (client, _) in asked.items() if (name, rows) in bodies
        }
        require_equal(firsts)
    times: Times = defaultdict(list)
    for turn in range(rounds):
        for rows, count in TURN.items():
            for name, (client, _) in asked.items():
                given = bodies.get((name, rows), [])
                for i in range(turn * count, turn * count + count if given else 0):
                    times[name, rows].append(timed(client.ask, given[i % len(given)]))
    return times


def service_figures(times: Times) -> dict[str, Any]:
    """Feast's p50 over ours, of Redis and of SQLite, and our p99 of one row."""
    found: dict[str, Any] = {}
    for rows in TURN:
        own = float(np.median(times[OWN, rows]))
        for store, ending in (("redis", ""), ("sqlite", "_sqlite")):
            taken = times.get((f"feast {store} precomputed", rows))
            ratio = None if taken is None else round(float(np.median(taken)) / own, 2)
            found[f"vs_feast_precomputed{ending}_{rows}"] = ratio
    found["p99_ms_1"] = round(float(np.percentile(times[OWN, 1], 99)) * 1e3, 3)
    return found | {"p50_ms_repeated_1": round(float(np.median(times[OWN_AGAIN, 1])) * 1e3, 3)}
