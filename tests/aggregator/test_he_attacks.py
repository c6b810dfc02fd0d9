"""Attacks by a malicious leader, client or stranger on the services: the name of each refusal, and what continues."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from aggregator.collect.collection_job import Stage, Witness, collect_request
from aggregator.errors import (
    AfterDeadline,
    CommitmentConflict,
    EncryptionKeysMissing,
    JobConflict,
    PeerRefused,
    RemoteRefusal,
)
from aggregator.intake.refusals import INTERNAL, Refusal
from aggregator.services import aggregator_pb2 as pb
from aggregator.services import aggregator_pb2_grpc as pb_grpc
from aggregator.services import services
from aggregator.services.client import Aggregators
from aggregator.services.rpc import CHANNEL_OPTIONS
from aggregator.signed_message import sign
from crypto import field as field64
from crypto.bfv import message_bytes
from crypto.bfv_secret import SecretKey
from crypto.errors import SumOutOfRange
from federation.batch.batch import DOMAIN, BatchHeader, SealedBatch, SignedHeader
from federation.batch.sealing import seal_contents
from federation.draft import sign_draft
from federation.errors import KeyBurnt, PaneTaken
from federation.he.key_holder import sum_range
from federation.plan import Plan
from federation.terms import Protection
from tests.aggregator.he_world import (
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
from tests.aggregator.refusals import refused
from tests.aggregator.world import DEADLINE, KEYS, SETTINGS, add_sums, open_at, require_exact, roster, signed
from tests.crypto.bfv_cases import secret_polynomial
from tests.crypto.test_bfv_secret import two_openings
from tests.federation.he_cases import view
from tests.federation.wire import COLLECTOR, COORDINATOR, LEADER

NAMED = {
    "BATCH_MALFORMED", "BATCH_TOO_LARGE", "BATCH_OF_ANOTHER_PLAN", "DIGEST_MISMATCH", "SIGNATURE_INVALID", "UNKNOWN_SITE",
    "PLAN_UNKNOWN", "PLAN_INVALID", "MESSAGE_MALFORMED", "STATEMENT_MALFORMED", "COMMITMENT_CONFLICT", "NOT_COMMITTED",
    "ENCRYPTION_KEYS_INVALID", "LEDGER_BROKEN", "KEY_MISMATCH", "COEFFICIENT_OUT_OF_RANGE", "JOB_CONFLICT",
}  # fmt: skip
"""Codes with which a mutated message may be refused."""


@pytest.fixture
def two(tmp_path: Path) -> Iterator[LeaderAndKeyHolder]:
    made = LeaderAndKeyHolder(tmp_path)
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running(tmp_path) as made:
        yield made


# key recovery by two openings


@pytest.mark.parametrize("factor", [1, 2**20])
def test_a_leader_that_sends_a_chosen_ciphertext_gets_nothing_and_burns_the_keys(world: World, factor: int) -> None:
    plan, keys = world.plan(noise="full", number=factor % 256)
    secret = secret_of(world.holder.party, plan)  # type: ignore[arg-type]
    lie = sums_of(plan, [zeros(plan, keys), attack(plan, keys, factor)])
    error = refused(lambda: world.link.open_sums(iter(lie)))
    assert (error.role, error.reason, error.numbers, error.view) == ("key holder", "SUM_OUT_OF_RANGE", {}, "")
    assert error.text == str(SumOutOfRange())  # the error does not depend on the slot
    assert not any(letter.isdigit() for letter in error.text)
    assert not on_disk(world.holder.party, secret)
    told = Witness(plan.hash, Stage.COMMITTED, world.leader.party.files.ledger.head, None, None).to_bytes()
    honest = sums_of(plan, [zeros(plan, keys)] * 2)
    later: list[Callable[[], Any]] = [
        lambda: world.link.open_sums(iter(lie)),
        lambda: world.link.open_sums(iter(honest)),
        lambda: world.link.witness(sign(b"covey-1 witness leader", told, LEADER.sign)),
        lambda: world.client._shares(plan, "helper", pb.Signed.FromString(collect_request(plan, COLLECTOR.sign))),
    ]
    for call in later:
        assert refused(call).reason == "KEY_BURNT"
    (status,) = world.client.status("helper", plan.hash)
    assert status.state == "burnt"
    stored = world.holder.party.files.storage.plan(plan.hash)
    assert stored is not None
    assert stored.other == lie[0].statement  # the evidence stays
    assert world.holder.party.files.storage.noised(stored.number) == []
    other, other_keys = world.plan(first=10, number=200)
    site = Site(other, other_keys)
    world.client.submit(site.batch([0, 0, 1, 1]).to_bytes())
    require_exact(other, world.collect(other), site.sums)  # the keys of other plans stay


def test_one_client_that_encrypts_the_attack_ends_its_plan_by_name(world: World) -> None:
    plan, keys = world.plan(noise="full")
    secret = secret_of(world.holder.party, plan)  # type: ignore[arg-type]
    world.client.submit(Site(plan, keys, "a").batch([0, 0, 1, 1]).to_bytes())
    lie = Site(plan, keys, "b").batch([0], instead={0: attack(plan, keys, 1)})
    assert world.client.submit(lie.to_bytes()).verdicts == bytes(1)  # encrypted reports carry no proofs, so it is taken
    error = refused(lambda: world.collect(plan))
    assert (error.role, error.reason, error.numbers) == ("leader", "SUM_OUT_OF_RANGE", {})
    assert not on_disk(world.holder.party, secret)
    for _ in range(2):
        assert refused(lambda: world.collect(plan)).reason == "KEY_BURNT"
    assert world.client.status("leader", plan.hash)[0].state == "noised"


@pytest.mark.parametrize("by", ["leader", "client"])
@pytest.mark.parametrize("checked", [False, True])
def test_two_openings_of_a_plan_give_its_key_only_where_the_range_is_not_checked(
    two: LeaderAndKeyHolder, monkeypatch: pytest.MonkeyPatch, by: str, checked: bool
) -> None:
    """The range check prevents this attack: the collector, together with the leader or one client, combines two noised panes."""
    plan, keys = two.plan(view("wide", keys=456), noise="full", k=2)  # 4,104 slots: one ciphertext is full
    held = two.holder.files.storage.secret_keys(plan.plan_id)
    assert held is not None
    secret = SecretKey.from_bytes(plan.he_parameters(plan.views[0]), held.secret)
    parameters = secret.public.parameters
    lies = [attack(plan, keys, factor) for factor in (1, 2**20)]
    site = Site(plan, keys)
    two.submit(site.batch([0, 0]))
    two.submit(site.batch([1, 1]))
    if by == "client":
        two.submit(site.batch([0], instead={0: lies[0]}))
        two.submit(site.batch([1], instead={0: lies[1]}))
    else:
        honest = two.link.open_sums
        monkeypatch.setattr(two.link, "open_sums", lambda _: honest(iter(sums_of(plan, lies))))
    if checked:
        with pytest.raises(PeerRefused, match="SUM_OUT_OF_RANGE"):
            two.collect(plan)
        return
    monkeypatch.setattr(SecretKey, "open_sum", lambda key, total, _: key._decrypt(total)[: key.public.parameters.slots])
    if by == "client":
        told = two.collect(plan)[0].sums
    else:
        two.leader.collect(collect_request(plan, COLLECTOR.sign))
        _, elements = two.holder.collect(collect_request(plan, COLLECTOR.sign))[0].open(
            plan, 0, "helper", COLLECTOR.seal
        )
        told = field64.decode_centred(elements)
    first, second = told.reshape(2, -1)[:, : parameters.degree]
    assert np.array_equal(two_openings(parameters, first, second), secret_polynomial(secret))


def test_nothing_is_told_of_the_views_before_the_one_that_was_attacked(two: LeaderAndKeyHolder) -> None:
    plan, keys = two.plan(view("v", keys=2), view("w", keys=1), panes=1)
    secret = secret_of(two.holder, plan)
    lie = sums_of(plan, [zeros(plan, keys)], [attack(plan, keys, 1, view=1)])
    with pytest.raises(SumOutOfRange):
        two.holder.open_sums(iter(lie))
    assert two.holder.files.storage.noised(1) == []
    assert not on_disk(two.holder, secret)
    with pytest.raises(KeyBurnt):
        two.holder.collect(collect_request(plan, COLLECTOR.sign))
    with pytest.raises(EncryptionKeysMissing):
        two.holder.decryption.secret_keys(plan)
    two.restart()
    with pytest.raises(KeyBurnt):
        two.holder.open_sums(iter(lie))
    assert two.holder.files.ledger.state.intended
    assert not two.holder.files.ledger.state.completed


def test_a_kill_between_the_refusal_and_the_burning_gives_no_second_look(two: LeaderAndKeyHolder) -> None:
    """The statements are kept before anything is decrypted. No other sums are opened, and these sums burn the keys."""

    class Killed(BaseException):
        pass

    def dies(*_: Any) -> None:
        raise Killed

    plan, keys = two.plan(panes=1)
    lie = sums_of(plan, [attack(plan, keys, 1)])
    two.holder.files.storage.burn = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        two.holder.open_sums(iter(lie))
    two.restart()
    for other in (sums_of(plan, [attack(plan, keys, 2**20)]), sums_of(plan, [zeros(plan, keys)])):
        with pytest.raises(CommitmentConflict):
            two.holder.open_sums(iter(other))
    with pytest.raises(SumOutOfRange):
        two.holder.open_sums(iter(lie))
    with pytest.raises(KeyBurnt):
        two.holder.open_sums(iter(lie))


def test_a_burnt_plan_gets_no_other_keys_and_its_panes_no_other_plan(two: LeaderAndKeyHolder) -> None:
    wanted = draft(panes=1)
    plan, keys = with_keys(wanted, two.holder.prepare)
    two.open(plan, keys)
    with pytest.raises(SumOutOfRange):
        two.holder.open_sums(iter(sums_of(plan, [attack(plan, keys, 1)])))
    with pytest.raises(EncryptionKeysMissing):
        with_keys(wanted, two.holder.prepare)
    again, _ = with_keys(draft(panes=1, number=9), two.holder.prepare)
    with pytest.raises(PaneTaken):
        open_at(two.holder, again)


@pytest.mark.parametrize("off", [-1, 1])
def test_a_slot_one_beyond_its_range_is_refused_and_the_last_one_in_it_is_not(tmp_path: Path, off: int) -> None:
    for beyond in (0, 1):
        (tmp_path / str(beyond)).mkdir()
        two = LeaderAndKeyHolder(tmp_path / str(beyond))
        plan, keys = two.plan(panes=1, max_clients=3)
        bounds, site = sum_range(plan, 0), Site(plan, keys)
        key = site.public[0]
        slot = 2  # neither end of its range is zero
        values = np.zeros(key.parameters.slots, np.int64)
        values[slot] = (bounds.high if off > 0 else bounds.low)[slot] + off * beyond
        call = lambda: two.holder.open_sums(iter(sums_of(plan, [key._encrypt(values).to_bytes()])))  # noqa: B023, E731
        if beyond:
            with pytest.raises(SumOutOfRange):
                call()
        else:
            call()
        two.close()


# batches


def test_each_hostile_batch_is_refused_by_name_and_the_others_stay_exact(tmp_path: Path) -> None:
    with running(tmp_path, settings=replace(SETTINGS, roster=roster(6))) as world:
        plan, keys = world.plan(view("v", keys=2), view("w", keys=3), panes=2, max_clients=8)
        other, other_keys = world.plan(number=1, first=10)
        a, b = Site(plan, keys, "a"), Site(plan, keys, "b")
        good = a.batch([0, 0, 1])
        assert world.client.submit(good.to_bytes()).verdicts == bytes(3)
        size = message_bytes(plan.he_parameters(plan.views[0]))
        foreign = Site(other, other_keys).reports([0]).messages[0]
        mine = b.reports([0], counted=False).messages[0]
        ids = good.signed.header.report_ids

        def one(message: bytes) -> bytes:
            return b.batch([1], counted=False, instead={0: message}).to_bytes()

        def other_length(content: bytes) -> bytes:
            made = b.reports([1], counted=False)
            header = BatchHeader(plan.hash, "b", b.rng.bytes(16), made.collection, made.report_ids)
            return seal_contents(plan, header, (content, None), KEYS["b"].sign).to_bytes()

        def with_helper() -> bytes:
            made = b.reports([1], counted=False)
            header = BatchHeader(plan.hash, "b", b.rng.bytes(16), made.collection, made.report_ids)
            return seal_contents(plan, header, (made.messages[0], b"for the helper"), KEYS["b"].sign).to_bytes()

        batch = b.batch([1], counted=False)
        body = batch.to_bytes()
        broken = bytearray(body)
        broken[len(body) // 2] ^= 1
        changed = batch.leader[:-1] + bytes([batch.leader[-1] ^ 1])
        resigned = replace(batch.signed, leader_digest=hashlib.sha256(changed).digest())
        alone = Site(other, other_keys, "a").batch([0], counted=False)
        many = b.reports([1] * 7, counted=False)
        cases: list[tuple[str, bytes]] = [
            ("KEY_MISMATCH", one(foreign)),
            ("KEY_MISMATCH", one(bytes(32) + mine[32:])),
            ("COEFFICIENT_OUT_OF_RANGE", one(mine[:32] + b"\xff" * (size - 32))),
            ("COEFFICIENT_OUT_OF_RANGE", one(mine[:-15] + b"\xff" * 15)),
            ("BATCH_MALFORMED", other_length(mine[:-1])),
            ("BATCH_MALFORMED", other_length(mine + b"\0")),
            ("BATCH_MALFORMED", other_length(mine + mine)),
            ("BATCH_MALFORMED", other_length(b"")),
            ("BATCH_MALFORMED", with_helper()),
            ("DIGEST_MISMATCH", bytes(broken)),
            ("BATCH_MALFORMED", body[:-1]),
            ("BATCH_MALFORMED", body + b"\0"),
            ("SIGNATURE_INVALID", SealedBatch(resigned, changed, b"").to_bytes()),
            ("REPORT_REFUSED", over_views(b, plan)),
            ("DUPLICATE_REPORT", b.batch([0, 1], counted=False, ids=np.zeros((2, 16), np.uint8)).to_bytes()),
            ("ROSTER_EXCEEDED", b.sealed(many).to_bytes()),
            ("UNKNOWN_SITE", in_the_name_of(b, "z").to_bytes()),
            ("SIGNATURE_INVALID", in_the_name_of(b, "a").to_bytes()),
            ("SEAL_BROKEN", swapped(plan, b, alone.leader)),
        ]  # fmt: skip
        for reason, data in cases:
            error = refused(lambda data=data: world.client.submit(data))  # type: ignore[misc]
            assert (error.role, error.reason) == ("leader", reason)
        again = world.client.submit(b.batch([0, 0, 1], ids=ids, counted=False).to_bytes())
        assert again.verdicts == bytes([1] * 3)  # ids of the first batch: duplicates, and nothing is added
        assert world.client.submit(b.batch([1, 1], counted=True).to_bytes()).verdicts == bytes(2)
        require_exact(plan, world.collect(plan), add_sums(a, b))
        assert refused(lambda: world.client.submit(b.batch([1]).to_bytes())).reason == "COLLECTED"


def over_views(site: Site, plan: Plan) -> bytes:
    """A batch of two views that carries messages of the first view only."""
    made = site.reports([0, 1], counted=False)
    header = BatchHeader(plan.hash, site.name, site.rng.bytes(16), np.array([1, 2], np.uint32), made.report_ids)
    return seal_contents(plan, header, (b"".join(made.messages), None), KEYS[site.name].sign).to_bytes()


def in_the_name_of(site: Site, name: str) -> SealedBatch:
    """A batch that names another site."""
    made = site.reports([1], counted=False)
    header = BatchHeader(site.plan.hash, name, site.rng.bytes(16), made.collection, made.report_ids)
    return seal_contents(site.plan, header, (made.messages[0], None), KEYS[site.name].sign)


def swapped(plan: Plan, site: Site, ciphertext: bytes) -> bytes:
    """A batch with the ciphertext that was sealed for another batch."""
    made = site.batch([1], counted=False).signed
    digests = hashlib.sha256(ciphertext).digest(), hashlib.sha256(b"").digest()
    signature = KEYS[site.name].sign.sign(DOMAIN, made.header_bytes + b"".join(digests))
    return SealedBatch(SignedHeader(made.header_bytes, *digests, signature), ciphertext, b"").to_bytes()


def test_a_plan_takes_as_many_reports_as_it_has_room_for_over_all_sites(world: World) -> None:
    plan, keys = world.plan(panes=2, max_clients=4)
    a, b = Site(plan, keys, "a"), Site(plan, keys, "b")
    assert world.client.submit(a.batch([0, 0, 0]).to_bytes()).verdicts == bytes(3)
    error = refused(lambda: world.client.submit(b.batch([1, 0, 0], counted=False).to_bytes()))
    assert (error.reason, error.numbers) == ("TOO_MANY_REPORTS", {"most": 4})
    assert world.leader.party.files.storage.one("SELECT count(*) FROM reports") == (
        3,
    )  # a batch counts completely or not at all
    assert world.client.submit(b.batch([0, 1, 1, 1, 1]).to_bytes()).verdicts == bytes(5)
    assert refused(lambda: world.client.submit(a.batch([1]).to_bytes())).reason == "TOO_MANY_REPORTS"
    a.sums.pop(1, None)
    require_exact(plan, world.collect(plan), add_sums(a, b))


def test_a_batch_id_with_other_bytes_is_a_conflict_and_a_repeat_after_the_deadline_an_answer(
    two: LeaderAndKeyHolder,
) -> None:
    plan, keys = two.plan()
    site = Site(plan, keys)
    batch = site.batch([0, 0, 1, 1])
    two.submit(batch)
    made = site.reports([0], counted=False)
    header = replace(batch.signed.header, collection=made.collection, report_ids=made.report_ids)
    other = seal_contents(plan, header, (made.messages[0], None), KEYS["a"].sign)
    with pytest.raises(JobConflict):
        two.submit(other)
    two.clock.now = DEADLINE
    assert two.submit(batch) == bytes(4)
    with pytest.raises(AfterDeadline):
        two.submit(site.batch([0], counted=False))
    require_exact(plan, two.collect(plan), site.sums)


# away, and back


def test_a_key_holder_that_is_away_loses_nothing(world: World) -> None:
    plan, keys = world.plan(noise="none")
    a, b = Site(plan, keys, "a"), Site(plan, keys, "b")
    world.client.submit(a.batch([0, 1]).to_bytes())
    world.holder.stop(0)
    assert not world.client.submit(b.batch([0, 1]).to_bytes()).pending  # batches do not need the key holder
    for _ in range(2):
        error = refused(lambda: world.collect(plan))
        assert (error.role, error.reason, error.numbers) == ("leader", "KEY_HOLDER_UNAVAILABLE", {})
    world.restart_holder()
    with Aggregators(world.leader.address, world.holder.address, protection=Protection.HE, patience_s=20) as patient:
        opened = patient.collect(plan, COLLECTOR).open(plan)
    require_exact(plan, opened, add_sums(a, b))


def test_a_stream_that_the_leader_breaks_off_leaves_the_service_up(world: World) -> None:
    plan, keys = world.plan()
    parts = sums_of(plan, [zeros(plan, keys)] * 2)

    def breaks(after: int) -> Iterator[pb.SumPart]:
        yield from parts[:after]
        raise RuntimeError("gone")

    for after in range(len(parts)):
        with pytest.raises(RemoteRefusal):
            world.link.open_sums(breaks(after))
    assert world.client.status("helper", plan.hash)[0].state == "open"
    world.link.open_sums(iter(parts))
    assert world.client.status("helper", plan.hash)[0].state == "noised"


def test_streams_that_stall_hold_no_thread_for_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger without a key opens as many streams as the service has threads."""
    plan, keys = world.plan(panes=1)
    go_on = threading.Event()
    monkeypatch.setattr(services, "STALL_S", 0.3)

    def stalls() -> Iterator[pb.SumPart]:
        go_on.wait(60)
        yield pb.SumPart(plan_hash=plan.hash)

    with grpc.insecure_channel(world.holder.address, options=CHANNEL_OPTIONS) as channel:
        stub = pb_grpc.KeyHolderStub(channel)
        calls = [stub.OpenSums.future(stalls(), timeout=60) for _ in range(services.THREADS)]
        for call in calls:
            assert call.code() == grpc.StatusCode.CANCELLED
        monkeypatch.setattr(services, "STALL_S", 60.0)  # a busy machine may send the next ones slowly
        world.link.open_sums(iter(sums_of(plan, [zeros(plan, keys)])))
        go_on.set()
    assert world.client.status("helper", plan.hash)[0].state == "noised"


# fuzz


def mutated(data: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    """The message with bytes flipped, cut, doubled, moved, or with a piece of another message in it."""
    body = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(0, max(1, min(len(body), 400) if rng.random() < 0.7 else len(body))))
        match rng.integers(0, 6):
            case 0 | 1:
                if body:
                    body[at % len(body)] ^= int(rng.integers(1, 256))
            case 2:
                del body[at:]
            case 3:
                del body[at : at + int(rng.integers(1, 64))]
            case 4:
                body[at:at] = rng.bytes(int(rng.integers(1, 64)))
            case _:
                other = others[rng.integers(0, len(others))]
                start = int(rng.integers(0, len(other) + 1))
                body[at : at + 64] = other[start : start + 64]
    return bytes(body)


def test_mutated_messages_are_refused_by_name_and_nothing_else_changes(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Through the real services; 10^5 messages with --full. Mutations that still encode the same message are skipped."""
    rounds = 100_000 if request.config.getoption("--full") else 400
    rng = np.random.default_rng(rounds)
    with running(tmp_path) as world:
        plan, keys = world.plan(panes=1)
        late, late_keys = world.plan(panes=1, first=10, number=1)
        a, b = Site(plan, keys, "a"), Site(plan, keys, "b")
        kept = a.batch([0, 0])
        world.client.submit(kept.to_bytes())
        fresh = b.batch([0, 0]).to_bytes()
        head, *sums = sums_of(late, [zeros(late, late_keys)])
        request = sign_draft(draft(number=2, first=20), COORDINATOR.sign)
        told = Witness(late.hash, Stage.UNOPENED, world.leader.party.files.ledger.head, None, None).to_bytes()
        witness = sign(b"covey-1 witness leader", told, LEADER.sign)
        asked = collect_request(late, COLLECTOR.sign)
        with (
            grpc.insecure_channel(world.leader.address, options=CHANNEL_OPTIONS) as to_leader,
            grpc.insecure_channel(world.holder.address, options=CHANNEL_OPTIONS) as to_holder,
        ):
            leader, holder = pb_grpc.LeaderStub(to_leader), pb_grpc.KeyHolderStub(to_holder)
            whole = [part.SerializeToString() for part in (head, *sums)]

            def open_sums(data: bytes) -> None:
                which = int(rng.integers(0, len(whole)))
                parts = [pb.SumPart.FromString(one) for one in whole]
                try:
                    parts[which] = pb.SumPart.FromString(mutated(whole[which], rng, others))
                except Exception:  # noqa: BLE001 - the stub would not send it
                    parts = parts[:which]
                if [part.SerializeToString() for part in parts] == whole:
                    parts = parts[:-1]
                holder.OpenSums(iter(parts), timeout=30)

            def as_message(kind: Any, call: Callable[[Any], Any]) -> Callable[[bytes], Any]:
                def send(data: bytes) -> Any:
                    try:
                        message = kind.FromString(data)
                    except Exception:  # noqa: BLE001 - then as a body
                        message = kind(body=data, signature=bytes(64)) if kind is pb.Signed else kind(data[:8])
                    return call(message)

                return send

            targets: list[tuple[bytes, Callable[[bytes], Any]]] = [
                (fresh, lambda data: leader.Submit(pb.SubmitRequest(batch=data), timeout=30)),
                (request, lambda data: list(holder.Prepare(pb.PrepareRequest(signed_draft=data), timeout=30))),
                (witness, as_message(pb.Signed, lambda one: holder.Witness(one, timeout=30))),
                (asked, as_message(pb.Signed, lambda one: list(holder.Collect(one, timeout=30)))),
                (asked, as_message(pb.Signed, lambda one: list(leader.Collect(one, timeout=30)))),
                (signed(late), lambda data: holder.OpenPlan(pb.OpenPlanRequest(signed_plan=data), timeout=30)),
                (signed(late), lambda data: leader.OpenPlan(
                    pb.OpenPlanRequest(signed_plan=data, encryption_keys=late_keys), timeout=30)),
                (late_keys, lambda data: holder.OpenPlan(
                    pb.OpenPlanRequest(signed_plan=signed(late)[:-1], encryption_keys=data), timeout=30)),
                (whole[0], open_sums),
            ]  # fmt: skip
            others = [data for data, _ in targets]
            seen: dict[str, int] = {}
            for _ in range(rounds):
                data, send = targets[rng.integers(0, len(targets))]
                changed = mutated(data, rng, others)
                if changed == data:
                    continue
                with pytest.raises(grpc.RpcError) as caught:
                    send(changed)
                reasons = [
                    Refusal.from_message(pb.Refusal.FromString(value)).reason
                    for key, value in caught.value.trailing_metadata()
                    if key == "covey-refusal-bin"
                ]
                assert len(reasons) == 1, (caught.value.code(), caught.value.details())
                seen[reasons[0]] = seen.get(reasons[0], 0) + 1
        assert INTERNAL not in seen, seen
        assert set(seen) <= NAMED, seen
        print(dict(sorted(seen.items())))  # noqa: T201
        assert [status.state for status in world.client.status("helper")] == ["open"] * 2
        assert world.client.submit(fresh).verdicts == bytes(2)
        require_exact(plan, world.collect(plan), add_sums(a, b))
        site = Site(late, late_keys)
        world.client.submit(site.batch([0, 0]).to_bytes())
        require_exact(late, world.collect(late), site.sums)
