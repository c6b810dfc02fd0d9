"""The cost of privacy in accuracy, compared with the ideal mechanism, and the measured ε of an audit beside the claim.

    python -m benchmarks.privacy_error
    python -m benchmarks.privacy_error --plot FILE.png      # standard error against ρ and n, no measurement

Each statistic is collected alone at ε = 1, δ = 1e-6 a client-day, once with `noisers="each"` and once with `noisers="shared"`.
The reports of 10,000 clients with one event each are computed, shared and added once; noise is drawn and opened many times, as
for releases. The ideal is a trusted curator with one exact Gaussian: the least σ whose ε at δ is 1 (the analytic Gaussian
mechanism: Balle and Wang 2018, Theorem 8), all of it on the one number; the curator knows the number of clients.

* `hist64_over_exact_each`, `hist64_over_exact_shared`: L1 error of a 64-cell histogram over the ideal's. Under `each` a factor
  √2 comes from the noise of the second aggregator: the stated ε holds against one of them, too.
* `mean_over_exact_…`: root mean square error of a mean of values in [0, 100]. A factor 1/√0.7 comes from the count, which has
  3/10 of ρ, because the number of clients is not public.
* `count_over_exact_…`: root mean square error of a count.
* `coverage_min`, `coverage_max`: the share of served 95 % intervals that hold the exact value, given that a value is served: the
  least and the greatest over feature types, panes and windows, both mechanisms, and n from the limit of DROWNED up
  (`benchmarks.interval_coverage`).
* `audit_…`: the audit of `tests/audit` on a view of many features at ρ = 0.1, of a client-day and of seven: the largest lower
  bound on ε with 99 % confidence, and the claimed ε, for outsiders and for one aggregator.
"""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import dataclass
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
from featurestore.define.feature import PaneFeature
from featurestore.define.kinds import Count, Histogram, Mean
from featurestore.define.privacy import NOISER_CHOICES, Bounds, Noisers, Privacy
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
from tests.audit.coalitions import COALITIONS, Audit, audit, exact_sums, repeated_plan
from tests.audit.worlds import SHARED_WHOLE_VIEW, WHOLE_VIEW, World

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
        ideal: error of one Gaussian with the least σ for this ε and δ.
    """

    ours: float
    served: float
    ideal: float

    @property
    def ratio(self) -> float:
        """Return the error over the ideal error."""
        return self.ours / self.ideal


Errors = dict[tuple[str, Noisers], Error]
Shown = dict[tuple[Noisers, str, int], tuple[float, float]]
"""By noisers, attacker and days: the lower bound on ε, and the claimed ε."""


def main() -> None:
    """Print a table and one JSON line, or draw the plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy_error")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw standard error against ρ and n, and stop")
    plot: Path | None = parser.parse_args().plot
    if plot is not None:
        from benchmarks.privacy_plot import draw

        draw(plot)
        return
    kinds = {"hist64": _histogram_error, "mean": _mean_error, "count": _count_error}
    errors = {(name, noisers): one(noisers) for noisers in NOISER_CHOICES for name, one in kinds.items()}
    coverage = _coverage()
    shown = _shown("each", audit(WHOLE_VIEW, Chain(), AUDIT_DRAWS))
    shown |= _shown("shared", audit(SHARED_WHOLE_VIEW, Chain(), AUDIT_DRAWS))
    _print_errors(errors)
    _print_shown(shown)
    figures = {
        "epsilon": EPSILON,
        "delta": DELTA,
        **{f"{name}_over_exact_{noisers}": round(error.ratio, 3) for (name, noisers), error in errors.items()},
        **coverage,
        "errors": {
            f"{name}_{noisers}": {key: round(x, 5) for key, x in vars(error).items()}
            for (name, noisers), error in errors.items()
        },
        **{
            f"audit_{noisers}_{who}_{days}d": {"lower": round(lower, 3), "claimed": round(claimed, 3)}
            for (noisers, who, days), (lower, claimed) in shown.items()
        },
    }
    print_figures(figures)


def _coverage() -> dict[str, float]:
    """The extremes of the coverage of served intervals; prints it by feature and n."""
    measured = measure()
    print_coverage(measured)
    least, greatest = extremes(measured)
    return {"coverage_min": round(least, 4), "coverage_max": round(greatest, 4)}


def _histogram_error(noisers: Noisers) -> Error:
    """L1 over the 64 cells; of Gaussian noise the mean of |x| is σ·√(2/π)."""
    error, se = _errors(HISTOGRAM, noisers, draws=1_000)
    l1 = HISTOGRAM.cells * math.sqrt(2 / math.pi)
    return Error(float(np.abs(error).sum(axis=1).mean()), l1 * se, l1 * _ideal_sigma())


def _mean_error(noisers: Noisers) -> Error:
    """Root mean square; a client moves the sum of the values, each less the middle of its range, by half the range."""
    error, se = _errors(MEAN, noisers, draws=20_000)
    per_sigma = (MEAN.bounds[1] - MEAN.bounds[0]) / 2 / CLIENTS
    return Error(_rms(error), se, per_sigma * _ideal_sigma())


def _count_error(noisers: Noisers) -> Error:
    """Root mean square."""
    error, se = _errors(COUNT, noisers, draws=20_000)
    return Error(_rms(error), se, _ideal_sigma())


def _shown(noisers: Noisers, made: Audit) -> Shown:
    """The bounds of an audit. They hold together, those of the other audit not counted."""
    figures: Shown = {}
    for days in (1, 7):
        found = {one: made.attack(one, days, confidence=0.99, audits=2 * len(COALITIONS)).best for one in COALITIONS}
        for who, coalitions in (("outsiders", COALITIONS[:1]), ("aggregator", COALITIONS[1:])):
            bound = max(found[one] for one in coalitions)
            figures[noisers, who, days] = bound, made.claimed(coalitions[0], days)
    return figures


def _rms(error: Floats) -> float:
    return float(np.sqrt(np.mean(error**2)))


def _errors(feature: PaneFeature, noisers: Noisers, draws: int) -> tuple[Floats, float]:
    """float64[draws, cells]: released less exact, and the served standard error (its median)."""
    world = _collected(feature, noisers)
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


def _collected(feature: PaneFeature, noisers: Noisers) -> World:
    """One pane of one feature, computed, shared and added by the code of a collection."""
    view = FeatureView(
        "v",
        entity=Entity("area", value="all"),
        features=[feature],
        pane="1d",
        bounds=Bounds(max_cells=1, max_events_per_cell=1),
        privacy=Privacy(epsilon=EPSILON, delta=DELTA, noisers=noisers),
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
    """The least σ of one Gaussian of sensitivity 1 whose ε at δ is EPSILON."""
    low, high = 0.1, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_epsilon(1 / middle, DELTA) > EPSILON else (low, middle)
    return high


def _print_errors(errors: Errors) -> None:
    title = f"{CLIENTS:,} clients, ε = {EPSILON:g} at δ = {DELTA:g}"
    table = Table("error", "noisers", "ours", "served", "one exact Gaussian", "ours ÷ ideal", title=title)
    names = {"hist64": "64-cell histogram, L1", "mean": "mean in [0, 100], RMS", "count": "count, RMS"}
    for (name, noisers), error in errors.items():
        figures = (f"{x:.4g}" for x in (error.ours, error.served, error.ideal))
        table.add_row(names[name], noisers, *figures, f"{error.ratio:.3f}")
    Console().print(table)


def _print_shown(shown: Shown) -> None:
    table = Table(
        "noisers", "attacker", "days", "ε shown (99 %)", "ε claimed", title="a view of five features, ρ = 0.1"
    )
    for (noisers, who, days), figures in shown.items():
        table.add_row(noisers, who, str(days), *(f"{x:.3f}" for x in figures))
    Console().print(table)


if __name__ == "__main__":
    main()
