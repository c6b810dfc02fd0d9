"""The deployment that `benchmarks.freshness` measures: the processes of all roles, sites, and events that arrive in time.

Leader, helper, SuperLink and feature server are `covey start …` processes. Simulated sites are the product's own site service,
each with its files, its key and its connection to the SuperLink by TLS, but many in one process (`freshness_sites`).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from base.ports import free_port
from base.times import SECOND_US, wall_clock
from deployment.coordinator.planning import Addresses
from deployment.local.processes import Processes
from deployment.project.init import make
from deployment.project.site_folders import configure_site
from featurestore.define.definitions import FeatureView
from featurestore.define.views_file import load_views
from featurestore.publish.publish import Publisher
from federation.ledger.state import Budget

CLIENTS: Final = 20
"""Clients of each site. Each has an event in each pane until its cells of the day are used."""
KEYS: Final = ("a", "b", "c")
PANE_S: Final = 5
GRACE_S: Final = 1
VIEWS: Final = f"""
from covey import *

machines = FeatureView(
    "machines",
    entity=Entity("line", domain={list(KEYS)!r}),
    pane="{PANE_S}s",
    windows=["1m", "5m"],
    features=[Count("parts"), Mean("heat", clip=(0, 100), resolution=1), Rate("hot", where="heat >= 60")],
    bounds=Bounds(max_cells=4000, max_events_per_cell=1),
    privacy=Privacy(rho=0.4, min_clients=2),
    release_delay="{GRACE_S}s",
    grace="{GRACE_S}s",
    min_coverage=0.5,
)
"""
_START_S: Final = 120.0


@dataclass(frozen=True)
class Deployment:
    """A project whose roles run.

    Attributes:
        server: the address of its feature server.
        superlink: the address of its SuperLink.
    """

    project: Path
    view: FeatureView
    addresses: Addresses
    server: str
    superlink: str
    sites: tuple[str, ...]


def make_project(folder: Path, sites: int) -> tuple[str, ...]:
    """A project with so many sites, each with an empty folder of events. Returns their ids."""
    names = tuple(f"s{number:02d}" for number in range(sites))
    make(folder, "freshness", names, CLIENTS, Budget(500_000))
    policy = folder / "policy.toml"
    policy.write_text(policy.read_text().replace("min_k = 50", "min_k = 2"))
    views = folder / "views.py"
    views.write_text(VIEWS)
    with Publisher(folder, wall_clock) as publisher:  # a feature server starts over a store
        for view in load_views(views):
            publisher.register(view)
    for name in names:
        events_folder(folder, name).mkdir(parents=True)
        write_events(folder, name, 0, SECOND_US)  # a site reads its files' columns when it starts
        configure_site(folder, name, str(events_folder(folder, name)), "who", "at", allow_noise_off=False)
    return names


def events_folder(project: Path, site: str) -> Path:
    """The folder of a site's events."""
    return project / "events" / site


def write_events(project: Path, site: str, start_us: int, width_us: int) -> None:
    """Add a file with an event of each client in [start, start + width), as a program at the site does when they are over."""
    rng = np.random.default_rng((start_us // SECOND_US, int(site[1:])))
    table = pa.table(
        {
            "who": [f"c{number}" for number in range(CLIENTS)],
            "at": pa.array(start_us + rng.integers(0, width_us, CLIENTS), pa.timestamp("us", "UTC")),
            "line": rng.choice(KEYS, CLIENTS).tolist(),
            "heat": rng.uniform(0, 100, CLIENTS),
        }
    )
    folder = events_folder(project, site)
    part = folder / f".{start_us}.parquet"
    pq.write_table(table, part)
    part.rename(folder / f"{start_us:020d}.parquet")


class Arriving(threading.Thread):
    """Writes the events of each pane at each site, soon after the pane's end and within the grace. Use it as a context manager."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(name="events", daemon=True)
        self._of, self._over = deployment, threading.Event()

    def __enter__(self) -> Arriving:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Write until stopped."""
        width = PANE_S * SECOND_US
        pane = wall_clock() // width * width
        while not self._over.wait(max(0.0, (pane + width - wall_clock()) / 1e6)):
            for site in self._of.sites:
                write_events(self._of.project, site, pane, width)
            pane += width


def start(folder: Path, processes: Processes, sites: tuple[str, ...], *, in_processes: bool) -> Deployment:
    """Start every role. Returns when each listens, and each site has registered.

    Args:
        in_processes: each site is a `covey start site` process; otherwise all are in one process.
    """
    ports = {name: free_port() for name in ("helper", "leader", "superlink", "server")}
    at = ("--project", str(folder))
    helper = f"127.0.0.1:{ports['helper']}"
    _covey(processes, "helper", *at, "--port", str(ports["helper"]))
    _covey(processes, "leader", *at, "--port", str(ports["leader"]), "--helper", helper)
    _covey(processes, "superlink", *at, "--port", str(ports["superlink"]))
    _covey(processes, "server", *at, "--port", str(ports["server"]))
    for name, port in ports.items():
        processes.wait_for_port(name, port, _START_S)
    link = f"127.0.0.1:{ports['superlink']}"
    if in_processes:
        for name in sites:
            processes.start(name, [sys.executable, "-m", "covey", "start", "site", name, *at, "--superlink", link])
            _wait(processes, name, 1)
    else:
        processes.start("sites", [sys.executable, "-m", "benchmarks.freshness_sites", str(folder), link, *sites])
        _wait(processes, "sites", len(sites))
    (view,) = load_views(folder / "views.py")
    addresses = Addresses(f"127.0.0.1:{ports['leader']}", helper)
    return Deployment(folder, view, addresses, f"127.0.0.1:{ports['server']}", link, sites)


@contextmanager
def collecting(deployment: Deployment, processes: Processes) -> Iterator[None]:
    """`covey collect` runs in this block, and collects each pane when it closes."""
    at = ("--leader", deployment.addresses.leader or "", "--helper", deployment.addresses.helper or "")
    command = [sys.executable, "-m", "covey", "collect", "--project", str(deployment.project), *at, "--seconds", "30"]
    processes.start("collect", command)
    try:
        yield
    finally:
        processes.end(["collect"], 30.0)


def _covey(processes: Processes, role: str, *options: str) -> None:
    processes.start(role, [sys.executable, "-m", "covey", "start", role, *options])


def _wait(processes: Processes, name: str, sites: int) -> None:
    end = time.monotonic() + _START_S
    while processes.log(name).read_text().count("registered as node") < sites:
        processes.require_running(name)
        if time.monotonic() > end:
            raise RuntimeError(f"{name}: not every site has registered (log: {processes.log(name)})")
        time.sleep(0.05)
