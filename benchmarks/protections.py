"""The cost of each protection by the length of a report: the table of docs/protections.md, and one JSON line.

    python -m benchmarks.protections [--slots 1000 10000 100000] [--clients 100] [--bits 16]

Each report has a count of `--bits` bits at each join key, and three counts are not zero; the cost does
not depend on their positions. The measurement is that of `covey lab compare`: CPU time in a new process for each protection,
with all parties one after the other. If reports are long, fewer clients report (`WORK` of
`simulations.reports.comparison.cost`); the column `reports` shows their number.
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.console import Console

from crypto.sharing import SparseRows
from deployment.printing.console import progress_bars
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.privacy import Bounds, Privacy
from federation.batch.reports import Reports
from simulations.measuring import print_figures
from simulations.reports.comparison.compare import ProtectionResult, measure_all
from simulations.reports.comparison.cost import work_of
from simulations.reports.comparison.text import figures_of, in_short

FILLED = 3
HEADERS = ("slots", "protection", "reports", "upload", "client", "server", "set up", "open", "memory", "max. error")


def main() -> None:
    """Print the table as it stands in docs/protections.md, and one JSON line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.protections")
    parser.add_argument("--slots", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--bits", type=int, default=16)
    options = parser.parse_args()
    measured = {}
    with progress_bars(Console(stderr=True)) as progress:
        for slots in options.slots:
            view = counts(slots, options.bits)
            work = work_of(view, np.zeros(1, np.int64), reports_of(view, options.clients), options.clients)
            measured[slots] = measure_all(work, progress=progress)
    print("\n".join(table(measured)), end="\n\n")
    rows = {str(slots): [figures_of(one) for one in compared] for slots, compared in measured.items()}
    figures = {"clients": options.clients, "bits": options.bits, "slots": rows}
    print_figures(figures)


def counts(slots: int, bits: int) -> FeatureView:
    """A view of one count, of so many join keys."""
    return FeatureView(
        f"counts_{slots}",
        entity=Entity("key", domain=range(slots)),
        features=[Count("events")],
        pane="1d",
        bounds=Bounds(FILLED, 2**bits - 1),
        privacy=Privacy(rho=0.1),
    )


def reports_of(view: FeatureView, clients: int) -> Reports:
    """One report of each client, at random keys."""
    rng, keys = np.random.default_rng(7), len(view.entity.domain)
    columns = np.concatenate([np.sort(rng.choice(keys, FILLED, replace=False)) for _ in range(clients)])
    values = rng.integers(1, view.bounds.max_events_per_cell, len(columns), endpoint=True)
    starts = np.arange(clients + 1, dtype=np.int64) * FILLED
    return Reports(0, np.zeros(clients, np.uint32), SparseRows(starts, columns.astype(np.int32), values, keys))


def table(measured: dict[int, tuple[ProtectionResult, ...]]) -> list[str]:
    """Markdown: a line a length and protection."""
    lines = [f"| {' | '.join(HEADERS)} |", "|" + "---|" * len(HEADERS)]
    for slots, compared in measured.items():
        for one in compared:
            cells = in_short(one) if one.cost else (f"skipped: {one.skipped}",)
            lines.append(f"| {slots:,} | {one.protection.name} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
