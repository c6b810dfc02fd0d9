"""The cost of the MPC finish beyond adding two shares: seconds, by the number of cells, on this machine.

A cell has five slots: a ClientCount, a Count, a Mean and one more Count. Half of the cells are suppressed. `start` happens
once a run: three processes import PyTorch and CrypTen and connect. `finish` is the median of a few rounds.

    python -m benchmarks.mpc
"""

from __future__ import annotations

import os
import time
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from aggregator.mpc.finish import MpcFinish, mpc_parties
from crypto import field
from crypto.field_modulus import P
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Mean
from featurestore.define.privacy import Bounds, Privacy
from federation.aggregation import NoisedShares
from federation.commitment import Outcome
from federation.plan import Plan, PlannedView
from federation.terms import Finish, Noise, Shares
from simulations.measuring import print_figures

CELLS = (100, 1_000, 10_000, 100_000)
ROUNDS = 5
LIMIT = 20


def main() -> None:
    """Print a table, and one JSON line."""
    table = Table("cells", "values", "finish, s", "µs a cell", title="the MPC finish")
    figures: dict[str, float] = {}
    began = time.perf_counter()
    with mpc_parties() as finish:
        _seconds(finish, 1)
        figures["start_s"] = round(time.perf_counter() - began, 2)
        for cells in CELLS:
            taken = median(_seconds(finish, cells) for _ in range(ROUNDS))
            figures[f"finish_{cells}_cells_s"] = round(taken, 4)
            table.add_row(f"{cells:,}", f"{5 * cells:,}", f"{taken:.3f}", f"{taken / cells * 1e6:.0f}")
    console = Console()
    console.print(table)
    load = os.getloadavg()[0]
    console.print(f"start, once a run: {figures['start_s']:.1f} s; {os.cpu_count()} cores, load average {load:.1f}")
    print_figures(figures | {"cores": os.cpu_count(), "load": round(load, 1)})


def _seconds(finish: MpcFinish, cells: int) -> float:
    view = FeatureView(
        "v",
        entity=Entity("k", domain=range(cells)),
        features=[ClientCount("c"), Count("n"), Mean("x", clip=(0, 100), resolution=1), Count("m")],
        pane="1d",
        bounds=Bounds(1, 1),
        privacy=Privacy(rho=0.5, min_clients=2, suppress_below=LIMIT),
    )
    plan = Plan(bytes(16), (PlannedView(view, np.zeros(1, np.int64), 2),), Noise.FULL, Shares(finish=Finish.MPC))
    rng = np.random.default_rng(cells)
    sums = rng.integers(0, 2 * LIMIT, (1, cells * 5))
    leader: field.Elements = rng.integers(0, P, sums.shape, dtype=np.uint64)
    shares = leader, field.subtract(field.encode(sums), leader)
    opened = (np.array([Outcome.OPENED], np.uint8),)
    halves = (NoisedShares("leader", opened, shares[:1]), NoisedShares("helper", opened, shares[1:]))
    began = time.perf_counter()
    finish(plan, *halves, clients=2 * LIMIT)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
