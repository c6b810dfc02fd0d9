"""A leader and a helper with real storage in one process, for measurements.

The leader calls the helper by a function, so that their CPU times can be separated.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from aggregator.identity import Settings
from aggregator.intake.preparation import Preparation
from aggregator.shares.helper import Helper
from aggregator.shares.leader import Leader
from aggregator.shares.peers import Peers
from aggregator.storage.files import Files
from aggregator.storage.live_folder import LiveFolder
from aggregator.storage.role_storage import Storage
from base.times import DAY_US
from crypto.seal import SealKey
from crypto.sharing import SparseRows
from deployment.coordinator.announcement import announce
from deployment.errors import RunRefused
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.privacy import Bounds, Privacy
from federation.batch.reports import Reports
from federation.circuit.validity import VerificationKey
from federation.keys import RoleKeys
from federation.ledger.ledger import Ledger
from federation.ledger.state import Budget
from federation.parties import MAX_CLIENTS, Aggregator, Roster, RosterEntry
from federation.plan import AGGREGATORS, PLAN_ID_BYTES, Plan, PlannedView, new_plan
from federation.terms import Noise, Shares, Validity
from federation.wire_terms import WireTerms
from simulations.measuring import PROCESS, Watch

BITS: Final = 16
"""Bits of a count. The cost of a proof grows with its bits."""
FILLED: Final = 3
"""Slots of a report that are not 0. Their positions do not matter."""
NOW: Final = 100 * DAY_US
SITE: Final = "site-0"


def view_of(slots: int, bits: int = BITS) -> FeatureView:
    """Make a view with a count at each of `slots` join keys."""
    return FeatureView(
        f"counts_{slots}",
        entity=Entity("key", domain=range(slots)),
        features=[Count("events")],
        pane="1d",
        bounds=Bounds(FILLED, 2**bits - 1),
        privacy=Privacy(rho=0.1, min_clients=2),
    )


def reports_of(view: FeatureView, count: int, seed: int = 7) -> Reports:
    """Make one report of each of `count` clients, at random keys."""
    rng, keys = np.random.default_rng(seed), len(view.entity.domain)
    filled = min(FILLED, keys)
    columns = np.concatenate([np.sort(rng.choice(keys, filled, replace=False)) for _ in range(count)])
    values = rng.integers(1, view.bounds.max_events_per_cell, len(columns), endpoint=True)
    starts = np.arange(count + 1, dtype=np.int64) * filled
    return Reports(0, np.zeros(count, np.uint32), SparseRows(starts, columns.astype(np.int32), values, keys))


class _TimedStorage(Storage):
    """Storage that measures how long its commits wait for the disk: wall time minus CPU time."""

    waited_s = 0.0
    in_transactions_s = 0.0

    def run(self, sql: str, *values: Any) -> int:
        if sql == "BEGIN IMMEDIATE":
            self._began = time.process_time()
        if sql != "COMMIT":
            return super().run(sql, *values)
        wall, cpu = time.perf_counter(), time.process_time()
        done = super().run(sql, *values)
        ended = time.process_time()
        self.waited_s += max(0.0, time.perf_counter() - wall - (ended - cpu))
        self.in_transactions_s += ended - self._began
        return done


class Link:
    """A timed connection to the helper by function calls."""

    def __init__(self, helper: Helper) -> None:
        self._helper = helper
        self.clocks, self.bytes = Watch(PROCESS), 0
        self.prepare, self.take_key, self.commit = helper.prepare, helper.take_key, helper.commit
        self.witness, self.finish, self.digest, self.free = helper.witness, helper.finish, helper.digest, helper.free

    def open_plan(self, signed: bytes) -> None:
        """Forward a signed plan."""
        self._helper.open_plan(signed)

    def swap(self, plan_hash: bytes, shares: bytes) -> list[bytes]:
        """Return the helper's noised shares."""
        return [self._helper.swap(plan_hash, [shares])]

    def aggregate(self, job: bytes) -> bytes:
        """Return the helper's answer."""
        with self.clocks.step("helper"):
            answer = self._helper.aggregate(job)
        self.bytes += len(job) + len(answer)
        return answer


class Pair:
    """A leader and a helper with storage in a folder, a site on their rosters, and a plan that they have opened."""

    def __init__(self, folder: Path, view: FeatureView, validity: Validity, noise: Noise) -> None:
        made = {role: RoleKeys.generate(role, os.urandom) for role in ("coordinator", "collector", "leader", "helper")}
        self.keys, self.site = made, RoleKeys.generate(SITE, os.urandom).sign
        self.roster = Roster([RosterEntry(SITE, self.site.public, MAX_CLIENTS)])
        settings = Settings(made["coordinator"].sign.public, self.roster, Budget(10**9), allow_no_noise=True)
        self._stack = ExitStack()
        self.storage = {role: _TimedStorage(folder / f"{role}.db", role) for role in ("leader", "helper")}
        live: dict[Aggregator, LiveFolder] = {role: LiveFolder(folder / f"{role}.live") for role in AGGREGATORS}
        files = {
            role: Files(self.storage[role], Ledger(folder / f"{role}.ledger.db", role, lambda: NOW), live[role])
            for role in AGGREGATORS
        }
        for one in files.values():
            self._stack.callback(one.close)
        to_helper = replace(settings, peer=made["leader"].sign.public)
        to_leader = replace(settings, peer=made["helper"].sign.public)
        self.helper = Helper(made["helper"], to_helper, files["helper"], lambda: NOW)
        self.link = Link(self.helper)
        self.leader = Leader(made["leader"], to_leader, files["leader"], lambda: NOW, Peers(self.link))
        public = made["leader"].sign.public, made["helper"].sign.public, made["collector"].public.collector
        planned = PlannedView(view, np.zeros(1, np.int64), view.privacy.min_clients)
        terms = WireTerms(*public, NOW + DAY_US, roster=self.roster.enrolled)
        plan_id = os.urandom(PLAN_ID_BYTES)
        draft = new_plan([planned], Shares(validity), noise, plan_id=plan_id, sites=(), wire=terms)
        announced = announce(draft, made["coordinator"].sign, self, os.urandom)
        if announced.plan is None:
            raise RunRefused("the measured plan exceeds the budget")
        self.plan = announced.plan
        self.seal_keys = {role: _seal_key(folder, self.plan) for role, folder in live.items()}

    def prepare(self, signed_draft: bytes) -> tuple[Preparation, Preparation]:
        """Prepare the plan at both aggregators."""
        helper = self.helper.prepare(signed_draft)
        return self.leader.prepare(signed_draft), helper

    def open_plan(self, signed: bytes, encryption_keys: bytes = b"") -> None:
        """Open the plan at both aggregators."""
        self.helper.open_plan(signed)
        self.leader.open_plan(signed)

    @property
    def verification_key(self) -> VerificationKey | None:
        """Return the verification key of the aggregators; None without proofs."""
        return self.storage["leader"].key(self.plan.plan_id)

    def close(self) -> None:
        """Close the files."""
        self._stack.close()


def _seal_key(folder: LiveFolder, plan: Plan) -> SealKey:
    """Return the key that opens an aggregator's batches of a plan."""
    file = folder.load(plan.plan_id)
    if file is None or file.secret.seal is None:
        raise RunRefused("the seal key of the measured plan was erased")
    return file.secret.seal
