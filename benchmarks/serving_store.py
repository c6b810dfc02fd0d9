"""The store of `benchmarks.serving`: the rows of `benchmarks.read_path`, and a network that reads them, under several names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from featurestore.publish.publish import Publisher
from featurestore.store import Store
from training.lineage import pinned, views_of

from .read_path_servers import KEYS, REFS, make_store

MODEL: Final = "late"
UNBATCHED: Final = "late_unbatched"
FLOODED: Final = "demand"
"""The same network, under names with other settings."""
MODELS: Final = (MODEL, UNBATCHED, FLOODED)
COLUMNS: Final = ("distance", "hour")
FLOOD_RATE: Final = 200
"""The rows a second that the flooded model may compute."""
_SETTINGS: Final = f"""
[serving.{UNBATCHED}]
max_batch = 1

[serving.{FLOODED}]
rate = {FLOOD_RATE}
"""


def make_serving_store(folder: Path) -> str:
    """Make the store with its models; returns an API key of it."""
    api_key = make_store(folder, _SETTINGS)
    network = _network()
    with Store.open(folder) as store:
        refs = pinned(store, REFS)
        lineage: dict[str, Any] = {
            "kind": "exported", "features": refs, "columns": COLUMNS, "names": [*refs, *COLUMNS], "constants": {},
            "views": views_of(store, refs), "views_file_sha256": None,
        }  # fmt: skip
    with Publisher(folder, lambda: 0) as publisher:
        for name in MODELS:
            publisher.register_model(name, {"model.pt2": network}, json.dumps(lineage))
    (folder.parent / "model.pt2").write_bytes(network)
    return api_key


def _network() -> bytes:
    """The network of `examples/late_model.toml`, with weights of a seed, as `covey train` exports it."""
    import torch

    from training.fit.epochs import exported
    from training.fit.model import Baseline, Scaling

    width = len(REFS) + len(COLUMNS)
    torch.manual_seed(0)
    mean, scale = np.array([50.0] * len(REFS) + [1_500.0, 12.0]), np.array([30.0] * len(REFS) + [800.0, 7.0])
    scaling = Scaling(mean, scale, 0.0, 1.0)
    return exported(Baseline(scaling, [32, 16], "binary", mask=True, se=False), width)


def requests_of(rows: int, count: int) -> list[bytes]:
    """So many requests of random keys and columns, the same in every run."""
    random, keys = np.random.default_rng(rows), np.array(KEYS)
    return [orjson.dumps({"entities": _entities(random, keys, rows)}) for _ in range(count)]


def reads_of(requests: list[bytes], service: str) -> list[bytes]:
    """The reads of the features of the same rows."""
    keys = [orjson.loads(one)["entities"]["key"] for one in requests]
    return [orjson.dumps({"feature_service": service, "entities": {"key": one}}) for one in keys]


def _entities(random: np.random.Generator, keys: Any, rows: int) -> dict[str, Any]:
    return {
        "key": random.choice(keys, rows).tolist(),
        "distance": random.integers(100, 3_000, rows).astype(float).tolist(),
        "hour": random.integers(0, 24, rows).astype(float).tolist(),
    }
