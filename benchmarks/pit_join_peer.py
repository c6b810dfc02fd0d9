"""Feast's point-in-time join, run by `benchmarks.pit_join` with the Python of Feast's own environment.

    python pit_join_peer.py OFFLINE_STORE FOLDER KEY TTL_SECONDS VIEW…

FOLDER has labels.parquet and <view>.parquet; the joined labels are written there to <offline store>.parquet. The last line
printed is JSON: `seconds` from labels on disk to joined labels on disk (imports and registration do not count), `peak_mb`.
"""

import json
import sys
import time
from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, FileSource, RepoConfig
from feast.value_type import ValueType


def main() -> None:
    """Register the files, join, write."""
    kind, folder, key, ttl = sys.argv[1], Path(sys.argv[2]).absolute(), sys.argv[3], timedelta(seconds=int(sys.argv[4]))
    names = sys.argv[5:]
    registry = folder / f"{kind}.registry.db"
    registry.unlink(missing_ok=True)
    config = RepoConfig(
        project="peer",
        provider="local",
        registry=str(registry),
        online_store={
            "type": "sqlite",
            "path": str(registry.with_name("online.db")),
        },  # by default: data/ where it runs
        offline_store={"type": kind},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    entity = Entity(name=key, join_keys=[key], value_type=ValueType.STRING)
    views = []
    for name in names:
        source = FileSource(name=name, path=str(folder / f"{name}.parquet"), timestamp_field="released_at")
        views.append(FeatureView(name=name, entities=[entity], ttl=ttl, source=source))
    store.apply([entity, *views])
    features = [f"{name}:{field.name}" for name in names for field in store.get_feature_view(name).features]
    started = time.perf_counter()
    labels = pd.read_parquet(folder / "labels.parquet")
    joined = store.get_historical_features(entity_df=labels, features=features, full_feature_names=True).to_df()
    joined.to_parquet(folder / f"{kind}.parquet")
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "peak_mb": peak / 1024}))


if __name__ == "__main__":
    main()
