"""Feast's side of `benchmarks.read_path`, run with the Python of Feast's own environment.

    python read_path_peer.py REPOSITORY ROWS.parquet VIEW KEY

Registers a view of the file's float columns in the repository, whose feature_store.yaml is there, and writes the rows into its
online store; `feast serve` serves them then.
"""

import sys
from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.types import Float64
from feast.value_type import ValueType


def main() -> None:
    """Register and write."""
    repository, file, name, key = sys.argv[1:]
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
    store.apply([entity, view])
    store.write_to_online_store(name, rows)


if __name__ == "__main__":
    main()
