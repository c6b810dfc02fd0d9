"""The cost of privacy in accuracy, compared with the ideal mechanism, and the measured ε of an audit beside the claim.

    python -m benchmarks.privacy_error
    python -m benchmarks.privacy_error --plot FILE.png      # standard error against ρ and n, no measurement

Each statistic is collected alone at ε = 1, δ = 1e-6 a client-day. The reports of 10,000 clients with one event each are
computed, shared and added once; noise is drawn and opened many times, as for releases. The ideal is a trusted curator with one
Gaussian of zCDP and the whole ρ on the one number; the curator knows the number of clients.

* `hist64_ratio`: L1 error of a 64-cell histogram over the ideal's. A factor √2 comes from the noise of the second aggregator.
* `mean_ratio`: root mean square error of a mean of values in [0, 100]. √2/√0.7 is expected: the sum has 7/10 of ρ, and
  the count has the rest, because the number of clients is not public.
* `count_ratio`: root mean square error of a count.
* `coverage_min`, `coverage_max`: the share of served 95 % intervals that hold the exact value, given that a value is served: the
  least and the greatest over feature types, panes and windows, both mechanisms, and n from the limit of DROWNED up
  (`benchmarks.interval_coverage`).
* `audit_lower`, `audit_claimed`: the audit of `tests/audit` on a view of many features at ρ = 0.1: the largest lower
  bound on ε of a coalition with 99 % confidence, and the claimed ε.
"""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from crypto.noise import NOISE_KEY_BYTES, SecretNoise
from edge_client.compute import compute
from edge_client.events import make_events
from featurestore.define.decoded import Decoded, Status
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.epsilon import largest_micro_rho
from featurestore.define.feature import PaneFeature
from featurestore.define.kinds import Count, Histogram, Mean
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.values import decode
from federation.aggregation import Aggregation, open_shares
from federation.batch.reports import Reports
from federation.plan import Plan, PlannedView
from federation.sharding import shard
from federation.terms import Noise, Participation, Shares
from simulations.attacks.stage.panes import repeated
from simulations.attacks.statistics.bounds import gaussian_epsilon
from simulations.measuring import print_figures
from tests.audit.chain import Chain
from tests.audit.coalitions import COALITIONS, audit, exact_sums, repeated_plan
from tests.audit.worlds import WHOLE_VIEW, World

from .interval_coverage import extremes, measure, print_coverage

EPSILON, DELTA = 1.0, 1e-6
CLIENTS = 10_000
AUDIT_DRAWS = 100_000
COUNT = Count("n")
MEAN = Mean("x", clip=(0, 100))
HISTOGRAM = Histogram("x", edges=[100 * i / 64 for i in range(1, 64)])

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Error:
    """The error of a statistic.

    Attributes:
        ours: measured error.
        served: error according to `__se`.
        ideal: error of one Gaussian with the whole ρ of zCDP.
        tightest: error of one Gaussian with the least σ for this ε and δ.
    """

    ours: float
    served: float
    ideal: float
    tightest: float

    @property
    def ratio(self) -> float:
        """Return the error over the ideal error."""
        return self.ours / self.ideal


def main() -> None:
    """Print a table and one JSON line, or draw the plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy_error")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw standard error against ρ and n, and stop")
    plot: Path | None = parser.parse_args().plot
    if plot is not None:
        from benchmarks.privacy_plot import draw

        draw(plot)
        return
    errors = {"hist64": _histogram_error(), "mean": _mean_error(), "count": _count_error()}
    coverage = _coverage()
    made = audit(WHOLE_VIEW, Chain(), AUDIT_DRAWS)
    lower = max(made.attack(coalition, confidence=0.99, audits=len(COALITIONS)).best for coalition in COALITIONS)
    _print(errors)
    ratios = {f"{name}_ratio": round(error.ratio, 3) for name, error in errors.items()}
    figures = {
        "epsilon": EPSILON,
        "delta": DELTA,
        **ratios,
        **coverage,
        "errors": {name: {key: round(x, 5) for key, x in vars(error).items()} for name, error in errors.items()},
        "audit_lower": round(lower, 3),
        "audit_claimed": round(made.claimed, 3),
    }
    print_figures(figures)


def _coverage() -> dict[str, float]:
    """The extremes of the coverage of served intervals; prints it by feature and n."""
    measured = measure()
    print_coverage(measured)
    least, greatest = extremes(measured)
    return {"coverage_min": round(least, 4), "coverage_max": round(greatest, 4)}


def _histogram_error() -> Error:
    """L1 over the 64 cells; of Gaussian noise the mean of |x| is σ·√(2/π)."""
    error, se = _errors(HISTOGRAM, draws=1_000)
    l1 = HISTOGRAM.cells * math.sqrt(2 / math.pi)
    return Error(float(np.abs(error).sum(axis=1).mean()), l1 * se, l1 * _ideal_sigma(), l1 * _tightest_sigma())


def _mean_error() -> Error:
    """Root mean square; a client moves the sum of the values, each less the middle of its range, by half the range."""
    error, se = _errors(MEAN, draws=20_000)
    per_sigma = (MEAN.bounds[1] - MEAN.bounds[0]) / 2 / CLIENTS
    return Error(_rms(error), se, per_sigma * _ideal_sigma(), per_sigma * _tightest_sigma())


def _count_error() -> Error:
    """Root mean square."""
    error, se = _errors(COUNT, draws=20_000)
    return Error(_rms(error), se, _ideal_sigma(), _tightest_sigma())


def _rms(error: Floats) -> float:
    return float(np.sqrt(np.mean(error**2)))


def _errors(feature: PaneFeature, draws: int) -> tuple[Floats, float]:
    """float64[draws, cells]: released less exact, and the served standard error (its median)."""
    world = _collected(feature)
    (planned,) = world.plan.views
    plan = repeated_plan(world.plan, draws)
    leader, helper = repeated(world.leader, plan, draws), repeated(world.helper, plan, draws)
    from_leader = leader.noise(helper.commitment, SecretNoise(os.urandom(NOISE_KEY_BYTES)))
    from_helper = helper.noise(leader.commitment, SecretNoise(os.urandom(NOISE_KEY_BYTES)))
    (opened,) = open_shares(plan, from_leader, from_helper)

    def read(sums: npt.NDArray[np.int64]) -> Decoded:
        rows = sums[:, 0]  # one key
        return decode(planned.layout, feature, rows, np.full(len(rows), 2.0), np.zeros(len(rows), np.uint8))

    released, exact = read(opened.sums), read(exact_sums(world))
    if (released.status != Status.OK).any():
        raise SystemExit(f"{feature.name}: n is too small for its standard error to hold")
    error = (released.value - exact.value).astype(np.float64).reshape(draws, -1)
    return error, float(np.median(released.se))


def _collected(feature: PaneFeature) -> World:
    """One pane of one feature, computed, shared and added by the code of a collection."""
    view = FeatureView(
        "v",
        entity=Entity("area", value="all"),
        features=[feature],
        pane="1d",
        bounds=Bounds(max_cells=1, max_events_per_cell=1),
        privacy=Privacy(epsilon=EPSILON, delta=DELTA),
    )
    rng = np.random.default_rng(5)
    at = pa.array(np.zeros(CLIENTS, np.int64), pa.timestamp("us"))
    table = pa.table({"who": np.arange(CLIENTS), "t": at, "x": rng.uniform(0, 100, CLIENTS)})
    made = compute(view, make_events(table, "who", "t"))
    plan = Plan(
        os.urandom(16),
        (PlannedView(view, np.zeros(1, np.int64), CLIENTS),),
        Noise.FULL,
        Shares(participation=Participation.ALL),
    )
    leader, helper = Aggregation.start("leader", plan), Aggregation.start("helper", plan)
    for batch in Reports(0, np.zeros(CLIENTS, np.uint32), made.slots).batches():
        to_leader, to_helper = shard(plan, batch, os.urandom)
        leader, helper = leader.add(to_leader), helper.add(to_helper)
    return World(plan, leader.close(), helper.close())


def _ideal_sigma() -> float:
    """σ of sensitivity 1 at the ρ that ε and δ allow by zCDP: ρ = 1/2σ²."""
    return math.sqrt(10**6 / (2 * largest_micro_rho(Fraction(EPSILON), DELTA, 10**6)))


def _tightest_sigma() -> float:
    """The least σ of sensitivity 1 whose own ε at δ is EPSILON."""
    low, high = 0.1, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_epsilon(1 / middle, DELTA) > EPSILON else (low, middle)
    return high


def _print(errors: dict[str, Error]) -> None:
    table = Table(
        "error",
        "ours",
        "served",
        "ideal, zCDP",
        "ours ÷ ideal",
        "tightest Gaussian",
        title=f"{CLIENTS:,} clients, ε = {EPSILON:g} at δ = {DELTA:g}",
    )
    names = {"hist64": "64-cell histogram, L1", "mean": "mean in [0, 100], RMS", "count": "count, RMS"}
    for name, error in errors.items():
        figures = (f"{x:.4g}" for x in (error.ours, error.served, error.ideal))
        table.add_row(names[name], *figures, f"{error.ratio:.3f}", f"{error.tightest:.4g}")
    Console().print(table)


if __name__ == "__main__":
    main()
