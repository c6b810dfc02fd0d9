"""The ledger of runs in one process: what they charged, and the plans that were charged and not published yet.

    <directory>/ledgers/in-process.db    federation's ledger, and the bytes of every plan until its releases are published

A pane is opened under the plan that took it, or never: so a run that was cut off leaves its plans here, and the next one goes
on with them. Runs over the wire into the same store have ledgers of their own (leader, helper, key holder); what those have
spent counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from federation.errors import LedgerBroken, LedgerRefusal
from federation.ledger import Ledger, head_path
from federation.ledger_snapshot import read_ledger
from federation.ledger_state import Budget, LedgerState
from federation.plan import Plan, plan_from_bytes, plan_to_bytes

LEDGERS: Final = "ledgers"
IN_PROCESS: Final = "in-process"
AGGREGATORS: Final = ("leader", "helper", "keyholder")
NO_LIMIT: Final = 2**62
_PUBLISHED: Final = b"covey-1 published"
_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS plans (plan BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID"


class RunLedger:
    """The ledger of a store's runs in one process. Use it as a context manager.

    Args:
        directory: the project (or `--store`) directory.
        budget: what a client-day may cost, over all runs into this store.

    Raises:
        LedgerBroken: edited, cut or rolled back; also one of the aggregators' beside it.
    """

    def __init__(self, directory: Path, budget: Budget, clock: Callable[[], int]) -> None:
        self._over_the_wire = tuple(_state(directory, owner) for owner in AGGREGATORS)
        self._clock = clock
        self._budget = replace(budget, elsewhere=_most_spent(self._over_the_wire))
        path = ledger_path(directory, IN_PROCESS)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._ledger = Ledger(path, IN_PROCESS, clock, [_SCHEMA])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ledger.close()

    @property
    def state(self) -> LedgerState:
        """What was charged, and what came of it."""
        return self._ledger.state

    def check(self, plan: Plan) -> None:
        """Return if all of a run may be charged. Writes nothing but a refusal.

        Raises:
            LedgerRefusal: also of a pane that the aggregators have taken and nobody has published yet.
        """
        try:
            self._ledger.check(plan, self._budget)
            for aggregator in self._over_the_wire:
                aggregator.intent(plan, Budget(NO_LIMIT), self._clock())
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
        """The plans of this view (in one process a plan has one) that were charged and are not done, oldest first.

        Raises:
            LedgerBroken: the bytes of one are not there, or other ones.
        """
        with self._ledger.transaction() as db:
            kept = dict(db.execute("SELECT plan, bytes FROM plans").fetchall())
        waiting = [plan_hash for plan_hash in self.state.intended if plan_hash not in self.state.done]
        for plan_hash in waiting:
            if hashlib.sha256(kept.get(plan_hash, b"")).digest() != plan_hash:
                why = f"the plan {plan_hash.hex()[:16]}…, which was charged, is not the one that was kept"
                raise LedgerBroken(str(self._ledger.path), why)
        plans = [plan_from_bytes(kept[plan_hash]) for plan_hash in waiting]
        return tuple(plan for plan in plans if plan.views[0].view.name == view)

    def published(self, plan: Plan) -> None:
        """The releases of a plan are in the store."""
        with self._ledger.transaction() as db:
            self._ledger.done_within(plan.hash, hashlib.sha256(_PUBLISHED + plan.hash).digest())
            db.execute("DELETE FROM plans WHERE plan = ?", (plan.hash,))


def ledger_path(directory: Path, owner: str) -> Path:
    """Where the ledger of a party of this project lies."""
    return directory / LEDGERS / f"{owner}.db"


def require_room(directory: Path, plan: Plan, budget: Budget, now_us: int) -> None:
    """Return if the ledgers of this store's aggregators may be charged for a plan, as far as it is known here.

    The aggregators decide for themselves; asking first means that nothing is started in vain. Reads only.

    Raises:
        LedgerRefusal: what a day would cost with what was spent by earlier runs, over the wire or in one process; or a
            pane that one of them has taken and not published. LedgerBroken.
    """
    in_process = _state(directory, IN_PROCESS)
    in_process.intent(plan, Budget(NO_LIMIT), now_us)
    whole = replace(budget, elsewhere=in_process.spent)
    for owner in AGGREGATORS:
        _state(directory, owner).intent(plan, whole, now_us)


def charged_plans(directory: Path) -> frozenset[bytes]:
    """The hashes of all plans that an aggregator's ledger of this store was charged for."""
    return frozenset(plan for owner in AGGREGATORS for plan in _state(directory, owner).intended)


def _most_spent(aggregators: Sequence[LedgerState]) -> Mapping[int, int]:
    """Micro-ρ that these ledgers were charged, by UTC day: of each day what the greatest one knows."""
    spent: dict[int, int] = {}
    for state in aggregators:
        for day, cost in state.spent.items():
            spent[day] = max(spent.get(day, 0), cost)
    return spent


def _state(directory: Path, owner: str) -> LedgerState:
    path = ledger_path(directory, owner)
    there = path.exists() or head_path(path).exists()  # a head without its ledger: somebody has deleted it
    return read_ledger(path, owner).state if there else LedgerState()
