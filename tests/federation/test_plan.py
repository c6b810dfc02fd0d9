from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count
from featurestore.define.privacy import Bounds, Privacy
from federation import plan_pb2 as pb
from federation.errors import PlanInvalid
from federation.parties import MAX_SITES, EnrolledSite
from federation.plan import PlannedView, plan_from_bytes, plan_to_bytes
from tests.federation.wire import TERMS
from tests.federation.words import plan_in_words

HOUR = 3_600 * 10**6


def planned(name: str = "v", panes: list[int] | None = None, k: int = 5) -> PlannedView:
    view = FeatureView(
        name,
        entity=Entity("k", domain=["a"]),
        features=[Count("n")],
        pane="1h",
        bounds=Bounds(1),
        privacy=Privacy(rho=0.1, min_clients=5),
    )
    return PlannedView(view, np.array([0, HOUR] if panes is None else panes, dtype=np.int64), k)


def test_a_plan_survives_its_bytes_and_so_does_its_hash() -> None:
    plan = plan_in_words(bytes(range(16)), (planned("a"), planned("b", [-HOUR, 0, 7 * HOUR])), "full")
    again = plan_from_bytes(plan_to_bytes(plan))
    assert again.hash == plan.hash
    assert again.offsets == plan.offsets == (0, 2, 5)
    assert again.views[1].pane_starts.tolist() == [-HOUR, 0, 7 * HOUR]


def test_two_plans_for_the_same_panes_never_share_a_hash() -> None:
    assert (
        plan_in_words(bytes(16), (planned(),), "none").hash
        != plan_in_words(bytes(15) + b"\1", (planned(),), "none").hash
    )


@pytest.mark.parametrize("views", [(), (planned("a"), planned("a"))])
def test_views_are_named_once_and_there_is_one(views: tuple[PlannedView, ...]) -> None:
    with pytest.raises(PlanInvalid):
        plan_in_words(bytes(16), views, "none")


@pytest.mark.parametrize("panes", [[], [HOUR, 0], [0, 0], [1], [HOUR, HOUR + 1]])
def test_panes_are_aligned_and_increasing(panes: list[int]) -> None:
    with pytest.raises(PlanInvalid, match="panes must be aligned and strictly increasing"):
        plan_in_words(bytes(16), (planned(panes=panes),), "none")


def test_k_may_not_be_loosened_unless_noise_is_off() -> None:
    with pytest.raises(PlanInvalid, match="min_clients 4 is below 5"):
        plan_in_words(bytes(16), (planned(k=4),), "full")
    plan_in_words(bytes(16), (planned(k=6),), "full")
    plan_in_words(bytes(16), (planned(k=1),), "none")
    with pytest.raises(PlanInvalid):
        plan_in_words(bytes(16), (planned(k=0),), "none")


def test_only_canonical_bytes_are_read() -> None:
    plan = plan_in_words(bytes(16), (planned(),), "none")
    data = plan_to_bytes(plan)
    for wrong in (
        b"\xff\xff",
        data + b"\x52\x00",
        b"",
        data.replace(b"shares", b"spoons"),
        data.replace(b"none", b"nine"),
    ):
        with pytest.raises(PlanInvalid):
            plan_from_bytes(wrong)
    with pytest.raises(PlanInvalid, match="16 bytes"):
        dataclasses.replace(plan, plan_id=b"short")


def suppressing() -> PlannedView:
    privacy = Privacy(rho=0.1, min_clients=5, suppress_below=7)
    view = dataclasses.replace(planned().view, features=(Count("n"), ClientCount("c")), privacy=privacy)
    return dataclasses.replace(planned(), view=view)


def test_the_finish_is_in_the_bytes_of_a_plan_that_has_one_and_in_no_other() -> None:
    usual, by_mpc = (plan_in_words(bytes(16), (suppressing(),), "full", finish=finish) for finish in ("open", "mpc"))
    assert usual.hash != by_mpc.hash
    assert b"mpc" in plan_to_bytes(by_mpc)
    assert plan_from_bytes(plan_to_bytes(by_mpc)).terms.finish == "mpc"
    assert plan_from_bytes(plan_to_bytes(usual)).terms.finish == "open"
    for name in ("open", "mcp"):  # the first is not canonical, the second does not exist
        message = pb.Plan.FromString(plan_to_bytes(usual))
        message.finish = name
        with pytest.raises(PlanInvalid, match=r"canonical|unknown finish 'mcp'"):
            plan_from_bytes(message.SerializeToString(deterministic=True))


def test_what_of_a_plan_follows_from_events_is_in_its_bytes_and_named_once() -> None:
    declared = plan_in_words(bytes(16), (planned(),), "full")
    derived = dataclasses.replace(declared, from_events=("days", "sites"))
    assert plan_from_bytes(plan_to_bytes(derived)).from_events == ("days", "sites")
    assert (plan_from_bytes(plan_to_bytes(declared)).from_events, derived.hash != declared.hash) == ((), True)
    for wrong in (("days", "days"), ("sites", "days")):
        with pytest.raises(PlanInvalid, match="each once, in alphabetical order"):
            dataclasses.replace(declared, from_events=wrong)
    message = pb.Plan.FromString(plan_to_bytes(declared))
    message.from_events.append("weeks")
    with pytest.raises(PlanInvalid, match="unknown from_events 'weeks'"):
        plan_from_bytes(message.SerializeToString(deterministic=True))


def test_what_does_not_go_with_the_finish_mpc() -> None:
    with pytest.raises(PlanInvalid, match="view 'v' has no suppress_below"):
        plan_in_words(bytes(16), (planned(),), "full", finish="mpc")
    with pytest.raises(PlanInvalid, match="finish 'mpc' requires noise 'full'"):
        plan_in_words(bytes(16), (suppressing(),), "none", finish="mpc")
    with pytest.raises(PlanInvalid, match="finish 'mpc' requires protection 'shares'"):
        plan_in_words(bytes(16), (suppressing(),), "full", protection="he", max_clients=10, finish="mpc")
    with_terms = plan_in_words(bytes(16), (suppressing(),), "full", wire=TERMS, finish="mpc")
    assert plan_from_bytes(plan_to_bytes(with_terms)).hash == with_terms.hash


def test_a_plan_on_the_wire_names_its_roster_and_the_sites_that_a_view_needs() -> None:
    view = dataclasses.replace(planned(), min_sites=2)
    plan = plan_in_words(bytes(16), (view,), "full", wire=TERMS)
    again = plan_from_bytes(plan_to_bytes(plan))
    assert again.roster == TERMS.roster == (EnrolledSite("a", 100), EnrolledSite("b", 300))
    assert (again.sites, again.views[0].min_sites) == ({"a", "b"}, 2)
    assert plan_in_words(bytes(16), (planned(),), "full").roster == ()
    for wrong in (-1, MAX_SITES + 1):
        with pytest.raises(PlanInvalid, match="min_sites"):
            plan_in_words(bytes(16), (dataclasses.replace(view, min_sites=wrong),), "full")


@pytest.mark.parametrize(
    ("roster", "why"),
    [
        ([("b", 1), ("a", 1)], "each site once, in the order"),
        ([("a", 1), ("a", 2)], "each site once, in the order"),
        ([("a", 0)], "max_clients 0 is outside"),
        ([("a", 2**32 - 1)], "is outside"),
        ([("", 1)], "site id"),
        ([("../a", 1)], "site id"),
        ([("a" * 65, 1)], "site id"),
        ([("a", 1)] * (MAX_SITES + 1), "at most"),
    ],
)
def test_a_hostile_roster_is_refused(roster: list[tuple[str, int]], why: str) -> None:
    message = pb.Plan.FromString(plan_to_bytes(plan_in_words(bytes(16), (planned(),), "full", wire=TERMS)))
    del message.wire.roster[:]
    message.wire.roster.extend(pb.EnrolledSite(site=site, max_clients=clients) for site, clients in roster)
    with pytest.raises(PlanInvalid, match=why):
        plan_from_bytes(message.SerializeToString(deterministic=True))
