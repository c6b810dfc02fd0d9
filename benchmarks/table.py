"""Lookups of a `FeatureTable`: against `index_select` on a plain tensor, and on a GPU against its copy bandwidth.

`table_gbps_fraction` (only on a GPU, else null) is the bytes a second that a compiled lookup reads and writes, over those of a
tensor copy on the same device. `table_cpu_fraction` is the time of a plain `index_select` over that of a lookup in one thread. It
shows the cost of the second half and of the index check.

    python -m benchmarks.table
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Histogram
from featurestore.define.privacy import Bounds, Privacy
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from simulations.measuring import medians, print_figures
from training.data.table import FeatureTable

KEYS = 200_000
CELLS = 64
CPU_LOOKUPS = 100_000
GPU_LOOKUPS = 4_000_000
TURNS = 20
NO_GPU = "no GPU on this machine: table_gbps_fraction is not measured"
VIEW = FeatureView(
    "numbers",
    entity=Entity("key", domain=range(KEYS)),
    features=[Histogram("x", edges=range(CELLS - 1))],
    pane="1d",
    bounds=Bounds(max_cells=1),
    privacy=Privacy(rho=0.5, min_clients=2),
)


def table_figures() -> dict[str, Any]:
    """Measure the figures by name; GPU figures are None without a GPU."""
    with tempfile.TemporaryDirectory(prefix="covey-bench-") as folder:
        with Publisher(Path(folder), lambda: 0) as publisher:
            publisher.register(VIEW)
        with Store.open(Path(folder)) as store:
            return _on_cpu(FeatureTable(store, ["numbers:x_hist"])) | _on_gpu(store)


def _on_cpu(table: FeatureTable) -> dict[str, Any]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        index = torch.randint(0, KEYS, (CPU_LOOKUPS,))
        plain = table.v[0].clone()
        looked_up, selected = medians(lambda: table(index), lambda: plain.index_select(0, index))
    finally:
        torch.set_num_threads(threads)
    return {
        "table_cpu_fraction": selected / looked_up,
        "table_cpu_gbps": 2 * 4 * CELLS * CPU_LOOKUPS / looked_up / 1e9,
    }


def _on_gpu(store: Store) -> dict[str, Any]:
    if not torch.cuda.is_available():
        return {"table_gbps_fraction": None, "table_gbps": None, "device": None}
    table = FeatureTable(store, ["numbers:x_hist"], "cuda")
    index = torch.randint(0, KEYS, (GPU_LOOKUPS,), device="cuda")
    compiled = torch.compile(table, fullgraph=True)
    looked_up = _gpu_seconds(lambda: compiled(index))
    source = torch.empty((GPU_LOOKUPS, CELLS), device="cuda")
    target = torch.empty_like(source)
    copied = _gpu_seconds(lambda: target.copy_(source))
    moved = 2 * source.nbytes
    return {
        "table_gbps_fraction": copied / looked_up,
        "table_gbps": moved / looked_up / 1e9,
        "device": torch.cuda.get_device_name(),
    }


def _gpu_seconds(work: Callable[[], object]) -> float:
    """Measure one call, by the clock of the device."""
    for _ in range(3):
        work()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    for _ in range(TURNS):
        work()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3 / TURNS


def main() -> None:
    """Print the figures, and one JSON line."""
    figures = table_figures()
    shown = Table("figure", "value")
    for name, value in figures.items():
        shown.add_row(name, "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value))
    out = Console()
    out.print(shown)
    if figures["device"] is None:
        out.print(NO_GPU)
    print_figures(figures)


if __name__ == "__main__":
    main()
