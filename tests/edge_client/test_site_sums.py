"""A site that reports the sum of its clients: its declaration, the clients it leaves out, and retries that count once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crypto import field as field64
from crypto.sharing import share_xof
from edge_client.policy import KEPT_BYTES, Refuse, decide
from edge_client.site import SiteSettings
from federation.batch.batch import SealedBatch
from federation.batch.sealing import open_half
from federation.circuit.validity import report_elements
from federation.ledger.state import LedgerState
from federation.parties import Roster, RosterEntry
from federation.plan import Plan
from federation.refusal_codes import RefusalCode
from federation.terms import ReportPer, Validity
from tests.aggregator.world import NOW
from tests.federation.wire import HELPER_SEAL, LEADER_SEAL, SITE, live
from tests.federation.words import with_words

from .making import POLICY, answered, answered_empty, ask, events, ids_of, plan_with, proven, settings_in

ROSTER = Roster([RosterEntry("a", SITE.public.sign, 10_000)])


@pytest.fixture
def settings(tmp_path: Path) -> SiteSettings:
    return settings_in(tmp_path)


def plan_of(participation: Any = "active", most: int = 10) -> Plan:
    return live(with_words(plan_with(participation=participation), report_per="site", max_clients=most))


def sums(plan: Plan, batches: list[SealedBatch]) -> dict[int, tuple[int, list[int]]]:
    """For each collection, the declared number and the sum of both shares."""
    found = {}
    for batch in batches:
        leader = open_half("leader", plan, LEADER_SEAL, ROSTER, batch.half("leader"))
        helper = open_half("helper", plan, HELPER_SEAL, ROSTER, batch.half("helper"))
        expanded = share_xof(plan.hash).expand(helper.seeds.seeds, helper.collection, 2)
        total = field64.add(leader.shares.elements, expanded).tolist()
        for row, of in enumerate(leader.collection.tolist()):
            assert of not in found
            found[of] = int(leader.clients[row]), total[row]
    return found


ROWS = [("p", 0, "x"), ("q", 0, "x"), ("q", 0, "y"), ("q", 1, "x"), *[("r", 1, "y")] * 5]
"""VIEW keeps three events of r, because every client is bounded before the sum."""


def test_one_report_of_a_pane_holds_every_client_within_its_own_bounds(settings: SiteSettings) -> None:
    plan = plan_of()
    assert sums(plan, answered(plan, events(*ROWS), settings)) == {0: (2, [2, 1]), 1: (2, [1, 3])}


def test_a_pane_without_events_has_no_report_and_under_all_one_of_everybody(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    one, settings, of_all = plan_of(), settings_in(tmp_path), settings_in(tmp_path / "all")
    assert sums(one, answered(one, events(("p", 1, "x")), settings)) == {1: (1, [1, 0])}
    nobody = replace(one, plan_id=bytes([9]) * 16)
    (tmp_path / "empty").mkdir()
    assert answered_empty(nobody, events(), settings_in(tmp_path / "empty"))
    assert answered_empty(nobody, events(("p", 1, "x")), settings_in(tmp_path / "empty"))  # and no report later
    every = plan_of("all")
    for own in (events(("p", 1, "x")), events(("p", 1, "x"), ("q", 0, "y"))):  # the retry equals the first answer
        assert sums(every, answered(every, own, of_all)) == {0: (10, [0, 0]), 1: (10, [1, 0])}


def test_a_retry_keeps_the_id_of_each_pane_and_what_it_is_the_sum_of(settings: SiteSettings) -> None:
    plan = plan_of()
    first = answered(plan, events(*ROWS), settings, 1)
    later = events(*ROWS, ("new", 0, "y"), ("p", 0, "y"), ("p", 1, "x"))  # a reported pane is closed
    second = answered(plan, later, settings, 2)
    assert ids_of(first) == ids_of(second)
    assert len({report for _, report in ids_of(first)}) == len(ids_of(first)) == 2
    assert sums(plan, second) == sums(plan, first)
    assert first[0].leader != second[0].leader
    fewer = sums(plan, answered(plan, events(*ROWS[:1]), settings, 3))
    assert fewer == {0: (1, [1, 0])}  # the events of q are gone; its report is not invented


@pytest.mark.parametrize("participation", ["active", "all"])
def test_no_more_clients_than_are_enrolled_are_part_of_a_sum(tmp_path: Path, participation: Any) -> None:
    settings, plan = settings_in(tmp_path, clients=3), plan_of(participation, most=3)
    own = events(*((name, 0, "x") for name in "abcdefg"))
    assert sums(plan, answered(plan, own, settings))[0] == (3, [3, 0])


def test_a_site_refuses_what_it_could_not_declare_or_does_not_want(tmp_path: Path) -> None:
    own = events(*ROWS)
    few = ask(plan_of(most=9), own, settings_in(tmp_path))
    assert isinstance(few, Refuse)
    assert few.code == RefusalCode.TOO_MANY_CLIENTS
    unwanted = ask(plan_of(), own, settings_in(tmp_path, replace(POLICY, report_per=ReportPer.CLIENT)))
    assert isinstance(unwanted, Refuse)
    assert unwanted.code == RefusalCode.REPORT_PER_NOT_ALLOWED
    assert answered(plan_with(), own, settings_in(tmp_path, replace(POLICY, report_per=ReportPer.CLIENT)))


def test_an_answer_of_everybody_is_one_report_a_pane_and_what_is_kept_of_each_client(tmp_path: Path) -> None:
    """Otherwise a plan of many panes would fill the ledger, and the memory, of a site with many clients."""
    tight = replace(POLICY, max_answer_mib=1)
    clients = (2**20 - 2 * 16) // (2 * KEPT_BYTES)  # two panes of two slots
    wide = replace(plan_with(participation="all"), plan_id=bytes(16))
    of_site = with_words(wide, report_per="site", max_clients=2**17)
    for of, enrolled in ((wide, 2**20 // 32 + 1), (of_site, clients + 1)):
        found = ask(of, events(*ROWS), settings_in(tmp_path, tight, enrolled))
        assert isinstance(found, Refuse)
        assert found.code == RefusalCode.ANSWER_TOO_LARGE
    assert len(answered(of_site, events(*ROWS), settings_in(tmp_path, tight, clients))) == 1


def test_the_proof_of_a_sum_is_measured_as_wide_as_it_is(tmp_path: Path) -> None:
    """The proof for two million clients is longer than the proof for one client."""
    plan = plan_with(participation="all")
    (planned,) = plan.views
    sizes = [8 * report_elements(planned.layout, Validity.PRIO3, most) for most in (1, 2**21)]
    panes = 2**20 // sizes[1] + 1
    assert panes * (sizes[0] + KEPT_BYTES) < 2**20
    starts = np.arange(-panes, 0, dtype=np.int64) * planned.view.pane_us
    many = proven(with_words(plan, views=(replace(planned, pane_starts=starts),), report_per="site", max_clients=1))
    tight = replace(POLICY, max_answer_mib=1)
    found = [decide(replace(many, max_clients=most), tight, LedgerState(), NOW) for most in (1, 2**21)]
    assert [isinstance(one, Refuse) and one.code == RefusalCode.ANSWER_TOO_LARGE for one in found] == [False, True]


def test_a_proof_is_of_the_sum_and_of_the_plans_clients(settings: SiteSettings) -> None:
    plan = proven(plan_of())
    (batch,) = answered(plan, events(*ROWS), settings)
    half = open_half("leader", plan, LEADER_SEAL, ROSTER, batch.half("leader"))
    assert half.wellformed.all()
    assert half.clients.tolist() == [2, 2]
    assert np.array_equal(half.collection, [0, 1])
