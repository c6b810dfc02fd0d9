"""A site for tests: its policy, its plans, and what a role opens of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from edge_client.events import Events, make_events
from edge_client.policy import Policy, Refuse
from edge_client.site import SiteSettings, respond
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.privacy import Bounds, Privacy
from federation.batch.batch import SealedBatch
from federation.plan import Plan, PlannedView
from federation.signed_plan import sign_plan
from tests.aggregator.world import NOW, make_plan
from tests.federation.wire import COORDINATOR, DAY, HELPER, LEADER, SITE, live
from tests.federation.words import with_words

HOUR = DAY // 24

VIEW = FeatureView(
    "v",
    entity=Entity("k", domain=["x", "y"]),
    features=[Count("n")],
    pane="1d",
    bounds=Bounds(2, 3),
    privacy=Privacy(rho=0.5, min_clients=2),
)
HOURLY = replace(VIEW, name="h", pane="1h")
POLICY = Policy(
    COORDINATOR.sign.public,
    LEADER.sign.public,
    HELPER.sign.public,
    max_micro_rho=1_000_000,
    min_k=2,
    allow_activity_visible=True,
)


def settings_in(folder: Path, policy: Policy = POLICY, clients: int = 10) -> SiteSettings:
    return SiteSettings("a", SITE, clients, policy, folder / "site-a.db")


def plan_with(noise: Any = "full", participation: Any = "active", **terms: Any) -> Plan:
    """A plan for two days of VIEW."""
    plan = with_words(make_plan(VIEW, noise=noise), participation=participation)
    assert plan.wire is not None
    return live(replace(plan, wire=replace(plan.wire, **terms)))


def proven(plan: Plan) -> Plan:
    """The same plan with proofs. Nobody has its verification key."""
    assert plan.wire is not None
    return live(with_words(plan, validity="prio3", wire=replace(plan.wire, verify_key_hash=bytes(range(32)))))


def hours(number: int, *starts: int, participation: Any = "active", view: FeatureView = HOURLY) -> Plan:
    """A plan of an hourly view for these hours since the epoch."""
    plan = make_plan(view, noise="full", number=number)
    panes = np.array(starts, np.int64) * HOUR
    return live(with_words(plan, views=(PlannedView(view, panes, 2),), participation=participation))


def sign(plan: Plan, key: Any = COORDINATOR) -> bytes:
    return sign_plan(live(plan), key.sign)


def table(names: Sequence[Any], days: Sequence[float], keys: Sequence[Any]) -> pa.Table:
    times = pa.array([int(day * DAY) + 1_000 for day in days], pa.timestamp("us"))
    return pa.table({"who": pa.array(names, pa.string()), "t": times, "k": pa.array(keys, pa.string())})


def events(*rows: tuple[str, float, str]) -> Events:
    names, days, keys = zip(*rows, strict=True) if rows else ((), (), ())
    return make_events(table(names, days, keys), "who", "t")


def ask(
    plan: Plan | bytes, own: Events, settings: SiteSettings, seed: int = 0, now: int = NOW
) -> list[SealedBatch] | Refuse:
    """The site's answer."""
    signed = plan if isinstance(plan, bytes) else sign(plan)
    answer = respond(signed, settings, lambda _: own, lambda: now, np.random.default_rng(seed).bytes)
    return answer if isinstance(answer, Refuse) else list(answer)


def answered(
    plan: Plan | bytes, own: Events, settings: SiteSettings, seed: int = 0, now: int = NOW
) -> list[SealedBatch]:
    """The batches of a site that takes part."""
    found = ask(plan, own, settings, seed, now)
    assert not isinstance(found, Refuse), found
    return found


def answered_empty(plan: Plan, own: Events, settings: SiteSettings) -> bool:
    """Whether the site's answer is one empty batch."""
    (batch,) = answered(plan, own, settings)
    return not len(batch.signed.header)


def ids_of(batches: Sequence[SealedBatch]) -> list[tuple[int, bytes]]:
    """(collection, report id) of every report."""
    return [
        (int(of), report.tobytes())
        for batch in batches
        for of, report in zip(batch.signed.header.collection, batch.signed.header.report_ids, strict=True)
    ]
