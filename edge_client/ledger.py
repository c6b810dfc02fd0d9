"""A site's ledger: one file with the charges of client-days and the record of every answer.

    charge and intent (`intend`)  ─►  compute  ─►  report ids, used cells and the `done` entry, in one transaction (`record`)

The cells that an answer used of a client-day limit later answers, so `max_cells` holds across panes, plans and restarts. Cells of
panes that a later plan took again return to the client-day, because the earlier plan never opened them or was paid for. The
`done` entry carries the hash of ids and cells, so a read detects an edit that left the chain alone. Each plan names the heads of
the aggregators' ledgers. The site stores these heads with the charge and refuses the plan of an aggregator that was rolled back.
Clients are named by a stable hash of their identity. Privacy-sensitive: the file never leaves the site.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from base.times import DAY_US
from featurestore.define.wire import collection_hash
from federation.batch.batch import Heads
from federation.batch.reports import REPORT_ID_BYTES
from federation.errors import AggregatorBehind, LedgerBroken, LedgerRefusal
from federation.keys import site_role
from federation.ledger.entries import Head
from federation.ledger.ledger import Ledger
from federation.ledger.snapshot import read_copy
from federation.ledger.state import Budget, LedgerState
from federation.plan import AGGREGATORS, Plan

from . import day_totals, late_events, old_reports
from .compute import UsedCells
from .day_cells import (
    CELLS_TABLE,
    NAME_BYTES,
    ODD_ROW,
    DayCells,
    as_used,
    by_day,
    cells_digest,
    days_in_part,
    names_array,
    read_cells,
    used_cells,
    write_cells,
)
from .day_totals import DayAnswers
from .events import Events, PaneCounts
from .late_events import LateEvents
from .policy import Refuse

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS answers (plan BLOB PRIMARY KEY, reports_digest BLOB NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS reports (plan BLOB, view INTEGER, names BLOB NOT NULL, collection BLOB NOT NULL,
        reporter BLOB NOT NULL, ids BLOB NOT NULL, cells BLOB NOT NULL, PRIMARY KEY (plan, view)) WITHOUT ROWID""",
    CELLS_TABLE,
    """CREATE TABLE IF NOT EXISTS heads (key BLOB, plan BLOB, seq INTEGER NOT NULL, head BLOB NOT NULL,
        PRIMARY KEY (key, plan)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS heads_by_length ON heads (key, seq)",
    *late_events.SCHEMA,
    *day_totals.SCHEMA,
    *old_reports.SCHEMA,
)


@dataclass(frozen=True, eq=False)
class ReportIds:
    """The reports of one view that a site sent or will send. A retry sends these reports and no others.

    Attributes:
        names: the stable names of the reporters, each once.
        collection: uint32[R], collection indices of the plan.
        reporter: uint32[R], index into `names`.
        ids: uint8[R, 16], report ids; reports that are sent as one sum share an id.
        cells: uint32[R], number of cells that each report filled. A first answer may be counted in part and lost in part.
            A report that is sent again therefore fills no more cells; otherwise both answers together could exceed
            `max_cells`.
    """

    names: Sequence[bytes]
    collection: npt.NDArray[np.uint32]
    reporter: npt.NDArray[np.uint32]
    ids: npt.NDArray[np.uint8]
    cells: npt.NDArray[np.uint32]

    def __repr__(self) -> str:
        return f"ReportIds({len(self.ids)} reports: redacted)"


@dataclass(frozen=True)
class Basis:
    """The basis of an answer: the recorded answers that share client-days with it, by day, and whether it repeats one of them."""

    days: tuple[DayAnswers, ...]
    repeated: bool

    def on(self, collection: bytes, day: int) -> DayAnswers:
        """The answers of a view and day."""
        return next(one for one in self.days if (one.collection, one.day) == (collection, day))


class SiteLedger:
    """The ledger of one site. Use it as a context manager.

    Raises:
        LedgerBroken: the file was edited, cut or rolled back, or is not the ledger of this site.
    """

    def __init__(self, path: Path, site: str, clock: Callable[[], int]) -> None:
        self._ledger = Ledger(path, site_role(site), clock, _SCHEMA)
        self._counted: dict[bytes, PaneCounts] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ledger.close()

    @property
    def state(self) -> LedgerState:
        """The state that the ledger's rules are applied to."""
        return self._ledger.state

    def close(self) -> None:
        """Close the file."""
        self._ledger.close()

    def look(self) -> None:
        """Read the entries that other processes have appended. Raises LedgerBroken."""
        try:
            self._ledger.look()
        except sqlite3.DatabaseError as error:
            raise LedgerBroken(str(self._ledger.path), f"it cannot be read ({error})") from None

    def intend(self, plan: Plan, budget: Budget) -> None:
        """Charge a plan, reserve its panes and store the heads that it names, before anything is computed; see `Ledger.intend`.

        Raises:
            LedgerRefusal: as `Ledger.intend`. PaneTaken: the reports of an earlier answer are forgotten, too. AggregatorBehind: a
                head is older than one that an earlier plan named.
        """
        try:
            with self._ledger.transaction() as db:
                old_reports.require_remembered(db, self.state, plan)
                self._note_heads(db, plan)
                self._ledger.intend_within(plan, budget)
        except LedgerRefusal as refusal:
            self._ledger.refuse(plan, refusal)
            raise

    def heads(self, plan: Plan) -> Heads:
        """The newest heads of leader and helper that other plans named, under the signing keys of this plan."""
        with self._ledger.transaction() as db:
            leader, helper = (self._known_head(db, key, plan) for key in _sign_keys(plan))
        return leader, helper

    def refuse(self, refusal: Refuse) -> None:
        """Record the refusal of a plan that the pinned coordinator signed. Other refusals are not kept."""
        if refusal.plan is not None:
            self._ledger.record_refusal(refusal.plan, refusal.code, refusal.view, refusal.day)

    def basis(self, plan: Plan) -> Basis:
        """The basis of an answer to this plan now."""
        with self._ledger.transaction():
            return self._basis(plan)

    def used(self, plan: Plan, view: int, basis: Basis, clients: Sequence[bytes]) -> UsedCells:
        """The number of cells of each client-day that this answer must not use.

        A first answer may use the cells that the recorded answers did not use. A repeated answer uses the same cells as
        before and no more, because later answers rely on that.

        Args:
            clients: the stable names of the site's clients, by index.

        Raises:
            LedgerBroken: the stored cells of an answer differ from the recorded ones.
        """
        planned = plan.views[view]
        days = days_in_part(planned)
        with self._ledger.transaction() as db:
            collection = collection_hash(planned.view)
            if basis.repeated:
                held = self._held_cells(db, plan.hash)
            else:
                held = self._totals(db, [basis.on(collection, day) for day in days])
            cells = used_cells(clients, collection, days, held)
        return as_used(days, planned.view.bounds.max_cells - cells if basis.repeated else cells)

    def recorded(self, plan: Plan) -> tuple[ReportIds, ...]:
        """The reports of a plan that was answered before, one entry per view. Raises LedgerBroken."""
        with self._ledger.transaction() as db:
            return self._checked_reports(db, plan.hash)

    def earlier_reporters(self, plan: Plan, view: int) -> dict[int, frozenset[bytes]]:
        """The clients that reported in every earlier answer, for each pane of a view that this plan takes again, by start (µs).

        Under `active` no other client may report in a later attempt: aggregators count reporters, and a client whose events
        arrived in between would stand out. An earlier attempt under `all` names the clients with an event in a pane of its plan.

        Raises:
            LedgerBroken: as `used`.
        """
        planned, found = plan.views[view], dict[int, frozenset[bytes]]()
        collection = collection_hash(planned.view)
        with self._ledger.transaction() as db:
            for attempt in self.state.attempts_before(plan.hash):
                if attempt not in self.state.completed:  # it was charged, and never answered
                    continue
                reports = self._checked_reports(db, attempt)
                for at, (of, starts, _) in enumerate(self.state.held_panes(attempt)):
                    if of == collection:
                        one = reports[at]
                        order = np.argsort(one.collection, kind="stable")
                        pane = starts[one.collection[order] - self.state.offset(attempt, at)]
                        again = np.intersect1d(starts, planned.pane_starts)
                        ends = np.searchsorted(pane, again), np.searchsorted(pane, again, side="right")
                        for start, first, last in zip(again.tolist(), *ends, strict=True):
                            who = frozenset(one.names[each] for each in one.reporter[order[first:last]].tolist())
                            found[start] = found.get(start, who) & who
        return found

    def _checked_reports(self, db: sqlite3.Connection, plan_hash: bytes) -> tuple[ReportIds, ...]:
        reports = self._reports(db, plan_hash)
        if self._digest(db, plan_hash, _digest_of_reports(reports), self._cells(db, plan_hash)) != self._done(
            plan_hash
        ):
            raise self._edited(plan_hash)
        return reports

    def record(
        self,
        plan: Plan,
        basis: Basis,
        reports: Sequence[ReportIds],
        cells: Sequence[DayCells],
        seen: Sequence[npt.NDArray[np.int64]],
    ) -> bool:
        """Store the parts of an answer before it leaves. When this returns, all of it is on disk, or nothing.

        Args:
            seen: for each view, how many events each pane has.

        Returns:
            False: another answer that shares client-days was recorded since `basis`. Compute again.
        """
        with self._ledger.transaction() as db:
            if self._basis(plan) != basis:
                return False
            digest = _digest_of_reports(reports)
            db.execute("INSERT INTO answers VALUES (?, ?)", (plan.hash, digest))
            db.executemany(
                "INSERT INTO reports VALUES (?, ?, ?, ?, ?, ?, ?)",
                ((plan.hash, view, *_columns(one)) for view, one in enumerate(reports)),
            )
            write_cells(db, plan.hash, cells)
            late_events.note_seen(db, plan, seen)
            mine = by_day(cells)
            for of_day, before in zip(basis.days, self._totals(db, basis.days), strict=True):
                key = of_day.collection, of_day.day
                total = day_totals.total_of([before, *mine.get(key, ())], *key)
                day_totals.write_total(db, plan.hash, total, of_day.retaken)
            self._ledger.complete_within(plan.hash, self._digest(db, plan.hash, digest, cells))
            old_reports.forget_old(db, self.state, plan)
        return True

    def note_late(self, plan: Plan, events: Events) -> list[LateEvents]:
        """Note the events of panes that were reported before they came. Returns what is new, for each view of a plan."""
        counted = dict(self._counted)
        with self._ledger.transaction() as db:
            found = late_events.note_late(db, self.state, plan, events, counted)
        self._counted = counted
        return found

    def late_events(self) -> dict[str, int]:
        """The number of late events of each view."""
        with self._ledger.transaction() as db:
            return late_events.late_by_view(db)

    def _note_heads(self, db: sqlite3.Connection, plan: Plan) -> None:
        """Store the heads of both aggregators' ledgers that a plan names, when it is charged first."""
        if plan.wire is None or plan.hash in self.state.intended:
            return
        for role, key in zip(AGGREGATORS, _sign_keys(plan), strict=True):
            head, known = plan.wire.live(role).head, self._known_head(db, key, plan)
            if known is not None and (head.seq < known.seq or (head.seq == known.seq and head != known)):
                raise AggregatorBehind(role, head.seq, known.seq)
            db.execute("INSERT INTO heads VALUES (?, ?, ?, ?)", (key, plan.hash, head.seq, head.digest))

    def _known_head(self, db: sqlite3.Connection, key: bytes, plan: Plan) -> Head | None:
        found = db.execute(
            "SELECT seq, head FROM heads WHERE key = ? AND plan != ? ORDER BY seq DESC LIMIT 1", (key, plan.hash)
        ).fetchone()
        return Head(*found) if found else None

    def _basis(self, plan: Plan) -> Basis:
        state = self.state
        views = [(collection_hash(planned.view), days_in_part(planned)) for planned in plan.views]
        days = tuple(
            DayAnswers(collection, day, *state.ended_on(collection, day), state.retaken_on(collection, day))
            for collection, of_view in views
            for day in of_view
        )
        return Basis(days, plan.hash in state.completed)

    def _totals(self, db: sqlite3.Connection, days: Iterable[DayAnswers]) -> list[DayCells]:
        """The cells that the answers of each view and day used together. An answer of many days is read once."""
        checked = cache(partial(self._cells, db))
        held = cache(lambda plan: by_day(self._held_cells(db, plan)))

        def total(of_day: DayAnswers) -> DayCells:
            key = of_day.collection, of_day.day
            if of_day.answers:
                try:
                    kept = day_totals.read_total(db, of_day)
                except ODD_ROW:
                    raise self._edited(of_day.last) from None
                if kept is not None:
                    checked(of_day.last)  # its entry in the chain covers the total
                    return kept
            answers = self.state.plans_of_day(*key) if of_day.answers else ()
            completed = [plan for plan in answers if plan in self.state.completed]
            return day_totals.total_of([one for plan in completed for one in held(plan).get(key, ())], *key)

        return [total(of_day) for of_day in days]

    def _reports(self, db: sqlite3.Connection, plan_hash: bytes) -> tuple[ReportIds, ...]:
        rows = db.execute(
            "SELECT names, collection, reporter, ids, cells FROM reports WHERE plan = ? ORDER BY view", (plan_hash,)
        )
        try:
            return tuple(
                ReportIds(
                    _split(names),
                    np.frombuffer(collection, "<u4").astype(np.uint32),
                    np.frombuffer(reporter, "<u4").astype(np.uint32),
                    np.frombuffer(ids, np.uint8).reshape(-1, REPORT_ID_BYTES),
                    np.frombuffer(cells, "<u4").astype(np.uint32),
                )
                for names, collection, reporter, ids, cells in rows
            )
        except ODD_ROW:
            raise self._edited(plan_hash) from None

    def _cells(self, db: sqlite3.Connection, plan_hash: bytes) -> list[DayCells]:
        """The cells that an answer used, checked against its entry in the chain."""
        known = db.execute("SELECT reports_digest FROM answers WHERE plan = ?", (plan_hash,)).fetchone()
        try:
            cells = read_cells(db, plan_hash)
            if self._digest(db, plan_hash, known[0], cells) == self._done(plan_hash):
                return cells
        except ODD_ROW:
            pass  # raised below
        raise self._edited(plan_hash)

    def _held_cells(self, db: sqlite3.Connection, plan_hash: bytes) -> list[DayCells]:
        """The cells that an answer used in panes which are still its own: all, unless a later plan took some of them again.

        An answer stores totals for days only that it shared when it was made. After a retry, its reports say what it used.
        """
        if plan_hash not in self.state.retried:
            return self._cells(db, plan_hash)
        reports = self._checked_reports(db, plan_hash)
        found = []
        for view, (collection, starts, held) in enumerate(self.state.held_panes(plan_hash)):
            one = reports[view]
            pane = starts[one.collection - int(self.state.offset(plan_hash, view))]
            mine = np.isin(pane, held)
            for day in np.unique(held // DAY_US).tolist():
                of_day = mine & (pane // DAY_US == day)
                cells = np.bincount(one.reporter[of_day], one.cells[of_day], len(one.names)).astype(np.int64)
                (who,) = np.nonzero(cells)
                names = names_array([one.names[at] for at in who.tolist()])
                found.append(DayCells(collection, day, names, cells[who]))
        return found

    def _digest(self, db: sqlite3.Connection, plan_hash: bytes, reports: bytes, cells: Sequence[DayCells]) -> bytes:
        return day_totals.totals_digest(db, plan_hash, cells_digest(reports, cells))

    def _done(self, plan_hash: bytes) -> bytes:
        return self.state.completed[plan_hash]

    def _edited(self, plan_hash: bytes) -> LedgerBroken:
        what = f"the report ids or used cells of plan {plan_hash.hex()[:16]}…"
        return LedgerBroken(str(self._ledger.path), f"{what} differ from the recorded ones")


def read_late_events(path: Path, site: str) -> dict[str, int]:
    """The number of late events of each view in a site's ledger, read without changing it. Raises LedgerBroken."""

    def read(copy: Path) -> dict[str, int]:
        with SiteLedger(copy, site, lambda: 0) as ledger:
            return ledger.late_events()

    return read_copy(path, read)


def _sign_keys(plan: Plan) -> tuple[bytes, bytes]:
    """The signing keys of leader and helper; the heads are stored under them."""
    if plan.wire is None:
        return b"", b""
    return plan.wire.leader.data, plan.wire.helper.data


def _columns(reports: ReportIds) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    return (
        b"".join(reports.names),
        reports.collection.astype("<u4").tobytes(),
        reports.reporter.astype("<u4").tobytes(),
        reports.ids.tobytes(),
        reports.cells.astype("<u4").tobytes(),
    )


def _split(names: bytes) -> list[bytes]:
    return [names[at : at + NAME_BYTES] for at in range(0, len(names), NAME_BYTES)]


def _digest_of_reports(reports: Sequence[ReportIds]) -> bytes:
    parts = hashlib.sha256(b"covey-1 site reports")
    for one in reports:
        for column in _columns(one):
            parts.update(len(column).to_bytes(8, "big") + column)
    return parts.digest()
