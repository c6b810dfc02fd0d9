"""Feast's side of `benchmarks.read_path`, run with the Python of Feast's own environment.

    python read_path_peer.py REPOSITORY ROWS.parquet VIEW KEY SERVICE PRECOMPUTED

Registers a view of the file's float columns in the repository, whose feature_store.yaml is there, and writes the rows into its
online store; `feast serve` serves them then. The view is also two feature services: a plain one, and one with
vectors that are precomputed, one for each key.
"""

import sys
from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.protos.feast.core.PrecomputedFeatureVector_pb2 import PrecomputedFeatureVector
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Bytes, Float64
from feast.value_type import ValueType


def main() -> None:
    """Register and write."""
    repository, file, name, key, service, with_vectors = sys.argv[1:]
    rows = pd.read_parquet(file)
    store = FeatureStore(repo_path=repository)
    entity = Entity(name=key, join_keys=[key], value_type=ValueType.STRING)
    view = FeatureView(
        name=name,
        entities=[entity],
        ttl=timedelta(0),  # none
        schema=[Field(name=column, dtype=Float64) for column in rows.columns if column not in (key, "event_timestamp")],
        source=FileSource(name=name, path=str(Path(file).absolute()), timestamp_field="event_timestamp"),
    )
    precomputed = FeatureService(name=with_vectors, features=[view], precompute_online=True)
    store.apply([entity, view, FeatureService(name=service, features=[view]), precomputed])
    store.write_to_online_store(name, rows)
    if isinstance(store._get_provider().online_store, RedisOnlineStore):
        done = store.precompute_feature_service(precomputed.name)
        if done != len(rows):
            raise SystemExit(f"Feast precomputed {done} of {len(rows)} vectors")
    else:
        precompute(store, view, key, precomputed.name, rows)


def precompute(store: FeatureStore, view: FeatureView, key: str, service: str, rows: pd.DataFrame) -> None:
    """Write the vectors that `precompute_feature_service` would write.

    Feast itself precomputes only for Redis, because it finds the keys by a scan; its reads take the vectors from any store.
    """
    names = [feature.name for feature in view.features]
    vectors = []
    for row in rows.to_dict("records"):
        entity_key = EntityKey(join_keys=[key], entity_values=[Value(string_val=row[key])])
        vector = PrecomputedFeatureVector(
            feature_names=[f"{view.name}__{name}" for name in names],
            values=[Value(double_val=row[name]) for name in names],
        )
        moment = row["event_timestamp"].to_pydatetime()
        vector.precomputed_at.FromDatetime(moment)
        blob = Value(bytes_val=vector.SerializeToString())
        vectors.append((entity_key, {"vector": blob}, moment, None))
    table = FeatureView(
        name=f"__precomputed__{service}", entities=[], schema=[Field(name="vector", dtype=Bytes)], source=None
    )
    online, config = store._get_provider().online_store, store.config
    online.update(config, [], [table], [], [], partial=True)
    online.online_write_batch(config, table, vectors, None)


if __name__ == "__main__":
    main()
