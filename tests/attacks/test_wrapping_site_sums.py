"""Colluding sites send the largest sums that a proof allows, and declare one client each.

The attacker holds 17 enrolled sites. Their goal is a sum beyond half the field, which opens as another number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.errors import RemoteRefusal
from crypto.sharing import SparseRows
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Mean
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from federation.batch.batch import SealedBatch
from federation.batch.reports import Reports
from federation.batch.sealing import seal_batch
from federation.errors import ReportRefused
from federation.keys import RoleKeys, site_role
from federation.parties import MAX_CLIENTS, Roster, RosterEntry
from federation.plan import Plan
from federation.protocol import run_collections
from federation.sharding import protect
from tests.aggregator.world import SETTINGS, World, make_plan, prepared, running, signed
from tests.federation.wire import live
from tests.federation.words import with_words

SITES = 17
VIEW = FeatureView(
    "v",
    entity=Entity("k", value="x"),
    features=[Mean("x", clip=(0, 2**11), resolution=1)],
    pane="1d",
    bounds=Bounds(1, 2**18),
    privacy=Privacy(rho=0.5, min_clients=2),
)
LAYOUT = layout_of(VIEW)
LARGEST = np.array([slot.max_value for slot in LAYOUT.slots])
"""The most that a client may add to each slot. For 2³¹ clients this is 2⁶⁰, the largest sum that a proof can cover."""


def site_keys(number: int) -> RoleKeys:
    return RoleKeys.generate(site_role(f"s{number}"), np.random.default_rng([15, number]).bytes)


KEYS = {f"s{number}": site_keys(number) for number in range(SITES)}
ROSTER = Roster(RosterEntry(site, keys.sign.public, 1_000) for site, keys in KEYS.items())


def of_sites(most: int = MAX_CLIENTS) -> Plan:
    made = with_words(make_plan(VIEW, panes=1), validity="prio3", report_per="site", max_clients=most)
    assert made.wire is not None
    return live(replace(made, wire=replace(made.wire, roster=ROSTER.enrolled)))


def largest(plan: Plan) -> Reports:
    """The largest report of one declared client that its proof allows."""
    columns = np.arange(LAYOUT.length, dtype=np.int32)
    slots = SparseRows(np.array([0, LAYOUT.length]), columns, LARGEST * plan.max_clients, LAYOUT.length)
    return Reports(0, np.zeros(1, np.uint32), slots, np.ones(1, np.uint32))


def batch_of(plan: Plan, site: str) -> SealedBatch:
    rng = np.random.default_rng([7, int(site[1:])])
    return seal_batch(plan, site, rng.bytes(16), *protect(plan, largest(plan), rng.bytes), KEYS[site].sign)


def attack(world: World, plan: Plan) -> list[int]:
    """Open the plan at both aggregators, send the report of every site, and collect. Returns the opened sums."""
    plan = prepared(plan, world.client.prepare)
    world.client.open_plan(signed(plan))
    for site in KEYS:
        assert world.client.submit(batch_of(plan, site).to_bytes()).verdicts == b"\0"
    (opened,) = world.collect(plan)
    return [int(one) for one in opened.sums[0, 0]]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    settings: dict[str, Any] = {
        name: replace(SETTINGS, roster=ROSTER) for name in ("leader_settings", "helper_settings")
    }
    with running(tmp_path, **settings) as services:
        yield services


def test_seventeen_sites_cannot_wrap_a_sum_with_proofs(world: World) -> None:
    with pytest.raises(RemoteRefusal, match="17 sites with reports of up to 2,147,483,647 clients each") as refused:
        pytest.fail(f"they have opened {attack(world, of_sites())}")
    assert refused.value.reason == "PLAN_INVALID"


def test_what_their_reports_can_be_at_most_is_opened_as_it_is(world: World) -> None:
    assert attack(world, of_sites(1_000)) == (SITES * 1_000 * LAYOUT.basis @ LARGEST).tolist()


def test_the_range_is_checked_of_accepted_reports_whatever_they_declare() -> None:
    """Without a roster the check at the opening is the second line of defence."""
    plan = of_sites()

    def opened() -> list[int]:
        (view,) = run_collections(plan, [largest(plan)] * SITES, np.random.default_rng(0).bytes, None, None)
        return [int(one) for one in view.sums[0, 0]]

    with pytest.raises(ReportRefused, match="could pass half the field"):
        pytest.fail(f"they have opened {opened()}")
