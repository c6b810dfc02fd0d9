"""A year of flights through the core in one process: seconds for each step, reports a second, peak memory.

`reports_per_second` is the number of reports of the two small views (area_delay, carrier_delay), divided by the time from
events in memory to published rows: computing, sharing, adding, noise, opening, Parquet and RocksDB.

    python -m benchmarks.core
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from base.times import DAY_US
from crypto.noise import NOISE_KEY_BYTES, SecretNoise
from deployment.coordinator.collector import releases_of
from edge_client.compute import compute, days_with_events
from edge_client.events import Events, make_events
from featurestore.define.definitions import FeatureView
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from federation.aggregation import Aggregation, open_shares
from federation.batch.reports import Reports
from federation.dating import Dating
from federation.plan import Plan, PlannedView
from federation.sharding import shard
from federation.terms import Noise, Shares
from simulations.datasets.flights import CLIENT_COLUMN, SITE_COLUMN, TIME_COLUMN, flight_views, load_flights
from simulations.measuring import WALL, Watch, peak_bytes, print_figures, timed


def main() -> None:
    """Print a table of seconds per step and view, and one JSON line."""
    _warm_up()
    flights = load_flights()
    events = make_events(flights, CLIENT_COLUMN, TIME_COLUMN, SITE_COLUMN)
    seconds: dict[str, dict[str, float]] = {}
    reports: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="covey-bench-") as scratch:
        for view in flight_views(flights):
            seconds[view.name] = {}
            reports[view.name] = _collect(view, events, Path(scratch), seconds[view.name])
        join_seconds = _join(flights, Path(scratch))
    peak_mb = peak_bytes() / 2**20
    _print(seconds, reports)
    small = ("area_delay", "carrier_delay")
    total = sum(sum(seconds[name].values()) for name in small)
    figures = {
        "events": flights.num_rows,
        "seconds": {name: {step: round(s, 3) for step, s in steps.items()} for name, steps in seconds.items()},
        "reports": {**reports, "small_views": sum(reports[name] for name in small)},
        "reports_per_second": round(sum(reports[name] for name in small) / total),
        "join_labels": flights.num_rows,
        "join_seconds": round(join_seconds, 3),
        "peak_rss_mb": round(peak_mb),
    }
    print_figures(figures)


def _collect(view: FeatureView, events: Events, store: Path, seconds: dict[str, float]) -> int:
    """Run one view over all of its days, timing each step; returns the number of reports."""

    step = Watch(WALL, seconds).step
    with step("compute"):
        made = compute(view, events)
    days = days_with_events(view, events)
    panes = (days[:, None] * DAY_US + np.arange(view.panes_per_day) * view.pane_us).reshape(-1)
    plan = Plan(os.urandom(16), (PlannedView(view, panes, view.privacy.min_clients),), Noise.FULL, Shares())
    leader, helper = Aggregation.start("leader", plan), Aggregation.start("helper", plan)
    collection = np.searchsorted(panes, made.pane_start).astype(np.uint32)
    for batch in Reports(0, collection, made.slots).batches():
        with step("share (site)"):
            to_leader, to_helper = shard(plan, batch, os.urandom)
        with step("add (leader)"):
            leader = leader.add(to_leader)
        with step("expand, add (helper)"):
            helper = helper.add(to_helper)
    with step("close (both)"):
        leader_closed, helper_closed = leader.close(), helper.close()
    with step("noise (both)"):
        from_leader = leader_closed.noise(helper_closed.commitment, SecretNoise(os.urandom(NOISE_KEY_BYTES)))
        from_helper = helper_closed.noise(leader_closed.commitment, SecretNoise(os.urandom(NOISE_KEY_BYTES)))
    with step("open"):
        (opened,) = open_shares(plan, from_leader, from_helper)
    now = time.time_ns() // 1_000
    with Publisher(store, lambda: now) as publisher, step("publish"):
        publisher.register(view)
        publisher.publish(
            list(
                releases_of(
                    plan, opened, now=now, dating=Dating.REPLAY_DAYS, noise_source=SecretNoise.name, trust="in-process"
                )
            )
        )
    return len(collection)


def _join(flights: pa.Table, store: Path) -> float:
    refs = ["area_delay:late_24h", "carrier_delay:late_28d", "dest_delay:arr_delay_mean_28d"]
    labels = flights.select(["carrier", "dest", "sched_dep"])
    with Store.open(store) as opened:
        return timed(lambda: opened.join(labels, refs, "sched_dep").read_all(), WALL)[1]


def _warm_up() -> None:
    """Compile or load every kernel, so that the first view does not pay for it."""
    table = pa.table(
        {"c": ["a"], "arrived_at": pa.array([0], pa.timestamp("us", "UTC")), "dest": ["x"], "arr_delay": [1.0]}
    )
    from simulations.datasets.flights import dest_delay

    with tempfile.TemporaryDirectory(prefix="covey-bench-") as scratch:
        _collect(dest_delay(["x"]), make_events(table, "c", "arrived_at"), Path(scratch), {})


def _print(seconds: dict[str, dict[str, float]], reports: dict[str, int]) -> None:
    table = Table("seconds", *seconds, title="A year of flights in one process")
    for step in next(iter(seconds.values())):
        table.add_row(step, *(f"{steps[step]:.2f}" for steps in seconds.values()))
    table.add_section()
    table.add_row("all", *(f"{sum(steps.values()):.2f}" for steps in seconds.values()))
    table.add_row("reports", *(f"{reports[name]:,}" for name in seconds))
    Console().print(table)


if __name__ == "__main__":
    main()
