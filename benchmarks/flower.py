"""The cost of a collection through Flower, compared with Flower alone: simulated nodes, leader and helper as services.

    python -m benchmarks.flower [--sites 200] [--clients 2000]

Every client reports one day (participation `all`), with the noise of both aggregators. `ms_per_site` and `ms_per_client` are wall
time from the announced plan to the published releases, over all sites and clients; `…_with_start` begins with the
first process; the end of processes does not count. The peer is Flower's plain round trip with as many nodes, whose answers have
as many bytes. `ratio` is Covey's time over the peer's time. One node runs a core.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from deployment.in_process.progress import Progress
from deployment.local.processes import Processes
from deployment.local.processes_run import collect_project, flower_environment, ray_environment, ray_folder
from deployment.printing.console import progress_bars
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Histogram, Mean
from featurestore.define.privacy import Bounds, Privacy
from federation.keys import load_keys
from federation.plan import plan_from_bytes
from federation.signed_plan import sign_plan
from federation.terms import Participation, Shares
from simulations.fleets.arrivals import Generated
from simulations.fleets.population import Population
from simulations.fleets.spec import Fleet
from simulations.levels.collect import Collection
from simulations.levels.real import FleetProject, prepare
from simulations.measuring import print_figures
from simulations.shards.run import FleetTerms

VIEW = FeatureView(
    "visits",
    entity=Entity("shop", domain=range(50)),
    features=[Count("visits"), Mean("spent", clip=(0, 100), resolution=1), Histogram("spent", edges=[10, 20, 50, 80])],
    pane="1d",
    bounds=Bounds(max_cells=3, max_events_per_cell=2),
    privacy=Privacy(rho=0.1, min_clients=20),
)


@dataclass(frozen=True)
class RunFigures:
    """Times of a run in wall seconds, and its bytes.

    Attributes:
        seconds: from the announced plan to the last result.
        start_s: from the start of the programs to the announced plan.
        bytes: what all sites sent.
    """

    seconds: float
    start_s: float
    bytes: int

    def ms(self, count: int, *, with_start: bool = False) -> float:
        """Milliseconds for each of `count` sites or clients."""
        return 1e3 * (self.seconds + (self.start_s if with_start else 0.0)) / count


def main() -> None:
    """Print a table, and one JSON line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flower")
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--clients", type=int, default=2_000)
    options = parser.parse_args()
    sites, clients = options.sites, options.clients
    with (
        tempfile.TemporaryDirectory(prefix="covey-bench-") as folder,
        progress_bars(Console(stderr=True)) as progress,
    ):
        prepared = prepare(collection(sites, clients), Path(folder))
        ours = _ours(prepared, sites, progress)
        plan_bytes = len(
            sign_plan(plan_from_bytes(prepared.job.plan), load_keys(prepared.job.keys, "coordinator").sign)
        )
        peer = _peer(Path(folder) / "peer", sites, plan_bytes, ours.bytes // sites)
    _print(ours, peer, sites, clients)
    figures = {
        "sites": sites,
        "clients": clients,
        "ms_per_site": ours.ms(sites),
        "ms_per_client": ours.ms(clients),
        "ms_per_site_with_start": ours.ms(sites, with_start=True),
        "ms_per_client_with_start": ours.ms(clients, with_start=True),
        "bytes": ours.bytes,
        "bytes_per_client": ours.bytes / clients,
        "peer_ms_per_site": peer.ms(sites),
        "peer_ms_per_site_with_start": peer.ms(sites, with_start=True),
        "peer_bytes": peer.bytes,
        "ratio": ours.seconds / peer.seconds,
        "ratio_with_start": ours.ms(1, with_start=True) / peer.ms(1, with_start=True),
    }
    print_figures({name: round(value, 3) for name, value in figures.items()})


def collection(sites: int, clients: int) -> Collection:
    """A collection in which all clients report one day."""
    fleet = Fleet(clients=clients, clients_per_site=clients / sites, site_tail=0.5, seed=7)
    terms = FleetTerms((VIEW,), Shares(participation=Participation.ALL), seed=7)
    return Collection(terms, Population(fleet, (VIEW,)), Generated(median_s=0), level="flower", noise_seed=None)


def _ours(prepared: FleetProject, sites: int, progress: Progress) -> RunFigures:
    """Run the collection; read its times from the files of the coordinator."""
    job, begun = replace(prepared.job, sites=sites), time.time()
    result = collect_project(prepared.project, job, progress)
    states = {name: one["state"] for name, one in result["sites"].items()}
    if set(states.values()) != {"answered"} or len(states) != sites:
        raise SystemExit(f"some sites did not answer: {states}")
    announced, done = (path.stat().st_mtime for path in (job.announced, job.result))
    lines = job.progress.read_text(encoding="utf-8").splitlines()
    return RunFigures(done - announced, announced - begun, sum(json.loads(line)["bytes"] for line in lines))


def _peer(folder: Path, nodes: int, ask: int, answer: int) -> RunFigures:
    """Run Flower's round trip: `ask` bytes to each node, `answer` bytes back."""
    result, ray = folder / "result.json", ray_folder()
    folder.mkdir()
    root = str(Path(__file__).parents[1])
    environment = {
        **flower_environment(),
        **ray_environment(ray),
        "FLWR_HOME": str(folder / "flower"),
        "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
    }
    command = [sys.executable, "-m", "benchmarks.flower_peer", str(ask), str(answer), str(nodes), str(result)]
    begun = time.time()
    try:
        with Processes(folder / "logs") as processes:
            processes.start("flower", command, environment)
            while not result.is_file():
                if processes.exit_status("flower") is not None and not result.is_file():
                    processes.require_running("flower")
                time.sleep(0.05)
    finally:
        shutil.rmtree(ray, ignore_errors=True)
    figures: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if figures["answers"] != nodes:
        raise SystemExit(f"{figures['answers']} of {nodes} nodes answered")
    return RunFigures(figures["answered"] - figures["asked"], figures["asked"] - begun, figures["bytes"])


def _print(ours: RunFigures, peer: RunFigures, sites: int, clients: int) -> None:
    table = Table("wall time", "Covey", "Flower alone", "ratio", title=f"{sites:,} sites, {clients:,} clients, one day")
    for name, with_start in (("asked to published", False), ("with start-up", True)):
        mine, its = ours.ms(sites, with_start=with_start), peer.ms(sites, with_start=with_start)
        table.add_row(f"ms a site, {name}", f"{mine:.1f}", f"{its:.1f}", f"{mine / its:.2f}")
        table.add_row(f"ms a client, {name}", f"{ours.ms(clients, with_start=with_start):.2f}", "–", "–")
    table.add_row("bytes from the sites", f"{ours.bytes:,}", f"{peer.bytes:,}", f"{ours.bytes / peer.bytes:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
