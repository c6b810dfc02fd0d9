"""The time of batches of a `FeatureDataset`, compared with plain copies of the same numbers.

    python -m benchmarks.trainer [--rows 2000000] [--batch 8192]

A store of 1,000 keys is joined to the labels, 12 numbers a row. Then all rows are read from the mapped cache, whose pages are in
memory. A piece of work is one pass over all rows in batches. The pieces take turns, and medians of wall seconds are compared;
reads of single rows run once. All passes copy the same bytes: x, se, mask and y of each row.

* `fraction_of_raw_arrow`: copying the columns of an Arrow table into [B, F], over our pass, in the labels' order.
* `fraction_of_memcpy`: copying each batch from row-major arrays into one buffer, over our pass.
* `shuffled_fraction`: `np.take` of the order in which we read, drawn beforehand, over our pass with shuffle.
* `workers2_fraction`: our pass without workers over the one with `num_workers=2`.
* `speedup_vs_rowwise`: rows a second, over those of a map-style dataset that reads each row from the store (`Store.reader`).
* `rows_per_second`, in the labels' order; `resident_mb`: the most anonymous memory that a pass adds to the process.

Only on a GPU; otherwise they are null, and a line says so:

* `table_gbps_fraction`: see `benchmarks.table`.
* `loader_stall_fraction`: the share of an epoch's seconds in which a training on the GPU waits for its next batch.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader, Dataset

from base.times import DAY_US
from benchmarks.table import table_figures
from covey.torch import FeatureDataset
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Histogram, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from simulations.measuring import WALL, medians, print_figures
from tests.featurestore.making import a_release

KEYS: Final = [f"k{i:03}" for i in range(1_000)]
DAYS: Final = 20
REFS: Final = ("sales:orders", "sales:paid_7d", "sales:late_7d", "sales:late", "sales:spent_hist_7d")
TURNS: Final = 7
ROWWISE: Final = 4_000
HIDDEN: Final = 256
GPU_ONLY: Final = ("table_gbps_fraction", "loader_stall_fraction")

Arrays = tuple[npt.NDArray[Any], ...]


def make_store(directory: Path) -> None:
    """A view with 12 numbers a row under REFS."""
    view = FeatureView(
        "sales",
        entity=Entity("key", domain=KEYS),
        features=[
            Count("orders"),
            Mean("paid", clip=(0, 100), name="paid"),
            Rate("late", where="delay >= 15"),
            Histogram("spent", edges=[0, 10, 20, 40, 80, 160, 320]),
        ],
        pane="1d",
        windows=["7d"],
        bounds=Bounds(max_cells=1),
        privacy=Privacy(rho=0.5, min_clients=2),
    )
    with Publisher(directory, lambda: 100 * DAY_US) as publisher:
        publisher.register(view)
        publisher.publish([a_release(view, i * DAY_US, 40 + i) for i in range(DAYS)])


def make_labels(rows: int) -> pa.Table:
    """Random keys at times that rise."""
    random = np.random.default_rng(0)
    times = np.sort(random.integers(8 * DAY_US, (DAYS + 1) * DAY_US, rows))
    return pa.table(
        {
            "key": pa.DictionaryArray.from_arrays(random.integers(0, len(KEYS), rows).astype(np.int32), KEYS),
            "at": pa.array(times, pa.timestamp("us", "UTC")),
            "bought": random.integers(0, 2, rows),
        }
    )


@dataclass(frozen=True, eq=False)
class Plain:
    """All rows as arrays, for those that copy without us: x, se float32[N, F], mask uint8[N, F], y float32[N]."""

    x: npt.NDArray[np.float32]
    se: npt.NDArray[np.float32]
    mask: npt.NDArray[np.uint8]
    y: npt.NDArray[np.float32]

    @classmethod
    def of(cls, dataset: FeatureDataset) -> Plain:
        """What a pass gives."""
        parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in ("x", "se", "mask", "y")}
        for batch in dataset:
            real = int(batch["weight"].sum())
            for name, into in parts.items():
                into.append(batch[name][:real].numpy())  # type: ignore[literal-required]
        x, se, mask, y = (np.concatenate(parts[name]) for name in ("x", "se", "mask", "y"))
        return cls(x, se, mask.view(np.uint8), y)

    @property
    def arrays(self) -> Arrays:
        """All of them."""
        return self.x, self.se, self.mask, self.y

    @property
    def bytes(self) -> int:
        """Of a pass."""
        return sum(array.nbytes for array in self.arrays)


def ours(dataset: FeatureDataset, workers: int = 0) -> None:
    """A pass of a DataLoader."""
    for _ in DataLoader(dataset, batch_size=None, num_workers=workers):
        pass


def raw_arrow(columns: list[list[npt.NDArray[Any]]], y: npt.NDArray[np.float32], size: int) -> None:
    """The columns of x, se and mask, as they lie in an Arrow table, into [B, F]."""
    for start in range(0, len(y), size):
        stop = min(start + size, len(y))
        for of_matrix in columns:
            into = np.empty((stop - start, len(of_matrix)), of_matrix[0].dtype)
            for j, column in enumerate(of_matrix):
                into[:, j] = column[start:stop]
        y[start:stop].copy()


def arrow_columns(plain: Plain) -> list[list[npt.NDArray[Any]]]:
    """The columns of an Arrow table of the same numbers, without a copy on the way out."""
    matrices: tuple[npt.NDArray[Any], ...] = (plain.x, plain.se, plain.mask)
    columns = {
        f"{m}.{j}": np.ascontiguousarray(matrix[:, j])
        for m, matrix in enumerate(matrices)
        for j in range(matrix.shape[1])
    }
    table = pa.table(columns)
    return [
        [table.column(f"{m}.{j}").chunk(0).to_numpy(zero_copy_only=True) for j in range(matrix.shape[1])]
        for m, matrix in enumerate(matrices)
    ]


def memcpy(arrays: Arrays, size: int) -> None:
    """Rows of arrays into one buffer, again and again."""
    buffers = [np.empty((size, *array.shape[1:]), array.dtype) for array in arrays]
    for start in range(0, len(arrays[0]), size):
        stop = min(start + size, len(arrays[0]))
        for array, buffer in zip(arrays, buffers, strict=True):
            buffer[: stop - start] = array[start:stop]


def taken(arrays: Arrays, order: npt.NDArray[np.int64], size: int) -> None:
    """Rows of arrays in an order."""
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        for array in arrays:
            np.take(array, rows, axis=0)


class Rowwise(Dataset[tuple[torch.Tensor, torch.Tensor, float]]):
    """A dataset that reads the store for each item, as without a joined cache."""

    def __init__(self, store: Store, labels: pa.Table) -> None:
        self._reader = store.reader(REFS)
        self._keys, self._y = labels["key"].to_pylist(), labels["bought"].to_pylist()

    def __len__(self) -> int:
        """Labels."""
        return len(self._y)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor, float]:
        """The newest vector of the label's key, its errors, the target."""
        vectors = self._reader.read({"key": [self._keys[i]]})
        row = np.hstack([np.ravel(one) for one in vectors.values[0]])
        return torch.from_numpy(row.astype(np.float32)), torch.zeros(len(row)), float(self._y[i])


def seconds_of(work: dict[str, Callable[[], None]]) -> dict[str, float]:
    """By name the median seconds of TURNS turns, after one that does not count."""
    return dict(zip(work, medians(*work.values(), clock=WALL, turns=TURNS), strict=True))


def anonymous_mb() -> float:
    """Memory of this process that is no mapped file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def resident_mb(dataset: FeatureDataset) -> float:
    """How much more there is at most in a pass than before it."""
    before = anonymous_mb()
    return max(anonymous_mb() - before for _ in _every(10, iter(dataset)))


def _every(step: int, batches: Iterator[object]) -> Iterator[object]:
    return (batch for i, batch in enumerate(batches) if i % step == 0)


def main() -> None:
    """Print the table and, last, one JSON object."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=2_000_000)
    options.add_argument("--batch", type=int, default=8_192)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="covey-trainer-") as name:
        scratch = Path(name)
        make_store(scratch / "store")
        labels = make_labels(given.rows)
        with Store.open(scratch / "store") as store:
            figures = measured(store, labels, scratch / "cache", given.batch)
    print_figures(figures)


def measured(store: Store, labels: pa.Table, cache: Path, size: int) -> dict[str, float | None]:
    """All figures."""
    asked: dict[str, Any] = {
        "labels": labels, "features": REFS, "time": "at", "target": "bought", "batch_size": size, "cache_dir": cache,
    }  # fmt: skip
    start = time.perf_counter()
    plain_order = FeatureDataset(store, **asked)
    joined_s = time.perf_counter() - start
    shuffled = FeatureDataset(store, **asked, shuffle=True)
    resident = {"in order": resident_mb(plain_order), "shuffled": resident_mb(shuffled)}
    plain, rows = Plain.of(plain_order), labels.num_rows
    columns = arrow_columns(plain)
    order = np.concatenate([batch["meta"]["row"][batch["weight"] > 0].numpy() for batch in shuffled])
    seconds = seconds_of(
        {
            "ours": lambda: ours(plain_order),
            "arrow columns into [B, F]": lambda: raw_arrow(columns, plain.y, size),
            "memcpy": lambda: memcpy(plain.arrays, size),
            "ours, shuffled": lambda: ours(shuffled),
            "np.take": lambda: taken(plain.arrays, order, size),
        }
    )
    # by themselves: a fork write-protects the memory of what comes after it
    forked = seconds_of({"without": lambda: ours(plain_order), "with": lambda: ours(plain_order, workers=2)})
    seconds["ours, num_workers=2"] = forked["with"]
    start = time.perf_counter()
    for _ in DataLoader(Rowwise(store, labels.slice(0, ROWWISE)), batch_size=size):
        pass
    rowwise = (time.perf_counter() - start) / ROWWISE
    show(seconds | {"a read a row": rowwise * rows}, plain.bytes, rows, joined_s)
    return {
        "fraction_of_raw_arrow": round(seconds["arrow columns into [B, F]"] / seconds["ours"], 2),
        "fraction_of_memcpy": round(seconds["memcpy"] / seconds["ours"], 2),
        "shuffled_fraction": round(seconds["np.take"] / seconds["ours, shuffled"], 2),
        "workers2_fraction": round(forked["without"] / forked["with"], 3),
        "speedup_vs_rowwise": round(rowwise * rows / seconds["ours"]),
        "rows_per_second": round(rows / seconds["ours"]),
        "rows_per_second_shuffled": round(rows / seconds["ours, shuffled"]),
        "resident_mb": round(resident["in order"], 1),
        "resident_mb_shuffled": round(resident["shuffled"], 1),
        "join_seconds": round(joined_s, 1),
        **on_a_gpu(shuffled),
    }


def on_a_gpu(dataset: FeatureDataset) -> dict[str, float | None]:
    """The figures of a GPU; null where there is none."""
    if not torch.cuda.is_available():
        print(f"no GPU on this machine: {' and '.join(GPU_ONLY)} were not measured", file=sys.stderr)
        return dict.fromkeys(GPU_ONLY)
    stall_fraction(dataset, "cuda")  # what is compiled and allocated at first does not count
    return dict(zip(GPU_ONLY, (table_figures()["table_gbps_fraction"], stall_fraction(dataset, "cuda")), strict=True))


def stall_fraction(dataset: FeatureDataset, device: str) -> float:
    """Waiting for batches, over all of an epoch's training of a model of two layers; a step has ended before the next begins."""
    model = torch.nn.Sequential(
        torch.nn.Linear(len(dataset.feature_names), HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 1)
    ).to(device)
    optimizer = torch.optim.Adam(model.parameters())
    batches = iter(DataLoader(dataset, batch_size=None, pin_memory=device == "cuda"))
    waited, start = 0.0, time.perf_counter()
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        waited += time.perf_counter() - asked
        if batch is None:
            return waited / (time.perf_counter() - start)
        x, y, weight = (part.to(device, non_blocking=True) for part in (batch["x"], batch["y"], batch["weight"]))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], y, weight)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss.item()  # waits for the device


def show(seconds: dict[str, float], size: int, rows: int, joined_s: float) -> None:
    """Print what each way takes."""
    table = Table(
        "a pass over all rows",
        "s",
        "GB/s",
        "rows/s",
        title=f"{rows:,} rows, {size / 1e6:,.0f} MB; joined in {joined_s:.1f} s",
    )
    for name, taken_s in seconds.items():
        table.add_row(name, f"{taken_s:.3f}", f"{size / taken_s / 1e9:.2f}", f"{rows / taken_s:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
