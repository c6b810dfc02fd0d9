"""A collection of a whole fleet on this machine: time, memory and bytes a client, with all of the cryptography.

    python -m benchmarks.fleet --clients 1000000
    python -m benchmarks.fleet --clients 10000 --validity prio3
    python -m benchmarks.fleet --clients 100000 --clients-per-site 1      phones: a batch, two seals, a signature a client

One day of one view of 1,000 slots, every client reports (`participation="all"`). Every step is real: events are generated and
computed, each site's reports split, sealed to both aggregators with HPKE and signed; the bytes are parsed, signatures verified,
opened and added by a shard of each aggregator; shards are merged, sets compared, noise added, sums opened and published.

* `us_per_client`: CPU time, of all cores together. `seconds`: wall time of the whole collection, publication included.
* `floor_us_per_client`: CPU time to squeeze and add the same bytes once on each side, by the same kernels: the site's share
  (squeeze, add the values), the leader's add, the helper's squeeze and add. It is a lower bound for shares.
* `peak_rss_mb`: sum of the peaks of the parent and each worker. `peak_growth`: the peak over that of a run with a tenth of the
  clients, in a process of its own; up to 1.1 means that memory does not depend on the number of clients.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from crypto.field_kernels import add_rows, add_sparse
from crypto.sharing import SparseRows, share_xof
from edge_client.encrypting import cores
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from federation.terms import Participation, Shares, Validity
from simulations.fleets.arrivals import Generated
from simulations.fleets.population import Population
from simulations.fleets.spec import Fleet
from simulations.levels.collect import Collection, collect
from simulations.measuring import print_figures
from simulations.shards.run import FleetTerms
from simulations.shards.timed_keys import STEPS
from simulations.shards.workers import Inline, LocalProcesses

KEYS = 100
FLOOR_REPORTS, FLOOR_ROUNDS = 512, 15


def view() -> FeatureView:
    """Make a view of 100 destinations with 10 slots each."""
    return FeatureView(
        "dest_delay",
        entity=Entity("dest", domain=[f"D{key:02d}" for key in range(KEYS)]),
        pane="1d",
        features=[
            ClientCount("planes"),
            Mean("arr_delay", clip=(-60, 180), resolution=1.0),
            Histogram("arr_delay", edges=[-15, 0, 15, 30, 60, 120]),
            Rate("late", where="arr_delay >= 15", derive=True),
        ],
        bounds=Bounds(max_cells=3, max_events_per_cell=1),
        privacy=Privacy(rho=0.1, min_clients=50),
        release_delay="30m",
    )


def floor_us(slots: int) -> float:
    """Measure CPU µs a report to squeeze and add once on each side."""
    rng = np.random.default_rng(1)
    count, filled = FLOOR_REPORTS, 4
    columns = rng.integers(0, slots, count * filled).astype(np.int32)
    values = SparseRows(np.arange(count + 1, dtype=np.int64) * filled, columns, np.ones(len(columns), np.int64), slots)
    seeds = np.frombuffer(os.urandom(32 * count), np.uint8).reshape(count, 32)
    rows, collections, xof = np.zeros(count, np.int64), np.zeros(count, np.uint32), share_xof(bytes(32))
    leader, helper = np.zeros((1, slots), np.uint64), np.zeros((1, slots), np.uint64)
    best = float("inf")
    for _ in range(FLOOR_ROUNDS):
        start = time.thread_time()
        share = xof.expand(seeds, collections, slots, negated=True)
        add_sparse(values.indptr, values.columns, values.values, share)
        add_rows(rows, share, leader)
        xof.add_to(helper, seeds, collections, rows)
        best = min(best, time.thread_time() - start)
    return 1e6 * best / count


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one collection."""
    of = view()
    fleet = Fleet(arguments.clients, clients_per_site=arguments.clients_per_site, seed=arguments.seed)
    shares = Shares(Validity(arguments.validity), participation=Participation.ALL)
    terms = FleetTerms((of,), shares, deadline_s=float("inf"))
    collection = Collection(terms, Population(fleet, (of,)), Generated(), noise_seed=None)
    workers = Inline() if arguments.workers == 1 else LocalProcesses(arguments.workers)
    floor = floor_us(layout_of(of).length)  # before any worker uses memory bandwidth
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory() as directory, Progress(*columns, console=console) as bar:
        tasks: dict[str, Any] = {}

        def progress(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(f"{arguments.clients:,} clients, {step}", total=total)
            bar.update(tasks[step], completed=done)

        start = time.perf_counter()
        done = collect(collection, Path(directory), workers, progress)
        seconds = time.perf_counter() - start
    counted = sum(done.tally.reports.values())
    if counted != arguments.clients or done.opened[of.name] != 1:
        raise SystemExit(f"{counted:,} of {arguments.clients:,} reports were counted, {done.opened} panes opened")
    us = 1e6 * sum(done.seconds.values()) / arguments.clients
    return {
        "clients": arguments.clients,
        "sites": fleet.sites,
        "slots": layout_of(of).length,
        "validity": arguments.validity,
        "workers": workers.count,
        "seconds": round(seconds, 2),
        "us_per_client": round(us, 2),
        "floor_us_per_client": round(floor, 2),
        "us_per_client_over_floor": round(us / floor, 2),
        "peak_rss_mb": round(done.peak_bytes / 1e6, 1),
        "bytes_per_client": round(done.tally.bytes_sent / arguments.clients, 1),
        "us_by_step": {
            step: round(1e6 * done.seconds[step] / arguments.clients, 3) for step in STEPS if step in done.seconds
        },
    }


def main() -> None:
    """Measure, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=1_000_000)
    parser.add_argument("--clients-per-site", type=float, default=500.0)
    parser.add_argument("--validity", choices=("none", "prio3"), default="none")
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--alone", action="store_true", help="without the run with a tenth of the clients")
    arguments = parser.parse_args()
    smaller = None if arguments.alone else _smaller(arguments)
    result = measure(arguments)
    if smaller is not None:
        result["peak_rss_mb_at_a_tenth"] = smaller["peak_rss_mb"]
        result["peak_growth"] = round(result["peak_rss_mb"] / smaller["peak_rss_mb"], 3)
    table = Table(
        "step", "CPU µs a client", "part", title=f"{result['clients']:,} clients at {result['sites']:,} sites"
    )
    for step, us in result["us_by_step"].items():
        table.add_row(step, f"{us:.2f}", f"{us / result['us_per_client']:.0%}")
    table.add_section()
    table.add_row("all", f"{result['us_per_client']:.2f}", f"{result['us_per_client_over_floor']:.1f} × the floor")
    console = Console()
    console.print(table)
    console.print(
        f"{result['seconds']:.1f} s on {result['workers']} cores, {result['peak_rss_mb']:,.0f} MB, "
        f"{result['bytes_per_client']:,.0f} bytes a client"
    )
    print_figures(result)


def _smaller(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the benchmark with a tenth of the clients, in a process of its own."""
    options = ["--clients", str(max(1, arguments.clients // 10)), "--clients-per-site", str(arguments.clients_per_site)]
    options += ["--validity", arguments.validity, "--workers", str(arguments.workers), "--seed", str(arguments.seed)]
    command = [sys.executable, "-m", "benchmarks.fleet", "--alone", *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
