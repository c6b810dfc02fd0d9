from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from base.errors import OfNewerVersion
from featurestore.define.entities import Entity
from featurestore.define.kinds import Mean
from featurestore.define.services import FeatureService
from featurestore.define.wire import definition_hash
from featurestore.errors import StoreCorrupt, StoreNotFound, UnknownView, ViewChanged
from featurestore.online.blocks import open_blocks
from featurestore.publish.publish import Publisher
from featurestore.registry.publications import Publications
from featurestore.registry.registry import Registry
from featurestore.registry.selection import Selection
from featurestore.store import Store

from .making import DAY, a_release, a_view, fill


def test_a_view_comes_back_as_it_was_registered(tmp_path: Path) -> None:
    view = a_view(ttl="2h", tags={"team": "ops"})
    with Publisher(tmp_path, lambda: 0) as publisher:
        assert publisher.register(view) == publisher.register(view)
    with Store.open(tmp_path) as store:
        assert store.views() == [view]


def test_a_published_view_is_found_by_its_definition_however_that_is_spelled(tmp_path: Path) -> None:
    """The bytes of a Mean have its resolution and a clip of floats; a file may leave out the one and write whole numbers."""
    spelled = [a_view(features=[Mean("delay", clip=(0, 60), resolution=step)]) for step in (None, 2.0**-5)]
    with Publisher(tmp_path, lambda: 0) as publisher:
        first = publisher.register(spelled[0])
        publisher.publish([a_release(spelled[0], 0)])
        assert [publisher.register(one).name for one in spelled] == [first.name] * 2
    with Publisher(tmp_path, lambda: 0) as publisher:
        assert [publisher.register(one).name for one in spelled] == [first.name] * 2


def test_another_definition_under_an_old_name_is_refused(tmp_path: Path) -> None:
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(a_view())
        publisher.publish([a_release(a_view(), 0)])
        with pytest.raises(ViewChanged, match="'delays' has another definition in this store"):
            publisher.register(a_view(ttl="2h"))


def test_a_changed_view_is_served_after_a_crash_before_its_block_is_written(tmp_path: Path) -> None:
    changed = a_view(entity=Entity("dest", domain=["BOS"]))
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(a_view())
        publisher._registry.register(changed, 0)  # and a crash
    Publisher(tmp_path, lambda: 0).close()
    with Store.open(tmp_path) as store:
        assert store.get(["delays:flights"], {"dest": ["BOS"]})["flights__status"].to_pylist() == ["NOT_FOUND"]
        assert open_blocks(tmp_path).snapshot.find("delays").header.definition_hash == definition_hash(changed).hex()


def test_a_view_that_has_published_nothing_takes_another_definition(tmp_path: Path) -> None:
    changed = a_view(entity=Entity("dest", domain=["BOS"]), windows=[])
    with Publisher(tmp_path, lambda: 0) as publisher:
        publisher.register(a_view())
        registered = publisher.register(changed)
        publisher.register_services([FeatureService("arrivals", ["delays:flights"])])
        with pytest.raises(ViewChanged):
            publisher.register(a_view())  # a service names it
        publisher.publish([a_release(changed, 0, 7)])
        assert publisher.register(changed) == registered
    with Store.open(tmp_path) as store:
        assert store.views() == [changed]
        assert store.get(["delays:flights"], {"dest": ["BOS"]})["flights"].to_pylist() == [7]


def test_an_unknown_view_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    fill(tmp_path, a_view(), 1)
    with (
        Store.open(tmp_path) as store,
        pytest.raises(UnknownView, match="no view 'delay' in this store; it has: delays"),
    ):
        store.history("delay")


def test_there_is_no_store_in_an_empty_folder_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound):
        Store.open(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store" / "registry.db"
    path.parent.mkdir()
    path.write_text("not a database" * 100)
    with pytest.raises(StoreCorrupt, match=r"registry\.db"):
        Store.open(tmp_path)
    with pytest.raises(StoreCorrupt, match=r"registry\.db"):
        Publisher(tmp_path, lambda: 0)
    path.unlink()
    Publisher(tmp_path, lambda: 0).close()  # the lock is free


def test_a_database_of_somebody_else_and_one_of_a_later_version_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, a_view(), 1)
    for pragma, error, message in (
        ("user_version = 99", OfNewerVersion, "format 99"),
        ("application_id = 7", StoreCorrupt, "not a registry"),
    ):
        database = sqlite3.connect(tmp_path / "store" / "registry.db")
        database.execute(f"PRAGMA {pragma}")
        database.close()
        with pytest.raises(error, match=message):
            Store.open(tmp_path)


def test_damage_that_comes_out_late_is_named(tmp_path: Path) -> None:
    fill(tmp_path, a_view(), 200)
    path = tmp_path / "store" / "registry.db"
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(b ^ 0xFF for b in data[4096:])
    path.write_bytes(data)
    for read in (
        lambda store: store.releases("delays"),
        lambda store: store.history("delays"),
        lambda store: store.views(),
    ):
        with pytest.raises(StoreCorrupt, match=r"registry\.db"), Store.open(tmp_path) as store:
            read(store)


def test_a_reader_that_comes_while_the_store_is_made_finds_none(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "registry.db").touch()  # SQLite makes the file before its first transaction
    with pytest.raises(StoreNotFound):
        Store.open(tmp_path)


def test_what_a_publication_asks_of_the_registry_costs_the_same_after_many_panes(store_dir: Path) -> None:
    def steps(ask: Callable[[Publications, Selection], object]) -> int:
        """How many steps of 50 instructions SQLite takes."""
        counted: list[None] = []
        registry._db.set_progress_handler(lambda: counted.append(None), 50)
        ask(registry.publications, panes)
        registry._db.set_progress_handler(None, 0)
        return len(counted)

    fill(store_dir, a_view(), 40 * 24)
    with closing(Registry(store_dir / "store" / "registry.db", read_only=True)) as registry:
        panes = registry.selection(registry.view("delays"))
        asked: list[Callable[[Publications, Selection], object]] = [
            lambda of, panes: of.last_seq(panes),
            lambda of, panes: of.last_row(panes),
            lambda of, panes: of.count(panes, 39 * DAY, 40 * DAY),
            lambda of, panes: of.pane_starts(panes, 39 * DAY, None),
            lambda of, panes: of.spent_panes(panes),
            lambda of, panes: of.running(panes),
            lambda of, panes: of.since(panes, 1),
        ]
        found = [steps(one) for one in asked]
        assert max(found) <= 24, found
        panes = replace(panes, last_seq=0)  # of a version that was deprecated before all of them
        assert steps(lambda of, panes: of.last_seq(panes)) <= 24


def test_a_definition_that_a_version_needs_and_that_is_missing_is_named(tmp_path: Path) -> None:
    fill(tmp_path, a_view(), panes=1)
    with closing(sqlite3.connect(tmp_path / "store" / "registry.db", isolation_level=None)) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("UPDATE definitions SET hash = zeroblob(32)")
    with pytest.raises(StoreCorrupt, match=definition_hash(a_view()).hex()), Store.open(tmp_path) as store:
        store.view("delays")
