from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aggregator.collect.aggregate_share import SealedShare
from aggregator.errors import StorageUnusable
from aggregator.storage.records import Pending
from aggregator.storage.retention import LATEST_COLLECT_US, forget, forget_finished
from aggregator.storage.role_storage import Storage
from base.errors import OfNewerVersion
from crypto.errors import FieldElementOutOfRange


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    made = Storage(tmp_path / "leader.db", "leader")
    made.add_plan(b"h" * 32, b"i" * 16, b"signed", 7)
    yield made
    made.close()


def ids(*numbers: int) -> np.ndarray:
    return np.array([list(number.to_bytes(16, "big")) for number in numbers], np.uint8)


def u32(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint32)


def test_the_file_is_written_ahead_synced_in_full_and_overwritten_where_rows_are_deleted(storage: Storage) -> None:
    assert storage.one("PRAGMA journal_mode") == ("wal",)
    assert storage.one("PRAGMA synchronous") == (2,)
    assert storage.one("PRAGMA secure_delete") == (1,)
    assert storage.one("PRAGMA integrity_check") == ("ok",)


def test_only_the_owner_reads_the_files(storage: Storage) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in storage.path.parent.iterdir()}
    assert modes == {"leader.db": 0o600, "leader.db-wal": 0o600, "leader.db-shm": 0o600}


def test_what_was_committed_is_there_again(storage: Storage, tmp_path: Path) -> None:
    with storage.transaction():
        storage.reports.add_reports(1, u32(0, 5), ids(1, 2))
        storage.reports.set_sums(1, u32(0, 5), np.array([[1, 2], [3, 2**64 - 2**32]], np.uint64))
        storage.record(1, b"j" * 16, b"d" * 32, b"answer")
    storage.close()
    again = Storage(tmp_path / "leader.db", "leader")
    try:
        plan = again.plan(b"h" * 32)
        assert plan is not None
        assert (plan.number, plan.state, plan.deadline_us, again.hash_of(1)) == (1, "open", 7, b"h" * 32)
        assert again.reports.known(1, ids(2, 3, 1)).tolist() == [True, False, True]
        assert again.reports.sums(1, u32(0, 3, 5), 2).tolist() == [[1, 2], [0, 0], [3, 2**64 - 2**32]]
        assert again.job(1, b"j" * 16) == (b"d" * 32, b"answer")
    finally:
        again.close()


def test_a_transaction_that_fails_leaves_nothing(storage: Storage) -> None:
    def failing() -> None:
        with storage.transaction():
            storage.reports.add_reports(1, u32(0), ids(1))
            storage.reports.set_sums(1, u32(0), np.ones((1, 2), np.uint64))
            storage.keep(Pending(1, b"j" * 16, b"d" * 32, b"k" * 32, b"\0", b"batch"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failing()
    for table in ("reports", "sums", "pending"):
        assert storage.one(f"SELECT count(*) FROM {table}") == (0,)


def test_an_id_a_job_and_a_noised_share_are_stored_once(storage: Storage) -> None:
    storage.reports.add_reports(1, u32(0), ids(1))
    with pytest.raises(sqlite3.IntegrityError):
        storage.reports.add_reports(1, u32(1), ids(1))
    storage.record(1, b"j" * 16, b"d" * 32, b"answer")
    with pytest.raises(sqlite3.IntegrityError):
        storage.record(1, b"j" * 16, b"e" * 32, b"another")
    storage.add_noised(1, [SealedShare(b"sealed", b"statement")])
    with pytest.raises(sqlite3.IntegrityError):
        storage.add_noised(1, [SealedShare(b"other", b"statement")])


def test_many_ids_are_looked_up_in_parts(storage: Storage) -> None:
    with storage.transaction():
        storage.reports.add_reports(1, np.zeros(2_500, np.uint32), ids(*range(0, 5_000, 2)))
    known = storage.reports.known(1, ids(*range(5_000)))
    assert known.tolist() == [number % 2 == 0 for number in range(5_000)]
    assert not storage.reports.known(2, ids(*range(10))).any()


def test_reports_come_sorted_by_collection_and_id(storage: Storage) -> None:
    storage.reports.add_reports(1, u32(2, 0, 2, 0), ids(9, 8, 1, 300))
    assert [(of, int.from_bytes(one, "big")) for of, one, _ in storage.reports.in_order(1)] == [
        (0, 8),
        (0, 300),
        (2, 1),
        (2, 9),
    ]
    storage.reports.drop_reports(1, ids(8, 9))
    assert [int.from_bytes(one, "big") for _, one, _ in storage.reports.in_order(1)] == [300, 1]


def test_a_sum_that_is_no_field_element_is_not_read(storage: Storage) -> None:
    storage.run("INSERT INTO sums (plan, collection, total) VALUES (1, 0, ?)", b"\xff" * 16)
    with pytest.raises(FieldElementOutOfRange):
        storage.reports.sums(1, u32(0), 2)


def test_storing_a_noised_share_forgets_the_sums_and_only_then_it_is_witnessed(storage: Storage) -> None:
    storage.reports.set_sums(1, u32(0), np.ones((1, 2), np.uint64))
    storage.set_witnessed(1)
    assert [plan.state for plan in storage.plans()] == ["open"]
    with storage.transaction():
        storage.add_noised(1, [SealedShare(b"sealed", b"statement")])
    assert storage.noised(1) == [SealedShare(b"sealed", b"statement")]
    assert storage.one("SELECT count(*) FROM sums") == (0,)
    assert [plan.state for plan in storage.plans()] == ["noised"]
    storage.set_witnessed(1)
    assert [plan.state for plan in storage.plans()] == ["witnessed"]


def test_ids_are_kept_until_the_deadline_of_a_plan_with_noise(storage: Storage) -> None:
    storage.add_plan(b"o" * 32, b"j" * 16, b"signed", 7)
    for plan in (1, 2):
        storage.reports.add_reports(plan, u32(0), ids(1))
        storage.reports.set_site_counts(plan, "a", u32(0), np.array([1]))
    storage.add_noised(1, [])
    forget(storage, 7, 0)
    assert storage.reports.known(1, ids(1)).all()
    forget(storage, 8, 0)
    assert not storage.reports.known(1, ids(1)).any()
    assert storage.reports.known(2, ids(1)).all()  # not noised yet
    assert storage.reports.site_counts(2, "a", u32(0, 2), 3).tolist() == [1, 0, 0]


def test_a_collected_plan_is_deleted_31_days_after_its_deadline(storage: Storage) -> None:
    for number in (2, 3, 4):
        storage.add_plan(bytes([number]) * 32, bytes([number]) * 16, b"signed", 7)
    for plan in (1, 2):
        storage.add_noised(plan, [SealedShare(b"sealed", b"statement")], [b"held"])
        storage.record(plan, b"job", b"digest", b"answer")
        storage.set_swap_digest(plan, bytes(32))
    storage.set_witnessed(1)
    storage.free(3, bytes([3]) * 16)
    over = 8 + LATEST_COLLECT_US
    forget_finished(storage, over - 1, over)
    forget_finished(storage, over, over - 1)  # a clock that jumps ahead, without a charge
    assert [plan.state for plan in storage.plans()] == ["witnessed", "noised", "freed", "open"]
    forget_finished(storage, over, over)
    assert [plan.state for plan in storage.plans()] == ["noised", "freed", "open"]  # the others may be asked for
    assert storage.noised(2) == [SealedShare(b"sealed", b"statement")]
    for table in ("noised", "held", "jobs", "swaps"):
        assert storage.rows(f"SELECT DISTINCT plan FROM {table}") == [(2,)], table


def test_no_statement_for_one_plan_reads_all_plans(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """43,200 plans are a month of minutes."""
    said: list[tuple[str, str]] = []
    execute = storage._connection.execute

    class Explained:
        in_transaction = False

        def execute(self, sql: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
            if sql.split()[0] in ("SELECT", "DELETE", "UPDATE", "INSERT"):
                said.extend((sql, row[3]) for row in execute(f"EXPLAIN QUERY PLAN {sql}", values))
            return execute(sql, values)

    monkeypatch.setattr(storage, "_connection", Explained())
    storage.add_plan(bytes([2]) * 32, bytes([2]) * 16, b"signed", 7)
    storage.plan(bytes([2]) * 32)
    storage.plans_of_id(bytes([2]) * 16)
    storage.unopened_plans()
    forget(storage, 8, 0)
    forget_finished(storage, 8, 8)
    storage.free(2, bytes([2]) * 16)
    of_all = ("SCAN plans", "SEARCH plans USING INDEX plans_by_state (state=?)")
    scans = [(sql, plan) for sql, plan in said if plan in of_all and "'open', 'closed'" not in sql]
    monkeypatch.undo()
    assert len(said) > 20
    assert not scans


def test_a_file_of_another_role_program_or_version_is_refused(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(StorageUnusable, match="belongs to the leader"):
        Storage(tmp_path / "leader.db", "helper")
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(StorageUnusable, match="not the storage of an aggregator"):
        Storage(tmp_path / "other.db", "leader")
    (tmp_path / "noise.db").write_bytes(b"no database" * 500)
    with pytest.raises(StorageUnusable):
        Storage(tmp_path / "noise.db", "leader")
    with pytest.raises(StorageUnusable):
        Storage(tmp_path / "missing" / "leader.db", "leader")
    for version, error, text in (
        (1, StorageUnusable, "another version of Covey"),
        (Storage.version + 1, OfNewerVersion, "a later version of Covey"),
    ):
        storage.run(f"PRAGMA user_version={version}")
        before = (tmp_path / "leader.db-wal").read_bytes()
        with pytest.raises(error, match=text):
            Storage(tmp_path / "leader.db", "leader")
        assert (tmp_path / "leader.db-wal").read_bytes() == before
