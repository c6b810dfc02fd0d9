"""A kill of an aggregator before any write and around any message loses nothing and counts nothing twice."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection import CollectedShares
from aggregator.collect.collection_job import collect_request
from aggregator.errors import VerificationKeyMissing
from aggregator.intake.aggregation_job import Verdict
from aggregator.shares.helper import Helper
from aggregator.shares.leader import Leader
from aggregator.storage.records import REPORT_TABLES
from aggregator.storage.role_storage import Storage
from federation.ledger.entries import CompletionEntry, IntentEntry
from federation.plan import Plan
from tests.aggregator.moments import LEAST, sweep
from tests.aggregator.mortals import Killed, Pair, no_strike
from tests.aggregator.world import (
    COLLECTOR,
    DEADLINE,
    LocalLink,
    Site,
    add_sums,
    make_helper,
    make_leader,
    make_plan,
    open_at,
    prepared,
    require_exact,
    view,
)
from tests.federation.wire import live

VICTIMS = ["both", "helper alone"]
TAKEN, DUPLICATE, REJECTED = (bytes([verdict]) for verdict in Verdict)


@dataclass(frozen=True)
class Work:
    """A plan, its batches in order, and their expected results.

    Attributes:
        verdicts: of each batch; for a batch that repeats a rejected report, also the verdicts while the first batch waits.
        sums: the plain sums of the reports that are taken.
        rejected: the number of rejected reports by view, at both aggregators.
        files: the files of both aggregators when the plan is signed; with proofs they contain its verification key.
    """

    plan: Plan
    batches: list[bytes]
    verdicts: list[tuple[bytes, ...]]
    sums: dict[int, np.ndarray]
    rejected: tuple[int, ...]
    files: Path


def plain(files: Path) -> Work:
    plan = make_plan(view("v", 2), view("w", 1), panes=2)
    a, b = Site(plan, "a"), Site(plan, "b")
    first = a.batch([0, 0, 1])
    batches = [
        first,
        b.batch([1, 0]),
        a.batch([0, 0, 1], counted=False, ids=first.signed.header.report_ids),
        a.batch([2, 3, 2]),
        b.batch([3]),
    ]
    verdicts = [(told,) for told in (TAKEN * 3, TAKEN * 2, DUPLICATE * 3, TAKEN * 3, TAKEN)]
    return Work(plan, [batch.to_bytes() for batch in batches], verdicts, add_sums(a, b), (), files)


def proven(files: Path) -> Work:
    """Reports with proofs. Some lie, and some are sent again, unchanged or honest the second time."""
    helper = make_helper(files)
    leader = make_leader(files, LocalLink(helper))
    plan = prepared(make_plan(panes=2, validity="prio3"), leader.prepare)
    leader.close()
    helper.close()
    a, b = Site(plan, "a"), Site(plan, "b")
    first = a.batch([0, 0, 1, 1], lying=[1])
    ids = first.signed.header.report_ids
    some = np.concatenate([ids[:2], np.full((2, 16), 7, np.uint8)])
    some[3] = 9
    batches = [
        first,
        b.batch([0, 1, 1], malformed=[1]),
        a.batch([0, 0, 1, 1], counted=False, ids=ids),
        a.batch([0, 0, 1, 1], counted=[False, False, False, True], ids=some, lying=[2]),
        b.batch([1], lying=[0]),
    ]
    verdicts = [
        (TAKEN + REJECTED + TAKEN * 2,),
        (TAKEN + REJECTED + TAKEN,),
        (DUPLICATE + REJECTED + DUPLICATE * 2, DUPLICATE * 4),
        (DUPLICATE + REJECTED * 2 + TAKEN, DUPLICATE * 2 + REJECTED + TAKEN),
        (REJECTED,),
    ]
    return Work(plan, [batch.to_bytes() for batch in batches], verdicts, add_sums(a, b), (4,), files)


@pytest.fixture(scope="module", params=[plain, proven], ids=["none", "prio3"])
def work(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Work:
    made: Work = request.param(tmp_path_factory.mktemp("files"))
    return made


def opened(plan: Plan, leader: list[SealedShare], helper: list[SealedShare]) -> Any:
    return CollectedShares.of(plan, leader, helper, COLLECTOR.seal).open(plan)


def collection(pair: Pair, work: Work) -> None:
    """A whole collection. Each step is repeated until it succeeds; then results and files are checked."""
    plan = work.plan
    pair.until_done(lambda: open_at(pair.leader, plan))
    pair.until_done(lambda: open_at(pair.helper, plan))
    for batch in work.batches:
        pair.until_done(lambda batch=batch: pair.leader.submit(batch))
    request = collect_request(plan, COLLECTOR.sign)
    leader = pair.until_done(lambda: pair.leader.collect(request))
    helper = pair.until_done(lambda: pair.helper.collect(request))
    require_exact(plan, opened(plan, leader, helper), work.sums)
    pair.armed = False
    assert pair.leader.collect(request) == leader  # the same bytes, never fresh noise
    assert pair.helper.collect(request) == helper
    for batch, (usual, *waiting) in zip(work.batches, work.verdicts, strict=True):
        assert pair.leader.submit(batch).verdicts in (usual, *(waiting if pair.apart else ()))
    taken, ids = sum(usual.count(TAKEN) for usual, *_ in work.verdicts), []
    for party in (pair.leader, pair.helper):
        assert party.status(plan.hash)[0].rejected == work.rejected
        assert [type(entry) for entry in party.files.ledger.entries()] == [IntentEntry, CompletionEntry]
        assert all(share.opened for share in party.files.storage.noised(1))
        for table in ("sums", "pending", "keys", "held"):
            assert party.files.storage.one(f"SELECT count(*) FROM {table}") == (0,)
        ids.append([party.files.storage.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in REPORT_TABLES])
    assert ids[0] == ids[1]
    assert [len(rows) for rows in ids[0]] == [taken, sum(work.rejected)]


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_kill_before_any_write_and_around_any_message_changes_nothing(
    tmp_path: Path, victim: str, work: Work
) -> None:
    counts = sweep(tmp_path, victim, work.files, lambda pair: collection(pair, work))
    assert all(counts[one] >= least for one, least in LEAST.items())


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("number", range(5))
def test_many_kills_in_one_collection_change_nothing(tmp_path: Path, number: int, apart: bool, work: Work) -> None:
    rng = np.random.default_rng(number)

    def strike() -> None:
        if rng.random() < 0.05:
            raise Killed

    shutil.copytree(work.files, tmp_path, dirs_exist_ok=True)
    pair = Pair(tmp_path, {"leader": strike, "helper": strike, "link": strike}, apart=apart)
    try:
        collection(pair, work)
    finally:
        pair.close()
    assert pair.kills


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_kill_while_the_key_is_agreed_leaves_one_key_at_both(tmp_path: Path, victim: str) -> None:
    def agreement(pair: Pair) -> None:
        asked = make_plan(validity="prio3")
        plan = pair.until_done(lambda: prepared(asked, pair.leader.prepare))
        another = replace(plan, wire=replace(plan.wire, verify_key_hash=bytes(32)))
        pair.until_done(lambda: open_at(pair.helper, plan))
        pair.until_done(lambda: open_at(pair.leader, plan))
        pair.armed = False
        assert prepared(asked, pair.leader.prepare).hash == plan.hash  # a repeat gives the same key
        assert one_key(pair.leader) == one_key(pair.helper)
        for party in (pair.leader, pair.helper):
            with pytest.raises(VerificationKeyMissing):
                open_at(party, another)
        batch = Site(plan).batch([0, 0, 0], lying=[1]).to_bytes()
        assert pair.leader.submit(batch).verdicts == TAKEN + REJECTED + TAKEN

    counts = sweep(tmp_path, victim, None, agreement)
    assert all(counts[one] >= least for one, least in {"leader": 6, "helper": 6, "link": 2}.items())


def one_key(party: Leader | Helper) -> bytes:
    ((key,),) = party.files.storage.rows("SELECT key FROM keys")
    return bytes(key)


def test_a_kill_while_ids_are_erased_changes_no_answer(
    tmp_path: Path, work: Work, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The deadline has passed, and the announcement of the next plan erases the ids."""
    done = tmp_path_factory.mktemp("done")
    shutil.copytree(work.files, done, dirs_exist_ok=True)
    pair = Pair(done, dict.fromkeys(("leader", "helper", "link"), no_strike))
    collection(pair, work)
    request = collect_request(work.plan, COLLECTOR.sign)
    parties = ("leader", "helper")
    sent = [getattr(pair, role).collect(request) for role in parties]
    pair.close()
    later = make_plan(view("u", 1), number=1, first=10)
    assert later.wire is not None
    later = live(replace(later, wire=replace(later.wire, deadline_us=2 * DEADLINE)))

    def erasing(pair: Pair) -> None:
        pair.clock.now = DEADLINE + 1
        for role in parties:
            pair.until_done(lambda role=role: open_at(getattr(pair, role), later))
        pair.armed = False
        for role, shares in zip(parties, sent, strict=True):
            party = getattr(pair, role)
            assert party.collect(request) == shares
            assert party.status(work.plan.hash)[0].rejected == work.rejected
            for table in (*REPORT_TABLES, "sites"):
                assert not party.files.storage.rows(f"SELECT 1 FROM {table}")

    counts = sweep(tmp_path, "both", done, erasing)
    assert min(counts[role] for role in parties) >= 6


def test_a_failed_transaction_leaves_a_party_that_goes_on(tmp_path: Path, work: Work) -> None:
    """An error that does not end the process, such as a full disk, is rolled back too."""

    class Failing(Storage):
        fail = False

        def run_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
            if self.fail and sql.startswith("INSERT INTO sums"):
                raise sqlite3.OperationalError("database or disk is full")
            super().run_many(sql, rows)

    shutil.copytree(work.files, tmp_path, dirs_exist_ok=True)
    helper = make_helper(tmp_path, storage=Failing)
    leader = make_leader(tmp_path, LocalLink(helper))
    try:
        for party in (leader, helper):
            open_at(party, work.plan)
        helper.files.storage.fail = True
        assert leader.submit(work.batches[0]).pending
        assert helper.files.storage.one("SELECT count(*) FROM reports") == (0,)
        helper.files.storage.fail = False
        for batch in work.batches:
            leader.submit(batch)
        request = collect_request(work.plan, COLLECTOR.sign)
        shares = leader.collect(request), helper.collect(request)
        require_exact(work.plan, opened(work.plan, *shares), work.sums)
    finally:
        leader.close()
        helper.close()
