"""What an aggregator erases, and when. It erases at its start, with every new key and plan, and after storing noised shares.

    verification key  when its plan accepts no more reports: the plan is closed, or its deadline (at the helper: plus the
                      grace) has passed and no batch waits. If its plan was never opened here: a day after it was stored
    report ids        when the deadline of a noised plan has passed: no report can arrive any more. The numbers of rejected
                      reports stay, because they are reported as long as the plan can be collected again. The counted sites
                      stay in the commitments
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
UNANNOUNCED_US: Final = 86_400 * 10**6
"""How long a verification key is kept without its plan. The plan normally follows within seconds."""

_KEYS: Final = """
(kept_us < ? OR id IN (SELECT id FROM plans)) AND id NOT IN (
    SELECT id FROM plans WHERE state = 'open' AND (deadline_us >= ? OR plan IN (SELECT plan FROM pending))
)
"""
_OVER: Final = "SELECT plan FROM plans WHERE state IN ('noised', 'witnessed') AND deadline_us < ?"
_COUNTS: Final = f"""
INSERT INTO rejections
SELECT plan, collection, count(*) FROM rejected WHERE plan IN ({_OVER}) GROUP BY plan, collection
"""


_NOISED: Final = (PlanState.NOISED, PlanState.WITNESSED)
LATEST_SECRET_US: Final = LATEST_CHARGE_US - MOST_AFTER_DEADLINE_US
"""How long after the end of its seal seed a live secret is kept for a plan that may still be charged."""


def forget(storage: Storage, now_us: int, grace_us: int) -> None:
    """Erase everything that is due.

    Args:
        grace_us: how long after a plan's deadline this aggregator still accepts reports.
    """
    with storage.transaction():
        storage.erase("keys", _KEYS, now_us - UNANNOUNCED_US, now_us - grace_us)
        storage.run(_COUNTS, now_us)
        for table in ("rejected", "reports", "sites", "counted"):
            storage.erase(table, f"plan IN ({_OVER})", now_us)
        storage.erase("secret_keys", "until_us < ?", now_us)
        storage.run("DELETE FROM prepared WHERE not_after_us < ?", now_us - LATEST_SECRET_US)
        past = "plan IN (SELECT plan FROM plans WHERE deadline_us < ?)"
        storage.run(f"DELETE FROM finished WHERE {past}", now_us - LATEST_CHARGE_US)
    storage.empty_log()


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
        forget(self._files.storage, self._clock(), self.grace_us)
        forget_live(self._files.live, self._files.storage, self._files.ledger.state, self._clock())
