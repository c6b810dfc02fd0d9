"""Leader and key holder open a plan over their files: exact sums, both noises, repeats, and sums that do not belong to it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.collect.collection_job import Stage, Witness, collect_request
from aggregator.errors import CommitmentConflict, MessageMalformed, NotCommitted, PlanUnknown
from aggregator.services import aggregator_pb2 as pb
from aggregator.signed_message import sign
from crypto import field as field64
from crypto.bfv import Ciphertexts
from crypto.bfv_secret import SecretKey
from crypto.errors import CoefficientOutOfRange, KeyMismatch, SignatureInvalid, SumOutOfRange
from federation.commitment import Outcome
from federation.draft import sign_draft
from federation.errors import KeyBurnt, StatementMalformed
from federation.plan import Plan
from tests.aggregator.he_world import (
    Killed,
    LeaderAndKeyHolder,
    Site,
    World,
    attack,
    draft,
    on_disk,
    running,
    secret_of,
    sums_of,
    with_keys,
    zeros,
)
from tests.aggregator.world import add_sums, require_exact
from tests.federation.he_cases import view
from tests.federation.wire import COLLECTOR, COORDINATOR, HELPER, LEADER


@pytest.fixture
def two(tmp_path: Path) -> Iterator[LeaderAndKeyHolder]:
    made = LeaderAndKeyHolder(tmp_path)
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running(tmp_path) as made:
        yield made


# a whole collection


def test_the_sums_are_the_plain_ones_over_views_sites_and_panes(two: LeaderAndKeyHolder) -> None:
    plan, keys = two.plan(view("v", keys=2), view("w", keys=3), panes=2)
    a, b = Site(plan, keys, "a"), Site(plan, keys, "b")
    assert two.submit(a.batch([0, 0, 1])) == bytes(3)
    assert two.submit(b.batch([1, 0])) == bytes(2)
    assert two.submit(b.batch([2, 2, 3])) == bytes(3)  # pane 3 has too few
    opened = two.collect(plan)
    assert [one.outcomes.tolist() for one in opened] == [[0, 0], [0, 1]]
    require_exact(plan, opened, add_sums(a, b))
    assert not two.leader.encrypted_intake._public_keys  # a context of TenSEAL for each: megabytes
    for party in (two.leader, two.holder):
        assert [status.state for status in party.status()] == ["witnessed"]
        assert party.files.storage.one("SELECT count(*) FROM ciphertexts") == (0,)
        assert party.files.storage.one("SELECT count(*) FROM finished") == (0,)


def test_the_same_over_grpc(world: World) -> None:
    plan, keys = world.plan(panes=2)
    a, b = Site(plan, keys, "a"), Site(plan, keys, "b")
    for site in (a, b):
        assert world.client.submit(site.batch([0, 1, 1]).to_bytes()).verdicts == bytes(3)
    require_exact(plan, world.collect(plan), add_sums(a, b))
    require_exact(plan, world.collect(plan), add_sums(a, b))
    assert [world.client.status(role)[0].state for role in ("leader", "helper")] == ["witnessed"] * 2  # type: ignore[arg-type]


def test_a_plan_of_which_nothing_is_opened_ends_as_well(two: LeaderAndKeyHolder) -> None:
    plan, keys = two.plan()
    two.submit(Site(plan, keys).batch([0]))
    secret = secret_of(two.holder, plan)
    assert two.collect(plan)[0].outcomes.tolist() == [Outcome.BATCH_TOO_SMALL] * 2
    assert not on_disk(two.holder, secret)


def test_what_is_opened_has_both_noises(two: LeaderAndKeyHolder) -> None:
    plan, keys = two.plan(view(keys=40), noise="full")
    site = Site(plan, keys)
    two.submit(site.batch([0, 0, 1, 1]))
    held = two.holder.files.storage.secret_keys(plan.plan_id)
    assert held is not None
    secret = SecretKey.from_bytes(plan.he_parameters(plan.views[0]), held.secret)
    _, from_holder = two.shares(plan)
    _, elements = from_holder[0].open(plan, 0, "helper", COLLECTOR.seal)
    told = field64.decode_centred(elements)
    sent = b"".join(pb.SumPart.FromString(part).sums for part in two.link.sent)
    size = len(sent) // 2
    key = secret.public
    found = [
        secret.open_sum(Ciphertexts.from_bytes(key.parameters, key.key_id, sent[at * size : (at + 1) * size]))
        for at in range(2)
    ]
    layout = plan.views[0].layout
    shape = -1, layout.keys, layout.slots_per_key
    exact = np.array([site.sums[pane].reshape(shape[1:]) @ layout.basis.T for pane in range(2)])
    leaders, holders = np.array(found).reshape(shape) - exact, (told - np.array(found)).reshape(shape)
    for noise in (leaders, holders):
        for group in layout.groups:
            of_group = noise[:, :, list(group.slots)] / float(group.mechanism.sigma_sq) ** 0.5
            assert 0.6 < of_group.std() < 1.5  # 80 samples of N(0, 1) and more: outside once in 10^7 runs
    assert not np.array_equal(leaders, holders)


def test_repeats_give_the_same_bytes_and_open_nothing_again(two: LeaderAndKeyHolder) -> None:
    wanted = draft(noise="full")
    request = sign_draft(wanted, COORDINATOR.sign)
    plan, keys = with_keys(wanted, two.holder.prepare)
    assert two.holder.prepare(request).encryption_keys == keys
    two.open(plan, keys)
    assert two.holder.prepare(request).encryption_keys == keys
    batch = Site(plan, keys).batch([0, 0, 1, 1])
    assert two.submit(batch) == two.submit(batch) == bytes(4)
    first = two.shares(plan)
    sent = list(two.link.sent)
    opened = two.holder.decryption.draw
    two.holder.decryption.draw = None  # type: ignore[assignment, method-assign]
    for _ in range(2):
        two.link.open_sums(pb.SumPart.FromString(part) for part in sent)
        assert two.shares(plan) == first
        assert two.submit(batch) == bytes(4)
    two.holder.decryption.draw = opened  # type: ignore[method-assign]
    two.restart()
    assert two.shares(plan) == first


# sums that do not belong to this plan


def test_sums_that_are_not_the_leaders_are_refused_and_nothing_is_kept(two: LeaderAndKeyHolder) -> None:
    plan, keys = two.plan(view("v", keys=2), view("w", keys=1), panes=2)
    other, other_keys = two.plan(number=1, first=5)
    one, two_ = zeros(plan, keys), zeros(plan, keys, 1)
    good = sums_of(plan, [one, one], [two_, two_])
    big = bytes(32) + b"\xff" * (len(one) - 32)
    cases: list[tuple[type[Exception], list[pb.SumPart]]] = [
        (MessageMalformed, []),
        (PlanUnknown, [pb.SumPart()]),
        (PlanUnknown, [pb.SumPart(plan_hash=bytes(32)), *good[1:]]),
        (MessageMalformed, good[:1]),
        (MessageMalformed, good[:-1]),
        (MessageMalformed, good[:3]),
        (MessageMalformed, [*good, pb.SumPart(view=1, sums=b"x")]),
        (MessageMalformed, [*good, pb.SumPart()]),
        (MessageMalformed, [good[0], pb.SumPart(view=0, sums=one + b"\0"), *good[2:]]),
        (MessageMalformed, [good[0], pb.SumPart(view=0), *good[1:]]),
        (MessageMalformed, [good[0], pb.SumPart(view=1, sums=one), *good[2:]]),
        (MessageMalformed, [pb.SumPart(plan_hash=plan.hash, statement=good[0].statement, sums=b"x"), *good[1:]]),
        (MessageMalformed, [pb.SumPart(plan_hash=plan.hash, statement=bytes(10_000)), *good[1:]]),
        (MessageMalformed, [pb.SumPart(plan_hash=plan.hash), *good[1:]]),
        (SignatureInvalid, sums_of(plan, [one, one], [two_, two_], key=HELPER.sign)),
        (SignatureInvalid, sums_of(plan, [one, one], [two_, two_], key=COORDINATOR.sign)),
        (SignatureInvalid, [pb.SumPart(plan_hash=plan.hash, statement=good[0].statement[:-1] + bytes([good[0].statement[-1] ^ 1])), *good[1:]]),
        (StatementMalformed, [good[0], good[1], pb.SumPart(view=0, sums=zeros(plan, keys)), *good[3:]]),
        (StatementMalformed, [
            pb.SumPart(plan_hash=plan.hash, statement=sums_of(other, [one, one])[0].statement), *good[1:]]),
        (StatementMalformed, [*good[:3], pb.SumPart(view=1, statement=good[0].statement), *good[4:]]),
        (KeyMismatch, sums_of(plan, [one, zeros(other, other_keys)], [two_, two_])),
        (KeyMismatch, sums_of(plan, [one, bytes(32) + one[32:]], [two_, two_])),
        (CoefficientOutOfRange, sums_of(plan, [one, one[:32] + big[32:]], [two_, two_])),
    ]  # fmt: skip
    for error, parts in cases:
        with pytest.raises(error):
            two.holder.open_sums(iter(parts))
        assert two.holder.status(plan.hash)[0].state == "open"
        assert not two.holder.files.ledger.state.intended
    with pytest.raises(NotCommitted):
        two.holder.collect(collect_request(plan, COLLECTOR.sign))
    two.holder.open_sums(iter(good))
    assert two.holder.status(plan.hash)[0].state == "noised"


def test_sums_come_in_pieces_of_any_size(two: LeaderAndKeyHolder) -> None:
    plan, keys = two.plan(panes=1)
    head, whole = sums_of(plan, [zeros(plan, keys)])
    pieces = [pb.SumPart(sums=whole.sums[at : at + 1_000]) for at in range(0, len(whole.sums), 1_000)]
    two.holder.open_sums(iter([head, *pieces]))
    assert two.holder.status()[0].state == "noised"


def test_a_leader_signs_the_sums_of_a_plan_once(two: LeaderAndKeyHolder) -> None:
    """The leader signs no second sums even after the first ones were opened: its first signature is the evidence."""
    plan, keys = two.plan(panes=1)
    first, second = (sums_of(plan, [zeros(plan, keys)]) for _ in range(2))
    drawn = two.holder.decryption.draw

    def dies(*_: Any) -> Any:
        raise Killed

    two.holder.decryption.draw = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        two.holder.open_sums(iter(first))
    two.holder.decryption.draw = drawn  # type: ignore[method-assign]
    kept = two.holder.files.storage.message("ciphertexts", 1, 0)
    nothing = sums_of(plan, [], outcomes=bytes([Outcome.BATCH_TOO_SMALL]))
    for other in (second, nothing):
        with pytest.raises(CommitmentConflict):
            two.holder.open_sums(iter(other))
    assert two.holder.files.storage.message("ciphertexts", 1, 0) == kept == first[1].sums
    two.restart()
    two.holder.open_sums(iter(first))
    for _ in range(2):
        with pytest.raises(CommitmentConflict):
            two.holder.open_sums(iter(second))
        with pytest.raises(CommitmentConflict):
            two.holder.open_sums(iter([pb.SumPart(plan_hash=plan.hash)]))
        two.holder.open_sums(iter(first))
    stored = two.holder.files.storage.plan(plan.hash)
    assert stored is not None
    assert stored.other == first[0].statement
    rest = iter([pb.SumPart(sums=b"x")] * 5)
    with pytest.raises(CommitmentConflict):
        two.holder.open_sums(chain([pb.SumPart(plan_hash=plan.hash)], rest))
    assert len(list(rest)) == 5  # unsigned streams do not delay signed ones


def test_sums_that_were_overwritten_after_they_came_are_not_opened(two: LeaderAndKeyHolder) -> None:
    """The key holder decrypts only sums that match the leader's kept statement byte for byte."""
    plan, keys = two.plan(panes=2)
    honest = sums_of(plan, [zeros(plan, keys)] * 2)
    charge = two.holder.plans.charge

    def meanwhile(of: Plan) -> None:
        two.holder.plans.charge = charge  # type: ignore[method-assign]
        two.holder.files.storage.set_message("ciphertexts", 1, 0, attack(plan, keys, 1))
        charge(of)

    two.holder.plans.charge = meanwhile  # type: ignore[method-assign]
    with pytest.raises(StatementMalformed):
        two.holder.open_sums(iter(honest))
    assert two.holder.status()[0].state == "closed"  # its keys are not burnt
    two.holder.open_sums(iter(honest))
    assert two.holder.status()[0].state == "noised"


def test_a_second_call_that_finds_the_plan_burnt_says_so(two: LeaderAndKeyHolder) -> None:
    plan, keys = two.plan(panes=1)
    lie = sums_of(plan, [attack(plan, keys, 1)])
    charge = two.holder.plans.charge
    with ThreadPoolExecutor(1) as thread:
        second: list[Future[None]] = []

        def meanwhile(of: Plan) -> None:
            second.append(thread.submit(two.holder.open_sums, iter(lie)))
            charge(of)

        two.holder.plans.charge = meanwhile  # type: ignore[method-assign]
        with pytest.raises(SumOutOfRange):
            two.holder.open_sums(iter(lie))
        with pytest.raises(KeyBurnt):
            second[0].result()
    assert len(second) == 1  # the second waited and was not charged
    with pytest.raises(KeyBurnt):
        two.holder.noising.noise(plan)
    assert not two.holder.files.ledger.state.completed
    told = Witness(plan.hash, Stage.COMMITTED, two.leader.files.ledger.head, None, None)
    with pytest.raises(KeyBurnt):
        two.holder.witness(sign(b"covey-1 witness leader", told.to_bytes(), LEADER.sign))


# witnesses


def test_nothing_is_sent_before_the_leader_knows_of_the_opening(two: LeaderAndKeyHolder) -> None:
    plan, keys = two.plan()
    request = collect_request(plan, COLLECTOR.sign)
    two.holder.open_sums(iter(sums_of(plan, [zeros(plan, keys)] * 2)))
    with pytest.raises(NotCommitted):
        two.holder.collect(request)
    for keys_of in (LEADER, HELPER, COORDINATOR):
        with pytest.raises(SignatureInvalid):
            two.holder.collect(collect_request(plan, keys_of.sign))


def test_a_witness_before_the_sums_is_refused(two: LeaderAndKeyHolder) -> None:
    plan, _ = two.plan()
    for key, error in ((LEADER, NotCommitted), (HELPER, SignatureInvalid)):
        told = Witness(plan.hash, Stage.COMMITTED, two.leader.files.ledger.head, None, None)
        with pytest.raises(error):
            two.holder.witness(sign(b"covey-1 witness leader", told.to_bytes(), key.sign))
