"""Run each kind of experiment of a report: collections, comparisons and attacks, on the code of a deployment."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.epsilon import epsilon_of
from featurestore.define.feature import PaneFeature
from featurestore.define.kinds import Count, Mean, Rate
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from federation.terms import Shares, Validity, parse_term
from simulations.attacks.attack import Measure, Setting
from simulations.attacks.registry import ATTACKS
from simulations.experiments.plain import attack_as_dict
from simulations.fleets.arrivals import Generated
from simulations.fleets.population import Population
from simulations.fleets.spec import Fleet
from simulations.levels.collect import Collected, Collection, collect
from simulations.reports.comparison.compare import compare
from simulations.reports.comparison.protections import PROVEN, UNPROVEN
from simulations.reports.comparison.text import figures_of
from simulations.reports.values import Errors, write_values
from simulations.shards.run import FleetTerms
from simulations.shards.workers import Workers

from .items import ItemResult, Point, ReportItem

Progress = Callable[[float], None]
"""Called with the share that is done, from 0 to 1."""

SITE: Final = "steps of a site"
SERVERS: Final = "steps of the aggregators"
STEPS: Final = {
    SITE: ("compute", "share", "seal", "sign"),
    SERVERS: ("verify signature", "open", "verify proof", "add", "merge", "noise"),
}
FEATURES: Final = {"visits": "count", "spent_mean": "mean", "big": "rate"}
"""The columns of the report's own view, with their kinds."""
K: Final = 50


def run_experiment(experiment: ReportItem, workers: Workers, progress: Progress) -> ItemResult:
    """Run one experiment. The caller reports its errors."""
    return RUNS[experiment.kind](experiment.asked, workers, progress)


def _errors(asked: Mapping[str, Any], workers: Workers, progress: Progress) -> ItemResult:
    """Measure the errors of a collection against its true values, over the repeats."""
    view = visits(asked["keys"], asked["rho"])
    every: list[Errors] = []
    for repeat in range(asked["repeats"]):
        collection = _collection(view, asked, asked["seed"] + repeat)
        every.append(_collected(collection, workers)[1])
        progress((repeat + 1) / asked["repeats"])
    epsilon = epsilon_of(layout_of(view).micro_rho, asked["delta"])
    at = (("ε of a client-day", epsilon), ("clients", float(asked["clients"])))
    points = []
    for column, kind in FEATURES.items():
        figures = [errors[view.name][column] for errors in every]
        for measure, of in MEASURES.items():
            for x_name, x in at:
                points.append(mean_point(kind, measure, x_name, x, [of(one) for one in figures]))
    return ItemResult(tuple(points), {"epsilon": epsilon, "errors": [errors[view.name] for errors in every]})


def _cost(asked: Mapping[str, Any], workers: Workers, progress: Progress) -> ItemResult:
    """Measure CPU time a report and bytes a client of a collection."""
    view = visits(asked["keys"], 0.1)
    validity = parse_term(Validity, asked["validity"])
    for clients in (2 * K, asked["clients"]):  # the first run loads kernels and makes tables
        collection = _collection(view, {**asked, "days": 1, "clients": clients}, asked["seed"])
        terms = replace(collection.terms, terms=Shares(validity))
        done, _ = _collected(replace(collection, terms=terms), workers)
    name = PROVEN if validity is Validity.PRIO3 else UNPROVEN
    reports = max(1, sum(done.tally.reports.values()))
    at = ("clients", float(asked["clients"]))
    points = [
        Point(name, measure, *at, 1e6 * sum(done.seconds.get(step, 0.0) for step in steps) / reports)
        for measure, steps in STEPS.items()
    ]
    points.append(Point(name, "bytes a client", *at, done.tally.bytes_sent / asked["clients"]))
    return ItemResult(
        tuple(points), {"seconds": dict(done.seconds), "reports": reports, "slots": layout_of(view).length}
    )


def _slots(asked: Mapping[str, Any], _workers: Workers, progress: Progress) -> ItemResult:
    """Measure CPU time and bytes of a report of a given length, under every protection."""
    view = _view("counts", asked["slots"], (Count("visits"),), 0.1)
    at, points = ("slots", float(asked["slots"])), []
    rows = _compared(view, asked, progress)
    for row in rows["protections"]:
        if row["skipped"] is None:
            for measure, key in (
                (SITE, "client_us_per_report"),
                (SERVERS, "server_us_per_report"),
                ("bytes a client", "upload_bytes_per_report"),
            ):
                points.append(Point(row["name"], measure, *at, float(row[key])))
    return ItemResult(tuple(points), rows)


def _protections(asked: Mapping[str, Any], _workers: Workers, progress: Progress) -> ItemResult:
    """Measure one pane under every protection, for the table."""
    return ItemResult((), _compared(visits(asked["keys"], 0.1), asked, progress))


def _attack(asked: Mapping[str, Any], _workers: Workers, progress: Progress) -> ItemResult:
    """Run an attack with its defence on and off."""
    attack = ATTACKS[asked["attack"]]
    setting = Setting(**{name: asked[name] for name in ("clients", "rho", "delta", "trials", "seed", "k")})
    epsilon = epsilon_of(round(1e6 * asked["rho"]), asked["delta"])
    points = []
    extra: dict[str, Any] = {"what": attack.what, "defence": attack.defence, "what_is_off": attack.what_is_off}
    for defended in (False, True):
        half = _half(progress, second=defended)
        result = attack.run(setting, defended=defended, progress=half)
        series, name, effect = ("on" if defended else "off"), asked["attack"], result.effect
        points.append(_of_measure(series, f"{name}: {effect.what}", epsilon, effect, result.trials))
        if result.epsilon is not None and not math.isnan(result.epsilon.low):
            points.append(_of_measure(series, f"{name}: measured ε", epsilon, result.epsilon, result.trials))
        extra[series] = attack_as_dict(result)
    return ItemResult(tuple(points), extra)


def _half(progress: Progress, *, second: bool) -> Callable[[int, int], None]:
    return lambda done, of: progress((second + done / max(1, of)) / 2)


RUNS: Final[dict[str, Callable[[Mapping[str, Any], Workers, Progress], ItemResult]]] = {
    "errors": _errors,
    "cost": _cost,
    "slots": _slots,
    "protections": _protections,
    "attack": _attack,
}


def visits(keys: int, rho: float) -> FeatureView:
    """Make the view of the report's own collections: a count, a mean and a rate at each of `keys` shops."""
    features = Count("visits"), Mean("spent", clip=(0, 100)), Rate("big", where="spent >= 50")
    return _view("visits", keys, features, rho)


def _view(name: str, keys: int, features: tuple[PaneFeature, ...], rho: float) -> FeatureView:
    return FeatureView(
        name,
        entity=Entity("shop", domain=[f"shop {key:05d}" for key in range(keys)]),
        pane="1d",
        features=list(features),
        bounds=Bounds(max_cells=min(2, keys), max_events_per_cell=2),
        privacy=Privacy(rho=rho, min_clients=K),
        release_delay="30m",
    )


def _fleet(clients: int, days: int, seed: int) -> Fleet:
    return Fleet(clients=clients, clients_per_site=min(500, clients), days=days, seed=seed)


def _collection(view: FeatureView, asked: Mapping[str, Any], seed: int) -> Collection:
    source = Population(_fleet(asked["clients"], asked["days"], seed), (view,))
    return Collection(FleetTerms((view,), seed=seed), source, Generated(seed=seed), noise_seed=seed)


def _collected(collection: Collection, workers: Workers) -> tuple[Collected, Errors]:
    """Collect into a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="covey-report-") as folder:
        directory = Path(folder)
        done = collect(collection, directory, workers)
        return done, write_values(done, collection.terms.views, directory / "values.parquet")


def _compared(view: FeatureView, asked: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Run `covey lab compare` on a day of simulated clients."""
    source = Population(_fleet(asked["clients"], 1, asked["seed"]), (view,))
    comparison = compare(
        view,
        source.block(0).seated().events,
        names=asked["names"],
        progress=lambda _view, _step, done, of: progress(done / of),
    )
    rows = [
        {
            **figures_of(one),
            "privacy_holds_if": one.protection.privacy_holds_if,
            "bad_input": one.protection.bad_input,
        }
        for one in comparison.protections
    ]
    return {"reports": comparison.reports, "slots": comparison.slots, "protections": rows}


def mean_point(series: str, measure: str, x_name: str, x: float, values: list[float]) -> Point:
    """Return the mean of repeats, with Student's interval if there are at least two."""
    from scipy.special import stdtrit  # type: ignore[import-untyped]  # SciPy has no types

    told = np.array([value for value in values if math.isfinite(value)])
    if not len(told):
        return Point(series, measure, x_name, x, math.nan, repeats=0)
    mean = float(told.mean())
    if len(told) < 2:
        return Point(series, measure, x_name, x, mean)
    half = float(stdtrit(len(told) - 1, 0.975) * told.std(ddof=1) / math.sqrt(len(told)))
    return Point(series, measure, x_name, x, mean, mean - half, mean + half, len(told))


def _of_measure(series: str, measure: str, epsilon: float, of: Measure, trials: int) -> Point:
    return Point(series, measure, "ε of a client-day", epsilon, of.estimate, of.low, of.high, trials)


def _ratio(over: str, under: str) -> Callable[[dict[str, float | None]], float]:
    """Divide one figure of `write_values` by another; NaN if one is missing."""

    def of(figures: dict[str, float | None]) -> float:
        a, b = figures[over], figures[under]
        return math.nan if a is None or not b else a / b

    return of


def _figure(name: str) -> Callable[[dict[str, float | None]], float]:
    return lambda figures: math.nan if (value := figures[name]) is None else value


MEASURES: Final = {
    "relative error": _ratio("rmse", "mean_abs_truth"),
    "error ÷ served se": _figure("rmse_over_se"),
    "coverage": _figure("coverage"),
    "served": _ratio("values", "rows"),
}
"""The measures of the errors of a feature."""
