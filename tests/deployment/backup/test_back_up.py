"""A backup and what is restored from it: equal to the original in every read, whatever happens meanwhile, or nothing at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from base.errors import OfNewerVersion
from base.private_files import FILE
from deployment.backup.back_up import back_up
from deployment.backup.manifest import FILE as MANIFEST
from deployment.backup.manifest import Manifest
from deployment.backup.restore import restore
from deployment.errors import BackupDamaged, BackupIncomplete, FolderNotEmpty, NotWritten, OriginalDamaged
from deployment.scheduler.schedule_file import schedule_path
from featurestore.errors import StoreNotFound
from featurestore.offline.parquet import Offline
from featurestore.publish.publish import Publisher
from featurestore.publish.verify import check_store
from featurestore.registry.registry import SCHEMA_VERSION
from federation.errors import LedgerBehind
from federation.ledger.ledger import Ledger
from tests.featurestore.making import DAY, HOUR, a_release, a_view
from tests.featurestore.test_disk_full import fill_up, small_disk
from tests.featurestore.whole_store import fill
from tests.fixtures.kept import VERSIONS, unpacked
from tests.fixtures.reads import read_project, read_store

__all__ = ["small_disk"]
NOW = 1_700_000_000_000_000


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project after two collections over processes, with the files of this version."""
    from deployment.migration import migrate

    unpacked(VERSIONS[-1], "project", tmp_path / "project")
    migrate(tmp_path / "project")
    for role in ("leader", "helper"):
        (tmp_path / "project" / "roles" / role / "live").mkdir(exist_ok=True)
        (tmp_path / "project" / "roles" / role / "live" / ("0" * 32)).write_text("a live secret")
    assert schedule_path(tmp_path / "project").is_file()
    (tmp_path / "project" / "roles" / "coordinator" / "lease.lock").touch()
    (tmp_path / "project" / "events-1.parquet").write_text("events of people")
    return tmp_path / "project"


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def make(project: Path, target: Path, **given: Any) -> Manifest:
    return back_up(project, target, lambda: NOW, **given)[0]


def test_a_restored_project_reads_as_the_original_and_verifies(project: Path, tmp_path: Path) -> None:
    before = read_project(project)
    manifest = make(project, tmp_path / "backup", with_keys=True)
    made = restore(tmp_path / "backup", tmp_path / "restored")
    assert read_project(tmp_path / "restored") == before
    assert not check_store(tmp_path / "restored").damaged
    assert made.entries == {owner: one["seq"] for owner, one in before["ledgers"].items()}
    assert manifest.made_at.startswith("2023-11-14")
    for path in manifest.files:
        assert stat.S_IMODE((tmp_path / "restored" / path).stat().st_mode) == stat.S_IMODE(
            (project / path).stat().st_mode
        )
    for folder in ("keys", "ledgers", "roles", "roles/leader", "sites", "store", "store/offline"):
        assert stat.S_IMODE((tmp_path / "restored" / folder).stat().st_mode) == stat.S_IMODE(
            (project / folder).stat().st_mode
        )


def test_a_restored_store_reads_as_the_original(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    fill(tmp_path / "own")
    make(tmp_path / "own", tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "restored")
    assert read_store(tmp_path / "restored") == read_store(tmp_path / "own")


def test_no_live_secret_no_event_and_without_being_asked_no_secret_key_is_in_a_backup(
    project: Path, tmp_path: Path
) -> None:
    make(project, tmp_path / "backup")
    make(project, tmp_path / "whole", with_keys=True)
    for backup in ("backup", "whole"):
        found = names(tmp_path / backup)
        assert not [name for name in found if "/live/" in name or "events" in name or name.endswith("lock")]
        assert not [name for name in found if name.startswith(("store/online", "store/blocks"))]
        assert "roles/coordinator/schedule.db" in found
    secret = {name for name in names(project) if name.startswith("keys/") and name.endswith(".key")}
    assert secret
    assert not secret & names(tmp_path / "backup")
    assert secret <= names(tmp_path / "whole")
    assert "keys/leader.pub" in names(tmp_path / "backup")


def test_the_keys_of_plans_under_way_are_in_no_page_of_the_copy_of_a_role(project: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(project / "roles" / "helper" / "state.db")) as database:
        database.execute("INSERT INTO secret_keys VALUES (x'01', x'02', x'03', ?, 0)", (b"a BFV secret" * 100,))
        database.execute("INSERT INTO keys VALUES (x'01', ?, 0)", (b"a verification key" * 20,))
        database.commit()
        make(project, tmp_path / "backup")
        assert database.execute("SELECT count(*) FROM secret_keys").fetchone() == (1,)
    copy = (tmp_path / "backup" / "roles" / "helper" / "state.db").read_bytes()
    assert b"a BFV secret" not in copy
    assert b"a verification key" not in copy


def test_a_backup_is_made_while_publications_replace_the_files_that_it_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each publication of a day's later panes merges its files, and removes those that the copied registry lists."""
    view, own = a_view(), tmp_path / "own"
    with Publisher(own, lambda: 100 * DAY) as publisher:
        publisher.register(view)
        for hour in range(12):
            publisher.publish([a_release(view, hour * HOUR, hour)])
        published = 12

        def publish(*_: int) -> None:
            nonlocal published
            if published < 30:
                publisher.publish([a_release(view, published * HOUR, published)])
                published += 1

        make(own, tmp_path / "backup", progress=publish)
    restore(tmp_path / "backup", tmp_path / "restored")
    assert not check_store(tmp_path / "restored").damaged
    rows = read_store(tmp_path / "restored")["views"]["delays"]["history"]["flights"][0]
    assert 12 < rows / 2 <= 30


def test_a_ledger_is_copied_with_all_that_the_store_knows_while_it_grows(project: Path, tmp_path: Path) -> None:
    """The head file is older than the ledger: this is how a crash leaves them, too."""
    stop = threading.Event()

    def charge() -> None:
        with Ledger(project / "ledgers" / "operator.db", "operator", lambda: NOW, role="leader") as ledger:
            number = 0
            while not stop.is_set():
                number += 1
                ledger.record_refusal(number.to_bytes(32, "big"), "TEST")

    thread = threading.Thread(target=charge)
    thread.start()
    try:
        for attempt in range(3):
            make(project, tmp_path / f"backup-{attempt}")
    finally:
        stop.set()
        thread.join()
    for attempt in range(3):
        restore(tmp_path / f"backup-{attempt}", tmp_path / f"restored-{attempt}")


def test_what_is_charged_while_the_store_is_copied_is_in_the_copied_ledger(project: Path, tmp_path: Path) -> None:
    """A ledger that is older than the releases beside it would spend their days again."""
    with Ledger(project / "ledgers" / "operator.db", "operator", lambda: NOW * 2, role="leader") as ledger:

        def charge(done: int, _: int) -> None:
            ledger.record_refusal(done.to_bytes(32, "big"), "TEST")

        make(project, tmp_path / "backup", progress=charge)
        head = ledger.head
    with Ledger(tmp_path / "backup" / "ledgers" / "operator.db", "operator", lambda: 0) as copy:
        assert copy.head == head


def test_files_of_the_same_content_are_linked_to_the_previous_backup(project: Path, tmp_path: Path) -> None:
    first = make(project, tmp_path / "first")
    (project / "covey.toml").write_text((project / "covey.toml").read_text() + "\n")
    second, linked = back_up(project, tmp_path / "second", lambda: NOW, previous=tmp_path / "first")
    changed = {path for path in second.files if first.files.get(path) != second.files[path]}
    assert changed == {"covey.toml"}
    assert linked == len(second.files) - 1
    inodes = [(tmp_path / one / "store" / "registry.db").stat().st_ino for one in ("first", "second")]
    assert inodes[0] == inodes[1]
    shutil.rmtree(tmp_path / "first")
    restore(tmp_path / "second", tmp_path / "restored")
    assert read_project(tmp_path / "restored") == read_project(project)


def test_ledgers_that_the_roles_keep_elsewhere_are_in_the_backup(project: Path, tmp_path: Path) -> None:
    before = read_project(project)
    (project / "ledgers").rename(tmp_path / "elsewhere")
    make(project, tmp_path / "backup", ledgers=tmp_path / "elsewhere")
    restore(tmp_path / "backup", tmp_path / "restored")
    assert read_project(tmp_path / "restored") == before


def test_a_damaged_database_is_named_and_no_backup_is_made_of_it(project: Path, tmp_path: Path) -> None:
    registry = project / "store" / "registry.db"
    data = bytearray(registry.read_bytes())
    data[8192 : len(data) - 4096] = bytes(len(data) - 12288)
    registry.write_bytes(data)
    with pytest.raises(OriginalDamaged, match=r"registry\.db is damaged"):
        make(project, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_previous_backup_that_is_none_is_refused(project: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(BackupIncomplete):
        make(project, tmp_path / "backup", previous=tmp_path / "none")
    assert not (tmp_path / "backup").exists()


def test_a_folder_with_content_is_no_place_for_a_backup_or_a_project(project: Path, tmp_path: Path) -> None:
    make(project, tmp_path / "backup")
    with pytest.raises(FolderNotEmpty, match="not an empty folder"):
        make(project, tmp_path / "backup")
    with pytest.raises(FolderNotEmpty):
        restore(tmp_path / "backup", project)
    with pytest.raises(StoreNotFound):
        make(tmp_path / "nowhere", tmp_path / "other")


def each_damage(backup: Path) -> dict[str, Callable[[], object]]:
    registry, manifest = backup / "store" / "registry.db", backup / MANIFEST
    data, text = registry.read_bytes(), manifest.read_text()
    outside = json.loads(text)
    outside["files"]["../outside"] = outside["files"]["covey.toml"]
    return {
        "is missing": registry.unlink,
        "bytes instead of": lambda: registry.write_bytes(data[:-1]),
        "SHA-256 differs": lambda: registry.write_bytes(data[:-1] + bytes([data[-1] ^ 1])),
        "cannot be read": lambda: manifest.write_text(text[:-10]),
        "not as `covey store backup` wrote it": lambda: manifest.write_text(
            text.replace('"with_keys": false', '"with_keys": true')
        ),
        "it is not as": lambda: manifest.write_text(json.dumps(outside)),
    }


@pytest.mark.parametrize("number", range(6))
def test_a_damaged_backup_is_refused_by_the_name_of_its_file_and_nothing_is_written(
    project: Path, tmp_path: Path, number: int
) -> None:
    make(project, tmp_path / "backup")
    what, damage = list(each_damage(tmp_path / "backup").items())[number]
    damage()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BackupDamaged, match=what):
        restore(tmp_path / "backup", tmp_path / "restored")
    assert sorted(tmp_path.iterdir()) == before


def test_an_incomplete_backup_and_one_of_a_later_version_are_refused(project: Path, tmp_path: Path) -> None:
    make(project, tmp_path / "backup")
    path = tmp_path / "backup" / MANIFEST
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(OfNewerVersion):
        restore(tmp_path / "backup", tmp_path / "restored")
    path.unlink()
    with pytest.raises(BackupIncomplete, match="was cut off"):
        restore(tmp_path / "backup", tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_a_disk_that_is_full_at_any_file_leaves_no_backup_and_no_half_of_a_project(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(project, tmp_path / "backup")
    before, content, real = sorted(tmp_path.iterdir()), read_project(project), os.fsync
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for at in (1, 5, 20):
        for write in (
            lambda: make(project, tmp_path / "again"),
            lambda: restore(tmp_path / "backup", tmp_path / "restored"),
        ):
            left = at

            def fsync(descriptor: int) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    raise full
                real(descriptor)

            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", fsync)
                with pytest.raises(NotWritten, match="disk full"):
                    write()
            assert sorted(tmp_path.iterdir()) == before
    assert read_project(project) == content


def test_a_real_disk_that_is_full_at_any_byte_leaves_nothing_on_it(
    project: Path, tmp_path: Path, small_disk: Path
) -> None:
    make(project, tmp_path / "backup")
    filler = small_disk / "filler"
    for write in (
        lambda: make(project, small_disk / "copy"),
        lambda: restore(tmp_path / "backup", small_disk / "copy"),
    ):
        failed = 0
        for free in range(0, 3_000_000, 150_000):
            fill_up(filler, free)
            try:
                write()
                break
            except NotWritten as error:
                assert error.reason == "disk full"  # noqa: PT017 - it may also succeed
                failed += 1
            filler.unlink()
            assert not list(small_disk.iterdir())
        assert failed > 1
        shutil.rmtree(small_disk / "copy")
        filler.unlink()


def test_a_ledger_of_a_backup_is_behind_what_another_operator_remembers(project: Path, tmp_path: Path) -> None:
    make(project, tmp_path / "backup")
    path = Path("ledgers") / "operator.db"
    with (
        Ledger(project / path, "operator", lambda: NOW * 2) as ledger,
        Ledger(tmp_path / "other.db", "o", lambda: 0) as other,
    ):
        ledger.record_refusal(bytes(32), "TEST")
        remembered = other.see_peer("leader", ledger.head, None)
    restore(tmp_path / "backup", tmp_path / "restored")
    with Ledger(tmp_path / "restored" / path, "operator", lambda: NOW * 2) as ledger:
        with pytest.raises(LedgerBehind, match="another party remembers its entry"):
            ledger.require_known(remembered)
        with (
            Ledger(tmp_path / "other.db", "o", lambda: 0) as other,
            pytest.raises(LedgerBehind, match="the leader's ledger"),
        ):
            other.see_peer("leader", ledger.head, None)
        ledger.rebuild(0)
        ledger.require_known(remembered)


def test_a_backup_is_readable_by_its_owner_only(project: Path, tmp_path: Path) -> None:
    make(project, tmp_path / "backup")
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o700
    assert {stat.S_IMODE((tmp_path / "backup" / name).stat().st_mode) for name in names(tmp_path / "backup")} == {FILE}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_backup_of_files_of_an_earlier_version_is_migrated_when_it_is_restored(tmp_path: Path, version: str) -> None:
    expected = unpacked(version, "project", tmp_path / "project")
    make(tmp_path / "project", tmp_path / "backup")
    made = restore(tmp_path / "backup", tmp_path / "restored")
    assert ("store/registry.db" in made.migrated) == (version != f"registry-{SCHEMA_VERSION}")
    found = read_project(tmp_path / "restored")
    assert found["ledgers"] == expected["ledgers"]
    assert found["store"]["evidence"] == expected["store"]["evidence"]


def test_a_listed_file_that_stays_missing_ends_the_backup(tmp_path: Path) -> None:
    fill(tmp_path)
    root = Offline(tmp_path / "store" / "offline").root
    next(root.glob("*/*/*.parquet")).unlink()
    with pytest.raises(NotWritten, match="publications replace its files faster"):
        make(tmp_path, tmp_path / "backup")
