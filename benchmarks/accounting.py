"""ε at δ of discrete Gaussian noise as Covey states it, over the exact one, beside two accountants of dp-accounting.

    python -m benchmarks.accounting

The exact ε is computed here from the definition. If the sums of a client move by v₁ … v_s, the privacy loss of an answer is
Σ vᵢ(2xᵢ + vᵢ)/2σᵢ² with xᵢ drawn as the noise. It lies on a lattice, on which the probabilities of the parts are convolved in
float64 without rounding a loss, and δ(ε) is the sum of P(loss)·(1 − e^(ε − loss)) over the losses above ε. The noise is cut at 14σ.

* `epsilon_over_exact_min`, `epsilon_over_exact_max`: a fixed list (`schedule_epsilon`), σ of at least 8.
* `ledger_over_exact_min`, `ledger_over_exact_max`: charges chosen one after the other (`ledger_epsilon`), σ of at least 8.
* `small_over_exact_…`: the same for σ from 1 to 7.
* `zcdp_over_exact_max`, `pld_over_exact_max`: the peers, over all σ: the RDP accountant, and the PLD accountant with
  connect-the-dots at its default interval.
* `ms`, `pld_ms`: the median time of one call that is not cached.
* `definition_ms`: the median time of a definition whose price is an ε, from its parts to its ρ, σ of at least 8.
* `explain_ten_views_s`: the time of `covey explain --json` for ten such views.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from dp_accounting.pld import privacy_loss_distribution as pld
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.signal import fftconvolve  # type: ignore[import-untyped]  # SciPy has no types

from featurestore.define.accounting import (
    Moves,
    ledger_epsilon,
    merged,
    rounded_micro_rho_of,
    schedule_epsilon,
)
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.epsilon import epsilon_of
from featurestore.define.kinds import Count, Histogram, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from simulations.measuring import print_figures

Floats = npt.NDArray[np.float64]
CUT = 14
"""σ at which the exact sum cuts the noise: more has probability below 10⁻⁴²."""
DELTAS = (1e-5, 1e-6, 1e-9)
LEAST_SIGMA = 8
LISTS: dict[str, tuple[Moves, ...]] = {
    f"σ {sigma}, {', '.join(f'{count} × {size}' for size, count in moved)}": tuple(
        Moves(Fraction(sigma) ** 2, size, count) for size, count in moved
    )
    for sigma in (1, 2, 3, 5, 8, 12, 20, 50)
    for moved in (((1, 1),), ((3, 1),), ((1, 9),), ((1, 30),), ((3, 4), (1, 4)), ((8, 2),))
    if sigma >= moved[0][0] / 4
} | {
    "two views, σ 12 and 20": (Moves(Fraction(144), 5, 3), Moves(Fraction(400), 2, 10)),
    "three features, σ² 70, 90, 1001/11": (
        Moves(Fraction(70), 1, 6),
        Moves(Fraction(90), 2, 6),
        Moves(Fraction(91), 4, 2),
    ),
    "30 days, σ 40": (Moves(Fraction(1600), 5, 30),),
}


TEN_VIEWS = """
from covey import *
views = [
    FeatureView(
        f"v{i}", entity=Entity("k", domain=range(50)), pane="1d", bounds=Bounds(3 + i),
        features=[Count("n"), Mean("x", clip=(0, 100)), Rate("r", where="x > 1"), Histogram("y", edges=list(range(20)))],
        privacy=Privacy(epsilon=1.0),
    )
    for i in range(10)
]
globals().update({view.name: view for view in views})
"""


@dataclass(frozen=True)
class Case:
    """One list of charges at one δ.

    Attributes:
        ms, pld_ms: time of `schedule_epsilon` and of the PLD accountant.
    """

    name: str
    delta: float
    least_sigma: float
    exact: float
    fixed: float
    ledger: float
    zcdp: float
    composed: float
    ms: float
    pld_ms: float


def main() -> None:
    """Print a table and one JSON line."""
    schedule_epsilon((Moves(Fraction(4), 1, 1),), 1e-5)  # imports
    cases = [
        _measured(name, moves, delta) for name, moves in track(LISTS.items(), "Lists of charges") for delta in DELTAS
    ]
    _print(cases)
    large, small = ([c for c in cases if (c.least_sigma >= LEAST_SIGMA) is wanted] for wanted in (True, False))
    print_figures(
        {
            **_range("epsilon_over_exact", [c.fixed / c.exact for c in large]),
            **_range("ledger_over_exact", [c.ledger / c.exact for c in large]),
            **_range("small_over_exact", [c.fixed / c.exact for c in small]),
            **_range("small_ledger_over_exact", [c.ledger / c.exact for c in small]),
            "zcdp_over_exact_max": round(max(c.zcdp / c.exact for c in cases), 6),
            "pld_over_exact_max": round(max(c.composed / c.exact for c in cases), 6),
            "ms": round(statistics.median(c.ms for c in cases), 2),
            "pld_ms": round(statistics.median(c.pld_ms for c in cases), 2),
            "definition_ms": round(_definition_ms(), 2),
            "explain_ten_views_s": round(_explain_s(), 2),
        }
    )


def exact_epsilon(moves: tuple[Moves, ...], delta: float) -> float:
    """The least ε at δ of these moves, by sums over the lattice of privacy losses; to ten digits."""
    loss, probability = _losses(moves)

    def delta_at(epsilon: float) -> float:
        above = loss > epsilon
        return float(-(probability[above] * np.expm1(epsilon - loss[above])).sum())

    low, high = 0.0, float(loss[-1])
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_at(middle) > delta else (low, middle)
    return high


def _losses(moves: tuple[Moves, ...]) -> tuple[Floats, Floats]:
    """The privacy losses in increasing order, and their probabilities. A step of one xᵢ changes the loss by vᵢ/σᵢ²."""
    steps = [Fraction(one.size) / one.sigma_sq for one in moves]
    common = math.lcm(*(step.denominator for step in steps))
    unit = Fraction(math.gcd(*(int(step * common) for step in steps)), common)
    probability, first, shift = np.ones(1), 0, Fraction(0)
    for one, step in zip(moves, steps, strict=True):
        stride, reach = int(step / unit), math.ceil(CUT * math.sqrt(one.sigma_sq))
        noise = np.exp(-(np.arange(-reach, reach + 1.0) ** 2) / (2 * float(one.sigma_sq)))
        spread = np.zeros(2 * reach * stride + 1)
        spread[::stride] = noise / noise.sum()
        for _ in range(one.count):
            probability = _convolved(probability, spread)
            first -= reach * stride
            shift += Fraction(one.size**2) / (2 * one.sigma_sq)
    loss = (first + np.arange(len(probability), dtype=np.float64)) * float(unit) + float(shift)
    return loss, probability


def _convolved(a: Floats, b: Floats) -> Floats:
    """Directly where that is quick: an FFT has an absolute error of about 10⁻¹⁷, which matters beside a small δ."""
    direct = np.count_nonzero(b) * len(a) < 2**26
    if not direct:
        return np.asarray(np.clip(fftconvolve(a, b), 0, None))
    total = np.zeros(len(a) + len(b) - 1)
    for at in np.flatnonzero(b):
        total[at : at + len(a)] += a * b[at]
    return total


def _measured(name: str, moves: tuple[Moves, ...], delta: float) -> Case:
    start = time.perf_counter()
    fixed = schedule_epsilon(merged(moves), delta)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    composed = _by_pld(moves, delta)
    theirs = time.perf_counter() - start
    micro_rho = sum(math.ceil(10**6 * one.delta2_sq / (2 * one.sigma_sq)) for one in moves)
    return Case(
        name,
        delta,
        min(math.sqrt(one.sigma_sq) for one in moves),
        exact_epsilon(moves, delta),
        fixed,
        ledger_epsilon(micro_rho, rounded_micro_rho_of(moves), sum(one.count for one in moves), delta),
        epsilon_of(micro_rho, delta),
        composed,
        ours * 1e3,
        theirs * 1e3,
    )


def _definition_ms() -> float:
    taken = []
    for number in range(20):
        start = time.perf_counter()
        FeatureView(
            "v",
            entity=Entity("k", domain=range(5)),
            features=[Count("n"), Rate("r", where="x > 1"), Histogram("x", edges=[1, 2]), Mean("y", clip=(0, 100))],
            pane="1d",
            bounds=Bounds(4),
            privacy=Privacy(epsilon=1 + number / 100),
        )
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e3


def _explain_s() -> float:
    with tempfile.TemporaryDirectory() as folder:
        views = Path(folder, "views.py")
        views.write_text(TEN_VIEWS)
        start = time.perf_counter()
        command = [sys.executable, "-m", "covey", "explain", str(views), "--store", folder, "--json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def _by_pld(moves: tuple[Moves, ...], delta: float) -> float:
    parts = [
        pld.from_discrete_gaussian_mechanism(math.sqrt(one.sigma_sq), one.size, use_connect_dots=True).self_compose(
            one.count
        )
        for one in moves
    ]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.compose(part)
    return float(whole.get_epsilon_for_delta(delta))


def _range(name: str, ratios: list[float]) -> dict[str, float]:
    return {f"{name}_min": math.floor(min(ratios) * 1e9) / 1e9, f"{name}_max": math.ceil(max(ratios) * 1e6) / 1e6}


def _print(cases: list[Case]) -> None:
    table = Table("charges", "δ", "exact ε", "fixed list", "ledger", "zCDP", "PLD", "ms", "PLD ms")
    for case in cases:
        ratios = (f"{x / case.exact:.4f}" for x in (case.fixed, case.ledger, case.zcdp, case.composed))
        table.add_row(
            case.name, f"{case.delta:.0e}", f"{case.exact:.4f}", *ratios, f"{case.ms:.1f}", f"{case.pld_ms:.0f}"
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
