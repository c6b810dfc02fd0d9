from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto.flp.proof import prove as flp_prove
from crypto.ntt_field import FIELD64, Elements
from crypto.prio3_messages import HelperInputShares, LeaderInputShares, PublicShares, VerifierMessages, VerifierShares
from crypto.sharing import SparseRows
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram, Mean, Rate
from featurestore.define.privacy import Bounds, Privacy
from featurestore.store import Store
from federation.aggregation import Aggregation
from federation.batch.reports import ProvenHalf, Reports
from federation.circuit.circuit import contexts, prio3_of
from federation.circuit.validity import VerificationKey, encode, finish, judge, prove, start
from federation.errors import ReportRefused
from federation.plan import Plan, PlannedView
from federation.protocol import VerifiedBatch, run_collections, verify
from federation.sharding import shard, shard_proven
from simulations.attacks.lies.forging import forge
from tests.examples import examples
from tests.federation.words import plan_in_words
from tests.oracle import oracle
from tests.pipeline import assert_equal_to_oracle, run_views
from tests.strategies import Case, cases

DAY = 86_400 * 10**6
KEY = VerificationKey(bytes(range(32)))
VIEW = FeatureView(
    "v",
    entity=Entity("k", domain=range(3)),
    features=[Count("n"), ClientCount("c"), Mean("x", clip=(0, 10), resolution=1), Histogram("y", edges=[0, 1])],
    pane="1d",
    bounds=Bounds(max_cells=2, max_events_per_cell=2),
    privacy=Privacy(rho=0.5, min_clients=2),
)
N, C, SUM, NON_NULL, HIST = 0, 1, 2, 3, 4
"""Slots of a key; the histogram has three."""


def plan(*views: FeatureView, number: int = 0, panes: int = 2, **terms: Any) -> Plan:
    planned = tuple(PlannedView(view, np.arange(panes, dtype=np.int64) * DAY, 1) for view in views or (VIEW,))
    return plan_in_words(bytes([number]) * 16, planned, "none", **{"validity": "prio3", **terms})


PLAN = plan()
LAYOUT = PLAN.views[0].layout
PRIO3 = prio3_of(LAYOUT)


def honest(rng: np.random.Generator, count: int) -> np.ndarray:
    """int64[R, slots]: reports that clients of the view can send."""
    dense = np.zeros((count, LAYOUT.keys, LAYOUT.slots_per_key), np.int64)
    for row in dense:
        for key in rng.permutation(LAYOUT.keys)[: rng.integers(0, 3)]:
            events, measured, seen = rng.integers(1, 3), rng.integers(0, 2), rng.integers(0, 2)
            row[key, [N, C, NON_NULL]] = events, 1, measured
            row[key, SUM] = rng.integers(0, 11) * measured
            row[key, HIST + rng.integers(0, 3)] = seen
    return dense.reshape(count, -1)


def sparse(dense: np.ndarray) -> SparseRows:
    indptr = np.concatenate(([0], np.cumsum((dense != 0).sum(axis=1)))).astype(np.int64)
    return SparseRows(indptr, np.nonzero(dense)[1].astype(np.int32), dense[dense != 0].astype(np.int64), dense.shape[1])


def reports(dense: np.ndarray, collection: list[int] | None = None) -> Reports:
    return Reports(0, np.array(collection or [0] * len(dense), np.uint32), sparse(dense))


def sharded(dense: np.ndarray, seed: int = 0, of: Plan = PLAN) -> tuple[ProvenHalf, ProvenHalf]:
    return shard_proven(of, reports(dense), np.random.default_rng(seed).bytes)


def opened(verified: VerifiedBatch) -> np.ndarray:
    """The vectors of the accepted reports, which no party may see outside of tests."""
    return FIELD64.add(verified.leader.out_shares, verified.helper.out_shares).astype(np.int64)


# honest clients


@settings(
    deadline=None, max_examples=examples(25), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(case=cases(panes=("1h", "1d")))
def test_with_proofs_random_events_equal_the_oracle(case: Case) -> None:
    with tempfile.TemporaryDirectory() as directory:
        (report,) = run_views(
            [case.view],
            case.events,
            Path(directory),
            client=case.client_column,
            time=case.time_column,
            site=case.site_column,
            days=(min(case.days), max(case.days) + 1),
            min_clients=case.min_clients,
            validity="prio3",
        )
        with Store.open(directory) as store:
            mine = store.history(case.view.name)
    assert report.rejected == 0
    expected = oracle(
        case.view,
        case.events,
        client_column=case.client_column,
        time_column=case.time_column,
        site_column=case.site_column,
        days=range(min(case.days), max(case.days) + 1),
        min_clients=case.min_clients,
    )
    assert_equal_to_oracle(mine, expected, case.view.entity.keys)


@settings(deadline=None, max_examples=examples(20))
@given(seed=st.integers(0, 2**32), count=st.integers(1, 12))
def test_honest_reports_are_accepted_and_add_up_to_what_they_hold(seed: int, count: int) -> None:
    dense = honest(np.random.default_rng(seed), count)
    verified = verify(PLAN, KEY, *sharded(dense, seed))
    assert verified.accepted.all()
    assert (opened(verified) == dense).all()


def test_a_vector_outside_the_bounds_is_refused_by_an_honest_site() -> None:
    dense = honest(np.random.default_rng(0), 3)
    dense[1, N] = 3
    with pytest.raises(ReportRefused, match="report 1 is not within the bounds"):
        sharded(dense)


# lies


def tampered(change: Callable[[Elements], None]) -> tuple[np.ndarray, VerifiedBatch]:
    """Eight reports; the fourth is changed after its encoding and before its proof."""
    rng = np.random.default_rng(7)
    dense = honest(rng, 8)
    dense[3] = 0
    dense[3, [N, C, SUM, NON_NULL, HIST]] = 1, 1, 5, 1, 1
    measurements = encode(LAYOUT, sparse(dense))
    change(measurements[3])
    ids = rng.integers(0, 256, (8, 16), dtype=np.uint8)
    halves = prove(PLAN, 0, np.zeros(8, np.uint32), measurements, ids, rng.bytes)
    return dense, verify(PLAN, KEY, *halves)


def require_only_the_fourth_is_rejected(dense: np.ndarray, verified: VerifiedBatch) -> None:
    assert verified.accepted.tolist() == [True] * 3 + [False] + [True] * 4
    assert (opened(verified) == np.delete(dense, 3, axis=0)).all()


def swapped_to(dense: np.ndarray) -> Callable[[Elements], None]:
    """A measurement of exactly this vector, with bits wherever bits can express it."""
    return lambda measurement: measurement.__setitem__(slice(None), forge(LAYOUT, dense.astype(np.uint64)))


def vector(**slots: int) -> np.ndarray:
    """One key's slots of an otherwise honest report, and `other` further active keys."""
    dense = np.zeros((LAYOUT.keys, LAYOUT.slots_per_key), np.int64)
    others = slots.pop("others", 0)
    for key in range(1 + others):
        dense[key, [N, C, SUM, NON_NULL, HIST]] = 1, 1, 5, 1, 1
    for name, value in slots.items():
        dense[0, {"n": N, "c": C, "sum": SUM, "non_null": NON_NULL, "h0": HIST, "h1": HIST + 1}[name]] = value
    return dense.reshape(-1)


@pytest.mark.parametrize(
    "value",
    [2, 3, 2**20, 2**63, FIELD64.modulus - 1, FIELD64.modulus - 2**20, (FIELD64.modulus + 1) // 2],
    ids=["two", "three", "2^20", "2^63", "-1", "-2^20", "one half"],
)
def test_an_entry_that_is_no_bit_is_rejected_and_the_others_stay_exact(value: int) -> None:
    for at in range(0, PRIO3.circuit.meas_len, 3):
        require_only_the_fourth_is_rejected(
            *tampered(lambda measurement, at=at: measurement.__setitem__(at, np.uint64(value)))  # type: ignore[misc]
        )


@pytest.mark.parametrize(
    "lie",
    [
        vector(h1=1),
        vector(sum=11),
        vector(non_null=0),
        vector(non_null=2, n=1),
        vector(others=2),
    ],
    ids=["two cells", "sum", "sum without count", "non-null over count", "three keys"],
)
def test_slots_that_no_client_can_have_are_rejected(lie: np.ndarray) -> None:
    require_only_the_fourth_is_rejected(*tampered(swapped_to(lie)))


def test_every_single_bit_that_is_flipped_is_rejected_or_another_valid_report() -> None:
    for at in range(PRIO3.circuit.meas_len):
        dense, verified = tampered(lambda measurement, at=at: measurement.__setitem__(at, 1 - measurement[at]))  # type: ignore[misc]
        if verified.accepted[3]:
            changed = opened(verified)
            encode(LAYOUT, sparse(changed))  # the vector itself is within the bounds
            assert (np.delete(changed, 3, axis=0) == np.delete(dense, 3, axis=0)).all()
        else:
            require_only_the_fourth_is_rejected(dense, verified)


# proofs elsewhere


def as_of(halves: tuple[ProvenHalf, ProvenHalf], **other: Any) -> tuple[ProvenHalf, ProvenHalf]:
    leader, helper = halves
    return replace(leader, **other), replace(helper, **other)


def test_a_proof_holds_for_its_plan_collection_and_report_id_only() -> None:
    halves = sharded(honest(np.random.default_rng(1), 4))
    assert verify(PLAN, KEY, *halves).accepted.all()
    ids = halves[0].report_ids
    assert not verify(plan(number=1), KEY, *halves).accepted.any()
    assert not verify(PLAN, KEY, *as_of(halves, collection=np.ones(4, np.uint32))).accepted.any()
    assert not verify(PLAN, KEY, *as_of(halves, report_ids=ids[[1, 2, 3, 0]])).accepted.any()
    other = sharded(honest(np.random.default_rng(2), 4), seed=5)
    assert not verify(PLAN, KEY, halves[0], replace(other[1], report_ids=ids)).accepted.any()


def test_a_proof_of_another_views_circuit_does_not_hold() -> None:
    """Halves of two views have the same sizes, and the context names the collection. Only the circuit differs."""
    counts = replace(VIEW, name="counts", features=[Count("n"), Rate("r", where="x > 1")], bounds=Bounds(2, 1))
    cells = replace(VIEW, name="cells", features=[Histogram("y", edges=[0, 1])], bounds=Bounds(2, 1))
    both = plan(counts, cells)
    first, second = (prio3_of(planned.layout) for planned in both.views)
    assert (first.circuit.meas_len, first.proofs_len) == (second.circuit.meas_len, second.proofs_len)
    rng, collection = np.random.default_rng(2), np.full(20, both.offsets[1], np.uint32)
    ids = rng.integers(0, 256, (20, 16), dtype=np.uint8)
    for index, slots in enumerate(([1, 1, 0], [0, 1, 0])):  # an event that is true; one cell, where two would be a lie
        dense = np.pad(np.tile(slots, (20, 2)), ((0, 0), (0, 3)))
        halves = prove(both, index, collection, encode(both.views[index].layout, sparse(dense)), ids, rng.bytes)
        assert set(verify(both, KEY, *as_of(halves, view=1)).accepted.tolist()) == {index == 1}


def test_each_aggregator_refuses_the_other_ones_half() -> None:
    leader, helper = sharded(honest(np.random.default_rng(1), 4))
    with pytest.raises(ReportRefused, match="other aggregator's"):
        verify(PLAN, KEY, helper, leader)


def test_aggregators_with_different_keys_accept_nothing() -> None:
    leader, helper = (
        start(PLAN, key, half)
        for key, half in zip(
            (KEY, VerificationKey(bytes(32))), sharded(honest(np.random.default_rng(1), 4)), strict=True
        )
    )
    assert not judge(PLAN, helper, leader.shares, leader.offered)[1].any()


# the public share


@pytest.mark.parametrize("part", [0, 1], ids=["leader's part", "helper's part"])
def test_a_wrong_part_in_the_public_share_is_rejected_by_the_helper_so_that_the_leader_agrees(part: int) -> None:
    leader, helper = sharded(honest(np.random.default_rng(1), 6))
    parts = leader.public_shares.joint_rand_parts.copy()
    parts[2, part, 5] ^= 1
    verified = verify(PLAN, KEY, *as_of((leader, helper), public_shares=PublicShares(parts)))
    assert verified.accepted.tolist() == [True, True, False, True, True, True]


def forged(of: Plan) -> tuple[ProvenHalf, ProvenHalf]:
    """One report with a wrong helper's part, and proofs for the joint randomness that either aggregator computes from it.

    The leader draws its joint randomness from the wrong part, the helper from the right one. Where every bit is 1 the circuit's
    products are zero for any randomness, so a client that mixes both on the wires has a proof that holds.
    """
    prio3, rng = prio3_of(of.views[0].layout), np.random.default_rng(5)
    collection, ids = np.zeros(1, np.uint32), rng.integers(0, 256, (1, 16), dtype=np.uint8)
    ctx = contexts(of.hash, collection)
    seed, *blinds = rng.integers(0, 256, (3, 1, 32), dtype=np.uint8)
    helper_share = prio3._helper_meas_share(ctx, 1, seed)
    leader_share = FIELD64.subtract(np.ones_like(helper_share), helper_share)
    shares = leader_share, helper_share
    right = np.stack([prio3._joint_rand_part(ctx, j, blinds[j], shares[j], ids) for j in range(2)], axis=1)
    wrong = right.copy()
    wrong[0, 1, 5] ^= 1
    rands = [prio3._each(prio3._joint_rands(ctx, prio3._joint_rand_seed(ctx, parts))) for parts in (wrong, right)]

    proofs = []
    for number in range(prio3.proofs):
        mixing = copy.copy(prio3.circuit)

        def fill(meas: Elements, joint_rand: Elements, count: int, wires: Elements, number: int = number) -> None:
            parts = [np.zeros_like(wires) for _ in shares]
            for share, part, rand in zip(shares, parts, rands, strict=True):
                prio3.circuit.fill_wires(share, rand[number], 2, part)
            wires[:, 1:] = FIELD64.add(*parts)[:, 1:]

        mixing.fill_wires = fill  # type: ignore[method-assign]
        prove_rand = rng.integers(0, 2**62, (1, mixing.prove_rand_len), dtype=np.uint64)
        proofs.append(flp_prove(mixing, np.ones_like(helper_share), prove_rand, rands[0][number]))
    proofs_share = FIELD64.subtract(np.concatenate(proofs, axis=1), prio3._helper_proofs_share(ctx, 1, seed))
    good, public = np.ones(1, np.bool_), PublicShares(wrong)
    return (
        ProvenHalf(
            0, collection, ids, "leader", public, LeaderInputShares(leader_share, proofs_share, blinds[0]), good
        ),
        ProvenHalf(0, collection, ids, "helper", public, HelperInputShares(seed, blinds[1]), good),
    )


def test_a_client_that_lies_about_the_helpers_part_with_a_proof_to_match_parts_nobody() -> None:
    counts = FeatureView(
        "counts",
        entity=Entity("k", domain=[0]),
        features=[Count("n")],
        pane="1d",
        bounds=Bounds(max_cells=1, max_events_per_cell=3),
        privacy=Privacy(rho=0.5, min_clients=2),
    )
    the_plan = plan(counts)
    prio3 = prio3_of(the_plan.views[0].layout)
    leader, helper = (start(the_plan, KEY, half) for half in forged(the_plan))
    # In plain ping-pong the helper takes the report. The leader notices the lie when the report is in the helper's sum.
    messages, holds = prio3.verifier_shares_to_message_batch(
        contexts(the_plan.hash, leader.half.collection), [leader.shares, helper.shares]
    )
    assert holds.all()
    assert prio3.verify_next_batch(helper.states, messages).all()
    assert not prio3.verify_next_batch(leader.states, messages).any()
    with pytest.raises(ReportRefused, match="joint randomness"):
        finish(the_plan, leader, messages, holds)
    # Here the helper detects that the public share is a lie.
    assert not judge(the_plan, helper, leader.shares, leader.offered)[1].any()


def test_halves_with_different_public_shares_are_rejected() -> None:
    leader, helper = sharded(honest(np.random.default_rng(1), 2))
    parts = leader.public_shares.joint_rand_parts.copy()
    parts[1, 1, 0] ^= 1
    verified = verify(PLAN, KEY, replace(leader, public_shares=PublicShares(parts)), helper)
    assert verified.accepted.tolist() == [True, False]


# bytes


def flips(octets: np.ndarray, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(byte, bit) to flip: every bit of short messages, one bit of each byte of long ones."""
    size = octets.shape[1]
    if size <= 64:
        return [(byte, bit) for byte in range(size) for bit in range(8)]
    return list(enumerate(rng.integers(0, 8, size).tolist()))


def flipped(octets: np.ndarray, where: list[tuple[int, int]]) -> np.ndarray:
    """Copies of one row, each with another bit flipped."""
    rows = np.repeat(octets, len(where), axis=0)
    for row, (byte, bit) in zip(rows, where, strict=True):
        row[byte] ^= 1 << bit
    return rows


def repeated(half: ProvenHalf, count: int) -> ProvenHalf:
    """Copies of one report."""
    shares = half.input_shares
    match shares:
        case LeaderInputShares():
            many: Any = LeaderInputShares(
                *(np.repeat(part, count, axis=0) for part in (shares.meas_share, shares.proofs_share, shares.blinds))
            )
        case HelperInputShares():
            many = HelperInputShares(*(np.repeat(part, count, axis=0) for part in (shares.seeds, shares.blinds)))
    return replace(
        half,
        collection=np.repeat(half.collection, count),
        report_ids=np.repeat(half.report_ids, count, axis=0),
        public_shares=PublicShares(np.repeat(half.public_shares.joint_rand_parts, count, axis=0)),
        input_shares=many,
        wellformed=np.ones(count, np.bool_),
    )


@pytest.mark.parametrize("agg_id", [0, 1], ids=["leader", "helper"])
@pytest.mark.parametrize("message", ["public share", "input share"])
def test_a_report_with_a_bit_flipped_is_rejected(message: str, agg_id: int) -> None:
    halves = list(sharded(honest(np.random.default_rng(3), 1)))
    rng = np.random.default_rng(4)
    one = halves[agg_id]
    if message == "public share":
        octets = PRIO3.encode_public_shares(one.public_shares)
        where = flips(octets, rng)
        changed: Any = {"public_shares": PRIO3.decode_public_shares(flipped(octets, where))}
    else:
        octets = PRIO3.encode_input_shares(one.input_shares)
        where = flips(octets, rng)
        shares, good = PRIO3.decode_input_shares(agg_id, flipped(octets, where))
        changed = {"input_shares": shares, "wellformed": good}
    many = [repeated(half, len(where)) for half in halves]
    many[agg_id] = replace(many[agg_id], **changed)
    assert not verify(PLAN, KEY, many[0], many[1]).accepted.any()


def test_a_verifier_share_with_a_bit_flipped_rejects_its_report_only() -> None:
    count = 1 + PRIO3.verifier_share_size
    leader, helper = (start(PLAN, KEY, repeated(half, count)) for half in sharded(honest(np.random.default_rng(3), 1)))
    octets = PRIO3.encode_verifier_shares(leader.shares)
    where = flips(octets[:1], np.random.default_rng(5))
    octets = np.concatenate([octets[:1], flipped(octets[:1], where)])
    shares, good = PRIO3.decode_verifier_shares(octets)
    _, accepted = judge(PLAN, helper, shares, leader.offered & good)
    assert accepted.tolist() == [True] + [False] * len(where)


def test_a_verifier_message_with_a_bit_flipped_is_refused_by_the_leader() -> None:
    leader, helper = (start(PLAN, KEY, half) for half in sharded(honest(np.random.default_rng(3), 1)))
    messages, accepted = judge(PLAN, helper, leader.shares, leader.offered)
    finish(PLAN, leader, messages, accepted)
    for seed in flipped(messages.joint_rand_seeds, flips(messages.joint_rand_seeds, np.random.default_rng(0))):
        with pytest.raises(ReportRefused):
            finish(PLAN, leader, VerifierMessages(seed[None]), accepted)


# types


def test_shares_without_proofs_do_not_enter_a_plan_with_proofs_and_the_other_way_round() -> None:
    batch = reports(honest(np.random.default_rng(0), 2))
    plain = plan(validity="none")
    with pytest.raises(ReportRefused, match="these shares have no proofs"):
        shard(PLAN, batch, np.random.default_rng(0).bytes)
    with pytest.raises(ReportRefused, match="its reports have no proofs"):
        shard_proven(plain, batch, np.random.default_rng(0).bytes)
    half, _ = shard(plain, batch, np.random.default_rng(0).bytes)
    with pytest.raises(ReportRefused, match="says validity 'prio3'"):
        Aggregation.start("leader", PLAN).add(half)
    verified = verify(PLAN, KEY, *sharded(honest(np.random.default_rng(0), 2)))
    with pytest.raises(ReportRefused, match="says validity 'none'"):
        Aggregation.start("leader", plain).add(verified.leader)


def test_a_run_tells_how_many_were_rejected_and_opens_the_rest_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    dense = honest(np.random.default_rng(11), 9)

    def lying(layout: Any, slots: SparseRows, clients: int) -> Elements:
        measurements = encode(layout, slots, clients)
        measurements[4, 0] = 2**40
        return measurements

    monkeypatch.setattr("federation.sharding.encode", lying)
    batch = reports(dense, [0] * 5 + [1] * 4)
    (result,) = run_collections(PLAN, [batch], np.random.default_rng(1).bytes, None, None)
    assert result.rejected == 1
    plain = np.array([dense[:4].sum(axis=0), dense[5:].sum(axis=0)]).reshape(2, LAYOUT.keys, LAYOUT.slots_per_key)
    assert (result.sums == plain @ LAYOUT.basis.T).all()


def test_the_verification_key_is_never_shown_and_its_hash_is_of_one_plan() -> None:
    secret = KEY.secret_bytes()
    assert secret.hex() not in repr(KEY) + str(KEY)
    assert "1, 2, 3" not in repr(KEY)
    assert len({KEY.hash_for(bytes(16)), KEY.hash_for(b"x" * 16), VerificationKey(bytes(32)).hash_for(bytes(16))}) == 3
    leader, _ = sharded(honest(np.random.default_rng(0), 1))
    started = start(PLAN, KEY, leader)
    for shown in (leader, started, verify(PLAN, KEY, *sharded(honest(np.random.default_rng(0), 1)))):
        assert "uint64" not in repr(shown)


def test_verifier_shares_of_reports_that_the_leader_does_not_offer_may_hold_anything() -> None:
    leader, helper = (start(PLAN, KEY, half) for half in sharded(honest(np.random.default_rng(3), 3)))
    elements = leader.shares.verifiers_share.copy()
    elements[1] = 7
    shares = VerifierShares(elements, leader.shares.joint_rand_parts)
    assert judge(PLAN, helper, shares, np.array([True, False, True]))[1].tolist() == [True, False, True]
