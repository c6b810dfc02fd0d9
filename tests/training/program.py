"""A store whose counts determine a label, and a configuration that trains on it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.layout import layout_of
from featurestore.define.services import FeatureService
from featurestore.publish.publish import Publisher
from tests.featurestore.making import DAY, HOUR, a_release, a_view

DAYS = 40
DESTS = ["ATL", "LAX", "SFO"]

CONFIG: dict[str, dict[str, Any]] = {
    "": {"name": "late", "store": "."},
    "labels": {"file": "labels.parquet", "time": "at", "target": "late", "columns": ["distance"]},
    "features": {"refs": ["traffic:flights", "everywhere:flights"]},
    "split": {"valid_from": "1970-01-26", "test_from": "1970-01-31"},
    "model": {"kind": "linear", "epochs": 20, "batch_size": 256, "learning_rate": 0.05},
}


def traffic(**given: Any) -> FeatureView:
    usual: dict[str, Any] = {"entity": Entity("dest", domain=DESTS), "features": [Count("flights")]}
    return a_view("traffic", **(usual | {"pane": "1d", "windows": [], **given}))


def everywhere() -> FeatureView:
    return a_view("everywhere", entity=Entity("area", value="NYC"), features=[Count("flights")], pane="1d", windows=[])


def make_store(directory: Path, seed: int = 0, noise: str = "none") -> np.ndarray:
    """The counts int64[DAYS, dests] of the view. `late` follows from them and from the distance.

    Args:
        noise: "full": the manifests say that the sums have noise.
    """
    rng = np.random.default_rng(seed)
    view, area = traffic(), everywhere()
    counts = rng.integers(20, 200, (DAYS, len(DESTS)))
    slots = layout_of(view).slots_per_key
    with Publisher(directory, lambda: 100 * DAY) as publisher:
        for one in (view, area):
            publisher.register(one)
        publisher.register_services([FeatureService("vector", ["everywhere:flights", "traffic:flights"])])
        publisher.publish(
            [
                replace(a_release(view, i * DAY, noise=noise), slots=counts[i].reshape(-1, 1).repeat(slots, 1))
                for i in range(DAYS)
            ]
        )
        publisher.publish([a_release(area, i * DAY, 5 + i, noise=noise) for i in range(DAYS)])
    return counts


def make_labels(directory: Path, counts: np.ndarray, rows: int = 3000, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed + 1)
    day, dest = rng.integers(1, DAYS, rows), rng.integers(0, len(DESTS), rows)
    distance = rng.integers(100, 1000, rows).astype(float)
    order = np.argsort(day, kind="stable")
    day, dest, distance = day[order], dest[order], distance[order]
    odds = (counts[day - 1, dest] - 110) / 20 + (distance - 550) / 200
    at = day * DAY + HOUR + rng.integers(0, 20 * HOUR, rows)
    table = pa.table(
        {
            "dest": [DESTS[i] for i in dest],
            "at": pa.array(at, pa.timestamp("us", "UTC")),
            "known": pa.array(at + 6 * HOUR, pa.timestamp("us", "UTC")),
            "distance": distance,
            "late": rng.random(rows) < 1 / (1 + np.exp(-odds)),
            "delay": 3 * odds + rng.normal(size=rows),
        }
    )
    pq.write_table(table, directory / "labels.parquet")
    return table


def write_config(directory: Path, name: str = "late.toml", **sections: dict[str, Any]) -> Path:
    """CONFIG with other keys; None removes a key."""
    lines = []
    for section in dict.fromkeys([*CONFIG, *sections]):
        values = CONFIG.get(section, {}) | sections.get(section, {})
        lines += [f"[{section}]"] if section else []
        lines += [f"{key} = {_toml(key, value)}" for key, value in values.items() if value is not None]
    path = directory / name
    path.write_text("\n".join(lines) + "\n")
    return path


def _toml(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {json.dumps(one)}" for name, one in value.items()) + "}"
    if key.endswith("_from") and isinstance(value, str):
        return value
    return json.dumps(value)
