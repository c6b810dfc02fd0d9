"""Leader and helper that die at chosen moments, and what their files must hold at every start.

`Mortal`, `MortalLedger` and `MortalLive` call `strike` at each change of a file, `MortalLink` before and after each
message. A strike that raises `Killed` ends the process. `Pair` then starts it again on the files that it left.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aggregator.errors import HelperUnavailable, Unreachable
from aggregator.intake.aggregation_job import JobAnswer
from aggregator.shares.helper import Helper
from aggregator.shares.leader import Leader
from aggregator.storage.live_folder import LiveFile, LiveFolder
from aggregator.storage.role_storage import Storage
from federation.ledger.ledger import Ledger
from federation.statement import digest_of
from tests.aggregator.world import (
    DEADLINE,
    NOW,
    Clock,
    LocalLink,
    make_helper,
    make_leader,
)

TURN = threading.RLock()
"""Both aggregators draw noise at the same time. One of them writes at a time, and neither while the files are copied."""


class Killed(BaseException):
    """The process has ended."""


class Mortal(Storage):
    """Storage that dies at a strike. A transaction that is not committed is then lost, as after kill −9.

    Reads, and writes that find no row, change nothing: a death after one of them equals a death before it.
    """

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
        with self._lock, TURN:  # a checkpoint moves pages from one file to another
            return super().rows(sql, *values)

    def run_many(self, sql: str, rows: Any) -> None:
        with self._lock, TURN:
            if self.changed:
                self.strike()
            super().run_many(sql, rows)
            self.changed = True


class MortalLedger(Ledger):
    """Dies before an entry is written, before and after COMMIT, and before the second file is written."""

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
    """Dies before and after each live secret is drawn, and before and after it is erased in part or as a whole."""

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
    """Dies before a message is sent, and before its answer arrives.

    If the helper dies during a call and `Pair.apart` is set, the leader finds the helper unreachable and continues with what it
    has in memory. Otherwise the leader dies too.
    """

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
    """Check the files at a start.

    There are as many ids as verdicts `taken`, and none of these ids is rejected. There are no sums beside noised shares, no keys
    of closed plans, and no live secrets of completed plans. The ledger is ahead: it charges a plan before the plan closes, and
    notes its completion after the noise and before the plan is witnessed. Nothing is left of a freed plan, and the ledger notes
    that it is freed before it is disowned.
    """
    kept = "JOIN plans USING (plan) WHERE state NOT IN ('freed', 'disowned')"
    answers = storage.rows(f"SELECT answer FROM jobs {kept}")
    verdicts = b"".join(JobAnswer.from_bytes(answer).verdicts for (answer,) in answers)
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
        assert plan.freed or plan.state == "open" or plan.hash in ledger.state.intended
        done, freed = ledger.state.completed.get(plan.hash), plan.hash in ledger.state.freed
        assert done in (None, digest_of(share.statement for share in noised))
        assert (done is not None) >= (plan.state == "witnessed")
        assert plan.state in ("noised", "witnessed") or done is None
        assert freed <= plan.freed
        assert freed >= (plan.state == "disowned")
        for table in ("sums",) if noised else ("sums", "reports", "sites", "pending") if plan.freed else ():
            assert not storage.rows(f"SELECT 1 FROM {table} WHERE plan = ?", plan.number)
        files = [live.load(plan_id) for plan_id in live.plan_ids() if storage.plans_of_id(plan_id) == [plan]]
        assert len(files) == (done is None and not plan.freed)
        assert all((file is not None and file.secret.seal is not None) == (plan.state == "open") for file in files)


class Pair:
    """Leader and helper on their files; a party that was killed is started again.

    Args:
        strikes: the function that is called before each write, by victim; for the link, around each message.
        apart: a helper that dies during a call of the leader dies alone.
        done: the results of the scene's first steps, which the files already contain.
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
            if self.clock.now < DEADLINE:  # after the deadline, ids are erased
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
        raise AssertionError("the step did not succeed in 50 attempts")


class Countdown:
    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


def no_strike() -> None:
    """A strike that kills nobody."""
