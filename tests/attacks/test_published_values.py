"""A collector publishes values that were not opened, or somebody edits a store's values. The aggregators' signatures show it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aggregator.collect.collection import CollectedShares
from deployment.coordinator.announcement import Announcement
from deployment.coordinator.batches import CollectionOutcome
from deployment.coordinator.publication import evidence_of, items_of
from featurestore.define.release import Release, Void
from featurestore.online.rocks import RocksOnline
from featurestore.publish.publish import Publisher
from featurestore.publish.rebuild import rebuild_online
from federation.dating import Dating
from federation.opened_values import OpenedValues
from federation.release_signing import sign_release
from tests.aggregator.world import COLLECTOR, NOW, Site, make_plan, open_at, running, signed, view
from tests.covey.test_release_verify import Covey

PLAN = make_plan(view("v", 2), panes=2)


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> CollectedShares:
    """The opened values of two real services: one pane of two."""
    with running(tmp_path_factory.mktemp("roles")) as world:
        open_at(world.client, PLAN)
        world.client.submit(Site(PLAN, "a").batch([0, 0, 0, 1]).to_bytes())
        found = world.client.collect(PLAN, COLLECTOR)
    assert isinstance(found, CollectedShares)
    return found


def _publish(
    directory: Path, fetched: CollectedShares, change: Callable[[list[Release | Void]], list[Release | Void]]
) -> Path:
    """Publish as the collector, who holds its key and the evidence."""
    collected = CollectionOutcome(fetched.opened, fetched.statements, values=fetched.values)
    announced = Announcement(PLAN, signed(PLAN))
    items = list(items_of(announced, collected, COLLECTOR.sign, now=NOW, dating=Dating.REPLAY_DAYS, keeps_due=False))
    with Publisher(directory, lambda: NOW) as publisher:
        publisher.register(PLAN.views[0].view)
        publisher.publish(change(items), evidence_of(announced, collected))
    return directory


@pytest.fixture
def store(fetched: CollectedShares, tmp_path: Path) -> Path:
    return _publish(tmp_path, fetched, lambda items: items)


def _verify(store: Path) -> tuple[int, str]:
    command = [sys.executable, "-P", "-m", "covey", "release", "verify", "--all", "--store", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=_environment())
    return done.returncode, done.stdout + done.stderr


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "COLUMNS": "400"}


def test_a_collector_that_publishes_other_values_is_found(
    fetched: CollectedShares, store: Path, tmp_path: Path
) -> None:
    def more(items: list[Release | Void]) -> list[Release | Void]:
        return [
            sign_release(replace(one, slots=one.slots + 1000), COLLECTOR.sign) if isinstance(one, Release) else one
            for one in items
        ]

    assert _verify(store)[0] == 0
    code, said = _verify(_publish(tmp_path / "dishonest", fetched, more))
    assert code == 1
    assert "values: the leader signed sums of this pane that differ from the published sums" in said


def test_a_collector_cannot_sign_the_values_itself_nor_leave_them_out(
    covey: Covey, fetched: CollectedShares, tmp_path: Path
) -> None:
    def forged(items: list[Release | Void]) -> list[Release | Void]:
        changed: list[Release | Void] = []
        for one in items:
            if isinstance(one, Release):
                one = replace(one, slots=one.slots + 1)
                signed_by_me = [
                    OpenedValues(role, PLAN.hash, 0, (one.content_hash,)).sign(COLLECTOR.sign)
                    for role in ("leader", "helper")
                ]
                evidence.extend(signed_by_me)
                named = tuple(hashlib.sha256(value).hexdigest() for value in signed_by_me)
                one = sign_release(replace(one, manifest=replace(one.manifest, opened=named)), COLLECTOR.sign)
            changed.append(one)
        return changed

    def without(items: list[Release | Void]) -> list[Release | Void]:
        return [sign_release(replace(one, manifest=replace(one.manifest, opened=())), COLLECTOR.sign) for one in items]

    evidence: list[bytes] = []
    _publish(tmp_path / "forged", fetched, forged)
    with Publisher(tmp_path / "forged", lambda: NOW) as publisher:
        publisher.publish([], evidence)
    code, out, _ = covey("release", "verify", "--all", "--store", tmp_path / "forged")
    assert (code, "values: its signature is not valid" in out) == (1, True)
    code, out, _ = covey("release", "verify", "--all", "--store", _publish(tmp_path / "without", fetched, without))
    assert (code, "values: the signed values are missing" in out) == (1, True)


def _rewrite(store: Path, column: str, change: Callable[[pa.Array], pa.Array]) -> None:
    """Rewrite the Parquet file with valid checksums, set its size in the registry, and rebuild everything that follows from it."""
    offline = store / "store" / "offline"
    (path,) = offline.glob("v/v1/1970-01-01-*.parquet")
    table = pq.read_table(path)
    place = table.column_names.index(column)
    changed = table.set_column(place, table.schema.field(place), change(table.column(column).combine_chunks()))
    pq.write_table(changed, path, compression="zstd", write_statistics=False, write_page_checksum=True)
    with closing(sqlite3.connect(store / "store" / "registry.db")) as db, db:
        db.execute("UPDATE files SET bytes = ? WHERE path = ?", (path.stat().st_size, str(path.relative_to(offline))))
    rebuild_online(store)


def _one_more(values: pa.Array) -> pa.Array:
    return pa.array([values[0].as_py() + 1, *values[1:].to_pylist()], values.type)


def _one_more_slot(values: pa.Array) -> pa.Array:
    first, *rest = values.to_pylist()
    return pa.array([[first[0] + 1, *first[1:]], *rest], values.type)


def test_a_sum_that_was_edited_in_parquet_and_in_the_registry_is_found(covey: Covey, store: Path) -> None:
    """Sums, rows, sizes and content hash agree with each other. Only the signatures do not."""
    _rewrite(store, "slots", _one_more_slot)
    assert covey("release", "verify", "--all", "--store", store)[0] == 1  # the content hash differs
    (path,) = (store / "store" / "offline").glob("v/v1/1970-01-01-*.parquet")
    slots = np.array(pq.read_table(path).column("slots").to_pylist(), dtype="<i8")
    content = hashlib.sha256(b"release" + slots.tobytes()).digest()
    with closing(sqlite3.connect(store / "store" / "registry.db")) as db, db:
        db.execute("UPDATE panes SET content = ? WHERE opened", (content,))
    code, out, _ = covey("release", "verify", "--all", "--store", store)
    assert code == 1
    assert "values: the leader signed sums of this pane that differ from the published sums" in out


@pytest.mark.parametrize("column", ["n", "n__se"])
def test_a_decoded_value_that_was_edited_in_parquet_is_found(covey: Covey, store: Path, column: str) -> None:
    assert covey("store", "verify", "--store", store)[0] == 0
    _rewrite(store, column, _one_more)
    code, out, _ = covey("store", "verify", "--store", store)
    assert code == 1
    assert f"1 values of {column!r} do not follow from the sums" in out


def test_a_row_that_was_edited_in_the_online_store_is_found(covey: Covey, store: Path) -> None:
    online = RocksOnline.open_writer(store / "store" / "online")
    rows: list[Any] = [(key, value) for key, value in online._db.items() if key[4] == 1]
    key, value = rows[0]
    online._db[key] = np.float64(12345.0).tobytes() + value[8:]
    online._db.flush()
    online.close()
    code, out, _ = covey("store", "verify", "--store", store)
    assert code == 1
    assert "1 of 2 rows do not follow from offline/" in out


def test_a_block_that_was_edited_with_its_hash_is_found(covey: Covey, store: Path) -> None:
    blocks = store / "store" / "blocks"
    current = json.loads((blocks / "CURRENT.json").read_text())
    (entry,) = current["views"]
    path = blocks / entry["file"]
    data = path.read_bytes()
    with pa.ipc.open_file(pa.BufferReader(data)) as block:
        batch = block.get_batch(0)
    place = next(
        i for i, name in enumerate(batch.schema.names) if pa.types.is_fixed_size_list(batch.schema.field(i).type)
    )
    old = np.asarray(batch.column(place).flatten()).astype("<f8")
    assert old.tobytes() in data
    new = np.full_like(old, 7.0)
    path.write_bytes(data.replace(old.tobytes(), new.tobytes(), 1))
    entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (blocks / "CURRENT.json").write_text(json.dumps(current))
    code, out, _ = covey("store", "verify", "--store", store)
    assert code == 1
    assert entry["file"] in out
