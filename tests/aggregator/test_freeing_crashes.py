"""A kill before any write and around any message of a free: the plan is freed at both in the end, or it is opened whole.

The panes are collected afterwards under another plan, exactly and for one price.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection import CollectedShares
from aggregator.collect.collection_job import collect_request, free_request
from aggregator.errors import AggregatorError, FreeRefused, PeerRefused
from aggregator.storage.records import PlanState
from federation.attempt import Attempt
from federation.errors import PlanFreed
from federation.ledger.entries import CompletionEntry, FreedEntry, IntentEntry
from federation.plan import Plan
from federation.unopened import sign_never_opened
from tests.aggregator.moments import Moments, sweep
from tests.aggregator.mortals import Pair, no_strike
from tests.aggregator.world import (
    COLLECTOR,
    COORDINATOR,
    HELPER,
    LEADER,
    RHO,
    Site,
    add_sums,
    make_plan,
    open_at,
    require_exact,
)
from tests.federation.wire import live
from tests.ledgers import spent_of

ROLES = ("leader", "helper")
FIRST = make_plan(panes=2)
SITES = [Site(FIRST, name) for name in "ab"]
BATCHES = [site.batch([0, 0, 1, 1]).to_bytes() for site in SITES]
FREE = free_request(FIRST.hash, COORDINATOR.sign)
STATEMENTS = tuple(
    sign_never_opened(role, FIRST.hash, keys.sign) for role, keys in (("leader", LEADER), ("helper", HELPER))
)
SECOND = live(replace(make_plan(panes=2, number=1), earlier=(Attempt(FIRST.hash, STATEMENTS),)))
SECOND_SITE = Site(SECOND)
SECOND_BATCH = SECOND_SITE.batch([0, 0, 1, 1]).to_bytes()
LEAST_OF_FREE = {"leader": 15, "helper": 15, "link": 8}
"""The fewest moments of one free, by victim."""


def close(pair: Pair) -> None:
    """Close the plan at both, as a collection does before it draws noise."""
    pair.leader._swapped.opening._shared._closing.close_with_helper(FIRST)


WHEN: dict[str, Callable[[Pair], None]] = {"open": lambda _pair: None, "closed": close}


@pytest.fixture(scope="module", params=WHEN)
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of both when a plan with two batches, one of which waits for the helper, is freed."""
    made = tmp_path_factory.mktemp("files")
    pair = Pair(made, dict.fromkeys((*ROLES, "link"), no_strike))
    for role in ROLES:
        open_at(getattr(pair, role), FIRST)
    for batch, down in zip(BATCHES, (False, request.param == "open"), strict=True):
        pair.link.down = down
        pair.leader.submit(batch)
    pair.link.down = False
    WHEN[request.param](pair)
    pair.close()
    return made


def opened(plan: Plan, leader: list[SealedShare], helper: list[SealedShare], *sites: Site) -> None:
    """Check that both together give the exact sums of these sites."""
    require_exact(plan, CollectedShares.of(plan, leader, helper, COLLECTOR.seal).open(plan), add_sums(*sites))


def free(pair: Pair) -> None:
    assert tuple(pair.until_done(lambda: pair.leader.free(FREE))) == STATEMENTS


def freed(pair: Pair) -> None:
    """Free the plan, and collect its panes under another plan. Each step is repeated until it succeeds."""
    free(pair)
    for role in ("helper", "leader"):
        pair.until_done(lambda role=role: open_at(getattr(pair, role), SECOND))
    pair.until_done(lambda: pair.leader.submit(SECOND_BATCH))
    request = collect_request(SECOND, COLLECTOR.sign)
    shares = [pair.until_done(lambda role=role: getattr(pair, role).collect(request)) for role in ROLES]
    pair.armed = False
    opened(SECOND, *shares, SECOND_SITE)
    for role in ROLES:
        party = getattr(pair, role)
        assert spent_of(party.files.ledger.state) == {0: RHO, 1: RHO}
        assert set(party.files.ledger.state.completed) == {SECOND.hash}
        assert party.files.storage.plan(FIRST.hash).state is PlanState.DISOWNED
        kinds = [type(entry) for entry in party.files.ledger.entries()]
        assert kinds[-3:] == [FreedEntry, IntentEntry, CompletionEntry]
        assert kinds[:-3] in ([], [IntentEntry])
        with pytest.raises((PlanFreed, PeerRefused)):
            party.collect(collect_request(FIRST, COLLECTOR.sign))


@pytest.mark.parametrize("victim", ["both", "helper alone"])
def test_a_kill_before_any_write_and_around_any_message_of_a_free_changes_nothing(
    tmp_path: Path, victim: str, files: Path
) -> None:
    counts = sweep(tmp_path, victim, files, freed, free)
    assert all(counts[one] >= least for one, least in LEAST_OF_FREE.items()), counts


def test_a_collection_instead_of_the_rest_of_a_free_opens_the_plan_whole_or_not_at_all(
    tmp_path: Path, files: Path
) -> None:
    """After a kill at any write of the free, the collector asks first. A plan that it opens is not freed any more."""
    request, ends = collect_request(FIRST, COLLECTOR.sign), set()
    moments = Moments(tmp_path, free, files)
    for moment in moments.of_both.values():
        pair = Pair(moment.files, dict.fromkeys((*ROLES, "link"), no_strike), now=moment.now)
        shares = []
        for role in ROLES:
            try:
                shares.append(getattr(pair, role).collect(request))
            except (AggregatorError, PlanFreed):
                continue
        ends.add(len(shares))
        if shares:
            opened(FIRST, *shares, *SITES)
            for role in ROLES:
                with pytest.raises((FreeRefused, PeerRefused)):
                    getattr(pair, role).free(FREE)
        else:
            freed(pair)
        pair.close()
        shutil.rmtree(moment.files)
    assert ends == {0, 2}
