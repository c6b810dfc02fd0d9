"""Freshness: from the end of a pane of 5 s to its value on a feature server, with everything in between as processes.

`covey collect` plans each pane when its grace of 1 s is over; 20 sites answer over the SuperLink by TLS, and the values are read
from `covey start server` over HTTP, fifty times a second. The 20 sites are the product's site service with their own files, keys,
ledgers and connections, in one process (`freshness_sites`). `real_sites_s` is the same with two `covey start site` processes.
`fixed_ms_per_plan` is the wall time of a plan of one pane with these two sites, on the running deployment. `cost_ratio` compares a
plan after 43,200 panes with the first plans. Every time from a pane's end contains the grace.

    python -m benchmarks.freshness [--panes 60] [--sites 20] [--aged 43200]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from base.metrics import Meters
from base.times import SECOND_US, to_us, wall_clock
from benchmarks.freshness_aged import age, ledger_open_s
from benchmarks.freshness_deployment import (
    GRACE_S,
    PANE_S,
    Arriving,
    Deployment,
    collecting,
    make_project,
    start,
    write_events,
)
from deployment.coordinator.planning import PlanRequest
from deployment.coordinator.session import Session
from deployment.local.processes import Processes
from simulations.measuring import print_figures

WARM_UP: int = 2
"""Panes before the measured ones: the first plan opens the connections and has a preflight."""
PLANS: int = 15
_WIDTH_US = PANE_S * SECOND_US
_LOOK_S = 0.02
_PATIENCE_S = 60.0


class Served(threading.Thread):
    """Asks the feature server for the newest value all the time, and notes when each pane is served. A context manager."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(name="reader", daemon=True)
        self._address, self._view = deployment.server, deployment.view.name
        self._over = threading.Event()
        self.since: dict[int, int] = {}
        """Pane end (µs) → the time (µs) at which it was served first."""

    def __enter__(self) -> Served:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Read until stopped."""
        body = json.dumps({"features": [f"{self._view}:parts"], "entities": {"line": ["a"]}})
        connection = http.client.HTTPConnection(self._address)
        newest = wall_clock()
        while not self._over.wait(_LOOK_S):
            connection.request("POST", "/get-online-features", body, {"content-type": "application/json"})
            answer = json.loads(connection.getresponse().read())
            at = to_us(datetime.fromisoformat(answer["results"][1]["event_timestamps"][0]))
            if at > newest:  # panes that were published together are served together
                ends = range(newest // _WIDTH_US * _WIDTH_US + _WIDTH_US, at + 1, _WIDTH_US)
                self.since |= dict.fromkeys(ends, wall_clock())
                newest = at
        connection.close()


@contextmanager
def deployed(sites: int, *, in_processes: bool) -> Iterator[tuple[Deployment, Processes]]:
    """A fresh deployment, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="covey-fresh-") as scratch:
        project = Path(scratch) / "p"
        names = make_project(project, sites)
        with Processes(project / "logs") as processes:
            yield start(project, processes, names, in_processes=in_processes), processes


def freshness(deployment: Deployment, processes: Processes, panes: int) -> list[float]:
    """Seconds from the end of each pane to its first read, for so many panes in a row. A pane that is never served is an error."""
    with Arriving(deployment), Served(deployment) as served, collecting(deployment, processes):
        first = wall_clock() // _WIDTH_US * _WIDTH_US + (1 + WARM_UP) * _WIDTH_US
        ends = [first + number * _WIDTH_US for number in range(1, panes + 1)]
        until = ends[-1] + int(_PATIENCE_S * 1e6)
        while ends[-1] not in served.since:
            processes.require_running("collect")
            if wall_clock() > until:
                raise RuntimeError(f"the last pane was not served within {_PATIENCE_S:.0f} s")
            time.sleep(0.2)
        return [(served.since[end] - end) / 1e6 for end in ends]


def plan_seconds(deployment: Deployment, plans: int, first: int) -> list[float]:
    """Wall seconds of plans of one past pane each, in one session. The first plan, which opens the connections, is left out."""
    taken = []
    with Session(deployment.project, deployment.addresses, wall_clock, lambda *_: None, Meters()) as session:
        for number in range(plans + 1):
            pane = first + number * _WIDTH_US
            for site in deployment.sites:
                write_events(deployment.project, site, pane, _WIDTH_US)
            begin = time.perf_counter()
            result = session.collect(PlanRequest([deployment.view], (pane, pane + _WIDTH_US), seconds=30.0))
            taken.append(time.perf_counter() - begin)
            if result["views"][deployment.view.name]["opened"] != 1:
                raise RuntimeError(f"the pane was not opened: {result}")
    return taken[1:]


def simulated(sites: int, panes: int) -> dict[str, float]:
    """Freshness with simulated sites."""
    with deployed(sites, in_processes=False) as (deployment, processes):
        found = freshness(deployment, processes, panes)
    p50, p99 = np.quantile(found, [0.5, 0.99])
    return {"p50_s": round(float(p50), 2), "p99_s": round(float(p99), 2), "max_s": round(max(found), 2)}


def real(panes: int, plans: int) -> dict[str, object]:
    """Freshness with two site processes, and the time of a plan."""
    with deployed(2, in_processes=True) as (deployment, processes):
        found = freshness(deployment, processes, panes)
        past = wall_clock() // _WIDTH_US * _WIDTH_US - (PLANS + 5 + 2 * (panes + WARM_UP) + 60) * _WIDTH_US
        taken = plan_seconds(deployment, plans, past)
    return {
        "real_sites_s": [round(one, 2) for one in found],
        "fixed_ms_per_plan": round(1_000 * median(taken)),
        "fixed_ms_p90": round(1_000 * float(np.quantile(taken, 0.9))),
    }


def aged(panes: int, plans: int) -> dict[str, float]:
    """The time of a plan on a new deployment and on one that has collected so many panes, and of opening its ledgers."""
    with tempfile.TemporaryDirectory(prefix="covey-fresh-") as scratch:
        project = Path(scratch) / "p"
        names = make_project(project, 2)
        newest = wall_clock() // _WIDTH_US * _WIDTH_US - _WIDTH_US
        medians = []
        for old in (False, True):
            if old:
                age(project, names, newest - (panes + 2 * PLANS + 2) * _WIDTH_US, panes)
            with Processes(project / "logs") as processes:
                deployment = start(project, processes, names, in_processes=True)
                first = newest - (PLANS + 1) * _WIDTH_US * (1 if old else 2)
                medians.append(median(plan_seconds(deployment, plans, first)))
        opening = ledger_open_s(project, names)
    return {
        "aged_panes": panes,
        "cost_ratio": round(medians[1] / medians[0], 2),
        "first_plans_ms": round(1_000 * medians[0]),
        "aged_plans_ms": round(1_000 * medians[1]),
        "ledger_open_s": round(opening, 3),
    }


def main() -> None:
    """Print the figures as a table, and one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--panes", type=int, default=60, help="measured panes of the simulated sites")
    parser.add_argument("--sites", type=int, default=20, help="simulated sites")
    parser.add_argument("--aged", type=int, default=43_200, help="panes of the old deployment; 0: leave it out")
    given = parser.parse_args()
    figures: dict[str, object] = {"panes": given.panes, "sites": given.sites, "pane_s": PANE_S, "grace_s": GRACE_S}
    console = Console()
    for part in (
        lambda: simulated(given.sites, given.panes),
        lambda: real(3, PLANS),
        lambda: aged(given.aged, PLANS) if given.aged else {},
    ):
        found = part()
        console.print(found)
        figures |= found
    figures["load"] = round(os.getloadavg()[1], 1)
    shown = Table(
        "figure", "value", title=f"panes of {PANE_S} s; every time from a pane's end contains {GRACE_S} s grace"
    )
    for name, value in figures.items():
        shown.add_row(name, str(value))
    console.print(shown)
    print_figures(figures)


if __name__ == "__main__":
    main()
