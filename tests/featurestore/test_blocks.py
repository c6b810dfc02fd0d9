from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from featurestore.define.decoded import Status
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Histogram, Mean
from featurestore.define.layout import layout_of
from featurestore.define.release import Release
from featurestore.define.wire import definition_hash
from featurestore.errors import BadReference, UnknownVersion, UnknownView
from featurestore.online.blocks import CURRENT, open_blocks
from featurestore.online.view_rows import FORMAT, Block, ViewRows
from featurestore.publish.publish import Publisher
from featurestore.store import Store

from .making import DAY, HOUR, a_release, a_view, a_void, fill, manifest_of

VIEW = a_view()


class Crash(Exception):
    """A power cut."""


class CrashBeforeBlocks(Publisher):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._blocks.switch = self._crash  # type: ignore[method-assign]

    def _crash(self, *_: Any) -> None:
        raise Crash


def folder(directory: Path) -> Path:
    return directory / "store" / "blocks"


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in folder(directory).iterdir())


def current(directory: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder(directory) / CURRENT).read_bytes())
    return data


def flights(view: ViewRows) -> list[float]:
    values: list[float] = block_of(view).numbers[:, view.columns["flights"].start].tolist()
    return values


def block_of(view: ViewRows) -> Block:
    assert isinstance(view, Block)
    return view


def places(view: ViewRows, keys: dict[str, Any], count: int) -> list[int]:
    found: list[int] = view.rows(keys, count).place.tolist()
    return found


def publish(directory: Path, *items: Any, kind: type[Publisher] = Publisher) -> None:
    with kind(directory, lambda: DAY) as publisher:
        publisher.publish(items)


def test_a_block_holds_what_get_returns_and_a_last_row_for_every_other_key(tmp_path: Path) -> None:
    features = [
        *VIEW.features,
        Histogram("delay", edges=[0, 15]),
        Mean("delay", clip=(-60, 180)),
        ClientCount("planes"),
    ]
    view = a_view(
        entity=Entity(["dest", "hour", "hub"], product(["ATL", "a\x00b"], [-5, 7], [True])), features=features
    )
    layout, random = layout_of(view), np.random.default_rng(3)
    slots = random.integers(-50, 300, size=(4, layout.keys, layout.slots_per_key))
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(view)
        publisher.publish(
            [
                Release(
                    manifest_of(view, "discrete-gaussian"), i * HOUR, (i + 1) * HOUR, (i + 2) * HOUR, 0, "live", one
                )
                for i, one in enumerate(slots)
            ]
        )
    block = block_of(open_blocks(tmp_path).snapshot.find("delays"))
    keys = {name: [key[i] for key in view.entity.domain] for i, name in enumerate(view.entity.keys)}
    assert places(block, keys, 4) == [0, 1, 2, 3]
    with Store.open(tmp_path) as store:
        names = [column.name for column in block.header.columns if column.kind in ("value", "list")]
        got = store.get([f"delays:{name}" for name in names], keys)
        coverage = store.history("delays").column("coverage_3h").to_pylist()[-4:]
    for column in block.columns.values():
        cells = block.numbers[:, column.start : column.start + column.width]
        if column.end is not None:  # an interval is not stored: it follows from the value and its standard error
            ends = column.end.interval.bounds(cells, block.numbers[:, column.end.se_at])
            cells = ends[0 if column.kind == "lo" else 1]
        assert np.isnan(cells[-1]).all()
        if column.kind == "status":
            assert column.status is not None
            mine: list[Any] = [Status(code).name for code in block.status[:-1, column.status].tolist()]
        elif column.is_list:
            mine = [None if np.isnan(row).any() else row for row in cells[:-1].tolist()]
        else:
            mine = [None if np.isnan(value) else value for value in cells[:-1, 0].tolist()]
        assert mine == (coverage if column.kind == "coverage" else got.column(column.name).to_pylist()), column
    assert (block.status[-1] == Status.NOT_FOUND).all()
    assert not block.numbers.flags.writeable


def test_places_are_minus_one_for_null_and_unknown_keys(tmp_path: Path) -> None:
    view = a_view(entity=Entity(["dest", "hour"], product(["ATL", "LAX"], [0, 1])))
    fill(tmp_path, view, 1)
    block = open_blocks(tmp_path).snapshot.find("delays")
    keys = {"dest": ["LAX", "LAX", None, "XXX"], "hour": [1, None, 0, 0], "extra": [{}, [], 1, None]}
    assert places(block, keys, 4) == [3, -1, -1, -1]
    assert places(block, {"dest": [], "hour": []}, 0) == []


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"dest": ["ATL"]}, "needs the join key.s. hour; given: dest"),
        ({}, "dest, hour; given: none"),
        ({"dest": [1], "hour": [1]}, "'dest' is string, but the request holds int"),
        ({"dest": ["ATL"], "hour": [True]}, "'hour' is int64, but the request holds bool"),
        ({"dest": ["ATL"], "hour": [1.0]}, "'hour' is int64, but the request holds float"),
        ({"dest": [["ATL"]], "hour": [1]}, "'dest' is string, but the request holds list"),
    ],
)
def test_missing_and_wrongly_typed_join_keys_are_refused(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    fill(tmp_path, a_view(entity=Entity(["dest", "hour"], product(["ATL", "LAX"], [0, 1]))), 1)
    with pytest.raises(BadReference, match=message):
        places(open_blocks(tmp_path).snapshot.find("delays"), keys, 1)


def test_a_constant_entity_needs_no_key_but_another_key_is_not_found(tmp_path: Path) -> None:
    fill(tmp_path, a_view(entity=Entity("area", value="NYC")), 1)
    block = open_blocks(tmp_path).snapshot.find("delays")
    assert places(block, {}, 3) == [0, 0, 0]
    assert places(block, {"area": ["NYC", "BOS"]}, 2) == [0, -1]


def test_a_registered_view_is_served_as_not_found_before_its_first_release(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(VIEW)
        publisher.register(a_view("area", entity=Entity("area", value="NYC")))
        before = current(tmp_path)
        publisher.register(VIEW)
    assert current(tmp_path) == before
    snapshot = open_blocks(tmp_path).snapshot
    block = snapshot.find("delays")
    assert block.header.pane_end is None
    assert places(block, {"dest": ["ATL"]}, 1) == [-1]
    assert places(snapshot.find("area"), {}, 1) == [-1]
    assert [entry["seq"] for entry in before["views"]] == [0, 0]


def test_current_names_file_publication_and_times(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 2)
    release = a_release(VIEW, HOUR)
    (entry,) = current(tmp_path)["views"]
    assert entry | {"sha256": "", "bytes": 0} == {
        "view": "delays",
        "version": 1,
        "file": "delays-v1-00000001.arrow",
        "seq": 1,
        "release_id": release.release_id.hex(),
        "pane_end": 2 * HOUR,
        "released_at": release.released_at,
        "sha256": "",
        "bytes": 0,
    }


def test_one_publication_of_several_views_is_one_epoch(tmp_path: Path) -> None:
    other = a_view("others")
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(VIEW)
        publisher.register(other)
        epoch = current(tmp_path)["epoch"]
        publisher.publish([a_release(VIEW, 0), a_release(other, 0)])
        assert current(tmp_path)["epoch"] == epoch + 1
        publisher.publish([a_release(VIEW, 0), a_release(other, 0)])
        assert current(tmp_path)["epoch"] == epoch + 1


def test_a_file_is_removed_one_publication_after_it_was_replaced(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 1)
    seen = [files(tmp_path)]
    (folder(tmp_path) / ".stray.partial").touch()
    for pane in (1, 2):
        publish(tmp_path, a_release(VIEW, pane * HOUR))
        seen.append(files(tmp_path))
    empty = f"delays-v1-00000000-{definition_hash(VIEW).hex()[:8]}.arrow"
    first, second, third = (f"delays-v1-{seq:08d}.arrow" for seq in (1, 2, 3))
    assert seen == [
        [CURRENT, empty, first],
        [CURRENT, first, second],
        [CURRENT, second, third],
    ]


def test_a_refresh_swaps_to_a_new_snapshot_and_leaves_the_old_one_whole(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 1)
    blocks = open_blocks(tmp_path)
    old = blocks.snapshot
    assert not blocks.refresh()
    for pane in range(1, 5):
        publish(tmp_path, a_release(VIEW, pane * HOUR, 10 * pane))
    assert blocks.snapshot is old
    assert blocks.refresh()
    assert flights(old.find("delays"))[:2] == [1.0, 1.0]  # its file is deleted, its pages stay mapped
    new = blocks.snapshot.find("delays")
    assert flights(new)[:2] == [40.0, 40.0]
    assert blocks.snapshot.epoch > old.epoch
    assert block_of(new).index is block_of(old.find("delays")).index


def test_only_views_that_changed_are_read_again(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 1)
    fill(tmp_path, a_view("others"), 1)
    blocks = open_blocks(tmp_path)
    before = blocks.snapshot
    publish(tmp_path, a_release(VIEW, HOUR))
    assert blocks.refresh()
    assert blocks.snapshot.find("others") is before.find("others")
    assert blocks.snapshot.find("delays") is not before.find("delays")


def test_a_void_pane_is_a_block_whose_pane_features_are_null(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 2)
    publish(tmp_path, a_void(VIEW, 2 * HOUR))
    block = block_of(open_blocks(tmp_path).snapshot.find("delays"))
    assert block.header.pane_end == 3 * HOUR
    assert np.isnan(flights(block)).all()
    status = block.columns["flights__status"].status
    assert block.status[:-1, status].tolist() == [Status.VOID] * 2


def test_versions_are_found_by_pin_and_an_unknown_view_names_the_known(tmp_path: Path) -> None:
    fill(tmp_path, VIEW, 1)
    snapshot = open_blocks(tmp_path).snapshot
    assert snapshot.find("delays@v1") is snapshot.find("delays")
    assert snapshot.versions() == [snapshot.find("delays")]
    with pytest.raises(UnknownView, match=r"'nothing'.*it has: delays$"):
        snapshot.find("nothing")
    with pytest.raises(UnknownVersion, match=r"no view delays@v2 in this store; it has: delays@v1$"):
        snapshot.find("delays@v2")


class TestHealing:
    @pytest.mark.parametrize("lost", ["block", "cut block", "current", "torn current", "all", "partial"])
    def test_the_next_writer_writes_what_is_missing(self, tmp_path: Path, lost: str) -> None:
        fill(tmp_path, VIEW, 2)
        fill(tmp_path, a_view("others"), 1)
        whole = {name: (folder(tmp_path) / name).read_bytes() for name in files(tmp_path) if name.endswith("1.arrow")}
        block = folder(tmp_path) / "delays-v1-00000001.arrow"
        match lost:
            case "block":
                block.unlink()
            case "cut block":
                block.write_bytes(block.read_bytes()[:100])
            case "current":
                (folder(tmp_path) / CURRENT).unlink()
            case "torn current":
                (folder(tmp_path) / CURRENT).write_text('{"format": 3, "epo')
            case "all":
                for path in folder(tmp_path).iterdir():
                    path.unlink()
                folder(tmp_path).rmdir()
            case "partial":
                (folder(tmp_path) / f".{CURRENT}.partial").write_text("{")
        Publisher(tmp_path, lambda: 0).close()
        assert {name: (folder(tmp_path) / name).read_bytes() for name in whole} == whole
        blocks = open_blocks(tmp_path)
        assert blocks.problem is None
        assert flights(blocks.snapshot.find("delays"))[:2] == [2.0, 2.0]

    def test_a_crash_after_the_online_rows_is_healed_at_the_next_start(self, tmp_path: Path) -> None:
        fill(tmp_path, VIEW, 1)
        blocks = open_blocks(tmp_path)
        with CrashBeforeBlocks(tmp_path, lambda: DAY) as publisher, pytest.raises(Crash):
            publisher.publish([a_release(VIEW, HOUR, 7)])
        assert not blocks.refresh()
        Publisher(tmp_path, lambda: DAY).close()
        assert blocks.refresh()
        assert flights(blocks.snapshot.find("delays"))[:2] == [7.0, 7.0]

    def test_a_start_with_whole_blocks_writes_nothing(self, tmp_path: Path) -> None:
        fill(tmp_path, VIEW, 1)
        before = (files(tmp_path), current(tmp_path))
        Publisher(tmp_path, lambda: DAY).close()
        assert (files(tmp_path), current(tmp_path)) == before


class TestReadersKeepTheLastSnapshot:
    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'{"format": NOW}',
            b'{"format": 4, "epoch": 9, "views": [], "services": {}}',
            b'{"format": NOW, "epoch": 9, "views": [{}]}',
            b'{"format": NOW, "epoch": 9, "views": 3, "services": {}}',
            b'{"format": NOW, "epoch": 9, "views": []}',
            b'{"format": NOW, "epoch": 9, "views": [], "services": []}',
            b'{"format": NOW, "epoch": 9, "views": [{"view": 1, "version": "1", "file": 2, "seq": null, "release_id": [], '
            b'"pane_end": {}, "released_at": 0, "bytes": 0, "sha256": ""}]}',
            b"\xff\xfe",
        ],
    )
    def test_while_current_is_torn(self, tmp_path: Path, text: bytes) -> None:
        fill(tmp_path, VIEW, 1)
        blocks = open_blocks(tmp_path)
        before, whole = blocks.snapshot, (folder(tmp_path) / CURRENT).read_bytes()
        (folder(tmp_path) / CURRENT).write_bytes(text.replace(b"NOW", b"%d" % FORMAT))
        assert not blocks.refresh()
        assert blocks.snapshot is before
        assert blocks.problem is not None
        (folder(tmp_path) / CURRENT).write_bytes(whole)
        blocks.refresh()
        assert blocks.problem is None

    @pytest.mark.parametrize("damage", ["missing", "cut", "empty", "text", "flipped", "other arrow"])
    def test_while_a_block_is_torn_or_missing(self, tmp_path: Path, damage: str) -> None:
        fill(tmp_path, VIEW, 1)
        blocks = open_blocks(tmp_path)
        before = blocks.snapshot
        publish(tmp_path, a_release(VIEW, HOUR, 7))
        path = folder(tmp_path) / "delays-v1-00000002.arrow"
        whole = path.read_bytes()
        path.unlink()
        match damage:
            case "cut":
                path.write_bytes(whole[: len(whole) // 2])
            case "empty":
                path.touch()
            case "text":
                path.write_text("no arrow")
            case "flipped":
                path.write_bytes(whole[:600] + bytes([whole[600] ^ 1]) + whole[601:])
            case "other arrow":
                with pa.ipc.new_file(str(path), pa.schema([("x", pa.int64())])) as writer:
                    writer.write_batch(pa.record_batch({"x": [1]}))
        assert not blocks.refresh()
        assert not blocks.refresh()
        assert blocks.snapshot is before
        assert blocks.problem is not None
        assert f"{path.name} " in blocks.problem
        assert "rebuild the online rows" in blocks.problem
        path.write_bytes(whole)
        assert blocks.refresh()
        assert flights(blocks.snapshot.find("delays"))[:2] == [7.0, 7.0]

    def test_a_file_that_is_whole_but_no_block_is_refused(self, tmp_path: Path) -> None:
        fill(tmp_path, VIEW, 1)
        path = folder(tmp_path) / "delays-v1-00000001.arrow"
        from hashlib import sha256

        with pa.ipc.new_file(str(path), pa.schema([("numbers", pa.int64())])) as writer:
            writer.write_batch(pa.record_batch({"numbers": [1]}))
        data = current(tmp_path)
        data["views"][0]["sha256"] = sha256(path.read_bytes()).hexdigest()
        (folder(tmp_path) / CURRENT).write_text(json.dumps(data))
        blocks = open_blocks(tmp_path)
        assert blocks.snapshot.epoch == 0
        assert "not a block of this version" in (blocks.problem or "")

    def test_and_start_empty_where_there_is_nothing(self, tmp_path: Path) -> None:
        blocks = open_blocks(tmp_path / "nowhere")
        assert blocks.snapshot.epoch == 0
        with pytest.raises(UnknownView, match="none yet"):
            blocks.snapshot.find("delays")


def test_a_store_that_was_made_anew_under_a_reader_is_noticed(tmp_path: Path) -> None:
    import shutil

    fill(tmp_path, VIEW, 1)
    blocks = open_blocks(tmp_path)
    shutil.rmtree(tmp_path / "store")
    assert not blocks.refresh()
    with Publisher(tmp_path, lambda: DAY) as publisher:
        publisher.register(VIEW)
        publisher.publish([a_release(VIEW, 0, 9)])
    assert blocks.refresh()
    assert flights(blocks.snapshot.find("delays"))[:2] == [9.0, 9.0]
