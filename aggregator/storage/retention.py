"""What an aggregator erases, and when: as it starts, with every new key and plan, and when it has stored its noise.

    verification key  when its plan takes no more reports: it is closed, or past its deadline (at the helper: and past the
                      grace) with no batch that waits. A key whose plan was never opened here: a day after it was kept
    report ids        when the deadline of a plan with noise has passed: no report of it can come any more. How many were
                      rejected is told as long as the plan can be collected again, so their counts stay
    sums              when their noised share is stored (role_storage.py)
    finished sums     of a leader: when the key holder has opened them (role_storage.py), or holds no keys of the plan any more
    noised shares     with finish mpc: when leader and helper have both stored what they opened of them
    secret keys       of a key holder: when the plan is opened or burnt (role_storage.py), or can no longer be charged
    live secret       its seal seed when the plan is closed (at the leader no batch waits then), burnt, or a day after its
                      deadline; all of it when the noised share and its ledger entry are on disk, and 31 days after the
                      deadline at the latest. Here is what a process that was killed has left
    live keys         what was signed of it: 31 days after the deadline

What is erased is overwritten, and SQLite's log is emptied afterwards: no file of this aggregator holds a byte of a key or
a sum that was. A plan that nobody collects keeps its ids and its share of the sums; one that nobody finishes, its noised shares.
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
"""How long after its deadline a plan may still be charged. A clock that runs years ahead for a moment would else write that
time into the ledger, and the right clock would be refused ever after."""
UNANNOUNCED_US: Final = 86_400 * 10**6
"""How long a verification key waits for its plan, which follows in seconds."""

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
"""How long after its seal seed was due a live secret is kept for a plan that may still be charged."""


def forget(storage: Storage, now_us: int, grace_us: int) -> None:
    """Erase all that is due.

    Args:
        grace_us: how long after a plan's deadline reports of it are still taken here.
    """
    with storage.transaction():
        storage.erase("keys", _KEYS, now_us - UNANNOUNCED_US, now_us - grace_us)
        storage.run(_COUNTS, now_us)
        for table in ("rejected", "reports", "sites"):
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
            plan.state is PlanState.BURNT or (plan.state in _NOISED and plan.hash in ledger.done) for plan in plans
        )
        if over or now_us > file.not_after_us + LATEST_SECRET_US:
            live.erase(plan_id)
        elif now_us >= file.not_after_us or (plans and not any(plan.takes_reports for plan in plans)):
            live.erase_seal(plan_id)


class Retention:
    """Erases what is due in the files of one aggregator.

    Args:
        grace_us: how long after a plan's deadline reports of it are still taken here.
    """

    def __init__(self, files: Files, clock: Clock, grace_us: int) -> None:
        self.grace_us = grace_us
        self._files, self._clock = files, clock

    def forget(self) -> None:
        """Erase what nothing can ask for any more."""
        forget(self._files.storage, self._clock(), self.grace_us)
        forget_live(self._files.live, self._files.storage, self._files.ledger.state, self._clock())
