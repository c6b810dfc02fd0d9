"""Readers that go on while a view evolves, as a process: `python -m tests.deployment.evolving.readers KINDS PROJECT URL FOLDER PAUSE`.

Each reader writes every answer that differs from the one before as a line of FOLDER/<kind>.jsonl, an error as a text. The file
FOLDER/stop ends them.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from base.times import DAY_US, from_us

from .expected import COLUMNS, LABEL_DAYS, PINNED_COLUMNS, SHOPS

REFS = [*(f"visits:{name}" for name in COLUMNS), *(f"visits@v1:{name}" for name in PINNED_COLUMNS)]
NAMES = [ref.replace(":", "__") for ref in REFS]


def labels(first_day: int) -> pa.Table:
    """A label of each shop at noon of each day."""
    rows = [
        {"shop": shop, "at": from_us((first_day + day) * DAY_US) + timedelta(hours=12), "y": 1.0}
        for day in LABEL_DAYS
        for shop in SHOPS
    ]
    return pa.Table.from_pylist(rows)


def http_reader(_project: Path, url: str, _folder: Path, _first_day: int) -> Callable[[], Any]:
    import httpx

    client = httpx.Client(timeout=30)
    body = {"features": REFS, "entities": {"shop": list(SHOPS)}, "full_feature_names": True}

    def read() -> Any:
        answer = client.post(f"{url}/get-online-features", json=body).raise_for_status().json()
        found = dict(zip(answer["metadata"]["feature_names"], answer["results"], strict=True))
        return [found[name]["values"] for name in NAMES]

    return read


def feast_reader(_project: Path, url: str, folder: Path, _first_day: int) -> Callable[[], Any]:
    from tests import quick_feast

    quick_feast.load()
    from feast import FeatureStore, RepoConfig

    config = RepoConfig(
        project="covey",
        provider="local",
        registry=str(folder / "feast.db"),
        online_store={"type": "remote", "path": url},
        entity_key_serialization_version=3,
    )
    client = FeatureStore(config=config)

    def read() -> Any:
        found = client.get_online_features(REFS, [{"shop": shop} for shop in SHOPS], full_feature_names=True).to_dict()
        return [found[name] for name in NAMES]

    return read


def join_reader(project: Path, _url: str, _folder: Path, first_day: int) -> Callable[[], Any]:
    from featurestore.store import Store

    store, given = Store.open(project), labels(first_day)

    def read() -> Any:
        found = store.join(given, REFS, "at", full_names=True).read_all()
        return [found[name].to_pylist() for name in NAMES]

    return read


def trainer(project: Path, _url: str, folder: Path, first_day: int) -> Callable[[], Any]:
    from covey.torch import FeatureDataset

    given = labels(first_day)

    def read() -> Any:
        dataset = FeatureDataset(
            str(project),
            labels=given,
            features=REFS,
            time="at",
            target="y",
            max_missing=1,
            batch_size=7,
            cache_dir=folder / "cache",
        )
        columns: list[list[float | None]] = [[] for _ in REFS]
        for batch in dataset:
            for x, mask, weight in zip(batch["x"], batch["mask"], batch["weight"], strict=True):
                if weight:
                    for column, value, there in zip(columns, x.tolist(), mask.tolist(), strict=True):
                        column.append(value if there else None)
        return columns

    return read


KINDS = {"http": http_reader, "feast": feast_reader, "join": join_reader, "trainer": trainer}


def read_until_stopped(read: Callable[[], Any], file: Path, stop: Path, pause_s: float) -> None:
    last, reads, pause = None, 0, threading.Event()
    with file.open("w", buffering=1) as out:
        while not stop.exists():
            try:
                answer = read()
            except Exception as error:  # noqa: BLE001 - the test counts them
                answer = repr(error)
            reads += 1
            if answer != last:
                out.write(json.dumps(answer) + "\n")
                last = answer
            pause.wait(pause_s)
    file.with_suffix(".reads").write_text(str(reads))


def main(kinds: str, project: str, url: str, first_day: str, folder: str, pause_s: str) -> None:
    where, threads = Path(folder), []
    for kind in kinds.split(","):
        read = KINDS[kind](Path(project), url, where, int(first_day))
        arguments = (read, where / f"{kind}.jsonl", where / "stop", float(pause_s))
        threads.append(threading.Thread(target=read_until_stopped, args=arguments))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
