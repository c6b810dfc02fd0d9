"""A small store, labels for it, and the expected content of a dataset of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Histogram, Rate
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from tests.featurestore.making import HOUR, a_release, a_view, fill

AREA = a_view("area", entity=Entity("area", value="NYC"), windows=[], features=[Count("all")])
SPREAD = a_view(
    "spread", windows=[], features=[Histogram("delay", edges=[0, 15]), Rate("late", where="delay >= 15", derive=True)]
)
PANES = 40
FEATURES = ("delays:flights_3h", "spread:delay_hist", "area:all", "delays:late")
WIDTH = 1 + 3 + 1 + 1 + 1


def make_store(directory: Path) -> Path:
    """Three views over PANES hours; pane i holds i + 1 everywhere."""
    for view in (a_view(ttl="2d"), SPREAD, AREA):
        fill(directory, view, PANES)
    return directory


def publish_more(directory: Path, panes: int = 2) -> None:
    """Publish the panes after the existing ones."""
    with Publisher(directory, lambda: 100 * 24 * HOUR) as publisher:
        publisher.publish([a_release(AREA, (PANES + i) * HOUR, 1_000) for i in range(panes)])


def make_labels(rows: int, **more: Any) -> pa.Table:
    """Labels over the store's panes; `destination` holds the key `dest`."""
    random = np.random.default_rng(rows)
    columns: dict[str, Any] = {
        "destination": random.choice(["ATL", "LAX"], rows),
        "at": pa.array(np.sort(random.integers(4 * HOUR, PANES * HOUR, rows)), pa.timestamp("us", "UTC")),
        "late": random.integers(0, 2, rows) == 1,
        "distance": pa.array(random.uniform(0, 9, rows), mask=random.random(rows) < 0.1),
    }
    return pa.table(columns | more)


def dataset_arguments(tmp_path: Path, labels: Any, **more: Any) -> dict[str, Any]:
    """The arguments for a FeatureDataset of the store."""
    usual: dict[str, Any] = {
        "labels": labels,
        "features": FEATURES,
        "time": "at",
        "target": "late",
        "rename": {"dest": "destination"},
        "constants": {"area": "NYC"},
        "columns": ["distance"],
        "batch_size": 16,
        "cache_dir": tmp_path / "cache",
    }
    return usual | more


def expected(directory: Path, labels: pa.Table) -> tuple[Any, Any, Any]:
    """(x, se, mask) of all rows, through the public join, one value at a time."""
    given = labels.rename_columns({"destination": "dest"})
    with Store.open(directory) as store:
        joined = store.join(given, FEATURES, "at", full_names=True).read_all()
    x: list[list[float]] = [[] for _ in range(labels.num_rows)]
    se: list[list[float]] = [[] for _ in range(labels.num_rows)]
    mask: list[list[bool]] = [[] for _ in range(labels.num_rows)]
    for ref in (*FEATURES, None):
        name = "distance" if ref is None else ref.replace(":", "__")
        errors = [0.0] * labels.num_rows if ref is None else joined[f"{name}__se"].to_pylist()
        width = 3 if ref == "spread:delay_hist" else 1
        for i, (value, error) in enumerate(zip(joined[name].to_pylist(), errors, strict=True)):
            cells = value if isinstance(value, list) else [value] * width
            cells = cells if value is not None else [None] * width
            x[i] += [0.0 if cell is None else float(cell) for cell in cells]
            se[i] += [0.0 if cell is None else error for cell in cells]
            mask[i] += [cell is not None for cell in cells]
    return np.array(x, np.float32), np.array(se, np.float32), np.array(mask)
