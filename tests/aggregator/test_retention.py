"""How long verification keys and report ids are kept. After their erasure no file contains any of their bytes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.collect.collection_job import collect_request, free_request
from aggregator.errors import (
    AfterDeadline,
    AlreadyCollected,
    PlanDeleted,
    RemoteRefusal,
    StateBehindLedger,
    VerificationKeyConflict,
    VerificationKeyMissing,
)
from aggregator.intake.key_agreement import key_offer
from aggregator.intake.refusals import LOST, refusal_of
from aggregator.shares.helper import GRACE_US, Helper
from aggregator.shares.leader import Leader
from aggregator.storage.records import REPORT_TABLES
from aggregator.storage.retention import LATEST_COLLECT_US, UNANNOUNCED_US, forget
from aggregator.storage.role_storage import Storage
from federation.circuit.validity import VerificationKey
from federation.draft import draft_of
from federation.ledger.state import Budget
from federation.plan import Plan
from tests.aggregator.proven_pair import DUPLICATE, REJECTED, TAKEN, LeaderAndHelper
from tests.aggregator.world import (
    COLLECTOR,
    COORDINATOR,
    DEADLINE,
    LEADER,
    NOW,
    Site,
    draft,
    make_plan,
    open_at,
    prepared,
    require_exact,
    signed,
    view,
)
from tests.federation.wire import HELPER_SEAL, live

OPEN_FILES = Path("/proc/self/fd")
PLENTY = Budget(10_000_000)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[LeaderAndHelper]:
    made = LeaderAndHelper(tmp_path)
    yield made
    made.close()


def holds(party: Leader | Helper, secret: bytes) -> bool:
    """Whether any storage file of this aggregator, its log included, contains these bytes."""
    path = party.files.storage.path
    return any(secret in file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def key_of(party: Leader | Helper, plan: Plan) -> bytes:
    key = party.files.storage.key(plan.plan_id)
    assert key is not None
    return key.secret_bytes()


def announce_another(*parties: Leader | Helper, number: int = 99) -> None:
    """Announce a plan without proofs, which makes an aggregator erase what has expired."""
    plan = much_later(make_plan(view("u", 1), number=number, first=10))
    for party in parties:
        open_at(party, plan)


def much_later(plan: Plan) -> Plan:
    """The plan with a much later deadline."""
    assert plan.wire is not None
    return live(replace(plan, wire=replace(plan.wire, deadline_us=10 * DEADLINE)))


# verification keys


def test_a_key_and_the_shares_of_sums_are_in_no_file_once_their_plan_is_collected(two: LeaderAndHelper) -> None:
    plan = two.plan()
    site = Site(plan)
    assert two.submit(site.batch([0, 0, 1, 1])) == TAKEN * 4
    key = key_of(two.leader, plan)
    totals = [party.files.storage.one("SELECT total FROM sums") for party in (two.leader, two.helper)]
    for party, total in zip((two.leader, two.helper), totals, strict=True):
        assert total is not None
        assert holds(party, key)
        assert holds(party, total[0])
    require_exact(plan, two.collect(plan), site.sums)
    for party, total in zip((two.leader, two.helper), totals, strict=True):
        assert total is not None
        assert not holds(party, key)
        assert not holds(party, total[0])


def test_a_plan_that_is_collected_again_needs_no_key(two: LeaderAndHelper) -> None:
    plan = two.plan()
    site = Site(plan)
    batch = site.batch([0, 0, 1, 1], lying=[1])
    two.submit(batch)
    request = collect_request(plan, COLLECTOR.sign)
    sent = two.leader.collect(request), two.helper.collect(request)
    for _ in range(2):
        assert (two.leader.collect(request), two.helper.collect(request)) == sent
        for party in (two.leader, two.helper):
            assert party.open_plan(signed(plan)) == plan.hash
        assert two.submit(batch) == TAKEN + REJECTED + TAKEN * 2
        with pytest.raises(AlreadyCollected):
            two.submit(Site(plan, "b").batch([0]))
        two.restart()


def test_a_key_goes_with_the_deadline_of_a_plan_that_nobody_collects(two: LeaderAndHelper) -> None:
    plan = two.plan()
    key = key_of(two.leader, plan)
    two.clock.now = DEADLINE
    announce_another(two.leader, two.helper)
    assert holds(two.leader, key)
    two.clock.now = DEADLINE + 1
    two.restart()
    assert not holds(two.leader, key)
    with pytest.raises(AfterDeadline):
        two.submit(Site(plan).batch([0]))
    assert key_of(two.helper, plan) == key  # the leader may have accepted a batch that needs it
    two.clock.now = DEADLINE + GRACE_US + 1
    announce_another(two.helper, number=98)
    assert not holds(two.helper, key)


def test_a_batch_that_waits_keeps_the_key_at_both_beyond_the_deadline(two: LeaderAndHelper) -> None:
    plan = two.plan()
    site = Site(plan)
    key = key_of(two.leader, plan)
    two.link.down = True
    batch = site.batch([0, 0, 1, 1], lying=[2])
    assert two.leader.submit(batch.to_bytes()).pending
    two.clock.now = DEADLINE + GRACE_US - 1
    two.restart()
    announce_another(two.leader, two.helper)
    for party in (two.leader, two.helper):  # the helper has not verified it yet
        assert holds(party, key)
    two.link.down = False
    require_exact(plan, two.collect(plan), site.sums)
    assert two.submit(batch) == TAKEN * 2 + REJECTED + TAKEN
    assert not holds(two.leader, key)
    assert not holds(two.helper, key)


def test_a_batch_that_the_helper_takes_no_more_holds_up_nothing(two: LeaderAndHelper) -> None:
    """After the grace period the batch is refused for good. Then its key is erased, and other plans continue."""
    plan = two.plan()
    key = key_of(two.leader, plan)
    two.link.down = True
    assert two.leader.submit(Site(plan).batch([0, 0]).to_bytes()).pending
    two.clock.now = DEADLINE + GRACE_US + 1
    two.restart()
    two.link.down = False
    assert holds(two.leader, key)
    assert not holds(two.helper, key)
    later = much_later(make_plan(view("w"), validity="prio3", number=1, first=10))
    later = prepared(later, two.leader.prepare)
    for party in (two.helper, two.leader):
        open_at(party, later)
    site = Site(later)
    assert two.submit(site.batch([0, 0, 1, 1])) == TAKEN * 4
    require_exact(later, two.collect(later), site.sums)
    assert two.leader.status(plan.hash)[0].pending == 0
    assert not holds(two.leader, key)


def test_a_key_whose_plan_never_comes_is_kept_for_a_day(two: LeaderAndHelper) -> None:
    plan = prepared(much_later(make_plan(validity="prio3")), two.leader.prepare)
    request = draft(plan)
    first = two.leader.prepare(request)
    key = key_of(two.leader, plan)
    two.clock.now = NOW + UNANNOUNCED_US
    two.restart()
    assert two.leader.prepare(request) == first
    two.clock.now += 1
    announce_another(two.leader, two.helper)
    for party in (two.leader, two.helper):
        assert not holds(party, key)
        with pytest.raises(VerificationKeyMissing):
            party.open_plan(signed(plan))
    again = two.leader.prepare(request)  # a new key can be agreed on
    assert again.live == first.live
    assert again.verify_key_hash != first.verify_key_hash
    assert key_of(two.leader, plan) == key_of(two.helper, plan)


def test_a_helper_that_keeps_a_key_for_longer_than_its_leader_refuses_another_one(two: LeaderAndHelper) -> None:
    plan = much_later(make_plan(validity="prio3"))
    two.leader.prepare(draft(plan))
    another = VerificationKey(b"1" * 32)
    offer = key_offer(plan.plan_id, draft_of(plan).hash, another, LEADER.sign, HELPER_SEAL.public)
    with pytest.raises(VerificationKeyConflict):
        two.helper.take_key(offer)
    two.clock.now = NOW + UNANNOUNCED_US + 1
    two.helper.take_key(offer)


def test_a_key_that_went_between_the_check_of_a_batch_and_its_keeping_costs_that_batch_alone(
    two: LeaderAndHelper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was ahead for a moment. A batch that waits without its key can never be verified."""
    plan = two.plan()
    opened_half = two.leader.share_intake._opened_half

    def meanwhile(*arguments: Any) -> Any:
        work = opened_half(*arguments)
        two.clock.now = DEADLINE + 1
        announce_another(two.leader)
        two.clock.now = NOW
        return work

    two.link.down = True
    with monkeypatch.context() as patched:
        patched.setattr(two.leader.share_intake, "_opened_half", meanwhile)
        with pytest.raises(VerificationKeyMissing):
            two.submit(Site(plan).batch([0, 0]))
    assert not two.leader.files.storage.pending_jobs()


def test_a_helper_without_the_key_refuses_a_batch_by_name_and_holds_up_nothing(two: LeaderAndHelper) -> None:
    """The helper's clock was ahead for a moment."""
    plan = two.plan()
    two.clock.now = DEADLINE + GRACE_US + 1
    announce_another(two.helper)
    two.clock.now = NOW
    with pytest.raises(RemoteRefusal, match="SEAL_KEY_ERASED"):
        two.submit(Site(plan).batch([0, 0]))
    later = prepared(make_plan(view("w"), validity="prio3", number=1, first=20), two.leader.prepare)
    for party in (two.helper, two.leader):
        open_at(party, later)
    assert two.submit(Site(later).batch([0, 0])) == TAKEN * 2


# report ids


def test_ids_go_after_the_deadline_and_what_was_told_is_told_again(two: LeaderAndHelper) -> None:
    plan = two.plan()
    site = Site(plan)
    batch = site.batch([0, 0, 1, 1, 1], lying=[1, 4])
    assert two.submit(batch) == TAKEN + REJECTED + TAKEN * 2 + REJECTED
    ids = batch.signed.header.report_ids
    assert (
        two.submit(site.batch([0, 0, 1, 1, 1], ids=ids, counted=False))
        == DUPLICATE + REJECTED + DUPLICATE * 2 + REJECTED
    )
    two.submit(site.batch([1]))
    request = collect_request(plan, COLLECTOR.sign)
    sent = two.leader.collect(request), two.helper.collect(request)
    statuses = [party.status(plan.hash) for party in (two.leader, two.helper)]
    assert [status[0].rejected for status in statuses] == [(2,), (2,)]
    two.clock.now = DEADLINE
    announce_another(two.leader, two.helper, number=98)
    for party in (two.leader, two.helper):
        for table in (*REPORT_TABLES, "sites"):
            assert party.files.storage.rows(f"SELECT 1 FROM {table}")
    two.clock.now = DEADLINE + 1
    announce_another(two.leader, two.helper)
    for _ in range(2):
        for party, status in zip((two.leader, two.helper), statuses, strict=True):
            for table in (*REPORT_TABLES, "sites"):
                assert not party.files.storage.rows(f"SELECT 1 FROM {table}")
            assert not any(holds(party, report.tobytes()) for report in ids)
            assert party.status(plan.hash) == status
        assert (two.leader.collect(request), two.helper.collect(request)) == sent
        assert two.submit(batch) == TAKEN + REJECTED + TAKEN * 2 + REJECTED
        two.restart()


def test_a_rejected_report_gets_no_second_try_until_the_deadline(two: LeaderAndHelper) -> None:
    plan = two.plan()
    site = Site(plan)
    first = site.batch([0], lying=[0])
    assert two.submit(first) == REJECTED
    two.clock.now = DEADLINE - 1
    two.restart()
    assert two.submit(site.batch([0], ids=first.signed.header.report_ids, counted=False)) == REJECTED
    assert two.leader.status(plan.hash)[0].rejected == (1,)


def test_rejected_reports_are_counted_right_however_often_ids_are_erased(two: LeaderAndHelper) -> None:
    plans, rejected = [], ((1,), (2,), (3,))
    for number, (count,) in enumerate(rejected):
        plan = make_plan(view(f"v{number}"), validity="prio3", number=number, first=10 * number)
        assert plan.wire is not None
        plan = live(replace(plan, wire=replace(plan.wire, deadline_us=DEADLINE + number)))
        plans.append(prepared(plan, two.leader.prepare))
        for party in (two.helper, two.leader):
            open_at(party, plans[-1])
        site = Site(plans[-1])
        two.submit(site.batch([0, 0, 1, 1, *[1] * count], lying=range(4, 4 + count)))
        require_exact(plans[-1], two.collect(plans[-1]), site.sums)
    for number, now in enumerate((DEADLINE, DEADLINE + 1, DEADLINE + 1, DEADLINE + 2, DEADLINE + 3)):
        two.clock.now = now
        announce_another(two.leader, two.helper, number=90 + number)
        two.restart()
        for party in (two.leader, two.helper):
            assert tuple(party.status(plan.hash)[0].rejected for plan in plans) == rejected
    for party in (two.leader, two.helper):
        assert not party.files.storage.rows("SELECT 1 FROM rejected")
        assert party.files.storage.rows("SELECT * FROM rejections ORDER BY 1") == [(1, 1, 1), (2, 1, 2), (3, 1, 3)]


# files


class Unsynced(Storage):
    synchronous = "OFF"


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    made = Unsynced(tmp_path / "leader.db", "leader")
    yield made
    made.close()


def contents(storage: Storage) -> bytes:
    return b"".join(file.read_bytes() for file in storage.path.parent.iterdir())


def test_many_keys_that_come_and_go_leave_no_byte(storage: Storage) -> None:
    """The bytes are gone however SQLite's B-tree moves them: see `RoleFile.erase`."""
    rng, gone = np.random.default_rng(1), []
    for step in range(60):
        for _ in range(rng.integers(1, 30)):
            key = VerificationKey(rng.bytes(32))
            storage.keep_key(rng.bytes(16), key, int(rng.integers(step, step + 40)))
            gone.append(key.secret_bytes())
        forget(storage, UNANNOUNCED_US + step, 0)
    kept = {key for (key,) in storage.rows("SELECT key FROM keys")}
    files = contents(storage)
    assert [key in files for key in gone] == [key in kept for key in gone]
    assert 0 < len(kept) < len(gone)


@pytest.mark.parametrize("seed", range(3))
def test_the_ids_and_sums_of_one_plan_among_others_leave_no_byte(storage: Storage, seed: int) -> None:
    rng, plans = np.random.default_rng(seed), range(1, 5)
    ids: list[list[bytes]] = [[] for _ in plans]
    for plan in plans:
        storage.add_plan(bytes([plan]) * 32, bytes([plan]) * 16, b"signed", 0)
    for first in range(0, 160, 4):
        for plan in plans:
            collections = np.arange(first, first + 4, dtype=np.uint32)
            some = rng.integers(0, 256, (rng.integers(1, 60), 16), dtype=np.uint8)
            with storage.transaction():
                add = (storage.reports.add_reports, storage.reports.add_rejected)[rng.integers(2)]
                add(plan, np.zeros(len(some), np.uint32), some)
                storage.reports.set_sums(plan, collections, rng.integers(0, 2**60, (4, 9), dtype=np.uint64))
            ids[plan - 1] += [one.tobytes() for one in some]
    sums = [[total for (total,) in storage.rows("SELECT total FROM sums WHERE plan = ?", plan)] for plan in plans]
    left = set(plans)
    for plan in (2, 1, 3, 4):
        with storage.transaction():
            storage.add_noised(plan, [])
        forget(storage, 1, 0)
        left.remove(plan)
        files = contents(storage)
        for of in plans:
            for secret in (*ids[of - 1], *sums[of - 1]):
                assert (secret in files) == (of in left)


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="only Linux lists open files in /proc")
def test_shares_that_stay_are_in_no_temporary_file_while_others_are_erased(storage: Storage) -> None:
    """SQLite would write a statement's journal, which contains shares, to a temporary file that nothing overwrites."""
    for plan in (1, 2):
        storage.add_plan(bytes([plan]) * 32, bytes([plan]) * 16, b"signed", 0)
        with storage.transaction():
            storage.reports.set_sums(plan, np.arange(3, dtype=np.uint32), np.full((3, 20_000), plan, np.uint64))
    with storage.transaction():
        storage.erase("sums", "plan = ?", 1)
        links = [file.readlink() for file in OPEN_FILES.iterdir() if file.is_symlink()]
    assert storage.path in links
    assert not [link for link in links if link.name.startswith("etilqs_")]


def test_a_log_that_another_process_reads_is_emptied_the_next_time(storage: Storage) -> None:
    key = VerificationKey(b"secret key " * 2 + bytes(10))
    storage.keep_key(bytes(16), key, 0)
    reader = sqlite3.connect(storage.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM keys").fetchall()
    forget(storage, UNANNOUNCED_US + 1, 0)
    assert storage.key(bytes(16)) is None
    assert key.secret_bytes() in contents(storage)
    reader.close()
    forget(storage, UNANNOUNCED_US + 1, 0)
    assert key.secret_bytes() not in contents(storage)
    assert storage.one("PRAGMA busy_timeout") == (30_000,)


def test_threads_that_write_and_read_meanwhile_are_not_disturbed(storage: Storage) -> None:
    storage.add_plan(b"h" * 32, b"i" * 16, b"signed", 10**18)

    def work(number: int) -> int:
        rng = np.random.default_rng(number)
        for at in range(40):
            match number % 3:
                case 0:
                    forget(storage, UNANNOUNCED_US + at, 0)
                case 1:
                    storage.keep_key(rng.bytes(16), VerificationKey(rng.bytes(32)), at)
                case _:
                    with storage.transaction():
                        some = rng.integers(0, 256, (20, 16), dtype=np.uint8)
                        storage.reports.add_reports(1, np.zeros(20, np.uint32), some)
                        assert storage.reports.known(1, some).all()
                    assert sum(1 for _ in storage.reports.in_order(1)) % 20 == 0
        return number

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(6))) == list(range(6))
    forget(storage, UNANNOUNCED_US + 40, 0)
    assert storage.one("SELECT count(*) FROM keys") == (0,)
    assert storage.one("SELECT count(*) FROM reports") == (2 * 40 * 20,)
    assert storage.path.with_name("leader.db-wal").stat().st_size == 0


# whole plans


def test_a_plan_that_is_deleted_31_days_after_its_deadline_is_named_and_gets_no_fresh_noise(
    two: LeaderAndHelper,
) -> None:
    plan = two.plan()
    batch = Site(plan).batch([0, 0, 1, 1])
    two.submit(batch)
    two.collect(plan)
    request, late = collect_request(plan, COLLECTOR.sign), DEADLINE + LATEST_COLLECT_US + 1
    sent = two.leader.collect(request), two.helper.collect(request)
    two.clock.now = late  # a clock that jumps ahead: nothing was charged since
    announce_another(two.leader, two.helper)
    assert (two.leader.collect(request), two.helper.collect(request)) == sent
    for party in (two.leader, two.helper):
        party.files.ledger.intend(much_later(make_plan(view("w", 1), number=97, first=20)), PLENTY)
    two.restart()
    heads = [party.files.ledger.head for party in (two.leader, two.helper)]
    for party in (two.leader, two.helper):
        assert party.files.storage.plan(plan.hash) is None
        for repeat in (
            lambda party: party.collect(request),
            lambda party: party.open_plan(signed(plan)),
            lambda party: party.free(free_request(plan.hash, COORDINATOR.sign)),
            lambda party: party.status(plan.hash),
        ):
            with pytest.raises(PlanDeleted):
                repeat(party)
    with pytest.raises(PlanDeleted):
        two.submit(batch)
    two.clock.now = NOW  # the clock is right again: the plan is not opened a second time
    for party in (two.leader, two.helper):
        with pytest.raises(StateBehindLedger):
            party.open_plan(signed(plan))
    assert [party.files.ledger.head for party in (two.leader, two.helper)] == heads
    assert refusal_of(PlanDeleted(plan.hash)).reason in LOST  # so the coordinator ends it
