"""Kill an aggregator before any write and around any message, start it again, and go on: nothing lost, nothing twice.

A scene is played once without a death. Before every write, and around every message, the files are what a kill leaves behind:
many of these moments leave the same files. From each different set of files both aggregators start again, and go on at the
step that was cut off. A helper that dies alone leaves the leader with what it has in memory: there the scene is played again
from its start, with a death at each of these moments.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection import CollectedShares
from aggregator.collect.collection_job import collect_request
from aggregator.errors import HelperUnavailable, Unreachable, VerificationKeyMissing
from aggregator.intake.aggregation_job import JobAnswer, Verdict
from aggregator.shares.helper import Helper
from aggregator.shares.leader import Leader
from aggregator.storage.live_folder import LiveFile, LiveFolder
from aggregator.storage.records import REPORT_TABLES
from aggregator.storage.role_storage import Storage
from federation.ledger.entries import CompletionEntry, IntentEntry
from federation.ledger.ledger import Ledger
from federation.plan import Plan
from federation.statement import digest_of
from tests.aggregator.world import (
    COLLECTOR,
    DEADLINE,
    NOW,
    Clock,
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
LEAST = {"leader": 60, "helper": 45, "link": 10}
"""Moments of one collection at which somebody writes, or a message is on its way."""
TAKEN, DUPLICATE, REJECTED = (bytes([verdict]) for verdict in Verdict)


@dataclass(frozen=True)
class Work:
    """A plan, its batches in order, and what must become of them.

    Attributes:
        verdicts: of each batch; where a rejected report comes again, also what it is told while the first batch waits.
        sums: the plain sums of what is taken.
        rejected: by view, at both.
        files: what both aggregators have when the plan is signed: with proofs, its verification key.
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
    """Reports with proofs, of which some lie, and some come again: as they were, or honest this time."""
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


TURN = threading.RLock()
"""Both aggregators draw noise at the same time, but one writes at a time, and none while the files are copied."""


class Killed(BaseException):
    """The process is gone."""


class Mortal(Storage):
    """Dies where it is told to. What a transaction has not committed is then gone, as after kill −9. Reads, and writes
    that find no row, change nothing: a death after one is a death before it."""

    synchronous = "OFF"
    strike: Callable[[], None] = staticmethod(lambda: None)
    changed = True

    def run(self, sql: str, *values: Any) -> int:
        with self._lock, TURN:
            if self.changed:
                self.strike()
            changed = super().run(sql, *values)
            self.changed = changed > 0
            if sql == "COMMIT":
                self.strike()
            return changed

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock, TURN:  # a checkpoint moves what it finds from one file to another
            return super().rows(sql, *values)

    def run_many(self, sql: str, rows: Any) -> None:
        with self._lock, TURN:
            if self.changed:
                self.strike()
            super().run_many(sql, rows)
            self.changed = True


class MortalLedger(Ledger):
    """Dies before an entry is written, before and after COMMIT, and around the second file."""

    synchronous = "OFF"
    strike: Callable[[], None] = staticmethod(lambda: None)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with TURN:
            with super().transaction() as db:
                yield db
                self.strike()
            self.strike()

    def _append(self, entry: Any) -> None:
        self.strike()
        super()._append(entry)

    def _write_outside(self) -> None:
        self.strike()
        super()._write_outside()


class MortalLive(LiveFolder):
    """Dies before and after each file is drawn or erased, whole or in part."""

    strike: Callable[[], None] = staticmethod(lambda: None)

    def draw(self, *what: Any) -> LiveFile:
        with TURN:
            self.strike()
            made = super().draw(*what)
            self.strike()
            return made

    def erase_seal(self, plan_id: bytes) -> None:
        with TURN:
            self.strike()
            super().erase_seal(plan_id)
            self.strike()

    def erase(self, plan_id: bytes) -> None:
        with TURN:
            self.strike()
            super().erase(plan_id)
            self.strike()


class MortalLink(LocalLink):
    """Dies before a message is sent, and when the answer is on its way. A helper that dies under a call takes the leader
    with it, or the leader finds it unreachable and goes on with what it has in memory: see `Pair`."""

    pair: Pair

    def _call(self, call: Any, data: bytes) -> Any:
        with TURN:
            self.pair.strike("link")
        try:
            answer = super()._call(call, data)
        except Killed:
            if not self.pair.apart:
                raise
            self.pair.restart_helper()
            raise Unreachable("helper", "local") from None
        with TURN:
            self.pair.strike("link")
        return answer


def require_consistent(storage: Storage, ledger: Ledger, live: LiveFolder) -> None:
    """What the files say at any start: as many ids as taken verdicts, none of them rejected, no sums beside noised shares,
    no key of a plan that is closed, no live secret of one that is done, and a ledger that is ahead: charged before closed,
    done after noised and before witnessed."""
    verdicts = b"".join(JobAnswer.from_bytes(answer).verdicts for (answer,) in storage.rows("SELECT answer FROM jobs"))
    waiting = b"".join(kept for (kept,) in storage.rows("SELECT verdicts FROM pending"))
    assert storage.one("SELECT count(*) FROM reports") == ((verdicts + waiting).count(0),)
    assert not storage.rows("SELECT 1 FROM reports JOIN rejected USING (plan, report)")
    assert storage.one("SELECT coalesce(sum(clients), 0) FROM sites") == storage.one(
        "SELECT (SELECT count(*) FROM reports) + (SELECT count(*) FROM rejected)"
    )
    assert not storage.rows("SELECT 1 FROM keys JOIN plans USING (id) WHERE state != 'open'")
    for plan in storage.plans():
        noised = storage.noised(plan.number)
        assert bool(noised) == (plan.state in ("noised", "witnessed"))
        assert not (noised and storage.rows("SELECT 1 FROM sums"))
        assert plan.state == "open" or plan.hash in ledger.state.intended
        done = ledger.state.completed.get(plan.hash)
        assert done in (None, digest_of(share.statement for share in noised))
        assert (done is not None) >= (plan.state == "witnessed")
        assert plan.state in ("noised", "witnessed") or done is None
        files = [live.load(plan_id) for plan_id in live.plan_ids() if storage.plans_of_id(plan_id) == [plan]]
        assert len(files) == (done is None)
        assert all((file is not None and file.secret.seal is not None) == (plan.state == "open") for file in files)


class Pair:
    """Leader and helper on their files; a party that was killed is started again.

    Args:
        strikes: by victim, what is called before each of its writes (or messages).
        apart: a helper that dies under a call of the leader's dies alone.
        done: what the first steps of the scene gave, which the files hold already.
    """

    def __init__(
        self,
        path: Path,
        strikes: dict[str, Callable[[], None]],
        *,
        apart: bool = False,
        done: Sequence[Any] = (),
        now: int = NOW,
    ) -> None:
        self.path, self.strikes, self.apart = path, strikes, apart
        self.known, self.given = done, list[Any]()
        self.kills, self.clock = 0, Clock(now)
        self.restart()

    def strike(self, victim: str) -> None:
        if self.armed:
            self.strikes[victim]()

    def restart(self) -> None:
        self.armed = False
        self.helper: Helper = make_helper(self.path, clock=self.clock, **self.files("helper"))
        self.link = MortalLink(self.helper)
        self.link.pair = self
        self.leader: Leader = make_leader(self.path, self.link, clock=self.clock, **self.files("leader"))
        self.go_on(self.leader, self.helper)

    def restart_helper(self) -> None:
        self.armed = False
        self.kills += 1
        self.helper.close()
        self.helper = self.link.helper = make_helper(self.path, clock=self.clock, **self.files("helper"))
        self.go_on(self.helper)

    def files(self, role: str) -> dict[str, type]:
        strike = {"strike": lambda _: self.strike(role)}
        kinds = {"storage": Mortal, "ledger": MortalLedger, "live": MortalLive}
        return {name: type(f"Armed{kind.__name__}", (kind,), strike) for name, kind in kinds.items()}

    def go_on(self, *parties: Leader | Helper) -> None:
        for party in parties:
            if self.clock.now < DEADLINE:  # then ids are erased
                require_consistent(party.files.storage, party.files.ledger, party.files.live)
        self.armed = True

    def close(self) -> None:
        self.armed = False
        for party in (self.leader, self.helper):
            party.close()

    def until_done(self, step: Callable[[], Any]) -> Any:
        if len(self.given) < len(self.known):
            self.given.append(self.known[len(self.given)])
        else:
            self.given.append(self._until_done(step))
        return self.given[-1]

    def _until_done(self, step: Callable[[], Any]) -> Any:
        for _ in range(50):
            try:
                return step()
            except HelperUnavailable:
                continue
            except Killed:
                self.kills += 1
                self.close()
                self.restart()
        raise AssertionError("it never ends")


def opened(plan: Plan, leader: list[SealedShare], helper: list[SealedShare]) -> Any:
    return CollectedShares.of(plan, leader, helper, COLLECTOR.seal).open(plan)


def collection(pair: Pair, work: Work) -> None:
    """A whole collection, each step until it succeeds; then everything is as it should be."""
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


class Countdown:
    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


def spare() -> None:
    """Nobody dies."""


@dataclass(frozen=True)
class Moment:
    """What a kill of both leaves: a copy of their files, how many steps were done, and the time."""

    files: Path
    steps: int
    now: int


class Moments:
    """The moments of a scene that is played without a death, in so far as they leave other files than earlier ones of a step.

    Attributes:
        counts: how many moments each victim has, whatever it leaves.
        given: what each step gave.
        of_both: what a kill of both leaves.
        of_helper: by number, the moments of the helper after which it, or the leader that waits for it, goes on from another
            state.
    """

    def __init__(self, path: Path, scene: Callable[[Pair], None], files: Path | None) -> None:
        self.counts = dict.fromkeys(LEAST, 0)
        self.of_both: dict[tuple[int, bytes], Moment] = {}
        self.of_helper: dict[tuple[int, int, bytes], int] = {}
        pair = Pair(begin(path / "whole", files), dict.fromkeys(LEAST, spare))
        self._pair, pair.strikes = pair, {victim: partial(self._strike, victim) for victim in LEAST}
        try:
            scene(pair)
        finally:
            pair.close()
        assert not pair.kills
        self.given = pair.given

    def _strike(self, victim: str) -> None:
        self.counts[victim] += 1
        pair = self._pair
        step, state = len(pair.given), state_of(pair.path)
        if victim == "helper":
            self.of_helper.setdefault((step, pair.link.calls, state), self.counts[victim])
        if (step, state) not in self.of_both:
            copy = pair.path.with_name(f"moment-{len(self.of_both)}")
            shutil.copytree(pair.path, copy, ignore=shutil.ignore_patterns("*-shm"))
            self.of_both[step, state] = Moment(copy, step, pair.clock.now)


def begin(folder: Path, files: Path | None) -> Path:
    """A folder with these files."""
    if files is None:
        folder.mkdir()
    else:
        shutil.copytree(files, folder)
    return folder


def state_of(path: Path) -> bytes:
    """Names and bytes of all files; the index of SQLite's -wal file, which every start makes anew, is left out."""
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.name.endswith("-shm"):
            content = file.read_bytes()
            found.update(f"{file.relative_to(path)} {len(content)} ".encode() + content)
    return found.digest()


def sweep(path: Path, victim: str, files: Path | None, scene: Callable[[Pair], None]) -> dict[str, int]:
    """Let somebody die at every moment of a scene, and play it to its end: how many moments each victim has."""
    moments = Moments(path, scene, files)
    nobody = dict.fromkeys(LEAST, spare)

    def pairs() -> Iterator[tuple[Pair, int]]:
        if victim == "both":
            for left in moments.of_both.values():
                yield Pair(left.files, nobody, done=moments.given[: left.steps], now=left.now), 0
        else:
            for number in moments.of_helper.values():
                folder = begin(path / f"helper-{number}", files)
                yield Pair(folder, nobody | {"helper": Countdown(number)}, apart=True), 1

    for pair, deaths in pairs():
        try:
            scene(pair)
        finally:
            pair.close()
        assert pair.kills == deaths
        shutil.rmtree(pair.path)
    return moments.counts


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
    """The deadline has passed, and the next plan is announced."""
    done = tmp_path_factory.mktemp("done")
    shutil.copytree(work.files, done, dirs_exist_ok=True)
    pair = Pair(done, dict.fromkeys(("leader", "helper", "link"), spare))
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
    """An error that is no crash (a full disk) is undone as well, in the same process."""

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
