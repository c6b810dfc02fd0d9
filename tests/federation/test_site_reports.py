"""One report of a site: in the plan, in a batch's header, on the roster, at the opening, and in its proof."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crypto.sharing import SparseRows
from edge_client.participation import of_sites
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Mean
from featurestore.define.privacy import Bounds, Privacy
from federation import plan_pb2 as pb
from federation.aggregation import Aggregation
from federation.batch.batch import HEADER_REPORT_BYTES, BatchHeader, SealedBatch
from federation.batch.reports import Reports
from federation.batch.sealing import max_reports, open_half, seal_batch
from federation.circuit.validity import encode, prove
from federation.commitment import Outcome
from federation.errors import BatchMalformed, PlanInvalid, ReportedTwice, ReportRefused, RosterExceeded, TooManyDeclared
from federation.largest_sum import require_sums_fit
from federation.manifest import manifest_of
from federation.parties import MAX_CLIENTS, Roster, RosterEntry, clients_in
from federation.plan import LARGEST_PROVEN, Plan, PlannedView, max_clients_of, plan_from_bytes, plan_to_bytes
from federation.protocol import run_collections, verify
from federation.sharding import protect, shard, shard_proven
from tests.federation.test_validity import KEY, sparse
from tests.federation.view_rules import random_reports
from tests.federation.wire import HELPER_SEAL, LEADER_SEAL, PLAN, SITE
from tests.federation.words import plan_in_words, terms_in_words, with_words

OF_SITES = with_words(PLAN, report_per="site", max_clients=9)
WIDE = Roster([RosterEntry("a", SITE.public.sign, 8)])


def u32(*values: int) -> np.ndarray:
    return np.array(values, np.uint32)


def reports(collections: list[int], clients: list[int] | None, of: Plan = OF_SITES) -> Reports:
    count, length = len(collections), of.views[1].layout.length
    slots = SparseRows(
        np.arange(count + 1, dtype=np.int64), np.zeros(count, np.int32), np.ones(count, np.int64), length
    )
    return Reports(1, u32(*collections), slots, None if clients is None else u32(*clients))


def sealed(collections: list[int], clients: list[int], of: Plan = OF_SITES, seed: int = 0) -> SealedBatch:
    rng = np.random.default_rng(seed)
    return seal_batch(of, "a", rng.bytes(16), *shard(of, reports(collections, clients, of), rng.bytes), SITE.sign)


def opened(batch: SealedBatch, role: Any = "leader", of: Plan = OF_SITES, roster: Roster = WIDE) -> Any:
    return open_half(role, of, LEADER_SEAL if role == "leader" else HELPER_SEAL, roster, batch.half(role))


# the plan


def test_a_plan_says_who_reports_in_its_hash_and_a_plan_of_clients_has_the_bytes_that_it_had() -> None:
    data = plan_to_bytes(OF_SITES)
    again = plan_from_bytes(data)
    assert (again.terms.report_per, again.max_clients, again.hash) == ("site", 9, OF_SITES.hash)
    assert (OF_SITES.clients_a_report, PLAN.clients_a_report) == (9, 1)
    assert OF_SITES.hash != PLAN.hash != replace(OF_SITES, max_clients=8).hash != OF_SITES.hash
    message = pb.Plan.FromString(plan_to_bytes(PLAN))
    assert (message.report_per, message.max_clients) == ("", 0)
    for word in ("client", "phone"):  # the usual unit is not encoded
        message.report_per = word
        with pytest.raises(PlanInvalid):
            plan_from_bytes(message.SerializeToString(deterministic=True))


@pytest.mark.parametrize("most", [0, MAX_CLIENTS + 1])
def test_the_clients_of_a_site_are_bounded_by_the_plan(most: int) -> None:
    with pytest.raises(PlanInvalid, match="may declare"):
        replace(OF_SITES, max_clients=most)
    with pytest.raises(PlanInvalid, match="any number of clients"):
        replace(PLAN, max_clients=9)


def test_he_takes_no_sums_of_sites() -> None:
    with pytest.raises(PlanInvalid, match="report_per 'site' requires protection 'shares'"):
        with_words(OF_SITES, protection="he")


def test_nothing_is_proven_of_a_sum_that_could_wrap() -> None:
    events = 10**6
    wide = replace(PLAN.views[0].view, features=[Mean("x", clip=(0, 4_000), resolution=1)], bounds=Bounds(2, events))
    most = LARGEST_PROVEN // (4_000 * events)
    terms: dict[str, Any] = {"noise": "none", "validity": "prio3", "report_per": "site"}
    planned = (replace(PLAN.views[0], view=wide),)
    assert plan_in_words(bytes(16), planned, max_clients=most, **terms).clients_a_report == most
    with pytest.raises(PlanInvalid, match="nothing can be proven"):
        plan_in_words(bytes(16), planned, max_clients=most + 1, **terms)


def test_the_largest_site_sets_what_one_may_declare() -> None:
    assert max_clients_of([3, 7, 5], terms_in_words(report_per="site")) == 7
    assert max_clients_of([3, 7, 5], terms_in_words(protection="he")) == 15
    assert max_clients_of([3, 7, 5], terms_in_words()) == 0


def test_the_manifest_says_who_reports_only_where_it_is_sites() -> None:
    terms: dict[str, Any] = {"noise_source": "x", "trust": "in-process", "commitments": ("", "")}
    of_sites, of_clients = (manifest_of(plan, plan.views[0], **terms).to_dict() for plan in (OF_SITES, PLAN))
    assert of_sites["report_per"] == "site"
    assert "report_per" not in of_clients


# a batch


def test_a_batch_declares_its_clients_to_both_aggregators() -> None:
    batch = SealedBatch.from_bytes(sealed([3, 5], [2, 8]).to_bytes())
    for role in ("leader", "helper"):
        assert opened(batch, role).clients.tolist() == [2, 8]
    header = batch.signed.header_bytes
    assert BatchHeader.from_bytes(header).to_bytes() == header


def test_a_report_of_a_site_costs_four_bytes_more_and_replaces_those_of_its_clients() -> None:
    of_site, of_clients = sealed([4], [8]), seal_of_clients(8)
    one = len(of_site.to_bytes())
    each = HEADER_REPORT_BYTES + 8 * OF_SITES.views[1].layout.length + 32
    framing = {one - each - 4, len(of_clients.to_bytes()) - 8 * each}
    assert max(framing) - min(framing) <= 16  # lengths and tags of protobuf
    assert max_reports(OF_SITES, 1) < max_reports(PLAN, 1)


def seal_of_clients(count: int) -> SealedBatch:
    rng = np.random.default_rng(0)
    halves = shard(PLAN, reports([4] * count, None, PLAN), rng.bytes)
    return seal_batch(PLAN, "a", rng.bytes(16), *halves, SITE.sign)


def test_a_header_declares_one_client_at_least() -> None:
    ids = np.zeros((2, 16), np.uint8)
    for wrong in (u32(1, 0), u32(1)):
        with pytest.raises(BatchMalformed, match="numbers of clients"):
            BatchHeader(bytes(32), "a", bytes(16), u32(0, 1), ids, None, wrong)
    with pytest.raises(BatchMalformed):
        sealed([3], [0])
    header = BatchHeader(bytes(32), "a", bytes(16), u32(0, 1), ids, None, u32(1, 2)).to_bytes()
    for length in (4, 12):  # a column of another length
        changed = header.replace(b"\x3a\x08" + u32(1, 2).astype(">u4").tobytes(), bytes([0x3A, length]) + bytes(length))
        with pytest.raises(BatchMalformed, match="numbers of clients"):
            BatchHeader.from_bytes(changed)


@pytest.mark.parametrize("role", ["leader", "helper"])
def test_the_column_is_there_just_where_the_plan_asks_for_it(role: Any) -> None:
    for batch, of in ((sealed([3], [2]), PLAN), (seal_of_clients(1), OF_SITES)):
        signed = batch.signed
        header = replace(signed.header, plan_hash=of.hash).to_bytes()
        signature = SITE.sign.sign(b"covey-1 batch", header + signed.leader_digest + signed.helper_digest)
        moved = replace(batch, signed=replace(signed, header_bytes=header, signature=signature))
        with pytest.raises(BatchMalformed, match=r"the plan says report_per .*, but the header has"):
            opened(moved, role, of)


@pytest.mark.parametrize("role", ["leader", "helper"])
def test_what_a_site_declares_is_bounded_by_plan_and_roster_and_it_reports_once(role: Any) -> None:
    with pytest.raises(RosterExceeded) as over:
        opened(sealed([3], [9]), role)
    assert (over.value.have, over.value.most) == (9, 8)
    with pytest.raises(TooManyDeclared):
        opened(sealed([3], [10]), role, roster=Roster([RosterEntry("a", SITE.public.sign, 100)]))
    with pytest.raises(ReportedTwice) as twice:
        opened(sealed([3, 5, 5], [1, 1, 1]), role)
    assert twice.value.collection == 5


def test_a_roster_entry_counts_declared_clients_and_one_report_of_a_collection() -> None:
    entry, none = RosterEntry("a", SITE.public.sign, 8), np.zeros(6, np.int64)
    touched, counts = entry.count(none, u32(5, 2), u32(8, 3))
    assert (touched.tolist(), counts.tolist()) == ([2, 5], [3, 8])
    with pytest.raises(ReportedTwice):
        entry.count(np.array([0, 0, 1, 0, 0, 0]), u32(5, 2), u32(1, 1))
    assert [one.tolist() for one in clients_in(u32(4, 1, 4), None)] == [[1, 4], [1, 2]]
    assert [one.tolist() for one in clients_in(u32(4, 1, 4), u32(2**32 - 1, 7, 2**32 - 1))] == [[1, 4], [7, 2**33 - 2]]


def test_reports_of_the_other_kind_are_refused_in_memory() -> None:
    for of, clients in ((OF_SITES, None), (PLAN, [2])):
        with pytest.raises(ReportRefused, match="says report_per"):
            shard(of, reports([3], clients, of), np.random.default_rng(0).bytes)
    leader, helper = shard(OF_SITES, reports([3], [2]), np.random.default_rng(0).bytes)
    with pytest.raises(ReportRefused, match="says report_per"):
        Aggregation.start("leader", OF_SITES).add(replace(leader, clients=None))
    with pytest.raises(ReportRefused, match="not of one batch"):
        seal_batch(OF_SITES, "a", bytes(16), leader, replace(helper, clients=u32(3)), SITE.sign)
    with pytest.raises(ReportRefused, match="not of one batch"):
        seal_batch(OF_SITES, "a", bytes(16), leader, replace(helper, clients=None), SITE.sign)


# openings


def test_each_aggregator_opens_by_the_clients_that_were_declared_to_it() -> None:
    """k is 2. Two reports of one client each open, and so does one report of two; one report of one client does not."""
    of = with_words(OF_SITES, noise="none", wire=None)
    leader, helper = (Aggregation.start(role, of) for role in ("leader", "helper"))
    for seed, (collections, clients) in enumerate([([3, 4, 5], [1, 1, 2]), ([4], [1])]):
        halves = shard(of, reports(collections, clients, of), np.random.default_rng(seed).bytes)
        leader, helper = leader.add(halves[0]), helper.add(halves[1])
    assert leader.close().commitment.counts == helper.close().commitment.counts == (0, 0, 0, 1, 2, 2)
    for mine, other in ((leader, helper), (helper, leader)):
        outcome = mine.close().noise(other.close().commitment, None).outcomes[1]
        assert outcome.tolist() == [Outcome.BATCH_TOO_SMALL, Outcome.OPENED, Outcome.OPENED]
    lying = replace(helper.close().commitment, counts=(0, 0, 0, 1, 2, 3))
    assert leader.close().noise(lying, None).outcomes[1].tolist()[2] == Outcome.BATCH_MISMATCH


def test_a_sum_of_reports_of_so_many_clients_that_it_could_wrap_is_not_opened_whatever_they_declare() -> None:
    feature, events = Mean("x", clip=(0, 4_000), resolution=1), 10**6
    wide = replace(PLAN.views[0].view, features=[feature], bounds=Bounds(2, events))
    planned = replace(PLAN.views[0], view=wide, pane_starts=PLAN.views[0].pane_starts[:1])
    nothing = SparseRows(np.zeros(2, np.int64), np.empty(0, np.int32), np.empty(0, np.int64), planned.layout.length)
    for most, fits in ((1_000, True), (MAX_CLIENTS, False)):
        of = plan_in_words(bytes(16), (planned,), "none", report_per="site", max_clients=most)
        leader, _ = shard(of, Reports(0, u32(0), nothing, u32(1)), np.random.default_rng(0).bytes)
        closed = Aggregation.start("leader", of).add(leader).close()
        with nullcontext() if fits else pytest.raises(ReportRefused, match="could pass half the field"):
            closed.noise(closed.commitment, None)
        with nullcontext() if fits else pytest.raises(PlanInvalid, match="3 sites with reports of up to"):
            require_sums_fit(of, 3)


# proofs

VIEW = FeatureView(
    "v",
    entity=Entity("k", domain=range(4)),
    features=[Count("n"), ClientCount("c"), Mean("x", clip=(0, 10), resolution=1)],
    pane="1d",
    bounds=Bounds(max_cells=2, max_events_per_cell=3),
    privacy=Privacy(rho=0.5, min_clients=2),
)
PROVEN = plan_in_words(
    bytes(16),
    (PlannedView(VIEW, np.zeros(1, np.int64), 2),),
    "none",
    validity="prio3",
    report_per="site",
    max_clients=6,
)


def test_honest_sums_verify_and_open_as_the_reports_of_their_clients_do() -> None:
    of_clients = random_reports(VIEW, 16, 1)
    site = np.repeat([0, 1, 2, 3], [6, 6, 3, 1])
    made = of_sites(np.zeros(16, np.int64), site, sparse(of_clients))
    assert made.clients.tolist() == [6, 6, 3, 1]
    assert "redacted" in repr(made)
    sums = Reports(0, np.zeros(4, np.uint32), made.slots, made.clients)
    (result,) = run_collections(PROVEN, [sums], np.random.default_rng(0).bytes, None, None)
    plain = with_words(PROVEN, validity="none", report_per="client", max_clients=0)
    each = Reports(0, np.zeros(16, np.uint32), sparse(of_clients))
    (expected,) = run_collections(plain, [each], np.random.default_rng(0).bytes, None, None)
    assert result.rejected == 0
    np.testing.assert_array_equal(result.sums, expected.sums)


def test_a_sum_beyond_the_bounds_of_so_many_clients_is_neither_sent_nor_taken() -> None:
    rng = np.random.default_rng(0)
    most = np.zeros((1, 4, 4), np.int64)
    most[0, 0] = [18, 6, 180, 18]  # six clients, three events of the largest value each
    of = Reports(0, u32(0), sparse(most.reshape(1, -1)), u32(6))
    for declares in (6, 1):  # the proof covers the plan's bound, whatever is declared: see docs/cross-silo.md
        halves = protect(PROVEN, replace(of, clients=u32(declares)), rng.bytes)
        assert verify(PROVEN, KEY, *halves).accepted.tolist() == [True]
    for beyond in ([19, 6, 180, 18], [18, 7, 180, 18], [17, 6, 180, 18], [18, 6, 171, 17], [3, 4, 0, 0]):
        most[0, 0] = beyond
        with pytest.raises(ReportRefused, match="of 6 clients"):
            shard_proven(PROVEN, replace(of, slots=sparse(most.reshape(1, -1))), rng.bytes)


def test_what_breaks_a_relation_of_the_sum_is_rejected_and_costs_no_other_report() -> None:
    rng, count = np.random.default_rng(0), 3
    dense = np.repeat(random_reports(VIEW, 6, 2).sum(axis=0)[None], count, axis=0)
    measurements = encode(PROVEN.views[0].layout, sparse(dense), 6)
    measurements[1, 0] = 2  # not a bit
    measurements[2] = 1  # bits, and each number the largest of its range
    ids = np.frombuffer(rng.bytes(16 * count), np.uint8).reshape(count, 16)
    halves = prove(PROVEN, 0, u32(0, 0, 0), measurements, ids, rng.bytes, u32(6, 5, 4))
    found = verify(PROVEN, KEY, *halves)
    assert found.accepted.tolist() == [True, False, False]
    for half in (found.leader, found.helper):
        assert half.clients is not None
        assert half.clients.tolist() == [6]
