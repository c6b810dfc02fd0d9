"""Kill an aggregator before any write and around any message, start it again, and go on: nothing lost, nothing twice."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.helper import Helper
from aggregator.leader import Leader
from aggregator.messages import Answer, collect_request
from aggregator.sealed_share import Fetched, SealedShare
from aggregator.storage import Storage
from federation.ledger import Ledger
from federation.ledger_entries import Done, Intended
from federation.plan import Plan
from federation.statement import digest_of
from tests.aggregator.world import (
    COLLECTOR,
    Clock,
    LocalLink,
    Site,
    add_sums,
    make_helper,
    make_leader,
    make_plan,
    require_exact,
    signed,
    view,
)

PLAN = make_plan(view("v", 2), view("w", 1), panes=2)
A, B = Site(PLAN, "a"), Site(PLAN, "b")
_first = A.batch([0, 0, 1])
BATCHES = [
    batch.to_bytes()
    for batch in (
        _first,
        B.batch([1, 0]),
        A.batch([0, 0, 1], counted=False, ids=_first.signed.header.report_ids),
        A.batch([2, 3, 2]),
        B.batch([3]),
    )
]


class Killed(BaseException):
    """The process is gone."""


class Mortal(Storage):
    """Dies where it is told to. What a transaction has not committed is then gone, as after kill −9. Reads change
    nothing: a death before one is a death before the next write."""

    synchronous = "OFF"
    strike: Callable[[], None] = staticmethod(lambda: None)

    def run(self, sql: str, *values: Any) -> int:
        self.strike()
        changed = super().run(sql, *values)
        if sql == "COMMIT":
            self.strike()
        return changed

    def run_many(self, sql: str, rows: Any) -> None:
        self.strike()
        super().run_many(sql, rows)


class MortalLedger(Ledger):
    """Dies before an entry is written, before and after COMMIT, and around the second file."""

    synchronous = "OFF"
    strike: Callable[[], None] = staticmethod(lambda: None)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
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


class MortalLink(LocalLink):
    """Dies before a message is sent, and when the answer is on its way."""

    strike: Callable[[], None] = staticmethod(lambda: None)

    def _call(self, call: Any, data: bytes) -> Any:
        self.strike()
        answer = super()._call(call, data)
        self.strike()
        return answer


def require_consistent(storage: Storage, ledger: Ledger) -> None:
    """What the files say at any moment: as many ids as taken verdicts, no sums beside noised shares, and a ledger that
    is ahead: charged before closed, done after noised and before witnessed."""
    verdicts = b"".join(Answer.from_bytes(answer).verdicts for (answer,) in storage.rows("SELECT answer FROM jobs"))
    waiting = b"".join(kept for (kept,) in storage.rows("SELECT verdicts FROM pending"))
    assert storage.one("SELECT count(*) FROM reports") == ((verdicts + waiting).count(0),)
    assert storage.one("SELECT coalesce(sum(reports), 0) FROM sites") == ((verdicts + waiting).count(0),)
    for plan in storage.plans():
        noised = storage.noised(plan.number)
        assert bool(noised) == (plan.state in ("noised", "witnessed"))
        assert not (noised and storage.rows("SELECT 1 FROM sums"))
        assert plan.state == "open" or plan.hash in ledger.state.intended
        done = ledger.state.done.get(plan.hash)
        assert done in (None, digest_of(share.statement for share in noised))
        assert (done is not None) >= (plan.state == "witnessed")
        assert plan.state in ("noised", "witnessed") or done is None


class Pair:
    """Leader and helper on their files; a party that was killed is started again."""

    def __init__(self, path: Path, strikes: dict[str, Callable[[], None]]) -> None:
        self.path, self.strikes, self.kills = path, strikes, 0
        self.restart()

    def restart(self) -> None:
        strikes, self.armed = self.strikes, False

        def files(role: str) -> dict[str, type]:
            def strike(_: Any) -> None:
                if self.armed:
                    strikes[role]()

            return {
                "storage": type("Armed", (Mortal,), {"strike": strike}),
                "ledger": type("ArmedLedger", (MortalLedger,), {"strike": strike}),
            }

        link = type("ArmedLink", (MortalLink,), {"strike": lambda _: strikes["link"]() if self.armed else None})
        self.helper: Helper = make_helper(self.path, clock=Clock(), **files("helper"))
        self.leader: Leader = make_leader(self.path, link(self.helper), clock=Clock(), **files("leader"))
        for party in (self.leader, self.helper):
            require_consistent(party.storage, party.ledger)
        self.armed = True

    def close(self) -> None:
        self.armed = False
        for party in (self.leader, self.helper):
            party.close()

    def until_done(self, step: Callable[[], Any]) -> Any:
        for _ in range(50):
            try:
                return step()
            except Killed:
                self.kills += 1
                self.close()
                self.restart()
        raise AssertionError("it never ends")


def opened(plan: Plan, leader: list[SealedShare], helper: list[SealedShare]) -> Any:
    return Fetched.of(plan, leader, helper, COLLECTOR.seal).open(plan)


def collection(pair: Pair) -> None:
    """A whole collection, each step until it succeeds; then everything is as it should be."""
    pair.until_done(lambda: pair.leader.open_plan(signed(PLAN)))
    pair.until_done(lambda: pair.helper.open_plan(signed(PLAN)))
    for batch in BATCHES:
        pair.until_done(lambda batch=batch: pair.leader.submit(batch))
    request = collect_request(PLAN, COLLECTOR.sign)
    leader = pair.until_done(lambda: pair.leader.collect(request))
    helper = pair.until_done(lambda: pair.helper.collect(request))
    require_exact(PLAN, opened(PLAN, leader, helper), add_sums(A, B))
    pair.armed = False
    assert pair.leader.collect(request) == leader  # the same bytes, never fresh noise
    assert pair.helper.collect(request) == helper
    verdicts = [pair.leader.submit(batch).verdicts for batch in BATCHES]
    assert verdicts == [bytes(3), bytes(2), bytes([1, 1, 1]), bytes(3), bytes(1)]
    for party in (pair.leader, pair.helper):
        assert party.storage.one("SELECT count(*) FROM reports") == (9,)
        assert [type(entry) for entry in party.ledger.entries()] == [Intended, Done]
        assert party.storage.one("SELECT count(*) FROM sums") == (0,)
        assert party.storage.one("SELECT count(*) FROM pending") == (0,)


class Countdown:
    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


def spare() -> None:
    """Nobody dies."""


@pytest.mark.parametrize("victim", ["leader", "helper", "link"])
def test_a_kill_before_any_write_and_around_any_message_changes_nothing(tmp_path: Path, victim: str) -> None:
    at = 0
    while True:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        pair = Pair(folder, {"leader": spare, "helper": spare, "link": spare, victim: Countdown(at)})
        try:
            collection(pair)
        finally:
            pair.close()
        shutil.rmtree(folder)
        if not pair.kills:
            break
    assert at > {"leader": 60, "helper": 40, "link": 10}[victim]


@pytest.mark.parametrize("number", range(8))
def test_many_kills_in_one_collection_change_nothing(tmp_path: Path, number: int) -> None:
    rng = np.random.default_rng(number)

    def strike() -> None:
        if rng.random() < 0.05:
            raise Killed

    pair = Pair(tmp_path, {"leader": strike, "helper": strike, "link": strike})
    try:
        collection(pair)
    finally:
        pair.close()
    assert pair.kills


def test_a_failed_transaction_leaves_a_party_that_goes_on(tmp_path: Path) -> None:
    """An error that is no crash (a full disk) is undone as well, in the same process."""

    class Failing(Storage):
        fail = False

        def set_sums(self, *args: Any) -> None:
            if self.fail:
                raise sqlite3.OperationalError("database or disk is full")
            super().set_sums(*args)

    helper = make_helper(tmp_path, storage=Failing)
    leader = make_leader(tmp_path, LocalLink(helper))
    try:
        for party in (leader, helper):
            party.open_plan(signed(PLAN))
        helper.storage.fail = True
        assert leader.submit(BATCHES[0]).pending
        assert helper.storage.one("SELECT count(*) FROM reports") == (0,)
        helper.storage.fail = False
        for batch in BATCHES:
            leader.submit(batch)
        request = collect_request(PLAN, COLLECTOR.sign)
        require_exact(PLAN, opened(PLAN, leader.collect(request), helper.collect(request)), add_sums(A, B))
    finally:
        leader.close()
        helper.close()
