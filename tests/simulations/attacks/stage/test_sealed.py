"""The lab's aggregators take batches of sites on the roster only, signed by these sites."""

from __future__ import annotations

import numpy as np

from featurestore.define.kinds import Count
from federation.parties import Roster, RosterEntry
from simulations.attacks.attack import Setting
from simulations.attacks.stage.ledgers import gate
from simulations.attacks.stage.panes import plan_of, reports_of, rng_of, view_of
from simulations.attacks.stage.sealed import Site, StageKeys, take
from simulations.attacks.sybil import OpenRoster

SETTING = Setting(clients=10, k=2, trials=40)
RNG = rng_of(SETTING, "test")
PARTIES = StageKeys.generate(RNG.bytes)
PLAN = PARTIES.with_live_keys(plan_of(view_of(SETTING, Count("n")), 3, RNG, wire=PARTIES.terms))
TARGET, STRANGER = (Site.generate(name, RNG.bytes) for name in ("target", "stranger"))
ENTRIES = [RosterEntry("target", TARGET.keys.sign.public, 5)]
REPORTS = reports_of(np.ones((3, 4, 1), np.int64))


def counts(site: Site, roster: Roster) -> tuple[tuple[int, ...], int]:
    taken = take(PLAN, PARTIES, roster, site.send(PLAN, REPORTS, RNG.bytes))
    assert taken.leader.commitment == taken.helper.commitment
    return taken.leader.commitment.counts, taken.refused


def test_a_site_of_the_roster_is_taken() -> None:
    assert counts(TARGET, Roster(ENTRIES)) == ((4, 4, 4), 0)


def test_a_stranger_is_refused_under_its_own_name_and_under_another() -> None:
    assert counts(STRANGER, Roster(ENTRIES)) == ((0, 0, 0), 12)
    assert counts(Site("target", STRANGER.keys), Roster(ENTRIES)) == ((0, 0, 0), 12)


def test_a_roster_that_takes_anybody_takes_the_stranger_but_not_under_anothers_name() -> None:
    roster = OpenRoster(ENTRIES, {"stranger": STRANGER.keys.sign.public}, 5)
    assert counts(STRANGER, roster) == ((4, 4, 4), 0)
    assert counts(Site("target", STRANGER.keys), roster) == ((0, 0, 0), 12)


def test_real_ledgers_allow_a_pane_once_and_no_ledgers_always() -> None:
    view = view_of(SETTING, Count("n"))
    for defended, later in ((True, False), (False, True)):
        with gate(defended=defended) as aggregators:
            first = plan_of(view, 2, RNG)
            assert aggregators.allows(first)
            assert aggregators.allows(first)  # a repeat of the same plan is allowed
            assert aggregators.allows(plan_of(view, 1, RNG)) == later
