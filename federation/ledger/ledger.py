"""A privacy ledger on disk: append-only and hash-chained, with its head in a second file.

Each operator has one for a project, which all of its processes charge (operator.py). Each site has one.

    <path>        SQLite (WAL, synchronous=FULL): one row an entry, with the head after it
    <path>.head   the last head, renamed into place after every commit

Charge and intent of a plan are committed before anything of it is computed or opened. Its result follows as a second entry.
An edited entry breaks the chain; a cut tail or an older copy is behind the second file. If someone changes both files, the
other aggregator detects it: it remembers this ledger's head from every opening (`see_peer`, `require_known`). A false checkpoint
that is appended is not detected by others, but by `whole` and by every process that has the ledger open (ADR 0053).

The state is stored every 512 entries (checkpoint_table.py), and its hash is an entry of the chain. So a ledger opens as fast
after years as on its first day: it reads the entries since the last checkpoint. `whole` reads and checks all of them.
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
from base.disk import reason_of
from base.errors import NotPrivate
from base.sqlite import Format, Identity, Synchronous, connect, prepare, transaction
from federation.errors import (
    ClockWentBack,
    DayBudgetSpent,
    LedgerBehind,
    LedgerBroken,
    LedgerRefusal,
    LedgerWriteFailed,
    PlanOpenedBefore,
)
from federation.plan import Plan
from federation.refusal_codes import code_of

from . import checkpoint_table
from .checkpoint import FORM, checkpoint_of
from .entries import (
    CheckpointEntry,
    CompletionEntry,
    Entry,
    FreedEntry,
    Head,
    RebuiltEntry,
    RefusalEntry,
    entry_from_line,
    entry_to_line,
    genesis,
    number_of,
)
from .state import Budget, LedgerState

CLOCK_SLACK_US: Final = 300 * 10**6
"""How far the clock may be behind the last entry: clocks are corrected by seconds."""
FORMAT: Final = Format(
    application_id=0x434F4C47,  # "COLG"
    version=4,
    schema=";".join(
        (
            "CREATE TABLE ledger (owner TEXT NOT NULL)",
            "CREATE TABLE entries (seq INTEGER PRIMARY KEY, line TEXT NOT NULL, head BLOB NOT NULL)",
            "CREATE TABLE peers (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, head BLOB NOT NULL) WITHOUT ROWID",
            *checkpoint_table.TABLES,
        )
    ),
    migrations={3: checkpoint_table.add_tables},
)


def head_path(path: Path) -> Path:
    """The second file of a ledger: it holds the last head."""
    return path.with_name(path.name + ".head")


class Ledger:
    """One owner's ledger. Use it as a context manager; threads and processes may share it.

    Args:
        owner: the ledger's owner, such as `operator` or `site-UA`; another owner's file is refused.
        clock: wall clock, µs since the epoch.
        tables: further tables of the owner, written in the same transactions: `CREATE TABLE IF NOT EXISTS …`.
        role: the role that writes, if several roles charge this ledger; its entries name it.
        whole: read and check every entry, and every checkpoint against the entries before it.

    Raises:
        LedgerBroken: edited, cut, rolled back, or not a ledger of this owner.
        OfOlderVersion, OfNewerVersion: another version of Covey wrote it; it is not damaged.
        LedgerWriteFailed: the head file could not be written; every transaction that appends an entry may raise it, too.
    """

    synchronous: ClassVar[Synchronous] = "FULL"
    """OFF is for tests that crash the process but not the machine."""

    def __init__(
        self,
        path: Path,
        owner: str,
        clock: Callable[[], int],
        tables: Sequence[str] = (),
        role: str = "",
        *,
        whole: bool = False,
    ) -> None:
        self.path, self.owner, self.role, self._clock, self._whole = path, owner, role, clock, whole
        self._lock = threading.RLock()
        self.state = LedgerState(role)
        self._head = self._checked_from = genesis(owner)
        self._due = checkpoint_table.EVERY
        try:
            self._db = connect(path, private=True)
        except (OSError, NotPrivate, sqlite3.OperationalError) as error:
            raise LedgerBroken(str(path), f"it cannot be opened ({error})") from None
        try:
            self._create()
            self._require_own()
            outside = self._outside()  # before the entries: another process writes them first
            self._read(outside)
            self._check_outside(outside)
            if tables:
                with self.transaction() as db:
                    for statement in tables:
                        db.execute(statement)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise LedgerBroken(str(path), f"it is not a ledger ({error})") from None
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
        """Close the file."""
        with self._lock:
            self._db.close()

    @property
    def head(self) -> Head:
        """The head on disk. Other parties remember it, so a head that a crash could undo is never given out."""
        with self._lock:
            return self._head

    # charges and results

    def check(self, plan: Plan, budget: Budget) -> None:
        """Return if the plan may be charged now, or is charged already. Writes nothing.

        Raises:
            LedgerRefusal: PaneTaken, ViewOverlap, DayBudgetSpent, ClockWentBack.
        """
        with self.transaction():
            self._require_clock()
            self.state.intent(plan, budget, self._clock())

    def intend(self, plan: Plan, budget: Budget) -> None:
        """Charge a plan and take its panes; both are on disk on return. A repeat changes nothing. A refusal is recorded.

        Raises:
            LedgerRefusal: as `check`; nothing is charged.
        """
        try:
            with self.transaction():
                self.intend_within(plan, budget)
        except LedgerRefusal as refusal:
            self.refuse(plan, refusal)
            raise

    def intend_within(self, plan: Plan, budget: Budget) -> None:
        """As `intend`, inside the caller's transaction. A refusal rolls it back and is not recorded."""
        self._require_clock()
        entry = self.state.intent(plan, budget, self._clock())
        if entry is not None:
            self._append(entry)

    def refuse(self, plan: Plan, refusal: LedgerRefusal) -> None:
        """Record the refusal of a plan, once for each reason."""
        view, day = (refusal.view, refusal.day) if isinstance(refusal, DayBudgetSpent) else (None, None)
        self.record_refusal(plan.hash, code_of(refusal), view, day)

    def record_refusal(self, plan_hash: bytes, code: str, view: str | None = None, day: int | None = None) -> None:
        """Record a refusal by its code, once."""
        with self.transaction():
            entry = RefusalEntry(max(self._clock(), self.state.last_us), plan_hash, code, view, day, self.role)
            if entry not in self.state.refused:
                self._append(entry)

    def complete(self, plan_hash: bytes, digest: bytes) -> None:
        """Record the result of a charged plan. A repeat changes nothing. Raises PlanOpenedBefore: it has another result."""
        with self.transaction():
            self.complete_within(plan_hash, digest)

    def complete_within(self, plan_hash: bytes, digest: bytes) -> None:
        """As `complete`, inside the caller's transaction."""
        before = self.state.completed.get(plan_hash)
        if before is None:
            self._append(CompletionEntry(max(self._clock(), self.state.last_us), plan_hash, digest, self.role))
        elif before != digest:
            raise PlanOpenedBefore(plan_hash)

    def free(self, plan_hash: bytes) -> None:
        """Record that this role never opens a plan. A repeat changes nothing. Raises PlanOpenedBefore."""
        with self.transaction():
            if plan_hash in self.state.completed:
                raise PlanOpenedBefore(plan_hash)
            if plan_hash not in self.state.freed:
                self._append(FreedEntry(max(self._clock(), self.state.last_us), plan_hash, self.role))

    def rebuild(self, no_earlier_us: int) -> None:
        """Record that entries were lost: every pane that has ended counts as taken, and every day until today as spent.

        Args:
            no_earlier_us: a time before which the clock cannot be, such as that of the newest release.

        Raises:
            ClockWentBack: the clock would leave panes out that were taken before.
        """
        with self.transaction():
            now, last = self._clock(), max(self.state.last_us, no_earlier_us)
            if now < last - CLOCK_SLACK_US:
                raise ClockWentBack(now, last)
            self._append(RebuiltEntry(max(now, last, self._head.seq + 1)))

    # heads of other parties

    def see_peer(self, name: str, head: Head, confirmed: Head | None) -> Head | None:
        """Remember another party's head; returns the head that is remembered from now on.

        The memory changes only if the other party confirms the head that was remembered before. A ledger that was rolled
        back and has grown since cannot confirm it, however long it is. So its loss remains detectable until its owner
        learns of it.

        Args:
            confirmed: the remembered head, if the other party has found it in its own ledger.

        Raises:
            LedgerBehind: `head` is behind the remembered head, or differs at the same length. The *other* ledger was
                rolled back or rewritten.
        """
        with self.transaction() as db:
            known = self.peer(name)
            if known is not None and (head.seq < known.seq or (head.seq == known.seq and head != known)):
                why = f"its entry {known.seq} is remembered here, but it now has {head.seq} entries, or different ones"
                raise LedgerBehind(f"the {name}'s ledger", why)
            if known is not None and confirmed != known:
                return known
            db.execute("INSERT OR REPLACE INTO peers VALUES (?, ?, ?)", (name, head.seq, head.digest))
            return head

    def peer(self, name: str) -> Head | None:
        """The remembered head of another party's ledger."""
        with self._lock:
            found = self._db.execute("SELECT seq, head FROM peers WHERE name = ?", (name,)).fetchone()
        return Head(found[0], found[1]) if found else None

    def require_known(self, remembered: Head | None) -> None:
        """Return if this ledger contains the head that another party remembers, or was rebuilt after it.

        Raises:
            LedgerBehind: it does not, so this ledger was rolled back or rewritten.
        """
        with self._lock:
            rebuilt = self.state.rebuilt
            if remembered is None or (rebuilt is not None and remembered.seq < rebuilt.at_us):
                return
            if self._head_at(remembered.seq) != remembered:
                have = f"it has {self._head.seq} entries, or different ones"
                why = f"another party remembers its entry {remembered.seq}, but {have}"
                raise LedgerBehind(str(self.path), why)
            self._require_link(remembered)

    def covers(self, remembered: Head | None, plan_hash: bytes) -> bool:
        """Whether a party that remembers this head of this ledger knows the end of the plan here: its result, or that it is freed.

        Raises:
            LedgerBehind: as `require_known`.
        """
        self.require_known(remembered)
        with self._lock:
            at = self.state.completed_at.get(plan_hash, self.state.freed.get(plan_hash))
        return remembered is not None and at is not None and at <= remembered.seq

    def entries(self) -> Iterator[Entry]:
        """All entries, in order."""
        with self._lock:
            lines = self._db.execute("SELECT line FROM entries ORDER BY seq").fetchall()
        for (line,) in lines:
            yield entry_from_line(line)

    def look(self) -> None:
        """Read the entries that other processes have appended. Waits for nobody.

        While a thread works with the ledger, this returns at once: that thread has read them.

        Raises:
            LedgerBroken: a new entry was edited. sqlite3.Error: the file cannot be read.
        """
        if self._lock.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._lock.release()

    # the file

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction: afterwards all of it is on disk, or nothing; then the head file is written. Not nested."""
        with self._lock:
            before = self._head
            try:
                with transaction(self._db):
                    self._refresh()  # another process may have appended entries
                    yield self._db
                    if self._head != before and self.state.length >= self._due:
                        self._append_checkpoint()
            except BaseException:
                self._replay(before)
                raise
            if self._head != before:
                self._write_outside()

    def _append(self, entry: Entry) -> None:
        line = entry_to_line(entry)
        head = self._head.next(line, number_of(entry, self._head.seq))
        self._db.execute("INSERT INTO entries VALUES (?, ?, ?)", (head.seq, line, head.digest))
        self.state.apply(entry)
        self._head = head

    def _append_checkpoint(self) -> None:
        checkpoint = checkpoint_of(self.state)
        self._append(CheckpointEntry(max(self._clock(), self.state.last_us), FORM, checkpoint.digest))
        checkpoint_table.store(self._db, self._head.seq, checkpoint)
        self._due = self.state.length + checkpoint_table.EVERY

    def _require_clock(self) -> None:
        now = self._clock()
        if now < self.state.last_us - CLOCK_SLACK_US:
            raise ClockWentBack(now, self.state.last_us)

    def _create(self) -> None:
        """Make the tables, unless they are there."""
        prepare(self._db, self.synchronous, "secure_delete=ON")  # a site forgets old reports
        with transaction(self._db):
            if FORMAT.recognised(self._db, self.path) is Identity.EMPTY:
                if self._outside() is not None:
                    raise LedgerBehind(str(self.path), "it is empty or missing, but its head file exists")
                FORMAT.create(self._db.execute)
                self._db.execute("INSERT INTO ledger VALUES (?)", (self.owner,))

    def _require_own(self) -> None:
        if FORMAT.identify(self._db) is not Identity.OURS:
            raise LedgerBroken(
                str(self.path),
                "it is not a ledger, or one of a version that cannot be migrated (before version 3)",
            )
        owners = self._db.execute("SELECT owner FROM ledger").fetchall()
        if owners != [(self.owner,)]:
            raise LedgerBroken(
                str(self.path),
                f"it is the ledger of {', '.join(repr(owner) for (owner,) in owners) or 'no owner'}, not of {self.owner!r}",
            )

    def _read(self, outside: Head | None) -> None:
        """Read the ledger from its last checkpoint on, or all of it.

        Args:
            outside: the head of the second file. A checkpoint after it is not used: whoever can write the database only could
                have appended it.
        """
        found = None if self._whole else checkpoint_table.load(self._db, genesis(self.owner), self.role)
        if found is not None and (outside is None or outside.seq < found.head.seq):
            found = None
        if found is None:
            self.state, self._head = LedgerState(self.role), genesis(self.owner)
        else:
            self.state, self._head = found.state, found.head
        self._checked_from, self._due = self._head, self.state.length + checkpoint_table.EVERY
        self._refresh()

    def _refresh(self) -> None:
        """Read and check the new entries on disk."""
        last = self._head.seq
        rows = self._db.execute("SELECT seq, line, head FROM entries WHERE seq >= ? ORDER BY seq", (last,)).fetchall()
        if last and (not rows or (rows[0][0], rows[0][2]) != (last, self._head.digest)):
            raise LedgerBehind(str(self.path), f"its entry {last}, which was read before, is missing or was edited")
        for seq, line, digest in rows[1:] if last else rows:
            head = self._head.next(line, seq)
            edited = LedgerBroken(str(self.path), f"entry {seq} was edited, or one before it is missing")
            if digest != head.digest:
                raise edited
            try:
                entry = entry_from_line(line)
            except ValueError as error:
                raise LedgerBroken(str(self.path), f"entry {seq} cannot be read: {error}") from None
            if seq != number_of(entry, self._head.seq):
                raise edited
            if isinstance(entry, CheckpointEntry):
                self._require_true(entry, seq)
            self.state.apply(entry)
            self._head = head

    def _require_true(self, entry: CheckpointEntry, seq: int) -> None:
        """Raise LedgerBroken if a checkpoint differs from the state that the entries before it give."""
        if entry.form == FORM and checkpoint_of(self.state).digest != entry.digest:
            raise LedgerBroken(str(self.path), f"the checkpoint of entry {seq} differs from the entries before it")
        self._due = self.state.length + 1 + checkpoint_table.EVERY

    def _replay(self, before: Head) -> None:
        """Forget the entries of a failed transaction.

        Args:
            before: the head before it. A file without it was rolled back; its state is not taken up.
        """
        if self._head_at(self._head.seq) != self._head and self._head_at(before.seq) == before:
            self._read(self._outside())

    def _require_link(self, remembered: Head) -> None:
        """Raise LedgerBehind if the chain does not lead from a stored head to the entries that were checked at opening."""
        head, end = remembered, self._checked_from
        rows = self._db.execute(
            "SELECT seq, line FROM entries WHERE seq > ? AND seq <= ? ORDER BY seq", (head.seq, end.seq)
        )
        for seq, line in rows:
            head = head.next(line, seq)
        if remembered.seq < end.seq and head != end:
            why = f"its entries after entry {remembered.seq}, which another party remembers, were edited"
            raise LedgerBehind(str(self.path), why)

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
                raise LedgerBroken(str(self.path), "its head file is missing")
            self._write_outside()
        elif outside.seq > self._head.seq:
            raise LedgerBehind(
                str(self.path), f"it has {self._head.seq} entries, but its head file names {outside.seq}"
            )
        elif self._head_at(outside.seq) != outside:
            raise LedgerBroken(str(self.path), f"its head file names a different entry {outside.seq}")
        elif outside != self._head:  # the process ended between a commit and this file
            self._write_outside()

    def _write_outside(self) -> None:
        """Write the last head on disk. One process at a time does so, or a slow one would write an older head."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._refresh()
            self._replace_outside()
        finally:
            self._db.execute("ROLLBACK")

    def _replace_outside(self) -> None:
        text = json.dumps({"owner": self.owner, "seq": self._head.seq, "head": self._head.digest.hex()})
        try:
            replace_file(self._outside_path, text + "\n", private=True, durable=self.synchronous == "FULL")
        except OSError as error:
            raise LedgerWriteFailed(str(self._outside_path), reason_of(error)) from error
