"""A privacy ledger on disk: append-only, hash-chained, and remembered outside of itself.

One for each operator and project, whatever process charges it (operator_ledger.py), and one for each site.

    <path>        SQLite (WAL, synchronous=FULL): one row an entry, with the head after it
    <path>.head   the last head, renamed into place after every commit

Charge and intent of a plan are committed before anything of it is computed or opened; what came of it follows as a second
entry. An edited entry breaks the chain, a cut tail or an older copy lies behind the second file. Who can write both files
is noticed by the other aggregator, which remembers this one's head from every opening (`see_peer`, `require_known`).
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from base.atomic_files import replace_file
from base.errors import NotPrivate
from base.sqlite import Format, Identity, Synchronous, connect, prepare, transaction
from federation.errors import AlreadyDone, ClockWentBack, DayBudgetSpent, LedgerBehind, LedgerBroken, LedgerRefusal
from federation.plan import Plan
from federation.refusal_codes import code_of

from .entries import Done, Entry, Head, Refused, entry_from_line, entry_to_line, genesis
from .state import Budget, LedgerState

CLOCK_SLACK_US: Final = 300 * 10**6
"""How far the clock may lie behind the last entry: clocks are corrected by seconds."""
_FORMAT: Final = Format(
    application_id=0x434F4C47,  # "COLG"
    version=1,
    schema="""
CREATE TABLE ledger (owner TEXT NOT NULL);
CREATE TABLE entries (seq INTEGER PRIMARY KEY, line TEXT NOT NULL, head BLOB NOT NULL);
CREATE TABLE peers (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, head BLOB NOT NULL) WITHOUT ROWID
""",
)


def head_path(path: Path) -> Path:
    """The second file of a ledger: it holds the last head."""
    return path.with_name(path.name + ".head")


class Ledger:
    """One owner's ledger. Use it as a context manager; threads and processes may share it.

    Args:
        owner: who keeps it, such as `operator` or `site-UA`; another owner's file is refused.
        clock: wall clock, µs since the epoch.
        tables: what the owner keeps beside the entries, in the same transactions: `CREATE TABLE IF NOT EXISTS …`.
        role: who writes, where several roles charge this ledger; its entries name it.

    Raises:
        LedgerBroken: edited, cut, rolled back, or no ledger of this owner.
    """

    synchronous: ClassVar[Synchronous] = "FULL"
    """OFF is for tests that crash the process and not the machine."""

    def __init__(
        self, path: Path, owner: str, clock: Callable[[], int], tables: Sequence[str] = (), role: str = ""
    ) -> None:
        self.path, self.owner, self.role, self._clock = path, owner, role, clock
        self._lock = threading.RLock()
        self.state = LedgerState(role)
        self._head = genesis(owner)
        try:
            self._db = connect(path, private=True)
        except (OSError, NotPrivate, sqlite3.OperationalError) as error:
            raise LedgerBroken(str(path), f"it cannot be opened ({error})") from None
        try:
            self._create()
            self._require_own()
            outside = self._outside()  # before the entries: another process writes them first
            self._refresh()
            self._check_outside(outside)
            if tables:
                with self.transaction() as db:
                    for statement in tables:
                        db.execute(statement)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise LedgerBroken(str(path), f"it is no ledger ({error})") from None
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    @property
    def head(self) -> Head:
        """The head that is on disk. Others remember it: one that a crash could take back must never be told."""
        with self._lock:
            return self._head

    # what its owner does

    def check(self, plan: Plan, budget: Budget) -> None:
        """Return if the plan may be charged now, or was. Writes nothing.

        Raises:
            LedgerRefusal: PaneTaken, ViewOverlap, DayBudgetSpent, ClockWentBack.
        """
        with self.transaction():
            self._require_clock()
            self.state.intent(plan, budget, self._clock())

    def intend(self, plan: Plan, budget: Budget) -> None:
        """Charge a plan and take its panes, on disk when this returns; a repeat changes nothing. A refusal is recorded.

        Raises:
            LedgerRefusal: as `check`; nothing was charged.
        """
        try:
            with self.transaction():
                self.intend_within(plan, budget)
        except LedgerRefusal as refusal:
            self.refuse(plan, refusal)
            raise

    def intend_within(self, plan: Plan, budget: Budget) -> None:
        """As `intend`, inside a transaction of the caller's; a refusal undoes it, and is not recorded."""
        self._require_clock()
        entry = self.state.intent(plan, budget, self._clock())
        if entry is not None:
            self._append(entry)

    def refuse(self, plan: Plan, refusal: LedgerRefusal) -> None:
        """Record that a plan was refused, once for each reason."""
        view, day = (refusal.view, refusal.day) if isinstance(refusal, DayBudgetSpent) else (None, None)
        self.record_refusal(plan.hash, code_of(refusal), view, day)

    def record_refusal(self, plan_hash: bytes, code: str, view: str | None = None, day: int | None = None) -> None:
        """Record a refusal by its code, once."""
        with self.transaction():
            known = {(entry.plan, entry.code, entry.view, entry.day, entry.role) for entry in self.state.refused}
            if (plan_hash, code, view, day, self.role) not in known:
                self._append(Refused(max(self._clock(), self.state.last_us), plan_hash, code, view, day, self.role))

    def done(self, plan_hash: bytes, digest: bytes) -> None:
        """Record what came of a plan that was charged; a repeat changes nothing. Raises AlreadyDone for other bytes."""
        with self.transaction():
            self.done_within(plan_hash, digest)

    def done_within(self, plan_hash: bytes, digest: bytes) -> None:
        """As `done`, inside a transaction of the caller's."""
        before = self.state.done.get(plan_hash)
        if before is None:
            self._append(Done(max(self._clock(), self.state.last_us), plan_hash, digest, self.role))
        elif before != digest:
            raise AlreadyDone(plan_hash)

    # what others remember

    def see_peer(self, name: str, head: Head, confirmed: Head | None) -> Head | None:
        """Take note of another party's head; returns the one that is remembered of it from now on.

        The memory moves on only if the other party confirms what was remembered before. A ledger that was rolled back and
        has grown since cannot do that, however long it is, so what it has lost stays remembered until its owner is told.

        Args:
            confirmed: a head of its own that the other party knew to be remembered, and found in its ledger.

        Raises:
            LedgerBehind: `head` lies behind the one that is remembered, or is another one of the same length: *that*
                ledger was rolled back or rewritten.
        """
        with self.transaction() as db:
            known = self.peer(name)
            if known is not None and (head.seq < known.seq or (head.seq == known.seq and head != known)):
                why = f"entry {known.seq} of it is remembered here, it now has {head.seq}, or other ones"
                raise LedgerBehind(f"the {name}'s ledger", why)
            if known is not None and confirmed != known:
                return known
            db.execute("INSERT OR REPLACE INTO peers VALUES (?, ?, ?)", (name, head.seq, head.digest))
            return head

    def peer(self, name: str) -> Head | None:
        """What is remembered of another party's ledger."""
        with self._lock:
            found = self._db.execute("SELECT seq, head FROM peers WHERE name = ?", (name,)).fetchone()
        return Head(found[0], found[1]) if found else None

    def require_known(self, remembered: Head | None) -> None:
        """Return if what another party remembers of this ledger stands in it.

        Raises:
            LedgerBehind: it does not: this ledger was rolled back or rewritten.
        """
        with self._lock:
            if remembered is not None and self._head_at(remembered.seq) != remembered:
                have = f"it has {self._head.seq} entries, or other ones"
                why = f"another party remembers its entry {remembered.seq}, and {have}"
                raise LedgerBehind(str(self.path), why)

    def covers(self, remembered: Head | None, plan_hash: bytes) -> bool:
        """Whether somebody who remembers this head of this ledger knows what came of the plan.

        Raises:
            LedgerBehind: as `require_known`.
        """
        self.require_known(remembered)
        with self._lock:
            at = self.state.done_at.get(plan_hash)
        return remembered is not None and at is not None and at <= remembered.seq

    def entries(self) -> Iterator[Entry]:
        """All entries, in order."""
        with self._lock:
            lines = self._db.execute("SELECT line FROM entries ORDER BY seq").fetchall()
        for (line,) in lines:
            yield entry_from_line(line)

    # the file

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it on disk, or nothing; the second file follows. Not nested."""
        with self._lock:
            before = self._head
            try:
                with transaction(self._db):
                    self._refresh()  # another process may have gone on
                    yield self._db
            except BaseException:
                self._replay()
                raise
            if self._head != before:
                self._write_outside()

    def _append(self, entry: Entry) -> None:
        line = entry_to_line(entry)
        head = self._head.next(line)
        self._db.execute("INSERT INTO entries VALUES (?, ?, ?)", (head.seq, line, head.digest))
        self.state.apply(entry)
        self._head = head

    def _require_clock(self) -> None:
        now = self._clock()
        if now < self.state.last_us - CLOCK_SLACK_US:
            raise ClockWentBack(now, self.state.last_us)

    def _create(self) -> None:
        """Make the tables, unless they are there."""
        prepare(self._db, self.synchronous)
        with transaction(self._db):
            if _FORMAT.identify(self._db) is Identity.EMPTY:
                if self._outside() is not None:
                    raise LedgerBehind(str(self.path), "it is empty or gone, and its head file is not")
                _FORMAT.create(self._db.execute)
                self._db.execute("INSERT INTO ledger VALUES (?)", (self.owner,))

    def _require_own(self) -> None:
        if _FORMAT.identify(self._db) is not Identity.OURS:
            raise LedgerBroken(str(self.path), "it is no ledger of this version")
        owners = self._db.execute("SELECT owner FROM ledger").fetchall()
        if owners != [(self.owner,)]:
            raise LedgerBroken(str(self.path), f"it is the ledger of {owners}, not of {self.owner!r}")

    def _refresh(self) -> None:
        """Read and check the entries that are not known yet."""
        rows = self._db.execute("SELECT seq, line, head FROM entries WHERE seq > ? ORDER BY seq", (self._head.seq,))
        for seq, line, digest in rows.fetchall():
            head = self._head.next(line)
            if (seq, digest) != (head.seq, head.digest):
                raise LedgerBroken(str(self.path), f"entry {head.seq} was edited, or one before it is missing")
            try:
                self.state.apply(entry_from_line(line))
            except ValueError as error:
                raise LedgerBroken(str(self.path), f"entry {seq} cannot be read: {error}") from None
            self._head = head

    def _replay(self) -> None:
        """Forget what a transaction that failed had appended."""
        if self._head_at(self._head.seq) != self._head:
            self.state, self._head = LedgerState(self.role), genesis(self.owner)
            self._refresh()

    def _head_at(self, seq: int) -> Head | None:
        if seq == 0:
            return genesis(self.owner)
        found = self._db.execute("SELECT head FROM entries WHERE seq = ?", (seq,)).fetchone()
        return Head(seq, found[0]) if found else None

    # the second file

    @property
    def _outside_path(self) -> Path:
        return head_path(self.path)

    def _outside(self) -> Head | None:
        try:
            data = json.loads(self._outside_path.read_text(encoding="utf-8"))
            return Head(int(data["seq"]), bytes.fromhex(data["head"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LedgerBroken(str(self.path), f"its head file cannot be read ({error!r})") from None

    def _check_outside(self, outside: Head | None) -> None:
        if outside is None:
            if self._head.seq:
                raise LedgerBroken(str(self.path), "its head file is gone")
            self._write_outside()
        elif outside.seq > self._head.seq:
            raise LedgerBehind(str(self.path), f"it has {self._head.seq} entries; its head file knows {outside.seq}")
        elif self._head_at(outside.seq) != outside:
            raise LedgerBroken(str(self.path), f"its head file knows another entry {outside.seq}")
        elif outside != self._head:  # the process ended between a commit and this file
            self._write_outside()

    def _write_outside(self) -> None:
        """Write the last head that is on disk: one process at a time, or a slow one would put an older head back."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._refresh()
            self._replace_outside()
        finally:
            self._db.execute("ROLLBACK")

    def _replace_outside(self) -> None:
        text = json.dumps({"owner": self.owner, "seq": self._head.seq, "head": self._head.digest.hex()})
        replace_file(self._outside_path, text + "\n", private=True, durable=self.synchronous == "FULL")
