"""The real services over gRPC on free loopback ports, in one process: what is good is exact, what is bad has a name."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import grpc
import numpy as np
import pytest

from aggregator.collect.collection_job import collect_request
from aggregator.errors import AddressUnusable, RemoteRefusal, Unreachable
from aggregator.intake.aggregation_job import JOB_DOMAIN, AggregationJob, JobAnswer
from aggregator.intake.submission import job_id_of
from aggregator.services import aggregator_pb2 as pb
from aggregator.services import aggregator_pb2_grpc as pb_grpc
from aggregator.services.client import Aggregators
from aggregator.services.peer_channels import HelperChannel
from aggregator.services.rpc import CHANNEL_OPTIONS, MAX_MESSAGE_BYTES
from aggregator.services.services import serve
from aggregator.shares.stoppable_noise import StoppableNoise
from aggregator.signed_message import Signed, sign
from crypto.seal import seal
from featurestore.define.privacy import Privacy
from federation import plan_pb2
from federation.batch.batch import DOMAIN, BatchHeader, SealedBatch, SignedHeader
from federation.batch.sealing import _info
from federation.ledger.state import Budget
from federation.plan import Plan, plan_to_bytes
from federation.protocol import Outcome
from federation.signed_plan import sign_plan
from tests.aggregator.world import (
    COLLECTOR,
    COORDINATOR,
    DEADLINE,
    HELPER,
    KEYS,
    LEADER,
    RHO,
    SETTINGS,
    Site,
    World,
    add_sums,
    draft,
    make_helper,
    make_plan,
    open_at,
    prepared,
    require_exact,
    roster,
    running,
    signed,
    view,
)
from tests.federation.wire import LEADER_SEAL, live


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running(tmp_path) as made:
        yield made


def refused(call: Callable[[], object]) -> RemoteRefusal:
    with pytest.raises(RemoteRefusal) as caught:
        call()
    assert "Traceback" not in str(caught.value)
    return caught.value


def reseal(
    plan: Plan,
    batch: SealedBatch,
    *,
    site: str = "a",
    header: BatchHeader | None = None,
    leader: bytes | None = None,
    helper: bytes | None = None,
    leader_plain: bytes | None = None,
) -> SealedBatch:
    """A batch that a malicious site changes and signs again."""
    data = (header or batch.signed.header).to_bytes()
    leader, helper = leader or batch.leader, helper or batch.helper
    if leader_plain is not None:
        leader = seal(LEADER_SEAL.public, leader_plain, _info("leader", LEADER_SEAL.public.id, data))
    digests = hashlib.sha256(leader).digest(), hashlib.sha256(helper).digest()
    signature = KEYS[site].sign.sign(DOMAIN, data + b"".join(digests))
    return SealedBatch(SignedHeader(data, *digests, signature), leader, helper)


def flipped(data: bytes, at: int = -1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def moved(batch: SealedBatch) -> BatchHeader:
    header = batch.signed.header
    return replace(header, collection=1 - header.collection)


# what is good


def test_two_services_open_the_exact_sums_without_noise(world: World) -> None:
    plan = make_plan(view("v", 3), view("w", 2), panes=3)
    a, b = Site(plan, "a"), Site(plan, "b")
    assert open_at(world.client, plan) == plan.hash
    for site, collections in ((a, [0, 0, 1, 2, 2]), (b, [2, 1, 1]), (a, [3, 3, 5]), (b, [5, 5, 4])):
        submitted = world.client.submit(site.batch(collections).to_bytes())
        assert not submitted.pending
        assert submitted.verdicts == bytes(len(collections))
    opened = world.collect(plan)
    assert [result.outcomes.tolist() for result in opened] == [[0, 0, 0], [0, Outcome.BATCH_TOO_SMALL, 0]]
    require_exact(plan, opened, add_sums(a, b))


def test_a_repeated_submit_and_collect_answer_the_same_bytes(world: World) -> None:
    plan = make_plan(noise="full")
    site = Site(plan)
    batch = site.batch([0, 0, 1, 1]).to_bytes()
    open_at(world.client, plan)
    open_at(world.client, plan)
    assert world.client.submit(batch) == world.client.submit(batch)
    first, again = world.client.collect(plan, COLLECTOR), world.client.collect(plan, COLLECTOR)
    for before, after in zip(first.opened, again.opened, strict=True):
        np.testing.assert_array_equal(before.sums, after.sums)
    assert first.statements == again.statements
    assert world.client.submit(batch).verdicts == bytes(4)  # recorded, also after the collect
    assert [status.state for status in world.client.status("helper", plan.hash)] == ["witnessed"]


def test_noise_of_both_aggregators_is_in_what_is_opened(world: World) -> None:
    plan = make_plan(view("v", 400), noise="full", panes=1)
    site = Site(plan)
    open_at(world.client, plan)
    world.client.submit(site.batch([0, 0]).to_bytes())
    (opened,) = world.collect(plan)
    layout = opened.planned.layout
    plain = site.sums[0].reshape(layout.keys, layout.slots_per_key) @ layout.basis.T
    for group in layout.groups:
        error = (opened.sums[0] - plain)[:, list(group.slots)]
        assert error.var() == pytest.approx(group.opened_variance, rel=0.35)


def test_duplicate_ids_are_answered_one_by_one_and_the_rest_counts(world: World) -> None:
    plan = make_plan()
    site = Site(plan)
    open_at(world.client, plan)
    first = site.batch([0, 0, 1])
    world.client.submit(first.to_bytes())
    ids = first.signed.header.report_ids
    again = site.batch([0, 0, 1], counted=False, ids=ids)
    assert world.client.submit(again.to_bytes()).verdicts == bytes([1, 1, 1])

    some = site.batch([0, 1, 1], counted=False).signed.header.report_ids.copy()
    some[1] = ids[1]  # this one was taken, in another pane
    mixed = site.batch([0, 1, 1], counted=[True, False, True], ids=some)
    assert world.client.submit(mixed.to_bytes()).verdicts == bytes([0, 1, 0])
    assert [(status.state, status.pending) for status in world.client.status("leader")] == [("open", 0)]
    opened = world.collect(plan)
    assert opened[0].outcomes.tolist() == [0, 0]
    require_exact(plan, opened, site.sums)


# batches that are bad


def bad_batches(plan: Plan, site: Site) -> Iterator[tuple[str, bytes]]:
    """(reason, batch): each item of the issue's list that a batch can be."""

    def make() -> SealedBatch:
        return site.batch([0, 0, 1], counted=False)

    length = plan.views[0].layout.length
    yield "BATCH_MALFORMED", reseal(plan, make(), leader_plain=bytes(3 * length * 8 - 8)).to_bytes()  # too short
    yield "BATCH_MALFORMED", reseal(plan, make(), leader_plain=bytes(3 * length * 8 + 8)).to_bytes()  # too long
    yield "FIELD_ELEMENT_OUT_OF_RANGE", reseal(plan, make(), leader_plain=b"\xff" * (3 * length * 8)).to_bytes()
    yield "BATCH_MALFORMED", make().to_bytes() + b"\x00"
    yield "BATCH_MALFORMED", make().to_bytes() + b"\x22\x00"  # an unknown field
    yield "BATCH_MALFORMED", os.urandom(500)
    yield "BATCH_MALFORMED", b""
    yield "BATCH_TOO_LARGE", bytes(5 * 2**20)
    data = make()
    yield "DIGEST_MISMATCH", data.to_bytes().replace(data.leader, flipped(data.leader))
    data = make()
    yield "DIGEST_MISMATCH", data.to_bytes().replace(data.helper, flipped(data.helper))
    data = make()
    yield "SEAL_BROKEN", reseal(plan, data, leader=flipped(data.leader)).to_bytes()
    data = make()
    yield "SEAL_BROKEN", reseal(plan, data, helper=flipped(data.helper)).to_bytes()  # found by the helper
    data = make()
    yield (
        "SIGNATURE_INVALID",
        replace(data, signed=replace(data.signed, header_bytes=moved(data).to_bytes())).to_bytes(),
    )
    data = make()
    yield "SEAL_BROKEN", reseal(plan, data, header=moved(data)).to_bytes()  # by the site itself
    one, other = make(), make()
    yield "DIGEST_MISMATCH", one.to_bytes().replace(one.helper, other.helper)
    yield "SEAL_BROKEN", reseal(plan, one, helper=other.helper).to_bytes()
    yield "SIGNATURE_INVALID", replace(one, signed=replace(one.signed, signature=bytes(64))).to_bytes()
    yield (
        "SIGNATURE_INVALID",
        replace(one, signed=replace(one.signed, signature=flipped(one.signed.signature))).to_bytes(),
    )
    unknown = replace(one.signed.header, site="z")
    yield "UNKNOWN_SITE", reseal(plan, one, header=unknown).to_bytes()
    stolen = replace(one.signed.header, site="b")
    yield "SIGNATURE_INVALID", reseal(plan, one, header=stolen).to_bytes()
    yield "BATCH_MALFORMED", one.to_bytes().replace(one.signed.signature, one.signed.signature[:63])
    elsewhere = make_plan(number=9)
    yield "PLAN_UNKNOWN", Site(elsewhere).batch([0, 0]).to_bytes()
    for_this = replace(Site(elsewhere).batch([0, 0]).signed.header, plan_hash=plan.hash)
    yield "SEAL_BROKEN", reseal(plan, Site(elsewhere).batch([0, 0]), header=for_this).to_bytes()
    outside = replace(one.signed.header, collection=np.array([0, 0, 2**31], np.uint32))
    yield "REPORT_REFUSED", reseal(plan, one, header=outside).to_bytes()
    twice = one.signed.header.report_ids.copy()
    twice[1] = twice[0]
    yield "DUPLICATE_REPORT", reseal(plan, one, header=replace(one.signed.header, report_ids=twice)).to_bytes()


def test_every_bad_batch_is_refused_by_name_and_the_other_sums_stay_exact(world: World) -> None:
    plan = make_plan(panes=2)
    a, b = Site(plan, "a"), Site(plan, "b")
    open_at(world.client, plan)
    world.client.submit(a.batch([0, 1, 1]).to_bytes())
    seen = []
    for reason, batch in bad_batches(plan, a):
        error = refused(lambda batch=batch: world.client.submit(batch))
        seen.append((error.reason, reason))
        error_again = refused(lambda batch=batch: world.client.submit(batch))
        assert error_again.reason == error.reason
    assert [got for got, _ in seen] == [wanted for _, wanted in seen]
    world.client.submit(b.batch([0, 0, 1]).to_bytes())
    opened = world.collect(plan)
    assert opened[0].outcomes.tolist() == [0, 0]
    require_exact(plan, opened, add_sums(a, b))


def test_a_message_beyond_grpcs_limit_is_refused(world: World) -> None:
    assert refused(lambda: world.client.submit(bytes(MAX_MESSAGE_BYTES + 1))).reason == "RESOURCE_EXHAUSTED"


def test_more_clients_than_the_leaders_roster_says_are_refused_as_a_batch(tmp_path: Path) -> None:
    with running(tmp_path, leader_settings=replace(SETTINGS, roster=roster(3))) as world:
        plan = make_plan()
        site = Site(plan)
        open_at(world.client, plan)
        world.client.submit(site.batch([0, 0, 1]).to_bytes())
        error = refused(lambda: world.client.submit(site.batch([0, 0], counted=False).to_bytes()))
        assert (error.reason, error.numbers) == ("ROSTER_EXCEEDED", {"collection": 0, "have": 4, "most": 3})
        world.client.submit(site.batch([0, 1, 1]).to_bytes())
        require_exact(plan, world.collect(plan), site.sums)


def test_what_the_helpers_own_roster_refuses_the_leader_does_not_count_either(tmp_path: Path) -> None:
    mine, others = replace(SETTINGS, roster=roster(4)), replace(SETTINGS, roster=roster(3))
    with running(tmp_path, leader_settings=mine, helper_settings=others) as world:
        plan = make_plan()
        a, b = Site(plan, "a"), Site(plan, "b")
        open_at(world.client, plan)
        world.client.submit(a.batch([0, 0, 1]).to_bytes())
        too_many = a.batch([0, 0, 1], counted=False)
        for _ in range(2):
            error = refused(lambda: world.client.submit(too_many.to_bytes()))
            assert error.reason == "ROSTER_EXCEEDED"
            assert "the helper refuses" in error.text
        # its ids were given back, and so was its place on the roster: the same clients may come in a smaller batch
        again = a.batch([0], ids=too_many.signed.header.report_ids[:1])
        assert world.client.submit(again.to_bytes()).verdicts == b"\x00"
        world.client.submit(b.batch([1, 1, 0]).to_bytes())
        opened = world.collect(plan)
        assert opened[0].outcomes.tolist() == [0, 0]
        require_exact(plan, opened, add_sums(a, b))


def test_reports_after_the_deadline_and_after_the_collect_are_refused(world: World) -> None:
    plan = make_plan()
    site = Site(plan)
    open_at(world.client, plan)
    world.client.submit(site.batch([0, 0, 1, 1]).to_bytes())
    late = site.batch([0, 0], counted=False).to_bytes()
    world.clock.now = DEADLINE
    error = refused(lambda: world.client.submit(late))
    assert (error.reason, error.numbers) == ("AFTER_DEADLINE", {"deadline_us": DEADLINE})
    require_exact(plan, world.collect(plan), site.sums)
    assert refused(lambda: world.client.submit(late)).reason == "COLLECTED"
    assert refused(lambda: open_at(world.client, make_plan(first=50))).reason == "AFTER_DEADLINE"


def test_a_batch_id_with_other_bytes_is_an_error(world: World) -> None:
    plan = make_plan()
    site = Site(plan)
    open_at(world.client, plan)
    first = site.batch([0, 0])
    world.client.submit(first.to_bytes())
    other = site.batch([0, 0], counted=False)
    plain = bytes(2 * plan.views[0].layout.length * 8)
    header = replace(other.signed.header, batch_id=first.signed.header.batch_id)
    forged = reseal(plan, other, header=header, leader_plain=plain)
    assert refused(lambda: world.client.submit(forged.to_bytes())).reason == "JOB_CONFLICT"
    require_exact(plan, world.collect(plan), site.sums)


# jobs, commitments and collects that are bad


def test_a_job_id_with_other_bytes_and_a_job_of_somebody_else_are_refused(world: World) -> None:
    plan = make_plan()
    site = Site(plan)
    open_at(world.client, plan)
    batch = site.batch([0, 0])
    world.client.submit(batch.to_bytes())
    job_id = job_id_of("a", batch.signed.header.batch_id)
    body = AggregationJob(plan.hash, job_id, batch.half("helper").to_bytes(), bytes(2)).to_bytes()
    other = AggregationJob(
        plan.hash, job_id, site.batch([0, 0], counted=False).half("helper").to_bytes(), bytes(2)
    ).to_bytes()
    link = HelperChannel(world.helper.address)
    try:
        answer = JobAnswer.from_bytes(Signed.from_bytes(link.aggregate(sign(JOB_DOMAIN, body, LEADER.sign))).body)
        assert answer.verdicts == bytes(2)  # the recorded answer
        replayed = AggregationJob(plan.hash, bytes(16), batch.half("helper").to_bytes(), bytes(2)).to_bytes()
        answer = JobAnswer.from_bytes(Signed.from_bytes(link.aggregate(sign(JOB_DOMAIN, replayed, LEADER.sign))).body)
        assert answer.verdicts == bytes([1, 1])  # the helper knows the ids, whatever the leader says
        for key, domain, what, reason in (
            (LEADER, JOB_DOMAIN, other, "JOB_CONFLICT"),
            (HELPER, JOB_DOMAIN, body, "SIGNATURE_INVALID"),
            (COORDINATOR, JOB_DOMAIN, body, "SIGNATURE_INVALID"),
            (LEADER, b"covey-1 collect", body, "SIGNATURE_INVALID"),
            (LEADER, JOB_DOMAIN, body + b"\x00", "MESSAGE_MALFORMED"),
            (LEADER, JOB_DOMAIN, b"", "MESSAGE_MALFORMED"),
        ):
            request = sign(domain, what, key.sign)
            assert refused(lambda request=request: link.aggregate(request)).reason == reason
        wrong = sign(b"covey-1 commitment leader", pb.Commitment(plan_hash=plan.hash).SerializeToString(), LEADER.sign)
        assert refused(lambda: link.commit(wrong)).reason == "MESSAGE_MALFORMED"
    finally:
        link.close()
    require_exact(plan, world.collect(plan), site.sums)


def test_only_the_plans_collector_collects_and_the_helper_only_after_the_leader(world: World) -> None:
    plan = make_plan()
    site = Site(plan)
    open_at(world.client, plan)
    world.client.submit(site.batch([0, 0, 1, 1]).to_bytes())
    for keys in (COORDINATOR, LEADER, HELPER):
        assert refused(lambda keys=keys: world.client.collect(plan, keys)).reason == "SIGNATURE_INVALID"
    with grpc.insecure_channel(world.helper.address, options=CHANNEL_OPTIONS) as channel:
        stub = pb_grpc.HelperStub(channel)
        request = pb.Signed.FromString(collect_request(plan, COLLECTOR.sign))
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.Collect(request, timeout=10))
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert dict(caught.value.trailing_metadata())["covey-refusal-bin"].startswith(b"\n\rNOT_COMMITTED")
    assert world.client.status("leader", plan.hash)[0].state == "open"
    require_exact(plan, world.collect(plan), site.sums)


def test_a_pane_that_only_one_aggregator_can_account_for_is_a_mismatch(world: World) -> None:
    plan = make_plan()
    site = Site(plan)
    open_at(world.client, plan)
    world.client.submit(site.batch([0, 0, 1, 1]).to_bytes())
    hidden = site.batch([1], counted=False)  # a leader that gives the helper what it does not count itself
    body = AggregationJob(plan.hash, bytes(16), hidden.half("helper").to_bytes(), bytes(1)).to_bytes()
    world.link.aggregate(sign(JOB_DOMAIN, body, LEADER.sign))
    opened = world.collect(plan)
    assert opened[0].outcomes.tolist() == [Outcome.OPENED, Outcome.BATCH_MISMATCH]
    require_exact(plan, opened, site.sums)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x0a\x05", bytes(range(40, 104)), bytes(100)])
def test_nonsense_is_refused_by_every_call(world: World, data: bytes) -> None:
    calls: list[Callable[[], object]] = [
        lambda: world.client.open_plan(data),
        lambda: world.client.submit(data),
        lambda: world.client.status("leader", data or b"?"),
    ]
    for call in calls:
        assert refused(call).reason in {"PLAN_INVALID", "BATCH_MALFORMED", "PLAN_UNKNOWN", "SIGNATURE_INVALID"}
    with grpc.insecure_channel(world.helper.address, options=CHANNEL_OPTIONS) as channel:
        stub = pb_grpc.HelperStub(channel)
        for message in (pb.Signed(body=data, signature=bytes(64)), pb.Signed(body=data), pb.Signed()):
            for method in (
                stub.Aggregate,
                stub.Commit,
                stub.Witness,
                lambda request, timeout: list(stub.Collect(request, timeout=timeout)),
            ):
                with pytest.raises(grpc.RpcError) as caught:
                    method(message, timeout=10)
                assert caught.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)


def test_an_error_that_nobody_expected_tells_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: bytes) -> bytes:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(world.leader.party, "open_plan", broken)
    error = refused(lambda: open_at(world.client, make_plan()))
    assert error.reason == "INTERNAL"
    assert "42" not in str(error)


# plans that are bad


def test_plans_of_another_coordinator_and_plans_with_an_edited_sigma_are_refused(world: World) -> None:
    plan = make_plan(noise="full")
    assert refused(lambda: world.client.open_plan(sign_plan(plan, COLLECTOR.sign))).reason == "SIGNATURE_INVALID"
    louder = replace(view(), privacy=Privacy(rho=0.9, min_clients=2))
    cheaper = make_plan(louder, noise="full")  # the same plan with less noise
    message = plan_pb2.SignedPlan.FromString(signed(plan))
    message.plan = plan_to_bytes(cheaper)
    assert refused(lambda: world.client.open_plan(message.SerializeToString())).reason == "SIGNATURE_INVALID"
    assert refused(lambda: world.client.open_plan(signed(plan) + b"\x00")).reason == "PLAN_INVALID"
    assert world.client.status("leader") == world.client.status("helper") == []


def test_a_plan_with_other_keys_for_this_role_is_refused(world: World) -> None:
    plan = make_plan()
    swapped = live(replace(plan, wire=replace(plan.wire, leader=HELPER.sign.public, helper=LEADER.sign.public)))
    assert refused(lambda: open_at(world.client, swapped)).reason == "PLAN_INVALID"


def test_a_pinned_peer_refuses_a_plan_with_another_one(tmp_path: Path) -> None:
    pinned = replace(SETTINGS, peer=COORDINATOR.sign.public)
    with running(tmp_path, helper_settings=pinned) as world:
        assert refused(lambda: open_at(world.client, make_plan())).reason == "PLAN_INVALID"


@pytest.mark.parametrize("strict", ["leader", "helper"])
def test_noise_off_is_refused_unless_this_aggregators_own_setting_allows_it(tmp_path: Path, strict: str) -> None:
    settings = replace(SETTINGS, allow_no_noise=False)
    with running(tmp_path, **{f"{strict}_settings": settings}) as world:
        error = refused(lambda: open_at(world.client, make_plan()))
        assert (error.role, error.reason) == (strict, "NOISE_REFUSED")


@pytest.mark.parametrize("strict", ["leader", "helper"])
def test_a_plan_without_proofs_is_refused_where_this_aggregators_own_setting_demands_them(
    tmp_path: Path, strict: str
) -> None:
    keys = {"leader": HELPER.sign.public, "helper": LEADER.sign.public}
    settings = {
        f"{role}_settings": replace(SETTINGS, peer=peer, require_proofs=role == strict) for role, peer in keys.items()
    }
    with running(tmp_path, **settings) as world:
        error = refused(lambda: open_at(world.client, make_plan()))
        assert (error.role, error.reason) == (strict, "PROOFS_REQUIRED")
        assert "validity prio3" in error.text
        proven = prepared(make_plan(validity="prio3", number=1), world.client.prepare)
        assert open_at(world.client, proven) == proven.hash


def test_a_pane_is_collected_once_across_plans(world: World) -> None:
    first, second = make_plan(panes=2), make_plan(panes=3, number=1)
    third = make_plan(panes=1, first=2, number=2)
    site = Site(first)
    for plan in (first, second, third):
        open_at(world.client, plan)
    world.client.submit(site.batch([0, 0, 1, 1]).to_bytes())
    require_exact(first, world.collect(first), site.sums)
    error = refused(lambda: world.client.collect(second, COLLECTOR))
    assert (error.reason, error.numbers, error.view) == ("PANE_ALREADY_REPORTED", {"pane_start": 0}, "v")
    assert (
        refused(lambda: open_at(world.client, make_plan(panes=1, first=1, number=3))).reason == "PANE_ALREADY_REPORTED"
    )
    other = Site(third)
    world.client.submit(other.batch([0, 0]).to_bytes())
    require_exact(third, world.collect(third), other.sums)


def test_the_budget_of_a_client_day_is_kept_by_each_aggregator(tmp_path: Path) -> None:
    tight = replace(SETTINGS, budget=Budget(2 * RHO))
    with running(tmp_path, helper_settings=tight) as world:
        for number, name in enumerate("uv"):
            plan = make_plan(view(name), number=number)
            site = Site(plan)
            open_at(world.client, plan)
            world.client.submit(site.batch([0, 0, 1, 1]).to_bytes())
            require_exact(plan, world.collect(plan), site.sums)
        error = refused(lambda: open_at(world.client, make_plan(view("w"), panes=3, number=2)))
        assert (error.role, error.reason, error.view) == ("helper", "DAY_BUDGET_SPENT", "w")
        assert error.numbers["day"] == 0
        assert error.numbers["have"] < error.numbers["need"] <= RHO
        open_at(world.client, make_plan(view("w"), first=2, number=3))  # other days


def test_other_panes_of_a_day_that_was_charged_cost_nothing_more(tmp_path: Path) -> None:
    with running(tmp_path, leader_settings=replace(SETTINGS, budget=Budget(RHO))) as world:
        hourly = replace(view(), pane="1h")
        for number in range(3):
            plan = make_plan(hourly, panes=1, number=number)
            planned = replace(plan.views[0], pane_starts=np.array([number * 3_600 * 10**6], np.int64))
            plan = live(replace(plan, views=(planned,)))
            site = Site(plan)
            open_at(world.client, plan)
            world.client.submit(site.batch([0, 0]).to_bytes())
            require_exact(plan, world.collect(plan), site.sums)
        assert world.leader.party.files.ledger.state.spent == {0: plan.views[0].layout.micro_rho}


# services that stop


def test_a_helper_that_is_down_makes_batches_wait_and_loses_nothing(world: World) -> None:
    plan = make_plan()
    a, b = Site(plan, "a"), Site(plan, "b")
    open_at(world.client, plan)
    world.client.submit(a.batch([0, 0]).to_bytes())
    world.helper.stop(0)
    kept = b.batch([0, 1, 1])
    assert world.client.submit(kept.to_bytes()).pending
    assert world.client.submit(kept.to_bytes()).pending
    error = refused(lambda: world.client.collect(plan, COLLECTOR))
    assert (error.reason, error.numbers) == ("HELPER_UNAVAILABLE", {"pending": 1})
    assert world.client.status("leader", plan.hash)[0].pending == 1
    with pytest.raises(Unreachable, match="helper"):
        world.client.status("helper")
    world.restart_helper()
    patient = Aggregators(world.leader.address, world.helper.address, patience_s=10)
    try:
        world.clock.now = DEADLINE + 1  # kept in time, so it counts
        shares = patient.collect(plan, COLLECTOR)
    finally:
        patient.close()
    assert shares.opened[0].outcomes.tolist() == [0, 0]
    require_exact(plan, world.collect(plan), add_sums(a, b))
    assert world.client.submit(kept.to_bytes()).verdicts == bytes(3)


def test_the_next_submit_brings_the_kept_batches_along(world: World) -> None:
    plan = make_plan()
    site = Site(plan)
    open_at(world.client, plan)
    world.helper.stop(0)
    for _ in range(3):
        assert world.client.submit(site.batch([0, 1]).to_bytes()).pending
    world.restart_helper()
    batch = site.batch([0, 1]).to_bytes()
    until = time.monotonic() + 10
    while (submitted := world.client.submit(batch)).pending and time.monotonic() < until:
        time.sleep(0.05)  # the connection comes back by itself
    assert submitted.verdicts == bytes(2)
    assert world.client.status("leader", plan.hash)[0].pending == 0
    require_exact(plan, world.collect(plan), site.sums)


def test_a_helper_that_never_saw_the_plan_gets_it_from_the_leader(world: World) -> None:
    plan = make_plan()
    site = Site(plan)
    world.helper.party.prepare(draft(plan))  # it has made its live secret, and missed the rest
    open_at(world.leader.party, plan)
    world.client.submit(site.batch([0, 0, 1, 1]).to_bytes())
    require_exact(plan, world.collect(plan), site.sums)


def test_a_service_that_stops_while_it_draws_noise_ends_soon_and_has_opened_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow:
        name, seeded, draws = "slow", False, 0

        def stream(self, context: bytes) -> Slow:
            return self

        def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> np.ndarray:
            self.draws += 1
            time.sleep(0.05)
            return np.zeros(size, np.int64)

        discrete_laplace = discrete_gaussian

    plan = make_plan(view("v", 40_000), panes=40, noise="full")
    open_at(world.client, plan)
    leader, slow = world.leader.party, Slow()
    monkeypatch.setattr("aggregator.shares.stoppable_noise.NOISE_PART", 2**10)
    monkeypatch.setattr(leader.plans.secrets, "noise", lambda _: StoppableNoise(slow, leader.plans.stopped))
    with ThreadPoolExecutor(1) as pool:
        world.client.submit(Site(plan).batch([0, 0]).to_bytes())
        world.client.submit(Site(plan, "b").batch([1, 1]).to_bytes())
        collecting = pool.submit(world.client.collect, plan, COLLECTOR)
        while not slow.draws:
            time.sleep(0.01)
        begin = time.monotonic()
        world.leader.stop(5)
        assert time.monotonic() - begin < 2
        with pytest.raises(Unreachable):
            collecting.result()
    port = int(world.leader.address.rpartition(":")[2])
    world.start_leader(port)
    assert [status.state for status in world.leader.party.status()] == ["closed"]
    assert world.leader.party.files.storage.one("SELECT count(*) FROM noised") == (0,)
    assert not world.leader.party.files.ledger.state.completed


def test_a_port_in_use_and_a_public_address_are_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    helper = make_helper(tmp_path / "other")
    try:
        with pytest.raises(AddressUnusable, match="in use"):
            serve(helper, "127.0.0.1", int(world.helper.address.rpartition(":")[2]))
        with pytest.raises(AddressUnusable, match="loopback"):
            serve(helper, "0.0.0.0", 0)
    finally:
        helper.close()


def test_real_services_survive_kill_9_between_submit_and_collect_and_end_on_sigterm(tmp_path: Path) -> None:
    plan = make_plan(number=7)
    a, b = Site(plan, "a"), Site(plan, "b")
    running_now: dict[str, subprocess.Popen[str]] = {}

    def start(role: str, port: str, *helper: str) -> str:
        command = [sys.executable, "-m", "tests.aggregator.serve_role", role, str(tmp_path), port, *helper]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running_now[role] = process
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def end(role: str, number: signal.Signals) -> int:
        process = running_now.pop(role)
        process.send_signal(number)
        assert process.stdout is not None
        process.stdout.close()
        return process.wait(timeout=20)

    try:
        helper = start("helper", "0")
        leader = start("leader", "0", helper)
        with Aggregators(leader, helper, patience_s=20) as client:
            open_at(client, plan)
            client.submit(a.batch([0, 0, 1]).to_bytes())
            end("helper", signal.SIGKILL)
            assert client.submit(b.batch([0, 1, 1]).to_bytes()).pending
            end("leader", signal.SIGKILL)
            start("helper", helper.rpartition(":")[2])
            start("leader", leader.rpartition(":")[2], helper)
            shares = client.collect(plan, COLLECTOR)
            end("leader", signal.SIGKILL)
            start("leader", leader.rpartition(":")[2], helper)
            again = client.collect(plan, COLLECTOR)
        np.testing.assert_array_equal(shares.opened[0].sums, again.opened[0].sums)
        require_exact(plan, shares.open(plan), add_sums(a, b))
        assert end("leader", signal.SIGTERM) == end("helper", signal.SIGINT) == 0
    finally:
        for role in list(running_now):
            end(role, signal.SIGKILL)
