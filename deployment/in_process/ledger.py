"""The operator's ledger of runs in one process, with the plans that are charged and not published yet.

    <directory>/ledgers/operator.db    federation's ledger, the bytes of every plan until its releases are published, and the
                                       cells that each plan used of the days that it took in part

A charged pane is opened under its plan or never. So an interrupted run leaves its plans here, and the next run continues
them. Leader, helper and key holder of the same directory charge the same ledger.

The cells are stored as a site stores them (`edge_client.day_cells`): before the releases of a plan are published. An interrupted
plan has published nothing, so its cells are computed and stored again.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from base.times import DAY_US
from edge_client.compute import UsedCells
from edge_client.day_cells import (
    CELLS_TABLE,
    ODD_ROW,
    DayCells,
    as_used,
    cells_digest,
    read_cells,
    used_cells,
    write_cells,
)
from featurestore.define.wire import collection_hash
from federation.errors import LedgerBroken, LedgerRefusal
from federation.ledger.entries import IN_PROCESS
from federation.ledger.operator import LEDGERS, open_operator_ledger
from federation.ledger.state import Budget, LedgerState
from federation.plan import Plan, PlannedView, plan_from_bytes, plan_to_bytes

_PUBLISHED: Final = b"covey-1 published"
_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS plans (plan BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID"


class RunLedger:
    """The operator's ledger for a run in one process. Use it as a context manager.

    Args:
        directory: the project (or `--store`) directory.
        budget: the most that a client-day may cost, over all roles and runs into this store.

    Raises:
        LedgerBroken: the ledger was edited, truncated or rolled back. LedgersApart.
    """

    def __init__(self, directory: Path, budget: Budget, clock: Callable[[], int]) -> None:
        self._budget = budget
        self._ledger = open_operator_ledger(directory / LEDGERS, IN_PROCESS, clock, [_SCHEMA, CELLS_TABLE])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ledger.close()

    @property
    def path(self) -> Path:
        """The ledger's file."""
        return self._ledger.path

    @property
    def state(self) -> LedgerState:
        """The charges, and which of their plans are done."""
        return self._ledger.state

    def check(self, plan: Plan) -> None:
        """Return if all of a run may be charged. Writes only a refusal.

        Raises:
            LedgerRefusal: also for a pane that is charged and not published yet.
        """
        try:
            self._ledger.check(plan, self._budget)
        except LedgerRefusal as refusal:
            self._ledger.refuse(plan, refusal)
            raise

    def intend(self, plans: Sequence[Plan]) -> None:
        """Charge these plans and keep their bytes, all of them or none. Raises LedgerRefusal."""
        with self._ledger.transaction() as db:
            for plan in plans:
                self._ledger.intend_within(plan, self._budget)
                db.execute("INSERT OR IGNORE INTO plans VALUES (?, ?)", (plan.hash, plan_to_bytes(plan)))

    def unfinished(self, view: str) -> tuple[Plan, ...]:
        """The plans of this view that are charged and not done, oldest first. In one process each plan has one view.

        Raises:
            LedgerBroken: the stored bytes of a plan are missing or differ from the charged ones.
        """
        with self._ledger.transaction() as db:
            kept = dict(db.execute("SELECT plan, bytes FROM plans").fetchall())
        waiting = [plan_hash for plan_hash in self.state.intended if plan_hash not in self.state.completed]
        for plan_hash in waiting:
            if hashlib.sha256(kept.get(plan_hash, b"")).digest() != plan_hash:
                why = f"the stored bytes of the charged plan {plan_hash.hex()[:16]}… are missing or changed"
                raise LedgerBroken(str(self._ledger.path), why)
        plans = [plan_from_bytes(kept[plan_hash]) for plan_hash in waiting]
        return tuple(plan for plan in plans if plan.views[0].view.name == view)

    def used(self, planned: PlannedView, clients: Callable[[], Sequence[bytes]]) -> UsedCells:
        """The cells that published plans have used of the client-days of these panes.

        Plans over the wire do not count: they and the runs in one process each pay for the day.

        Args:
            clients: the stable names of the clients, by index. Not called if no published plan shares a day.

        Raises:
            LedgerBroken: the stored cells of a plan differ from the recorded ones.
        """
        collection = collection_hash(planned.view)
        with self._ledger.transaction() as db:
            mine = self.state.completed.keys()
            shared = {
                day: found
                for day in np.unique(planned.pane_starts // DAY_US).tolist()
                if (found := mine & set(self.state.plans_of_day(collection, day)))
            }
            if not shared:
                return UsedCells.none()
            held = [one for plan in sorted(set().union(*shared.values())) for one in self._cells(db, plan)]
        days = list(shared)
        return as_used(days, used_cells(clients(), collection, days, held))

    def record(self, plan: Plan, cells: Sequence[DayCells]) -> None:
        """Store the cells that a plan uses, before its releases are published."""
        with self._ledger.transaction() as db:
            write_cells(db, plan.hash, cells)

    def published(self, plan: Plan) -> None:
        """Record that the releases of a plan are in the store, and delete its bytes."""
        with self._ledger.transaction() as db:
            self._ledger.complete_within(plan.hash, _digest(plan.hash, read_cells(db, plan.hash)))
            db.execute("DELETE FROM plans WHERE plan = ?", (plan.hash,))

    def _cells(self, db: sqlite3.Connection, plan_hash: bytes) -> list[DayCells]:
        """The cells that a published plan used, checked against its entry in the chain."""
        try:
            cells = read_cells(db, plan_hash)
            if _digest(plan_hash, cells) == self.state.completed[plan_hash]:
                return cells
        except ODD_ROW:
            pass  # raised below
        what = f"the used cells of plan {plan_hash.hex()[:16]}…"
        raise LedgerBroken(str(self._ledger.path), f"{what} differ from the recorded ones")


def _digest(plan_hash: bytes, cells: Sequence[DayCells]) -> bytes:
    """The result of a plan in the chain: it is published, and used these cells."""
    return cells_digest(hashlib.sha256(_PUBLISHED + plan_hash).digest(), cells)
