"""The demo: the main job on real flights, end to end."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from base.times import span_of
from deployment.in_process.run import Surroundings, run_in_process
from deployment.local.processes_run import run_over_wire
from deployment.printing.console import progress_bars
from deployment.project.fleet import EventColumns
from deployment.request import CollectionRequest
from edge_client.events import make_events
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.store import Store
from federation.accountant import cost_of_day
from federation.dating import Dating
from federation.ledger.state import Budget
from federation.terms import Noise, RequestedTerms, Validity
from simulations.datasets.flights import CLIENT_COLUMN, DAYS, SITE_COLUMN, TIME_COLUMN, flight_views, load_flights

from .model import compare_models, late_labels
from .picture import draw
from .proofs import BackFill, TimedCollection, print_proofs
from .reading import read_over_http
from .tables import print_models, print_privacy, print_values

SITES: Final = 16
BUDGET: Final = Budget(200_000)
"""A client-day of all three views."""
LABELS: Final = "labels.parquet"
"""Where a kept store gets the labels of `examples/late_model.toml`."""


def run_demo(picture: Path, keep: Path | None = None, validity: Validity = Validity.NONE) -> None:
    """Run the demo and write its picture.

    Args:
        picture: where the PNG goes.
        keep: the directory of the private store, with labels to train on. Default: a temporary directory.
        validity: `prio3`: private collections carry proofs, except part of the back-fill, and a table shows their cost.
    """
    started = time.monotonic()
    out, talk = Console(highlight=False, soft_wrap=False), Console(stderr=True, highlight=False)
    flights = load_flights()
    views = hourly, daily, large = flight_views(flights)
    talk.print(
        f"{flights.num_rows:,} departures of 2013: airlines are the sites, their planes the clients. "
        "Every step runs the code of a deployment."
    )
    with tempfile.TemporaryDirectory(prefix="covey-demo-") as scratch:
        private_dir, exact_dir = keep or Path(scratch, "private"), Path(scratch, "exact")
        talk.print(
            f"{daily.name} goes over the wire: {SITES} sites behind Flower, leader, helper and coordinator, each a process "
            "with its own keys" + ("; reports carry proofs" if validity is Validity.PRIO3 else "")
        )
        over_wire = _collect_over_wire(flights, (daily,), private_dir, validity, talk)
        talk.print(
            f"{hourly.name} and {large.name} (2 GB of shares) are back-filled in this process, dated as collections pane by pane; "
            "their releases say trust='in-process'"
        )
        back_filled = _back_fill(flights, (hourly, large), private_dir, validity, talk)
        talk.print("all views again without noise, in this process: the exact values, for comparison")
        truth = _collect(flights, views, exact_dir, noisy=False, talk=talk)
        with Store.open(private_dir) as private, Store.open(exact_dir) as exact:
            print_values(out, flights, private, exact)
            out.print(read_over_http(private_dir, Path(scratch, "logs")), markup=False)
            draw(picture, private, exact)
            out.print(f"picture: {picture}")
            if validity is Validity.PRIO3:
                year = {report.view: report.reports or 0 for report in truth.views}
                print_proofs(out, views, (over_wire, *back_filled), year, private)
            with progress_bars(talk) as progress:
                models = compare_models(
                    flights, private, exact, lambda done, total: progress("late-arrival model", "train", done, total)
                )
            print_models(out, models)
    if keep is not None:
        pq.write_table(late_labels(flights), keep / LABELS)
    print_privacy(out, [(view.name, cost_of_day([layout_of(view)])) for view in views], views[0].privacy.delta)
    out.print(f"{time.monotonic() - started:.0f} s in all.")
    out.print(_next_steps(keep), soft_wrap=True)


def _collect_over_wire(
    flights: pa.Table, views: tuple[FeatureView, ...], directory: Path, validity: Validity, talk: Console
) -> TimedCollection:
    """Collect over the wire on one machine: a simulated node for each site, two aggregators, the coordinator."""
    started = time.monotonic()
    with progress_bars(talk) as progress:
        request = CollectionRequest.make(views, RequestedTerms(validity=validity), BUDGET, between=span_of(DAYS))
        columns = EventColumns(CLIENT_COLUMN, TIME_COLUMN, SITE_COLUMN)
        reports, answers = run_over_wire(request, flights, directory, columns, progress=progress)
    opened, void = sum(report.opened for report in reports), sum(report.void for report in reports)
    talk.print(f"{len(answers)} sites answered; {opened:,} panes opened, {void:,} void (too few planes)")
    return TimedCollection("over the wire, between processes", validity, reports, time.monotonic() - started)


def _back_fill(
    flights: pa.Table, views: tuple[FeatureView, ...], directory: Path, validity: Validity, talk: Console
) -> tuple[TimedCollection, ...]:
    """Collect in this process; only reports of the last weeks carry proofs."""
    if validity is Validity.NONE:
        return (_collect(flights, views, directory, noisy=True, talk=talk),)
    days = BackFill.of(flights[TIME_COLUMN])
    talk.print(f"its reports of {days} carry proofs; to save time, reports of earlier days do not")
    before, proven = (days.first, days.proven), (days.proven, days.end)
    return (
        _collect(flights, views, directory, noisy=True, talk=talk, days=before),
        _collect(flights, views, directory, noisy=True, talk=talk, days=proven, validity=validity),
    )


def _collect(
    flights: pa.Table,
    views: tuple[FeatureView, ...],
    directory: Path,
    *,
    noisy: bool,
    talk: Console,
    days: tuple[int, int] = DAYS,
    validity: Validity = Validity.NONE,
) -> TimedCollection:
    started = time.monotonic()
    with progress_bars(talk) as progress:
        requested = RequestedTerms(validity=validity, noise=Noise.FULL if noisy else Noise.NONE)
        request = CollectionRequest.make(views, requested, BUDGET, between=span_of(days))
        events = make_events(flights, CLIENT_COLUMN, TIME_COLUMN, SITE_COLUMN)
        around = Surroundings.real(request, progress, dating=Dating.REPLAY_PANES)
        reports = run_in_process(request, events, directory, around)
    return TimedCollection("in one process, without sealing or network", validity, reports, time.monotonic() - started)


def _next_steps(kept: Path | None) -> str:
    store = kept or Path("flights-store")
    lines = [
        "Try next:",
        *([] if kept else [f"  covey demo --store {store}    # keeps the store"]),
        f"  covey get dest_delay:arr_delay_mean_28d dest=ATL dest=LAX --store {store}",
        "  covey train examples/late_model.toml    # a model on the store's features, registered with its lineage",
        "  covey deploy examples/late_model.toml   # the same, promoted and served; only what is due",
        f"  covey history area_delay --store {store} --out area_delay.parquet",
        "  covey explain examples/taxi_views.py    # the price and the expected error of views, before anything is collected",
        "  covey run VIEWS.py --events FILE.parquet --client-column C --time-column T --store DIR",
    ]
    return "\n".join(lines)
