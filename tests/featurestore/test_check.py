"""`covey store verify` names every damaged file, and `rebuild-online` restores what follows from the other files."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.define.keys import encode_key
from featurestore.define.services import FeatureService
from featurestore.errors import StoreCorrupt, StoreInUse, StoreNotFound
from featurestore.online.blocks import CURRENT, open_blocks
from featurestore.online.rocks import RocksOnline
from featurestore.publish.publish import Publisher
from featurestore.publish.rebuild import rebuild_online
from featurestore.publish.verify import CheckReport, check_store
from featurestore.store import Store

from .making import DAY
from .valkey import Valkey
from .whole_store import KEYS, REFS, fill


def answer(directory: Path) -> pa.Table:
    with Store.open(directory, clock=lambda: 2 * DAY) as store:
        return store.get(FeatureService("all", REFS), KEYS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole")
    fill(directory)
    return directory


@pytest.fixture(params=["blocks", "stored"])
def store(made: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of the store, with the rows in blocks or in the online store only."""
    directory = tmp_path / "copy"
    shutil.copytree(made, directory)
    if request.param == "stored":
        (directory / "covey.toml").write_text("[online]\nblock_mib = 0\n")
        rebuild_online(directory)
    return directory


def damaged(directory: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in check_store(directory).damaged:
        found[one.path] = f"{found[one.path]}; {one.what}" if one.path in found else one.what
    return found


def flip(path: Path, at: int | None = None) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def test_a_whole_store_has_nothing_damaged_and_is_not_changed(store: Path) -> None:
    before = {path: path.read_bytes() for path in (store / "store").rglob("*.parquet")}
    told: list[tuple[str, int, int]] = []
    checked = check_store(store, lambda *given: told.append(given))
    assert checked == CheckReport(checked.files, ())
    assert checked.files >= 8 + len(before)
    assert ("delays@v1", 4, 4) in told
    assert ("online rows", 4, 4) in told
    assert before == {path: path.read_bytes() for path in (store / "store").rglob("*.parquet")}


@pytest.mark.parametrize("damage", [flip, cut, empty, Path.unlink], ids=["flip", "cut", "empty", "delete"])
@pytest.mark.parametrize("file", ["offline/delays/*/*.parquet", "blocks/many-*.arrow", "blocks/CURRENT.json"])
def test_a_file_that_is_damaged_is_named(store: Path, file: str, damage: Callable[[Path], None]) -> None:
    path = sorted((store / "store").glob(file))[0]
    if path.name == CURRENT and damage is flip:
        flip(path, 5)  # in the middle may be the hash of a block, and then the block is named
    else:
        damage(path)
    assert set(damaged(store)) == {str(path.relative_to(store / "store"))}


def test_any_bit_of_a_parquet_file_that_matters_is_noticed(made: Path, tmp_path: Path) -> None:
    directory = tmp_path / "copy"
    shutil.copytree(made, directory)
    path = sorted((directory / "store/offline/many").rglob("*.parquet"))[0]
    whole, table = path.read_bytes(), pq.read_table(path)
    unnoticed = 0
    for at in np.random.default_rng(5).choice(len(whole), 60, replace=False).tolist():
        flip(path, at)
        if not damaged(directory):
            unnoticed += 1
            assert pq.read_table(path).equals(table), at
        path.write_bytes(whole)
    assert unnoticed < 20


@pytest.mark.parametrize("file", ["offline/delays/x.parquet", "offline/x", "blocks/many-v1-00000099.arrow", "online/x"])
def test_a_foreign_file_is_named(store: Path, file: str) -> None:
    (store / "store" / file).write_bytes(b"x")
    assert set(damaged(store)) == {file}


def test_a_parquet_file_of_the_same_size_with_other_sums_is_named(store: Path) -> None:
    path = next((store / "store/offline/area").rglob("*.parquet"))
    table = pq.read_table(path)
    slots = pa.array(
        [[4] * table.schema.field("slots").type.list_size] * table.num_rows, table.schema.field("slots").type
    )
    pq.write_table(table.set_column(table.schema.get_field_index("slots"), "slots", slots), path)
    with closing(sqlite3.connect(store / "store/registry.db")) as registry, registry:
        registry.execute("UPDATE files SET bytes = ? WHERE path LIKE 'area/%'", (path.stat().st_size,))
    found = damaged(store)
    assert set(found) == {str(path.relative_to(store / "store"))}
    assert "differ from the published ones" in next(iter(found.values()))


@pytest.mark.parametrize("damage", [flip, cut, empty, shutil.rmtree], ids=["flip", "cut", "empty", "delete"])
def test_a_damaged_rocksdb_is_named_and_rebuilt(store: Path, damage: Callable[[Path], None]) -> None:
    before, folder = answer(store), store / "store/online"
    with Publisher(store, lambda: 0):  # the content of the log goes into a table file
        pass
    if damage is shutil.rmtree:
        shutil.rmtree(folder)
    else:
        damage(max(folder.glob("*.sst"), key=lambda path: path.stat().st_size))
    assert set(damaged(store)) == {"online"}
    assert rebuild_online(store) == ["area", "delays", "empty", "many"]
    assert damaged(store) == {}
    assert answer(store).equals(before)
    assert not list((store / "store").glob("online.*"))


def test_online_rows_that_are_not_the_newest_of_offline_are_named_by_key(store: Path) -> None:
    writer = RocksOnline.open_writer(store / "store/online")
    found = writer.get(2, 3, [encode_key((7, True))])[0]
    assert found is not None
    from rocksdict import WriteBatch

    batch = WriteBatch(raw_mode=True)
    batch.put(b"\x00\x00\x00\x02\x01" + encode_key((7, True)), found[:8] + bytes([found[8] ^ 1]) + found[9:])
    writer._db.write(batch)
    writer.close()
    assert damaged(store) == {
        "online": "view 'many': 1 of 600 rows do not follow from offline/, for example the row of (7, True)"
    }
    rebuild_online(store)
    assert damaged(store) == {}


def test_a_block_that_is_whole_but_of_other_rows_is_named(store: Path) -> None:
    folder = store / "store/blocks"
    current = json.loads((folder / CURRENT).read_bytes())
    entries = {entry["view"]: entry for entry in current["views"]}
    entries["delays"] |= {name: entries["empty"][name] for name in ("file", "bytes", "sha256")}
    (folder / CURRENT).write_text(json.dumps(current))
    assert f"blocks/{entries['empty']['file']}" in damaged(store)
    rebuild_online(store)
    assert damaged(store) == {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data["views"].pop(), "lists no block of many@v1"),
        (lambda data: data["views"].append(data["views"][0] | {"view": "foreign"}), "'foreign', which is not a view"),
        (lambda data: data["services"].clear(), "services differ from those of the registry"),
        (lambda data: data["served"].clear(), "the served versions differ from those of the registry"),
        (lambda data: data.update(format=0), "another format"),
    ],
)
def test_what_current_json_names_is_checked_against_the_registry(
    store: Path, change: Callable[[Any], None], says: str
) -> None:
    before, path = answer(store), store / "store/blocks" / CURRENT
    data = json.loads(path.read_bytes())
    change(data)
    path.write_text(json.dumps(data))
    found = damaged(store)
    assert says in found.pop(f"blocks/{CURRENT}")
    rebuild_online(store)
    assert damaged(store) == {}
    assert answer(store).equals(before)
    assert set(json.loads(path.read_bytes())["services"]) == {"model"}


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE manifests SET json = replace(json, 'shares', 'nothing')", "manifest 1 does not have its hash"),
        ("UPDATE evidence SET data = x'00' WHERE rowid = 1", "does not have its hash"),
        (
            "UPDATE definitions SET data = x'00' WHERE view_id = (SELECT id FROM versions WHERE name = 'many')",
            "a definition of view 'many' cannot be read",
        ),
        ("UPDATE versions SET name = 'any' WHERE name = 'many'", "a definition of view 'any' does not have its hash"),
        (
            "UPDATE collections SET hash = zeroblob(32) WHERE name = 'many'",
            "version 1 of view 'many' does not have the hash of its collection",
        ),
        (
            "UPDATE versions SET definition_hash = zeroblob(32) WHERE name = 'many'",
            "version 1 of view 'many' does not name its newest definition",
        ),
        ("UPDATE schedule SET served_since = NULL WHERE name = 'many'", "view 'many' serves no version"),
        ("DELETE FROM schedule WHERE name = 'many'", "version 1 of view 'many' is not in the schedule"),
        ("UPDATE services SET refs = '[1]'", "feature service 'model' cannot be read"),
        ("DELETE FROM publications WHERE seq = 2", "refer to missing rows of publications"),
        (
            "UPDATE panes SET reason = 'OTHER' WHERE reason = 'BUDGET_SPENT'",
            "its reason differs from the published one",
        ),
        (
            "UPDATE panes SET release_id = zeroblob(16) WHERE pane_start = 0 AND collection_id = 2",
            "its id belongs to another",
        ),
        ("DELETE FROM files WHERE path LIKE 'many/%'", "its sums are missing"),
    ],
)
def test_a_registry_that_was_changed_is_named(store: Path, statement: str, says: str) -> None:
    with closing(sqlite3.connect(store / "store/registry.db")) as registry, registry:
        registry.execute(statement)
    assert says in damaged(store)["registry.db"]


@pytest.mark.parametrize("damage", [flip, cut, empty, Path.unlink], ids=["flip", "cut", "empty", "delete"])
def test_a_registry_that_is_torn_is_named_and_cannot_be_rebuilt(store: Path, damage: Callable[[Path], None]) -> None:
    path = store / "store/registry.db"
    (pages, size) = (path.stat().st_size // 4096, 4096)
    damage(path) if damage is not flip else [flip(path, page * size + 3) for page in range(1, pages)]
    assert set(damaged(store)) == {"registry.db"}


def test_rebuilding_from_a_damaged_parquet_file_is_refused_and_changes_nothing(store: Path) -> None:
    before = answer(store)
    cut(sorted((store / "store/offline/delays").rglob("*.parquet"))[-1])
    with pytest.raises(StoreCorrupt, match=r"\.parquet"):
        rebuild_online(store)
    assert answer(store).equals(before)


def test_readers_go_on_while_the_online_rows_are_rebuilt(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, blocks = answer(store), open_blocks(store)
    first = blocks.snapshot
    put, seen = RocksOnline.put, []

    def reading(self: RocksOnline, *given: Any) -> None:
        put(self, *given)
        seen.append(answer(store).equals(before))
        blocks.refresh()
        seen.append(blocks.snapshot is first)

    monkeypatch.setattr(RocksOnline, "put", reading)
    rebuild_online(store)
    assert seen == [True] * 2 * 3
    assert blocks.refresh()
    assert blocks.snapshot.epoch == first.epoch + 1
    held = first.find("many").rows(KEYS, 3)  # a reader of the old epoch continues to read it
    fresh = blocks.snapshot.find("many").rows(KEYS, 3)
    assert held.numbers[held.place].tobytes() == fresh.numbers[fresh.place].tobytes()
    assert answer(store).equals(before)


def test_rows_in_another_server_are_checked_and_put_again(valkey: Valkey, tmp_path: Path) -> None:
    (tmp_path / "covey.toml").write_text(valkey.toml(7, block_mib=0))
    fill(tmp_path)
    before = answer(tmp_path)
    with valkey.client(7) as client:
        assert damaged(tmp_path) == {}
        row = next(key for key in client.scan_iter("covey:*:2}:3:*"))
        client.set(row, b"other")
        where = f"redis://127.0.0.1:{valkey.port}/7"
        assert "1 of 600 rows do not follow" in damaged(tmp_path)[where]
        client.flushdb()
        assert "view 'delays'" in damaged(tmp_path)[where]
        rebuild_online(tmp_path)
        assert damaged(tmp_path) == {}
        assert answer(tmp_path).equals(before)
        client.flushdb()


def test_neither_runs_beside_a_publication(store: Path) -> None:
    with Publisher(store, lambda: 0):
        with pytest.raises(StoreInUse):
            check_store(store)
        with pytest.raises(StoreInUse):
            rebuild_online(store)
    assert damaged(store) == {}


def test_there_must_be_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound):
        check_store(tmp_path)
    with pytest.raises(StoreNotFound):
        rebuild_online(tmp_path)
