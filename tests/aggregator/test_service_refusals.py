"""Bad jobs, commitments, collects and plans are refused by name over gRPC, and leave sums and ledgers as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest

from aggregator.collect.collection_job import collect_request
from aggregator.intake.aggregation_job import JOB_DOMAIN, AggregationJob, JobAnswer
from aggregator.intake.submission import job_id_of
from aggregator.services import aggregator_pb2 as pb
from aggregator.services import aggregator_pb2_grpc as pb_grpc
from aggregator.services.peer_channels import HelperChannel
from aggregator.services.rpc import CHANNEL_OPTIONS
from aggregator.signed_message import Signed, sign
from featurestore.define.privacy import Privacy
from federation import plan_pb2
from federation.commitment import Outcome
from federation.ledger.state import Budget
from federation.plan import plan_to_bytes
from federation.signed_plan import sign_plan
from tests.aggregator.refusals import refused
from tests.aggregator.world import (
    COLLECTOR,
    COORDINATOR,
    HELPER,
    LEADER,
    RHO,
    SETTINGS,
    Site,
    World,
    make_plan,
    open_at,
    prepared,
    require_exact,
    running,
    signed,
    view,
)
from tests.federation.wire import live
from tests.ledgers import spent_of


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running(tmp_path) as made:
        yield made


# bad jobs, commitments and collects


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
        assert answer.verdicts == bytes([1, 1])  # the helper has the ids, whatever the leader sends
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
    hidden = site.batch([1], counted=False)  # the leader sends the helper a report that it does not count itself
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


# bad plans


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
    assert (error.reason, error.numbers, error.view) == (
        "PANE_ALREADY_REPORTED",
        {"pane_start": 0, "last_start": 86_400_000_000},
        "v",
    )
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
        assert spent_of(world.leader.party.files.ledger.state) == {0: plan.views[0].layout.micro_rho}
