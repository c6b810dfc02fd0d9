"""How often the interval of a prediction holds the prediction that exact features give, on the flights of 2013.

    python -m benchmarks.prediction_intervals [--worlds 30] [--moments 40]

The year is collected once without noise. Each world adds the noise of both aggregators at ε = 1 (δ = 1e-6, shared noise). Models
are trained by `covey train` in another world, on January to August; moments are those of the months after it. At each moment the
newest rows of all airlines are asked for, as a server reads them. Two intervals of 90 % are compared with the prediction from
exact features:

* from the noise: 39 copies of the released sums with fresh noise, where a pane's noise is in all windows and filters over it;
* feature by feature: the same copies, but each feature from another copy, as if windows had noise of their own.

Both have 0.8 and 0.95, too. The JSON line has `coverage_KIND`, `coverage_naive_KIND` (at 0.9), `width_KIND` (the median) and the
share of rows with an interval; then the cost, in a real store: `ms_per_row` with an interval, `ms_per_row_without` in batches of
64 rows, `ms_first` for a key that was not asked for in the epoch, and `ms_plan` to read the sums once an epoch.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from simulations.errors import DataMissing
from simulations.measuring import print_figures
from training.serving.arrays import Arrays
from training.serving.intervals.level import Level
from training.serving.kinds.runner import Runner

from .prediction_intervals_cost import cost
from .prediction_intervals_flights import KINDS, Flights, Rows

Floats = npt.NDArray[np.float64]
LEVELS: Final = (0.8, 0.9, 0.95)
MAIN: Final = 0.9


class Tally:
    """Rows with an interval, and how many of the intervals hold the exact prediction, by model and level."""

    def __init__(self) -> None:
        self.rows = 0
        self.held: dict[tuple[str, float], int] = defaultdict(int)
        self.held_naive: dict[tuple[str, float], int] = defaultdict(int)
        self.widths: dict[str, list[Floats]] = defaultdict(list)

    def add(self, runners: dict[str, Runner], rows: Rows, rng: np.random.Generator) -> None:
        """Count the rows of a moment that have an interval."""
        chosen = rows.sure
        if not chosen.any():
            return
        self.rows += int(chosen.sum())
        copies = rows.copies[:, chosen]
        mixed = np.stack([copies[rng.permutation(len(copies)), :, i] for i in range(copies.shape[2])], axis=2)
        for kind, runner in runners.items():
            exact = _predicted(runner, rows.exact[chosen])
            for found, held in ((copies, self.held), (mixed, self.held_naive)):
                values = _predicted(runner, found.reshape(-1, found.shape[2])).reshape(len(found), -1)
                for level in LEVELS:
                    low, high = Level.of(level).ends(values)
                    held[kind, level] += int(((low <= exact) & (exact <= high)).sum())
                    if level == MAIN and held is self.held:
                        self.widths[kind].append(high - low)

    def share(self, kind: str, level: float, *, naive: bool = False) -> float:
        """The coverage."""
        return (self.held_naive if naive else self.held)[kind, level] / self.rows


def _predicted(runner: Runner, x: Floats) -> Floats:
    arrays = Arrays(x.astype(np.float32), np.ones(x.shape, np.bool_), np.zeros(x.shape, np.float32))
    return runner.run(arrays).astype(np.float64)


def main() -> None:
    """Print the table, and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=30, help="noise seeds (default: 30)")
    parser.add_argument("--moments", type=int, default=40, help="moments of the test months (default: 40)")
    given = parser.parse_args()
    started = time.monotonic()
    try:
        flights = Flights.collect()
    except DataMissing as missing:
        sys.exit(str(missing))
    tally, rng, asked = Tally(), np.random.default_rng(0), 0
    with tempfile.TemporaryDirectory(prefix="covey-intervals-") as directory:
        runners = flights.train(list(KINDS), Path(directory))
        moments = flights.moments(given.moments)
        for rows in flights.worlds(range(given.worlds), moments, Level.of(MAIN).copies):
            tally.add(runners, rows, rng)
            asked += len(rows.sure)
        costs = cost(flights, Path(directory))
    if not tally.rows:
        sys.exit("no row has an interval; give more --moments")
    figures: dict[str, object] = {"worlds": given.worlds, "moments": given.moments, "rows": asked}
    figures["share_with_interval"] = round(tally.rows / asked, 3)
    for kind in KINDS:
        figures[f"coverage_{kind}"] = round(tally.share(kind, MAIN), 4)
        figures[f"coverage_naive_{kind}"] = round(tally.share(kind, MAIN, naive=True), 4)
        figures[f"width_{kind}"] = round(float(np.median(np.concatenate(tally.widths[kind]))), 4)
    _print(tally, asked)
    print_figures({**figures, **costs, "seconds": round(time.monotonic() - started)})


def _print(tally: Tally, asked: int) -> None:
    table = Table("model", *(f"{level}" for level in LEVELS), *(f"{level}, feature by feature" for level in LEVELS))
    for kind in KINDS:
        shares = (f"{tally.share(kind, level, naive=naive):.3f}" for naive in (False, True) for level in LEVELS)
        table.add_row(kind, *shares)
    table.title = f"Coverage of the prediction from exact features; {tally.rows:,} of {asked:,} rows have an interval"
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
