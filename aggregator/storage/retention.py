"""What an aggregator erases, and when. It erases at its start, with every new key and plan, and after storing noised shares.

    verification key  when its plan accepts no more reports: the plan is closed, or its deadline (at the helper: plus the
                      grace) has passed and no batch waits. If its plan was never opened here: a day after it was stored
    report ids        when the deadline of a noised plan has passed: no report can arrive any more. The numbers of rejected
                      reports stay, because they are reported as long as the plan can be collected again. The counted sites
                      stay in the commitments
    finished plans    31 days after their deadline, if the other aggregator knows of their opening: their noised shares can be
                      collected no longer (PlanDeleted). The ledger keeps the charge and the opening, and its last charge counts
                      as the time: a clock that jumps ahead deletes nothing. Freed plans stay: "never opened" may be asked for
                      at any time
    sums              when their noised share is stored (role_storage.py)
    finished sums     leader: when the key holder has opened them (role_storage.py), or no longer holds the plan's keys
    noised shares     when leader and helper have both stored the values that they opened from them
    secret keys       key holder: when the plan is opened or burnt (role_storage.py), or can no longer be charged
    live secret       the seal seed: when the plan is closed (no batch waits at the leader then), or a day after its deadline.
                      All of it: when the noised share and its ledger entry are on disk, when the plan is burnt or freed, at the
                      latest 31 days after the deadline. This module erases secrets that a killed process has left
    live keys         the signed live keys: 31 days after the deadline

Erased data is overwritten, and SQLite's log is emptied afterwards: no file of this aggregator holds a byte of an erased key or
sum. A plan that is never collected keeps its ids and its share of the sums; one that is never finished keeps its noised shares.
"""

from __future__ import annotations

from typing import Final

from aggregator.identity import Clock
from aggregator.storage.files import Files
from aggregator.storage.live_folder import LiveFolder
from aggregator.storage.records import PlanState
from aggregator.storage.role_storage import Storage
from federation.ledger.state import LedgerState
from federation.live_keys import MOST_AFTER_DEADLINE_US

LATEST_CHARGE_US: Final = 31 * 86_400 * 10**6
"""How long after its deadline a plan may still be charged. Without this limit, a clock that runs years ahead for a moment would
write that time into the ledger, and the ledger would refuse the right clock afterwards."""
LATEST_COLLECT_US: Final = LATEST_CHARGE_US
"""How long after its deadline an opened plan can be collected again."""
UNANNOUNCED_US: Final = 86_400 * 10**6
"""How long a verification key is kept without its plan. The plan normally follows within seconds."""

_KEYS: Final = """
(kept_us < ? OR EXISTS (SELECT 1 FROM plans WHERE plans.id = keys.id)) AND NOT EXISTS (
    SELECT 1 FROM plans INDEXED BY plans_by_id WHERE plans.id = keys.id AND state = 'open'
    AND (deadline_us >= ? OR EXISTS (SELECT 1 FROM pending WHERE pending.plan = plans.plan))
)
"""
_WITH_IDS: Final = """
SELECT plan FROM plans INDEXED BY plans_with_ids
WHERE over = 0 AND state IN ('noised', 'witnessed') AND deadline_us < ?
"""
_DONE: Final = "SELECT plan FROM plans INDEXED BY plans_to_delete WHERE state = 'witnessed' AND deadline_us < ?"
_COUNTS: Final = """
INSERT INTO rejections SELECT plan, collection, count(*) FROM rejected WHERE plan = ? GROUP BY plan, collection
"""
_OF_PLANS: Final = (
    *("noised", "held", "drawn", "swaps", "jobs", "rejections", "rejected", "reports", "sites", "counted", "pending"),
    *("sums", "ciphertexts", "finished"),
)
"""The tables whose rows belong to a plan."""


_NOISED: Final = (PlanState.NOISED, PlanState.WITNESSED)
LATEST_SECRET_US: Final = LATEST_CHARGE_US - MOST_AFTER_DEADLINE_US
"""How long after the end of its seal seed a live secret is kept for a plan that may still be charged."""


def forget(storage: Storage, now_us: int, grace_us: int) -> None:
    """Erase everything that is due, but for finished plans.

    Args:
        grace_us: how long after a plan's deadline this aggregator still accepts reports.
    """
    with storage.transaction():
        storage.erase("keys", _KEYS, now_us - UNANNOUNCED_US, now_us - grace_us)
        for (plan,) in storage.rows(_WITH_IDS, now_us):
            storage.run(_COUNTS, plan)
            for table in ("rejected", "reports", "sites", "counted"):
                storage.erase(table, "plan = ?", plan)
            storage.run("UPDATE plans SET over = 1 WHERE plan = ?", plan)
        storage.erase("secret_keys", "until_us < ?", now_us)
        storage.run("DELETE FROM prepared WHERE not_after_us < ?", now_us - LATEST_SECRET_US)
        past = "EXISTS (SELECT 1 FROM plans WHERE plans.plan = finished.plan AND deadline_us < ?)"
        storage.run(f"DELETE FROM finished WHERE {past}", now_us - LATEST_CHARGE_US)
    storage.empty_log()


def forget_finished(storage: Storage, now_us: int, charged_us: int) -> None:
    """Delete the finished plans that are due.

    Args:
        charged_us: the time of the ledger's last charge or opening; 0: there is none.
    """
    with storage.transaction():
        for (plan,) in storage.rows(_DONE, min(now_us, charged_us) - LATEST_COLLECT_US):
            for table in _OF_PLANS:
                storage.run(f"DELETE FROM {table} WHERE plan = ?", plan)
            storage.run("DELETE FROM plans WHERE plan = ?", plan)


def forget_live(live: LiveFolder, storage: Storage, ledger: LedgerState, now_us: int) -> None:
    """Erase the live secrets, or their seal seeds, that are due."""
    for plan_id in live.plan_ids():
        file, plans = live.load(plan_id), storage.plans_of_id(plan_id)
        if file is None:
            continue
        over = any(
            plan.freed or plan.state is PlanState.BURNT or (plan.state in _NOISED and plan.hash in ledger.completed)
            for plan in plans
        )
        if over or now_us > file.not_after_us + LATEST_SECRET_US:
            live.erase(plan_id)
        elif now_us >= file.not_after_us or (plans and not any(plan.accepts_reports for plan in plans)):
            live.erase_seal(plan_id)


class Retention:
    """Erases due data in the files of one aggregator.

    Args:
        grace_us: how long after a plan's deadline this aggregator still accepts reports.
    """

    def __init__(self, files: Files, clock: Clock, grace_us: int) -> None:
        self.grace_us = grace_us
        self._files, self._clock = files, clock

    def forget(self) -> None:
        """Erase everything that is no longer needed."""
        storage, state = self._files.storage, self._files.ledger.state
        forget_finished(storage, self._clock(), max(0, state.last_us))
        forget(storage, self._clock(), self.grace_us)
        forget_live(self._files.live, storage, state, self._clock())
