"""The real protocol over shards gives the bits of one process; and what sharding by batch id cannot detect."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from crypto.noise import SeededNoise
from crypto.prio3_batch import VERIFY_KEY_SIZE
from federation.aggregation import Aggregation, NoisedShares, open_shares
from federation.batch.reports import HelperHalf, LeaderHalf, ProvenHalf, Reports
from federation.circuit.validity import VerificationKey
from federation.errors import DuplicateReport, ReportRefused
from federation.plan import Plan, PlannedView
from federation.protocol import verify
from federation.sharding import protect
from federation.terms import Validity
from simulations.scale.pair import reports_of, view_of
from simulations.scale.sharded import ShardedBatch, shard_of, take
from tests.federation.words import plan_in_words, with_words

DAY = 86_400 * 10**6
KEY = VerificationKey(bytes(VERIFY_KEY_SIZE))


def make_plan(validity: Validity) -> Plan:
    view = view_of(5, bits=3)
    return plan_in_words(
        bytes(16), (PlannedView(view, np.arange(3, dtype=np.int64) * DAY, 2),), "full", validity=validity
    )


def batches_of(plan: Plan, sizes: Sequence[int]) -> tuple[list[ShardedBatch], np.ndarray]:
    """Batches of reports of random panes, and the plain sums int64[C, d]."""
    rng = np.random.default_rng(11)
    truth, made = np.zeros((3, 5), np.int64), []
    for number, size in enumerate(sizes):
        plain = reports_of(plan.views[0].view, size, seed=number)
        collection = rng.integers(0, 3, size).astype(np.uint32)
        rows = np.repeat(collection, np.diff(plain.slots.indptr))
        np.add.at(truth, (rows, plain.slots.columns), plain.slots.values)
        match protect(plan, Reports(0, collection, plain.slots), rng.bytes):
            case LeaderHalf() as leader, HelperHalf() as helper:
                made.append(ShardedBatch(bytes([number]) * 16, leader, helper))
            case ProvenHalf() as leader, ProvenHalf() as helper:
                found = verify(plan, KEY, leader, helper)
                assert found.accepted.all()
                made.append(ShardedBatch(bytes([number]) * 16, found.leader, found.helper))
    return made, truth


def noised(leader: Aggregation, helper: Aggregation) -> tuple[NoisedShares, NoisedShares]:
    mine, its = leader.close(), helper.close()
    return (
        mine.noise(its.commitment, SeededNoise(5, "leader")),
        its.noise(mine.commitment, SeededNoise(5, "helper")),
    )


@pytest.mark.parametrize("validity", ["none", "prio3"])
def test_any_shards_in_any_order_give_the_same_sums_counts_digests_and_opening_to_the_bit(validity: Validity) -> None:
    plan = make_plan(validity)
    batches, truth = batches_of(plan, [1, 4, 2, 7, 1, 1, 3, 5, 2, 1, 6, 1])
    leader, helper = take(plan, batches, 1)
    one = (
        leader.sums[0].values.tobytes(),
        helper.sums[0].values.tobytes(),
        leader.close().commitment,
        helper.close().commitment,
    )
    opened = open_shares(plan, *noised(*take(plan, batches, 1)))
    expected_counts = np.bincount(np.concatenate([each.leader.collection for each in batches]), minlength=3)
    assert one[2] == one[3]
    assert one[2].counts == tuple(expected_counts.tolist())
    ids = np.concatenate([each.leader.report_ids for each in batches])
    of = np.concatenate([each.leader.collection for each in batches])
    for pane in range(3):
        in_order = b"".join(sorted(row.tobytes() for row in ids[of == pane]))
        assert one[2].digests[pane] == hashlib.sha256(in_order).digest()
    rng = np.random.default_rng(2)
    for shards in (2, 7):
        for _ in range(3):
            shuffled = [batches[at] for at in rng.permutation(len(batches))]
            order = rng.permutation(shards).tolist()
            leader, helper = take(plan, shuffled, shards, order)
            found = (leader.sums[0].values.tobytes(), helper.sums[0].values.tobytes())
            assert (*found, leader.close().commitment, helper.close().commitment) == one
            again = open_shares(plan, *noised(*take(plan, shuffled, shards, order)))
            np.testing.assert_array_equal(again[0].sums, opened[0].sums)
            np.testing.assert_array_equal(again[0].outcomes, opened[0].outcomes)
    exact = with_words(plan, noise="none")
    mine, its = (Aggregation(each.role, exact, each.sums, each.received).close() for each in take(plan, batches, 7))
    (plain_view,) = open_shares(exact, mine.noise(its.commitment, None), its.noise(mine.commitment, None))
    np.testing.assert_array_equal(plain_view.sums.reshape(3, 5), truth)
    assert truth.any(axis=1).all()


def test_shards_of_another_role_or_plan_are_not_merged() -> None:
    plan, mine = make_plan("none"), Aggregation.start("leader", make_plan("none"))
    for other in (
        Aggregation.start("helper", plan),
        Aggregation.start("leader", replace(plan, plan_id=bytes([1]) * 16)),
    ):
        with pytest.raises(ReportRefused, match="can be merged"):
            mine.merge(other)
    assert mine.merge(Aggregation.start("leader", plan)).close().commitment.counts == (0, 0, 0)


def test_every_shard_gets_batches_and_both_aggregators_agree_on_which() -> None:
    ids = [bytes([at]) * 16 for at in range(64)]
    for shards in (1, 2, 7):
        assert {shard_of(each, shards) for each in ids} == set(range(shards))


def test_an_id_that_two_shards_have_taken_shows_only_when_they_are_merged_and_closes_nothing() -> None:
    plan = make_plan("none")
    reports = reports_of(plan.views[0].view, 2)
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 256, (2, 16), dtype=np.uint8)
    of = {shard_of(bytes([at]) * 16, 2): bytes([at]) * 16 for at in range(16)}
    made = []
    for batch_id in (of[0], of[1]):
        match protect(plan, reports, rng.bytes, report_ids=ids):
            case LeaderHalf() as to_leader, HelperHalf() as to_helper:
                made.append(ShardedBatch(batch_id, to_leader, to_helper))
    for alone in made:
        take(plan, [alone], 2)[0].close()
    leader, _ = take(plan, made, 2)
    with pytest.raises(DuplicateReport):
        leader.close()
