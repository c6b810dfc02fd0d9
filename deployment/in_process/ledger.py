"""The operator's ledger of runs in one process, with the plans that are charged and not published yet.

    <directory>/ledgers/operator.db    federation's ledger, and the bytes of every plan until its releases are published

A charged pane is opened under its plan or never. So an interrupted run leaves its plans here, and the next run continues
them. Leader, helper and key holder of the same directory charge the same ledger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from federation.errors import LedgerBroken, LedgerRefusal
from federation.ledger.entries import IN_PROCESS
from federation.ledger.operator import LEDGERS, open_operator_ledger
from federation.ledger.state import Budget, LedgerState
from federation.plan import Plan, plan_from_bytes, plan_to_bytes

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
        self._ledger = open_operator_ledger(directory / LEDGERS, IN_PROCESS, clock, [_SCHEMA])

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

    def published(self, plan: Plan) -> None:
        """Record that the releases of a plan are in the store, and delete its bytes."""
        with self._ledger.transaction() as db:
            self._ledger.complete_within(plan.hash, hashlib.sha256(_PUBLISHED + plan.hash).digest())
            db.execute("DELETE FROM plans WHERE plan = ?", (plan.hash,))
