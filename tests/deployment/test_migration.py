"""Files of earlier versions are migrated, once, whatever happens meanwhile; and read as those versions read them."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aggregator.storage.role_storage import Storage
from base.errors import FileInUse, OfNewerVersion, OfOlderVersion
from base.locks import lock_file
from base.sqlite import Format
from deployment import migration
from deployment.errors import CollectionUnderWay, NotWritten, UsageError
from deployment.migration import found_files, migrate
from deployment.scheduler.lease import only_planner
from deployment.scheduler.schedule_file import schedule_path
from featurestore.errors import StoreInUse, StoreNotFound
from featurestore.publish.verify import check_store
from featurestore.publish.writer_lock import lock_store
from featurestore.registry.registry import FORMAT, SCHEMA_VERSION, Registry
from federation.ledger import ledger as ledgers
from federation.ledger.ledger import Ledger
from tests.fixtures.kept import VERSIONS, same, unpacked
from tests.fixtures.reads import read_project, read_store

FIRST = VERSIONS[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_of_an_earlier_version_reads_as_before_and_verifies(tmp_path: Path, version: str) -> None:
    expected = unpacked(version, "store", tmp_path)
    migrate(tmp_path)
    same(expected, read_store(tmp_path))
    assert not check_store(tmp_path).damaged
    assert migrate(tmp_path) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_project_of_an_earlier_version_reads_as_before_and_its_ledgers_keep_their_heads(
    tmp_path: Path, version: str
) -> None:
    expected = unpacked(version, "project", tmp_path)
    migrate(tmp_path)
    same(expected, read_project(tmp_path))
    assert not check_store(tmp_path).damaged
    assert {one.path for one in found_files(tmp_path) if one.have == one.need} >= {
        "store/registry.db", "ledgers/operator.db", "ledgers/site-1.db", "roles/leader/state.db", "roles/helper/state.db",
        "sites/1.toml", "sites/2.toml",
    }  # fmt: skip


def add_column(database: sqlite3.Connection) -> None:
    database.execute("ALTER TABLE role ADD COLUMN more TEXT")


def note(database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE noted (x)")


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose ledgers and storages are one version behind: the next version of each is made here."""
    unpacked(VERSIONS[-1], "project", tmp_path / "project")
    migrate(tmp_path / "project")
    assert schedule_path(tmp_path / "project").is_file()
    plan = migration.SCHEDULE
    monkeypatch.setattr(migration, "SCHEDULE", replace(plan, version=plan.version + 1, migrations={plan.version: note}))
    form = ledgers.FORMAT
    following = Format(form.application_id, form.version + 1, form.schema, {**form.migrations, form.version: note})
    monkeypatch.setattr(ledgers, "FORMAT", following)
    monkeypatch.setattr(migration, "LEDGER", following)
    monkeypatch.setattr(Storage, "migrations", {**Storage.migrations, Storage.version: add_column})
    monkeypatch.setattr(Storage, "version", Storage.version + 1)
    return tmp_path / "project"


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as database:
        return {name for (name,) in database.execute("SELECT name FROM sqlite_master")}


def test_every_database_of_a_project_is_migrated_and_each_is_refused_by_its_name_before(older: Path) -> None:
    heads = read_heads(older)
    with pytest.raises(OfOlderVersion, match=r"operator\.db"):
        Ledger(older / "ledgers" / "operator.db", "operator", lambda: 0)
    with pytest.raises(OfOlderVersion, match=r"state\.db"):
        Storage(older / "roles" / "leader" / "state.db", "leader")
    done = {one.path for one in migrate(older)}
    assert done == {
        "ledgers/operator.db", "ledgers/site-1.db", "ledgers/site-2.db", "roles/helper/state.db", "roles/leader/state.db",
        "roles/coordinator/schedule.db",
    }  # fmt: skip
    assert read_heads(older) == heads
    assert "noted" in tables(older / "ledgers" / "site-1.db")
    with Ledger(older / "ledgers" / "operator.db", "operator", lambda: 2 * 10**15) as ledger:
        ledger.record_refusal(bytes(32), "TEST")
    storage = Storage(older / "roles" / "leader" / "state.db", "leader")
    assert len(storage.plans()) == 2
    storage.close()


def test_ledgers_that_the_roles_keep_elsewhere_are_migrated_too(older: Path, tmp_path: Path) -> None:
    (older / "ledgers").rename(tmp_path / "elsewhere")
    done = {Path(one.path).name for one in migrate(older, tmp_path / "elsewhere")}
    assert {"operator.db", "site-1.db", "site-2.db"} <= done
    assert "noted" in tables(tmp_path / "elsewhere" / "operator.db")


def read_heads(project: Path) -> dict[str, Any]:
    heads = {}
    for path in sorted((project / "ledgers").glob("*.db")):
        with closing(sqlite3.connect(path)) as database:
            heads[path.name] = database.execute("SELECT seq, head FROM entries ORDER BY seq").fetchall()
            heads[path.name] += database.execute("SELECT name, seq, head FROM peers ORDER BY name").fetchall()
    return heads


class Killed(BaseException):
    """The process ends here."""


def test_a_migration_that_ends_at_any_statement_leaves_old_or_new_files_and_goes_on(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads, stops = read_heads(older), 0

    def dying(real: Any, after: int) -> Any:
        def run(database: sqlite3.Connection) -> None:
            nonlocal stops
            if after == 0:
                stops += 1
                raise Killed
            real(database)
            if after == 1 and stops < 4:
                stops += 1
                raise Killed

        return run

    for after in (0, 1):
        with monkeypatch.context() as patch:
            form = ledgers.FORMAT
            patch.setattr(
                migration,
                "LEDGER",
                Format(form.application_id, form.version, "", {form.version - 1: dying(note, after)}),
            )
            with pytest.raises(Killed):
                migrate(older)
        assert "noted" not in tables(older / "ledgers" / "operator.db")
        assert read_heads(older) == heads
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "migrations", {Storage.version - 1: dying(add_column, 0)})
        with pytest.raises(Killed):
            migrate(older)
    assert "noted" in tables(older / "ledgers" / "site-2.db")
    assert {one.path for one in migrate(older)} == {
        "roles/coordinator/schedule.db", "roles/helper/state.db", "roles/leader/state.db",
    }  # fmt: skip
    assert read_heads(older) == heads


def test_a_full_disk_leaves_the_old_file(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(database: sqlite3.Connection) -> None:
        database.execute("PRAGMA max_page_count=1")
        database.execute("CREATE TABLE large AS SELECT zeroblob(10000000) AS x")

    form = ledgers.FORMAT
    monkeypatch.setattr(migration, "LEDGER", Format(form.application_id, form.version, "", {form.version - 1: full}))
    with pytest.raises(NotWritten, match="disk full"):
        migrate(older)
    assert "large" not in tables(older / "ledgers" / "operator.db")


def test_a_project_in_use_is_not_migrated(older: Path) -> None:
    with (
        lock_file(older / "roles" / "leader" / "lock", private=True, wait=False),
        pytest.raises(UsageError, match="leader runs"),
    ):
        migrate(older)
    with only_planner(older), pytest.raises(CollectionUnderWay):
        migrate(older)
    with lock_store(older / "store"), pytest.raises(StoreInUse):
        migrate(older)
    with closing(sqlite3.connect(older / "ledgers" / "site-2.db")) as reader:
        reader.execute("SELECT * FROM entries").fetchall()
        with pytest.raises(FileInUse, match=r"site-2\.db"):
            migrate(older)
    assert migrate(older)


def test_a_file_of_a_later_version_is_refused_before_anything_is_migrated(older: Path) -> None:
    with closing(sqlite3.connect(older / "store" / "registry.db")) as database:
        database.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    with pytest.raises(OfNewerVersion, match=r"registry\.db"):
        migrate(older)
    assert "noted" not in tables(older / "ledgers" / "operator.db")
    with pytest.raises(OfNewerVersion):
        Registry(older / "store" / "registry.db", read_only=True)


SITE = """\
site = "1"
clients = 9
events = "e.parquet"
client_column = "who"
time_column = "at"
keys = "../keys"
ledger = "../ledgers/site-1.db"
policy = "../policy.toml"
"""


def test_the_files_of_sites_are_migrated_too(older: Path) -> None:
    (older / "sites").mkdir(exist_ok=True)
    (older / "sites" / "1.toml").write_text(SITE)
    (older / "sites" / "2.toml").write_text("not of a site")
    assert [(one.path, one.have, one.need) for one in found_files(older) if "sites" in one.path] == [
        ("sites/1.toml", 1, 2)
    ]
    assert "sites/1.toml" in {one.path for one in migrate(older)}
    assert [(one.have, one.need) for one in found_files(older) if one.path == "sites/1.toml"] == [(2, 2)]
    assert migrate(older) == []


def test_the_folder_of_a_site_alone_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "1.toml").write_text(SITE)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(migration, "migrate_site_file", full)
        with pytest.raises(NotWritten, match="disk full"):
            migrate(tmp_path)
    assert (tmp_path / "sites" / "1.toml").read_text() == SITE
    assert [one.path for one in migrate(tmp_path)] == ["sites/1.toml"]


def test_a_folder_without_a_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound):
        migrate(tmp_path)


def test_a_registry_of_each_kept_version_leads_to_the_present_one() -> None:
    versions = {int(name.removeprefix("registry-")) for name in VERSIONS}
    with suppress(KeyError):
        versions.remove(SCHEMA_VERSION)
    assert versions <= FORMAT.migrations.keys()
