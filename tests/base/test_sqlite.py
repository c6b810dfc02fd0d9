from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from base.errors import FileInUse, NotPrivate, OfNewerVersion, OfOlderVersion
from base.sqlite import Format, Identity, connect, prepare, reporting_damage, snapshot, transaction, version_of

FORMAT = Format(0x54455354, 3, "CREATE TABLE t (x INTEGER NOT NULL);\nCREATE TABLE u (y TEXT);\n")


def extend(database: sqlite3.Connection) -> None:
    database.execute("ALTER TABLE t ADD COLUMN z INTEGER NOT NULL DEFAULT 7")


def fill(database: sqlite3.Connection) -> None:
    database.execute("INSERT INTO u SELECT z FROM t")


NEXT = Format(0x54455354, 5, "", {3: extend, 4: fill})


class Damaged(Exception):
    """The caller's error for a damaged file."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "d.db", private=True)) as made:
        prepare(made, "FULL", "foreign_keys=ON")
        with transaction(made):
            FORMAT.create(made.execute)
        yield made


def pragma(database: sqlite3.Connection, name: str) -> object:
    return database.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_private_database_and_the_files_beside_it_are_closed_to_others(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    database.execute("INSERT INTO t VALUES (1)")
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert found == {"d.db": 0o600, "d.db-wal": 0o600, "d.db-shm": 0o600}


def test_a_connection_that_writes_is_in_wal_mode_and_waits_for_the_disk(database: sqlite3.Connection) -> None:
    found = [pragma(database, name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")]
    assert found == ["wal", 2, 1, 30_000]


def test_many_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    refused: list[sqlite3.OperationalError] = []
    for number in range(60):
        together = threading.Barrier(8)

        def open_one(path: Path = tmp_path / f"{number}.db", together: threading.Barrier = together) -> None:
            with closing(connect(path, private=True)) as database:
                together.wait()
                try:
                    prepare(database, "OFF")
                except sqlite3.OperationalError as error:
                    refused.append(error)

        threads = [threading.Thread(target=open_one) for _ in range(together.parties)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert refused == []


def test_a_file_is_ours_or_empty_or_of_another_version_or_foreign(database: sqlite3.Connection, tmp_path: Path) -> None:
    assert FORMAT.identify(database) is Identity.OURS
    assert version_of(database) == 3
    assert Format(FORMAT.application_id, 4, "").identify(database) is Identity.TOO_OLD
    assert Format(FORMAT.application_id, 5, "", {4: extend}).identify(database) is Identity.TOO_OLD
    assert Format(FORMAT.application_id, 4, "", {3: extend}).identify(database) is Identity.OLDER
    assert Format(FORMAT.application_id, 2, "").identify(database) is Identity.NEWER
    assert Format(1, 3, "").identify(database) is Identity.FOREIGN
    with closing(connect(tmp_path / "empty.db", private=True)) as empty:
        assert FORMAT.identify(empty) is Identity.EMPTY


def test_a_file_of_another_version_is_an_error_that_names_both_versions(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    path = tmp_path / "d.db"
    with pytest.raises(OfOlderVersion, match=r"d\.db \(format 3; this version uses 5\)"):
        NEXT.recognised(database, path)
    with pytest.raises(OfNewerVersion, match=r"d\.db \(format 3; this version uses 2\)"):
        Format(FORMAT.application_id, 2, "").recognised(database, path)
    assert FORMAT.recognised(database, path) is Identity.OURS


def test_a_migration_goes_through_every_version_between_and_a_repeat_changes_nothing(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    database.execute("INSERT INTO t VALUES (1)")
    database.close()
    for _ in range(2):
        NEXT.migrate(tmp_path / "d.db", private=True)
        with closing(connect(tmp_path / "d.db", private=True)) as migrated:
            assert NEXT.identify(migrated) is Identity.OURS
            assert migrated.execute("SELECT x, z, y FROM t, u").fetchall() == [(1, 7, "7")]


def test_a_migration_that_fails_leaves_the_file_as_it_was(database: sqlite3.Connection, tmp_path: Path) -> None:
    def fail(database: sqlite3.Connection) -> None:
        raise KeyError

    database.close()
    with pytest.raises(KeyError):
        Format(FORMAT.application_id, 5, "", {3: extend, 4: fail}).migrate(tmp_path / "d.db", private=True)
    with closing(connect(tmp_path / "d.db", private=True)) as left:
        assert FORMAT.identify(left) is Identity.OURS
        assert [row[1] for row in left.execute("PRAGMA table_info(t)")] == ["x"]


def test_a_file_that_a_reader_has_open_is_not_migrated_under_it(database: sqlite3.Connection, tmp_path: Path) -> None:
    database.close()
    with closing(connect(tmp_path / "d.db", private=False, read_only=True)) as reader:
        assert reader.execute("SELECT * FROM t").fetchall() == []
        with pytest.raises(FileInUse, match=r"d\.db open"):
            NEXT.migrate(tmp_path / "d.db", private=True)
        assert FORMAT.identify(reader) is Identity.OURS


def test_tables_that_are_not_made_to_the_end_are_not_there(tmp_path: Path) -> None:
    broken = Format(1, 1, "CREATE TABLE t (x); CREATE TABLE t (y)")
    with closing(connect(tmp_path / "d.db", private=True)) as database:
        with pytest.raises(sqlite3.OperationalError), transaction(database):
            broken.create(database.execute)
        assert broken.identify(database) is Identity.EMPTY
        assert pragma(database, "application_id") == 0


def test_a_transaction_is_committed_whole_or_not_at_all(database: sqlite3.Connection, tmp_path: Path) -> None:
    def insert_and_fail() -> None:
        with transaction(database):
            database.execute("INSERT INTO t VALUES (1)")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        insert_and_fail()
    with transaction(database):
        database.execute("INSERT INTO t VALUES (2)")
    with closing(connect(tmp_path / "d.db", private=False, read_only=True)) as reader:
        assert reader.execute("SELECT x FROM t").fetchall() == [(2,)]


def test_whoever_runs_the_statements_runs_begin_and_commit_too(database: sqlite3.Connection) -> None:
    said: list[str] = []

    def run(sql: str) -> None:
        said.append(sql)
        database.execute(sql)

    with transaction(database, run):
        run("INSERT INTO t VALUES (1)")
    assert said == ["BEGIN IMMEDIATE", "INSERT INTO t VALUES (1)", "COMMIT"]


def test_a_snapshot_reads_one_state_also_inside_another_one_and_inside_a_transaction(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    lock, count = threading.RLock(), "SELECT count(*) FROM t"
    with closing(connect(tmp_path / "d.db", private=False)) as other:
        with snapshot(database, lock), snapshot(database, lock):
            assert database.execute(count).fetchone() == (0,)
            other.execute("INSERT INTO t VALUES (1)")
            assert database.execute(count).fetchone() == (0,)
        assert not database.in_transaction
        with transaction(database):
            with snapshot(database, lock):
                database.execute("INSERT INTO t VALUES (2)")
            assert database.in_transaction
        assert other.execute(count).fetchone() == (2,)


def test_a_reader_neither_makes_nor_changes_a_file(database: sqlite3.Connection, tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        connect(tmp_path / "missing.db", private=False, read_only=True)
    assert not (tmp_path / "missing.db").exists()
    with (
        closing(connect(tmp_path / "d.db", private=False, read_only=True)) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reader.execute("INSERT INTO t VALUES (1)")


@pytest.mark.parametrize("name", ["a?b#c %.db", "ü.db", "-x.db"])
def test_any_name_of_a_file_is_that_file(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(connect(Path(name), private=True)) as database:
        database.execute("CREATE TABLE t (x)")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_link_is_refused_where_the_file_is_private(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(NotPrivate):
        connect(tmp_path / "link", private=True)


def test_a_damaged_definition_that_is_no_text_is_damage(database: sqlite3.Connection, tmp_path: Path) -> None:
    database.execute("PRAGMA writable_schema = ON")
    database.execute("UPDATE sqlite_master SET sql = CAST(? AS TEXT) WHERE name = 't'", (b"CREATE TABLE t \xff(",))
    with (
        closing(connect(tmp_path / "d.db", private=True)) as damaged,
        pytest.raises(sqlite3.DatabaseError, match="damaged"),
    ):
        FORMAT.identify(damaged)


def test_damage_is_the_callers_error_whenever_it_comes_out_and_a_constraint_is_none(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    path, factory = tmp_path / "d.db", reporting_damage(lambda error: Damaged(str(error)))
    with transaction(database):
        database.executemany("INSERT INTO t VALUES (?)", ((number,) for number in range(20_000)))
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with closing(connect(path, private=False, factory=factory)) as whole, pytest.raises(sqlite3.IntegrityError):
        whole.execute("INSERT INTO t VALUES (NULL)")
    data = bytearray(path.read_bytes())
    data[-len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)
    with closing(connect(path, private=False, factory=factory)) as damaged, pytest.raises(Damaged, match="malformed"):
        damaged.execute("SELECT sum(x) FROM t").fetchone()
