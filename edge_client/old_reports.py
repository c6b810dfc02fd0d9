"""A site forgets the reports of plans that nobody may repeat any more: ids, reporters and cells, the largest part of its ledger.

Reports are needed to repeat an answer, and for a later plan that takes its panes again. A repeat is refused after the deadline. A
later plan may name an earlier one at any time, so a site sets an end itself: `KEPT_US` after the charge, a plan's panes are closed
here for ever. A plan of which a later one took panes again keeps its reports, because they say what its other panes used.

The time is that of the ledger's last entry, and at most the deadline of the plan that is answered. So a clock that jumps ahead,
also during an answer, forgets nothing. The chain keeps the hash of each answer, so rows that are missing before their time are
noticed. The cells that an answer used of a client-day stay (ADR 0061).
"""

from __future__ import annotations

import sqlite3
from typing import Final

from base.times import DAY_US
from featurestore.define.wire import collection_hash
from federation.errors import PaneTaken
from federation.ledger.state import LedgerState
from federation.plan import Plan

SCHEMA: Final = ("CREATE TABLE IF NOT EXISTS forgotten_reports (row INTEGER NOT NULL)",)
"""One row: the first plan of the ledger, by its place, that was not looked at yet."""
KEPT_US: Final = 62 * DAY_US
"""31 days, as the aggregators keep a finished plan, after a deadline that is 31 days after the charge."""
_AT_ONCE: Final = 64
"""Most plans that one answer forgets. Each answer adds one, so the number of kept ones falls to those of `KEPT_US`."""


def forget_old(db: sqlite3.Connection, state: LedgerState, answered: Plan) -> None:
    """Delete the reports of plans that are old enough, in the transaction that records an answer."""
    now_us = state.last_us if answered.wire is None else min(state.last_us, answered.wire.deadline_us)
    found = db.execute("SELECT row FROM forgotten_reports").fetchone()
    first = 0 if found is None else int(found[0])
    charged_at = state.plans.part(state.role).charged_at.values
    row = first
    while row < min(len(charged_at), first + _AT_ONCE) and charged_at[row] <= now_us - KEPT_US:
        plan = state.plans.hashes.at(row)
        if plan not in state.retried:
            db.execute("DELETE FROM reports WHERE plan = ?", (plan,))
        row += 1
    if row != first:
        db.execute("DELETE FROM forgotten_reports")
        db.execute("INSERT INTO forgotten_reports VALUES (?)", (row,))


def require_remembered(db: sqlite3.Connection, state: LedgerState, plan: Plan) -> None:
    """Raise PaneTaken if a plan repeats an answer whose reports are forgotten, or takes its panes again."""
    for before in (plan.hash, *(attempt.plan_hash for attempt in plan.earlier)):
        if not _is_forgotten(db, state, before):
            continue
        for planned in plan.views:
            taken = state.held_among(collection_hash(planned.view), planned.pane_starts, before)
            if len(taken):
                raise PaneTaken(planned.view.name, int(taken[0]), int(taken[-1]))


def _is_forgotten(db: sqlite3.Connection, state: LedgerState, plan: bytes) -> bool:
    if plan not in state.completed or state.intended.get(plan, 0) > state.last_us - KEPT_US:
        return False
    return db.execute("SELECT 1 FROM reports WHERE plan = ? LIMIT 1", (plan,)).fetchone() is None
