"""The way over the wire: 60 days of flights through real processes; what a report costs, and what Flower adds.

`reports_per_second` counts the reports of the two small views over everything between the events on the sites and the
published rows, Flower's start and stop not included; `flower_overhead_s` is what those take. `sites_s` compares a site of a
deployment with one that is Flower's SuperNode. `tls_overhead` is the wall time of the whole run with mutual TLS between
coordinator, leader and helper, by that without.

    python -m benchmarks.way
"""

from __future__ import annotations

import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from benchmarks.way_site import compare_sites
from benchmarks.way_tls import compare_tls
from crypto.xof import SEED_BYTES
from deployment.local import processes_run as wire
from deployment.local.processes import MARK
from deployment.project.fleet import EventColumns
from deployment.request import CollectionRequest
from edge_client.compute import compute
from edge_client.events import make_events
from featurestore.define.layout import layout_of
from federation.batch.batch import HEADER_REPORT_BYTES
from federation.ledger.state import Budget
from federation.terms import RequestedTerms
from simulations.datasets.flights import CLIENT_COLUMN, SITE_COLUMN, TIME_COLUMN, flight_views, load_flights
from simulations.measuring import print_figures

DAYS = 60
FIRST_US = 1_357_344_000 * 10**6  # 2013-01-05


class Watcher(threading.Thread):
    """Peak resident memory (MB) of each process of the run, by what it does."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak: dict[str, float] = {}
        self.stopped = threading.Event()

    def run(self) -> None:
        """Look four times a second, until stopped."""
        while not self.stopped.wait(0.25):
            for process in psutil.process_iter():
                try:
                    if MARK in process.environ():
                        role = _role(" ".join(process.cmdline()))
                        self.peak[role] = max(self.peak.get(role, 0.0), process.memory_info().rss / 2**20)
                except (psutil.Error, OSError):
                    continue


def _role(command: str) -> str:
    for words, role in (
        ("start leader", "leader"),
        ("start helper", "helper"),
        ("deployment.local.simulated_fleet", "coordinator"),
        ("ClientAppActor", "sites (each actor)"),
        ("raylet", "ray"),
    ):
        if words in command:
            return role
    return "other of Flower and Ray"


def main() -> None:
    """Print seconds for each step, and one JSON line."""
    flights = load_flights()
    inside = pc.and_(
        pc.greater_equal(flights["departed_at"].cast("int64"), FIRST_US),
        pc.less(flights["departed_at"].cast("int64"), FIRST_US + DAYS * 86_400 * 10**6),
    )
    table = flights.filter(inside)
    views = flight_views(flights)[:2]
    events = make_events(table, CLIENT_COLUMN, TIME_COLUMN, SITE_COLUMN)
    reports = {view.name: len(compute(view, events).client) for view in views}
    bytes_per_report = {view.name: 8 * layout_of(view).length + SEED_BYTES + HEADER_REPORT_BYTES for view in views}
    marks: list[tuple[str, float]] = [("start", time.perf_counter())]

    def progress(_view: str, _step: str, done: int, total: int) -> None:
        name = "services up" if done == 0 else "first site answered" if done == 1 else "all sites answered"
        if marks[-1][0] != name:
            marks.append((name, time.perf_counter()))
        elif done == total:
            marks[-1] = (name, time.perf_counter())

    watcher = Watcher()
    watcher.start()
    with tempfile.TemporaryDirectory(prefix="covey-way-") as scratch:
        between = FIRST_US, FIRST_US + DAYS * 86_400 * 10**6
        request = CollectionRequest.make(views, RequestedTerms(), Budget(100_000), between=between)
        columns = EventColumns(CLIENT_COLUMN, TIME_COLUMN, SITE_COLUMN)
        collected, answers = wire.run_over_wire(request, table, Path(scratch), columns, progress=progress)
        marks.append(("opened, published, stopped", time.perf_counter()))
    watcher.stopped.set()
    steps = {name: at - before for (_, before), (name, at) in pairwise(marks)}
    total = marks[-1][1] - marks[0][1]
    working = steps.get("all sites answered", 0.0) + steps["opened, published, stopped"]
    shown = Table("step", "seconds", title=f"{DAYS} days of flights, {len(answers)} sites, real processes")
    for name, seconds in steps.items():
        shown.add_row(name, f"{seconds:.2f}")
    shown.add_section()
    shown.add_row("all", f"{total:.2f}")
    for role, peak in sorted(watcher.peak.items()):
        shown.add_row(f"peak memory of {role}", f"{peak:,.0f} MB")
    tls = compare_tls(request, table, columns)
    shown.add_section()
    shown.add_row("all with TLS, by all without", f"{tls['tls_overhead']}")
    one = compare_sites()
    shown.add_section()
    for what, title in (("start_s", "a site registers"), ("answer_s", "a site answers, nothing computed")):
        own, node = one["site"][what], one["supernode"][what]
        shown.add_row(title, f"{own:.2f} (SuperNode: {node:.2f}, {node / own:.1f} times)")
    Console().print(shown)
    count = sum(reports.values())
    print_figures(
        {
            "days": DAYS,
            "sites": len(answers),
            "reports": count,
            "opened": sum(one.opened for one in collected),
            "seconds": {name: round(seconds, 2) for name, seconds in steps.items()},
            "seconds_all": round(total, 2),
            "reports_per_second": round(count / working),
            "reports_per_second_all": round(count / total),
            "bytes_per_report": bytes_per_report,
            "flower_overhead_s": round(total - working, 2),
            "sites_s": one,
            **tls,
            "peak_rss_mb": {role: round(peak) for role, peak in sorted(watcher.peak.items())},
        }
    )


if __name__ == "__main__":
    main()
