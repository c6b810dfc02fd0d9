"""Versions of models in a store: promoted beside a publisher, rolled back, deleted, checked and copied."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from deployment.backup.back_up import back_up
from deployment.backup.restore import restore
from featurestore.errors import (
    ModelChanged,
    ModelInUse,
    NothingToRollBack,
    StoreCorrupt,
    StoreInUse,
    StoreNotFound,
    StoreWriteFailed,
    UnknownModel,
)
from featurestore.publish import model_versions
from featurestore.publish.model_versions import delete_models, promote, promote_unless_changed, roll_back
from featurestore.publish.publish import Publisher
from featurestore.publish.verify import Mend, check_store
from featurestore.publish.writer_lock import no_writer
from featurestore.registry.consistency import registry_problems
from featurestore.registry.models import MAX_FILE_BYTES
from featurestore.registry.serving_versions import Newest, Weights, parse_serving
from featurestore.store import Store

VERSIONS = 3


def clock() -> int:
    return 7


def single(version: int) -> Weights:
    return Weights.single("late", version)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A store with three versions of `late` and one of `demand`."""
    with Publisher(tmp_path / "project", clock) as publisher:
        for version in range(1, VERSIONS + 1):
            publisher.register_model("late", {"model.bin": b"%d" % version}, "{}")
        publisher.register_model("demand", {"model.bin": b"d"}, "{}")
    return tmp_path / "project"


def in_force(directory: Path, name: str = "late") -> str:
    with Store.open(directory) as store:
        return str(store.in_force(name))


def test_an_open_reader_sees_what_other_processes_promote_and_its_stamp_changes(directory: Path) -> None:
    with Store.open(directory) as store:
        stamps = [store.models_stamp()]
        assert store.models_stamp() == stamps[0]

        def after(change: Callable[[], object]) -> str:
            change()
            stamps.append(store.models_stamp())
            return str(store.in_force("late"))

        assert after(lambda: promote(directory, "late", single(1), clock)) == "v1"
        assert store.model("late").version == 1
        assert after(lambda: promote(directory, "late", Weights.of("late", {1: 1, 2: 3}), clock)) == "v1=0.25 v2=0.75"
        assert store.model("late").version == 2
        assert after(lambda: roll_back(directory, "late", clock)) == "v1"
        assert after(lambda: delete_models(directory, "late@v2", clock)) == "v1"
        with Publisher(directory, clock) as publisher:
            assert after(lambda: publisher.register_model("late", {"model.bin": b"4"}, "{}")) == "v1"
        assert after(lambda: promote(directory, "late", Newest(), clock)) == "v4"
        assert len(set(stamps)) == len(stamps)
        assert [one.version for one in store.models() if one.name == "late"] == [1, 3, 4]
        assert [one.is_rollback for one in store.model_history("late").promotions] == [False, False, True, False]
        assert str(store.in_force("demand")) == "v1"


def test_a_promotion_needs_no_lock_and_a_publisher_that_holds_it_goes_on(directory: Path) -> None:
    with Publisher(directory, clock) as publisher:
        change = promote(directory, "late", single(2), clock)
        assert (str(change.before), str(change.after), change.serving) == ("v3", "v2", single(2))
        assert str(roll_back(directory, "late", clock).after) == "v3"
        publisher.register_model("late", {"model.bin": b"4"}, "{}")
    assert in_force(directory) == "v4"


def test_promotions_at_once_are_one_after_the_other(directory: Path) -> None:
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        for i in range(10):
            promote(directory, "late", single(1 + (number + i) % VERSIONS), clock)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, number) for number in range(4)]:
            done.result()
    with Store.open(directory) as store:
        history = store.model_history("late")
    assert len(history.promotions) == 40
    assert history.in_force == history.promotions[-1].serving
    assert not registry_problems(directory / "store" / "registry.db")


@pytest.mark.parametrize("words", [["v4"], ["v1=1", "v9=1"]])
def test_an_unknown_or_deleted_version_is_not_promoted(directory: Path, words: list[str]) -> None:
    with pytest.raises(UnknownModel, match="it has: late@v1, late@v2, late@v3"):
        promote(directory, "late", parse_serving("late", words), clock)
    delete_models(directory, "late@v1", clock)
    with pytest.raises(UnknownModel, match="it has: late@v2, late@v3"):
        promote(directory, "late", single(1), clock)
    for name in ("nothing", "../late", "late@v1"):
        with pytest.raises(UnknownModel):
            promote(directory, name, Newest(), clock)
    assert in_force(directory) == "v3"
    with Store.open(directory) as store:
        assert store.model_history("late").promotions == ()


def test_a_folder_without_a_store_gets_none(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound):
        promote(tmp_path, "late", Newest(), clock)
    assert not [*tmp_path.iterdir()]


def test_a_writer_that_commits_for_long_is_named(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featurestore.registry.registry._BUSY_S", 0.0)
    with closing(sqlite3.connect(directory / "store" / "registry.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreInUse):
            promote(directory, "late", single(1), clock)
    promote(directory, "late", single(1), clock)


def test_a_deleted_version_loses_its_files_and_its_number_is_not_given_again(directory: Path) -> None:
    promote(directory, "late", single(1), clock)
    assert delete_models(directory, "late@v3", clock) == ["late@v3"]
    assert not (directory / "store" / "models" / "late" / "v3").exists()
    with Publisher(directory, clock) as publisher:
        assert publisher.register_model("late", {"model.bin": b"4"}, "{}").version == 4
    with (
        Store.open(directory) as store,
        pytest.raises(UnknownModel, match="it has: demand@v1, late@v1, late@v2, late@v4"),
    ):
        store.model("late@v3")
    with pytest.raises(UnknownModel):
        delete_models(directory, "late@v3", clock)
    assert not check_store(directory).damaged


def test_a_version_in_force_is_not_deleted_but_a_whole_name_is(directory: Path) -> None:
    promote(directory, "late", Weights.of("late", {1: 1, 2: 1}), clock)
    for version in (1, 2):
        with pytest.raises(ModelInUse):
            delete_models(directory, f"late@v{version}", clock)
    assert delete_models(directory, "late", clock) == ["late@v1", "late@v2", "late@v3"]
    with Store.open(directory) as store:
        with pytest.raises(UnknownModel, match="it has: demand@v1"):
            store.in_force("late")
        assert [str(one) for one in store.models()] == ["demand@v1"]
    with Publisher(directory, clock) as publisher:
        publisher.register_model("late", {"model.bin": b"4"}, "{}")
    assert in_force(directory) == "v4"
    with pytest.raises(NothingToRollBack):
        roll_back(directory, "late", clock)
    assert not check_store(directory).damaged


def test_a_deletion_waits_for_a_check_of_the_store(directory: Path) -> None:
    with ThreadPoolExecutor(1) as thread:
        with no_writer(directory / "store"):
            deleting = thread.submit(delete_models, directory, "late@v1", clock)
            assert not check_store(directory).damaged
            assert not deleting.done()
        assert deleting.result() == ["late@v1"]


def test_an_interrupted_deletion_is_named_and_the_next_writer_ends_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(model_versions.shutil, "rmtree", refuse)
        with pytest.raises(StoreWriteFailed):
            delete_models(directory, "late@v1", clock)
    ((damage),) = check_store(directory).damaged
    assert (damage.path, damage.mend) == ("models/late/v1", Mend.STRAY)
    Publisher(directory, clock).close()
    assert not check_store(directory).damaged
    assert not (directory / "store" / "models" / "late" / "v1").exists()


def test_a_damaged_model_file_is_named(directory: Path) -> None:
    folder = directory / "store" / "models" / "late"
    (folder / "v1" / "model.bin").write_bytes(b"other")
    (folder / "v2" / "model.bin").unlink()
    found = {one.path: one.mend for one in check_store(directory).damaged}
    assert found == {"models/late/v1/model.bin": Mend.BACKUP, "models/late/v2/model.bin": Mend.BACKUP}


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE promotions SET weights = '{}'", "a promotion of model 'late' cannot be read"),
        ("DELETE FROM models WHERE version = 2", "v2 of model 'late' is in force, but its row was deleted"),
    ],
)
def test_a_damaged_promotion_is_a_problem_of_the_registry(directory: Path, statement: str, problem: str) -> None:
    promote(directory, "late", single(2), clock)
    with closing(sqlite3.connect(directory / "store" / "registry.db")) as database, database:
        database.execute(statement)
    assert problem in registry_problems(directory / "store" / "registry.db")


@pytest.mark.parametrize(
    "column", ["weights = x'00'", "weights = 7", "newest = 'many'", "at = x'00'", "newest = 1000000000000"]
)
def test_a_promotion_that_somebody_wrote_into_the_file_is_refused_or_does_no_harm(directory: Path, column: str) -> None:
    promote(directory, "late", single(1), clock)
    promote(directory, "late", Newest(), clock)
    with closing(sqlite3.connect(directory / "store" / "registry.db")) as database, database:
        database.execute(f"UPDATE promotions SET {column}")
    with Store.open(directory) as store:
        if "1000000000000" in column:
            assert store.model("late").version == VERSIONS
            assert store.model_history("late").before() == single(1)
            return
        for call in (store.in_force, store.model):
            with pytest.raises(StoreCorrupt, match="a promotion of model 'late' cannot be read"):
                call("late")
    with pytest.raises(StoreCorrupt):
        roll_back(directory, "late", clock)
    assert "a promotion of model 'late' cannot be read" in str(registry_problems(directory / "store" / "registry.db"))


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("'../../../elsewhere'", "1"),
        ("'..'", "1"),
        ("'late'", "'1/../../../../elsewhere'"),
        ("x'2e2e'", "1"),
        ("'late'", "0"),
    ],
)
def test_a_registry_that_names_a_place_outside_of_the_store_removes_and_reads_nothing(
    directory: Path, tmp_path: Path, name: str, version: str
) -> None:
    for place in (tmp_path / "elsewhere" / "v1", directory / "v1", tmp_path / "v1"):
        place.mkdir(parents=True)
        (place / "model.bin").write_bytes(b"kept")
    with closing(sqlite3.connect(directory / "store" / "registry.db")) as database, database:
        database.execute(f"INSERT INTO models VALUES ({name}, {version}, '{{\"model.bin\": \"\"}}', '{{}}', 0, 0)")
    with pytest.raises(StoreCorrupt, match="which cannot be its name"):
        Publisher(directory, clock)
    assert [one.read_bytes() for one in sorted(tmp_path.rglob("v1/model.bin"))].count(b"kept") == 3
    assert registry_problems(directory / "store" / "registry.db")
    with closing(sqlite3.connect(directory / "store" / "registry.db")) as database, database:
        database.execute("UPDATE models SET deleted_at = NULL")
    with Store.open(directory) as store, pytest.raises(StoreCorrupt):
        store.models()


def test_a_linked_folder_of_a_deleted_version_is_left(directory: Path, tmp_path: Path) -> None:
    models = directory / "store" / "models"
    (models / "late").rename(tmp_path / "elsewhere")
    (models / "late").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreCorrupt, match="in a linked folder"):
        delete_models(directory, "late@v1", clock)
    assert (tmp_path / "elsewhere" / "v1" / "model.bin").is_file()


def test_a_file_outside_of_its_folder_is_not_read(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "store" / "registry.db")) as database, database:
        database.execute('UPDATE models SET files = \'{"../../../secret": ""}\' WHERE version = 3')
    with Store.open(directory) as store, pytest.raises(StoreCorrupt, match="a file cannot be called"):
        store.model("late").read("../../../secret")


@pytest.mark.parametrize("table", ["models", "files"])
def test_a_backup_of_somebodys_store_reads_and_writes_nothing_outside(
    directory: Path, tmp_path: Path, table: str
) -> None:
    (tmp_path / "secret").write_text("kept")
    with closing(sqlite3.connect(directory / "store" / "registry.db")) as database, database:
        if table == "models":
            database.execute('UPDATE models SET files = \'{"../../../../../secret": ""}\' WHERE version = 3')
        else:
            columns = [row[1] for row in database.execute("PRAGMA table_info(files)")]
            values = ["'../../../secret'" if name == "path" else "0" for name in columns]
            database.execute(f"INSERT INTO files VALUES ({', '.join(values)})")
    (tmp_path / "backups").mkdir()
    with pytest.raises(StoreCorrupt, match=r"secret', which lies elsewhere; it is not copied"):
        back_up(directory, tmp_path / "backups" / "one", clock)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["backups", "project", "secret"]
    assert not [*(tmp_path / "backups").iterdir()]


@pytest.mark.parametrize(
    "column",
    [
        "lineage = '[]'", f"lineage = '{'[' * 100_000}'", "lineage = x'00'", "files = '[]'", "files = '{\"a.txt\": 5}'",
        f"files = '{'[' * 100_000}'", "registered_at = 'soon'", "version = 'two' WHERE version = 2",
    ],
)  # fmt: skip
def test_a_damaged_row_of_a_model_is_named(directory: Path, tmp_path: Path, column: str) -> None:
    with closing(sqlite3.connect(directory / "store" / "registry.db")) as database, database:
        database.execute(f"UPDATE models SET {column}")
    with Store.open(directory) as store:
        for call in (store.models, lambda: store.model("late")):
            with pytest.raises(StoreCorrupt, match=r"model '(late|demand)'.* cannot be read"):
                call()
    assert "cannot be read" in str(registry_problems(directory / "store" / "registry.db"))
    assert check_store(directory).damaged
    if "files" in column:
        with pytest.raises(StoreCorrupt, match="cannot be read"):
            back_up(directory, tmp_path / "backup", clock)


def test_a_pipe_or_a_huge_file_is_not_read_as_a_model(directory: Path) -> None:
    file = directory / "store" / "models" / "late" / "v3" / "model.bin"
    file.unlink()
    os.mkfifo(file)
    with Store.open(directory) as store:
        with pytest.raises(StoreCorrupt, match=r"model late@v3: model.bin is no file of up to 1,073,741,824 bytes"):
            store.model("late").read("model.bin")
        file.unlink()
        file.touch()
        os.truncate(file, MAX_FILE_BYTES + 1)
        with pytest.raises(StoreCorrupt, match="is no file of up to"):
            store.model("late").read("model.bin")


def test_a_decision_is_not_applied_to_what_it_was_not_made_from(directory: Path) -> None:
    with Store.open(directory) as store:
        seen = store.model_history("late")
        assert promote_unless_changed(directory, "late", single(2), seen, clock)
        assert not promote_unless_changed(directory, "late", single(1), seen, clock)
        seen = store.model_history("demand")
        with Publisher(directory, clock) as publisher:
            publisher.register_model("demand", {"model.bin": b"2"}, "{}")
        assert not promote_unless_changed(directory, "demand", Weights.single("demand", 1), seen, clock)
    assert (in_force(directory), in_force(directory, "demand")) == ("v2", "v2")


@pytest.mark.parametrize("change", ["promotion", "rollback", "registration", "deletion"])
def test_who_decides_from_an_older_state_is_refused_and_changes_nothing(directory: Path, change: str) -> None:
    promote(directory, "late", single(2), clock)
    with Store.open(directory) as store:
        seen = store.model_history("late").stamp
    match change:
        case "promotion":
            promote(directory, "late", single(2), clock, seen=seen)  # the same versions, and yet another decision
        case "rollback":
            roll_back(directory, "late", clock, seen=seen)
        case "registration":
            with Publisher(directory, clock) as publisher:
                publisher.register_model("late", {"model.bin": b"4"}, "{}")
        case "deletion":
            delete_models(directory, "late@v1", clock, seen=seen)
    before = in_force(directory)
    with pytest.raises(ModelChanged, match=f"{before} is in force now"):
        promote(directory, "late", single(3), clock, seen=seen)
    with pytest.raises(ModelChanged):
        roll_back(directory, "late", clock, seen=seen)
    with pytest.raises(ModelChanged):
        delete_models(directory, "late", clock, seen=seen)
    with Store.open(directory) as store:
        history = store.model_history("late")
    assert str(history.in_force) == before
    assert 3 in history.versions


def test_a_backup_has_what_is_in_force_and_no_deleted_version(directory: Path, tmp_path: Path) -> None:
    promote(directory, "late", single(2), clock)
    delete_models(directory, "late@v3", clock)
    back_up(directory, tmp_path / "backup", clock)
    restore(tmp_path / "backup", tmp_path / "again")
    assert in_force(tmp_path / "again") == "v2"
    with Store.open(tmp_path / "again") as store:
        assert [str(one) for one in store.models()] == ["demand@v1", "late@v1", "late@v2"]
    assert not (tmp_path / "again" / "store" / "models" / "late" / "v3").exists()
    assert not check_store(tmp_path / "again").damaged


def test_a_version_that_is_deleted_during_a_backup_is_not_in_it(directory: Path, tmp_path: Path) -> None:
    promote(directory, "late", single(2), clock)
    gone: list[str] = []

    def progress(done: int, _: int) -> None:
        if done == 1 and not gone:
            gone.extend(delete_models(directory, "late@v3", clock))

    back_up(directory, tmp_path / "backup", clock, progress=progress)
    assert gone == ["late@v3"]
    restore(tmp_path / "backup", tmp_path / "again")
    assert not (tmp_path / "again" / "store" / "models" / "late" / "v3").exists()
    assert not check_store(tmp_path / "again").damaged
