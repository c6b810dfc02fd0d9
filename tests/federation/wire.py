"""A small project for tests of the wire: keys, a plan of two views and three panes each, and sharded batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crypto.seal import SealKey
from crypto.sharing import SparseRows
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.privacy import Bounds, Privacy
from federation.batch.reports import HelperHalf, LeaderHalf, Reports
from federation.draft import with_live
from federation.keys import RoleKeys
from federation.live_keys import LiveSecret
from federation.parties import EnrolledSite, Roster, RosterEntry
from federation.plan import Plan, PlannedView
from federation.sharding import shard
from federation.wire_terms import WireTerms
from tests.federation.words import plan_in_words

DAY = 86_400 * 10**6


def role_keys(role: str, number: int) -> RoleKeys:
    return RoleKeys.generate(role, np.random.default_rng(number).bytes)


COORDINATOR, COLLECTOR, LEADER, HELPER, SITE, OTHER_SITE = (
    role_keys(role, number)
    for number, role in enumerate(("coordinator", "collector", "leader", "helper", "site-a", "site-b"))
)
ENROLLED = (EnrolledSite("a", 100), EnrolledSite("b", 300))
TERMS = WireTerms(
    LEADER.sign.public, HELPER.sign.public, COLLECTOR.public.collector, deadline_us=10 * DAY, roster=ENROLLED
)


def live_randomness(role: str) -> Callable[[int], bytes]:
    """A source that gives every plan of a role the same live secret, so that tests know the secret."""
    return lambda size: bytes([1 if role == "leader" else 2]) * size


LIVE = {role: LiveSecret.draw(live_randomness(role)) for role in ("leader", "helper")}
LEADER_SEAL, HELPER_SEAL = (secret.seal or SealKey(bytes(32)) for secret in LIVE.values())


def live(plan: Plan) -> Plan:
    """The plan with live keys for these secrets, signed by its leader and helper."""
    assert plan.wire is not None
    signing = {keys.sign.public: keys.sign for keys in (COORDINATOR, COLLECTOR, LEADER, HELPER, SITE, OTHER_SITE)}
    return with_live(plan, (signing[plan.wire.leader], LIVE["leader"]), (signing[plan.wire.helper], LIVE["helper"]))


ROSTER = Roster([RosterEntry("a", SITE.public.sign, 4), RosterEntry("b", OTHER_SITE.public.sign, 4)])


def view(name: str, keys: int) -> FeatureView:
    return FeatureView(
        name,
        entity=Entity("k", domain=range(keys)),
        features=[Count("n")],
        pane="1d",
        bounds=Bounds(2, 3),
        privacy=Privacy(rho=0.5, min_clients=2),
    )


def plan(number: int = 0, terms: WireTerms | None = TERMS) -> Plan:
    views = (PlannedView(view(f"v{i}", i + 2), np.arange(3, dtype=np.int64) * DAY, 2) for i in range(2))
    made = plan_in_words(bytes([number]) * 16, tuple(views), "full", wire=terms)
    return made if terms is None else live(made)


PLAN = plan()


def halves(
    collections: list[int], view_index: int = 1, seed: int = 0, of: Plan = PLAN
) -> tuple[LeaderHalf, HelperHalf]:
    """Reports of one view, each with value b + 1 in slot 0."""
    count = len(collections)
    slots = SparseRows(
        np.arange(count + 1, dtype=np.int64),
        np.zeros(count, np.int32),
        np.arange(1, count + 1, dtype=np.int64),
        of.views[view_index].layout.length,
    )
    reports = Reports(view_index, np.array(collections, np.uint32), slots)
    return shard(of, reports, np.random.default_rng(seed).bytes)
