"""Leader and key holder over their files: exact sums, both noises, repeats, restarts, refusals, and the life of a key."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator import aggregator_pb2 as pb
from aggregator.announcement import announce
from aggregator.errors import (
    AfterDeadline,
    CommitmentConflict,
    EncryptionKeysMissing,
    KeyHolderUnavailable,
    KeyHolderUnknown,
    MessageMalformed,
    NotCommitted,
    PeerRefused,
    PlanUnknown,
    ProofsRequired,
    Refused,
    StateBehindLedger,
    StorageUnusable,
)
from aggregator.he_opening import MAX_KEYS_BYTES, require_size
from aggregator.key_agreement import draft_request
from aggregator.messages import Witness, collect_request, sign
from aggregator.refusals import refusal_of
from aggregator.retention import LATEST_CHARGE_US
from aggregator.storage import Storage
from crypto import field as field64
from crypto.bfv import Ciphertexts
from crypto.bfv_secret import SecretKey
from crypto.errors import CoefficientOutOfRange, ExtraMissing, KeyMismatch, SignatureInvalid, SumOutOfRange
from federation.errors import (
    DayBudgetSpent,
    EncryptionKeysInvalid,
    HeImpossible,
    KeyBurnt,
    NoiseRefused,
    PaneTaken,
    PlanInvalid,
    StatementMalformed,
)
from federation.he_keys import draft_of, verify_keys
from federation.ledger_state import Budget
from federation.plan import Plan
from federation.protocol import Outcome
from tests.aggregator import world as shares_world
from tests.aggregator.he_world import (
    HolderLink,
    Site,
    Two,
    World,
    attack,
    draft,
    make_key_holder,
    on_disk,
    running,
    secret_of,
    sums_of,
    with_keys,
    zeros,
)
from tests.aggregator.world import DEADLINE, RHO, SETTINGS, Clock, add_sums, make_plan, require_exact, signed
from tests.federation.he_cases import view
from tests.federation.wire import COLLECTOR, COORDINATOR, DAY, HELPER, LEADER

LEAK = 1  # µρ of the view for what its decryption noise tells


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path)
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running(tmp_path) as made:
        yield made


# a whole collection


def test_the_sums_are_the_plain_ones_over_views_sites_and_panes(two: Two) -> None:
    plan, keys = two.plan(view("v", keys=2), view("w", keys=3), panes=2)
    a, b = Site(plan, keys, "a"), Site(plan, keys, "b")
    assert two.submit(a.batch([0, 0, 1])) == bytes(3)
    assert two.submit(b.batch([1, 0])) == bytes(2)
    assert two.submit(b.batch([2, 2, 3])) == bytes(3)  # pane 3 has too few
    opened = two.collect(plan)
    assert [one.outcomes.tolist() for one in opened] == [[0, 0], [0, 1]]
    require_exact(plan, opened, add_sums(a, b))
    assert not two.leader._encryption_keys  # a context of TenSEAL for each: megabytes
    for party in (two.leader, two.holder):
        assert [status.state for status in party.status()] == ["witnessed"]
        assert party.storage.one("SELECT count(*) FROM ciphertexts") == (0,)
        assert party.storage.one("SELECT count(*) FROM finished") == (0,)


def test_the_same_over_grpc(world: World) -> None:
    plan, keys = world.plan(panes=2)
    a, b = Site(plan, keys, "a"), Site(plan, keys, "b")
    for site in (a, b):
        assert world.client.submit(site.batch([0, 1, 1]).to_bytes()).verdicts == bytes(3)
    require_exact(plan, world.collect(plan), add_sums(a, b))
    require_exact(plan, world.collect(plan), add_sums(a, b))
    assert [world.client.status(role)[0].state for role in ("leader", "helper")] == ["witnessed"] * 2  # type: ignore[arg-type]


def test_a_plan_of_which_nothing_is_opened_ends_as_well(two: Two) -> None:
    plan, keys = two.plan()
    two.submit(Site(plan, keys).batch([0]))
    secret = secret_of(two.holder, plan)
    assert two.collect(plan)[0].outcomes.tolist() == [Outcome.BATCH_TOO_SMALL] * 2
    assert not on_disk(two.holder, secret)


def test_what_is_opened_has_both_noises(two: Two) -> None:
    plan, keys = two.plan(view(keys=40), noise="full")
    site = Site(plan, keys)
    two.submit(site.batch([0, 0, 1, 1]))
    held = two.holder.storage.secret_keys(plan.plan_id)
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
            of_group = noise[:, :, list(group.slots)] / float(group.sigma_sq) ** 0.5
            assert 0.6 < of_group.std() < 1.5  # 80 samples of N(0, 1) and more: outside once in 10^7 runs
    assert not np.array_equal(leaders, holders)


def test_repeats_give_the_same_bytes_and_open_nothing_again(two: Two) -> None:
    wanted = draft(noise="full")
    request = draft_request(wanted, COORDINATOR.sign)
    plan, keys = with_keys(wanted, two.holder.make_keys)
    assert two.holder.make_keys(request) == keys
    two.open(plan, keys)
    assert two.holder.make_keys(request) == keys
    batch = Site(plan, keys).batch([0, 0, 1, 1])
    assert two.submit(batch) == two.submit(batch) == bytes(4)
    first = two.shares(plan)
    sent = list(two.link.sent)
    opened = two.holder._drawn
    two.holder._drawn = None  # type: ignore[assignment, method-assign]
    for _ in range(2):
        two.link.open_sums(pb.SumPart.FromString(part) for part in sent)
        assert two.shares(plan) == first
        assert two.submit(batch) == bytes(4)
    two.holder._drawn = opened  # type: ignore[method-assign]
    two.restart()
    assert two.shares(plan) == first


def test_a_restart_of_both_between_any_two_steps_changes_nothing(two: Two) -> None:
    plan, keys = with_keys(draft(noise="full"), two.holder.make_keys)
    two.restart()
    two.holder.open_plan(signed(plan))
    two.restart()
    two.leader.open_plan(signed(plan), keys)
    a, b = Site(plan, keys, "a"), Site(plan, keys, "b")
    for site in (a, b):
        two.restart()
        two.submit(site.batch([0, 1, 1]))
    two.restart()
    request = collect_request(plan, COLLECTOR.sign)
    two.link.down = True
    with pytest.raises(KeyHolderUnavailable):
        two.leader.collect(request)
    assert two.leader.status()[0].state == "open"  # it is not charged before the key holder is heard
    for _ in range(2):
        two.restart()
        two.link.goes_before_the_sums = True
        with pytest.raises(KeyHolderUnavailable):
            two.leader.collect(request)
        assert two.leader.status()[0].state == "noised"
    finished = two.leader.storage.message("finished", 1, 0)
    two.restart()
    assert two.leader.storage.message("finished", 1, 0) == finished
    shares = two.shares(plan)
    two.restart()
    assert two.shares(plan) == shares


class Killed(BaseException):
    """The process is gone."""


def test_a_kill_before_any_write_of_either_changes_nothing(tmp_path: Path) -> None:
    """With noise on: what was finished, or noised and kept, is what is sent, however often somebody dies on the way."""
    source = tmp_path / "source"
    source.mkdir()
    two = Two(source)
    plan, keys = two.plan(panes=1, noise="full")
    batches = [Site(plan, keys, name).batch([0, 0]) for name in "ab"]
    two.submit(batches[0])
    two.close()
    for victim in ("leader", "keyholder"):
        at = kills = 0
        while True:
            at += 1
            folder = tmp_path / f"{victim}-{at}"
            shutil.copytree(source, folder)
            left = [at]

            class Mortal(Storage):
                synchronous = "OFF"

                def run(self, sql: str, *values: Any, left: list[int] = left, victim: str = victim) -> int:
                    if self.path.stem == victim and not sql.startswith(("PRAGMA", "SELECT")):
                        left[0] -= 1
                        if left[0] == 0:
                            raise Killed
                    return super().run(sql, *values)

            died = False
            mortal: Two | None = None
            for _ in range(2):
                try:
                    mortal = Two(folder, storage=Mortal)
                    mortal.submit(batches[1])
                    first = mortal.shares(plan)
                    break
                except Killed:
                    died = True
                    if mortal is not None:
                        mortal.close()
            assert mortal is not None
            left[0] = 0
            assert mortal.shares(plan) == first
            assert [entry.__class__.__name__ for entry in mortal.holder.ledger.entries()] == ["Intended", "Done"]
            mortal.close()
            shutil.rmtree(folder)
            if not died:
                break
            kills += 1
        assert kills > {"leader": 10, "keyholder": 6}[victim]


def test_a_sum_that_was_finished_before_a_kill_is_what_is_sent_after_it(two: Two) -> None:
    plan, keys = two.plan(noise="full")
    two.submit(Site(plan, keys).batch([0, 0, 1, 1]))
    keep = two.leader.storage.set_message

    def dies(table: Any, number: int, collection: int, message: bytes) -> None:
        if (table, collection) == ("finished", 1):
            raise Killed
        keep(table, number, collection, message)

    two.leader.storage.set_message = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        two.leader.collect(collect_request(plan, COLLECTOR.sign))
    finished = two.leader.storage.message("finished", 1, 0)
    two.restart()
    two.shares(plan)
    sent = b"".join(pb.SumPart.FromString(part).sums for part in two.link.sent)
    assert finished is not None
    assert sent.startswith(finished)


# keys and plans


def test_keys_of_another_draft_under_the_same_id_are_refused(two: Two) -> None:
    plan, keys = with_keys(draft(), two.holder.make_keys)
    for other in (draft(k=3), draft(panes=3), draft(max_clients=21), draft(noise="full"), draft(view("w", keys=2))):
        with pytest.raises(EncryptionKeysMissing):
            with_keys(other, two.holder.make_keys)
        assert plan.wire is not None
        with pytest.raises(EncryptionKeysMissing):  # nor does a plan of other terms get them
            two.holder.open_plan(signed(replace(other, wire=plan.wire)))
    two.open(plan, keys)
    held = two.holder.storage.secret_keys(plan.plan_id)
    assert held is not None
    assert held.draft == draft_of(plan).hash


def test_a_draft_is_the_coordinators_and_has_no_keys_yet(two: Two) -> None:
    plan, _ = with_keys(draft(), two.holder.make_keys)
    shares = make_plan()
    for error, request in (
        (SignatureInvalid, draft_request(draft(number=1), LEADER.sign)),
        (PlanInvalid, draft_request(plan, COORDINATOR.sign)),
        (PlanInvalid, draft_request(shares, COORDINATOR.sign)),
        (PlanInvalid, draft_request(replace(draft(number=1), wire=None), COORDINATOR.sign)),
        (PlanInvalid, draft_request(
            replace(draft(number=1), wire=replace(shares.wire, helper=COLLECTOR.public)), COORDINATOR.sign)),
        (SignatureInvalid, signed_as_plan(draft(number=1))),
        (MessageMalformed, b"?"),
    ):  # fmt: skip
        with pytest.raises(error):
            two.holder.make_keys(request)
    assert two.holder.storage.one("SELECT count(*) FROM secret_keys") == (1,)


def signed_as_plan(plan: Plan) -> bytes:
    """A draft under the coordinator's key, in another domain."""
    signature = COORDINATOR.sign.sign(b"covey-1 plan", b"")
    return pb.Signed(body=b"x" + plan.plan_id, signature=signature).SerializeToString()


def test_no_keys_are_made_after_the_deadline_and_a_far_one_is_kept_all_the_same(two: Two) -> None:
    terms = draft().wire
    assert terms is not None
    far = replace(draft(number=1), wire=replace(terms, deadline_us=2**63 - 1))
    assert with_keys(far, two.holder.make_keys)[1]
    two.clock.now = DEADLINE
    with pytest.raises(AfterDeadline):
        with_keys(draft(), two.holder.make_keys)


def test_a_plan_without_its_keys_or_with_other_ones_is_refused_by_each(two: Two, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_key_holder(tmp_path / "other")
    plan, keys = with_keys(draft(), two.holder.make_keys)
    foreign, foreign_keys = with_keys(draft(), other.make_keys)
    with pytest.raises(EncryptionKeysMissing):
        two.holder.open_plan(signed(with_keys(draft(number=5), other.make_keys)[0]))
    with pytest.raises(EncryptionKeysInvalid):
        two.holder.open_plan(signed(foreign))
    with pytest.raises(EncryptionKeysInvalid):
        two.holder.open_plan(signed(plan), keys)  # it has its own
    for wrong in (b"", keys[:-1], foreign_keys, keys + b"\0"):
        with pytest.raises(EncryptionKeysInvalid):
            two.leader.open_plan(signed(plan), wrong)
    other.close()
    assert two.leader.status() == two.holder.status() == []
    two.open(plan, keys)


def test_protections_stay_with_their_parties(two: Two, tmp_path: Path) -> None:
    helper = shares_world.make_helper(tmp_path)
    plan, keys = with_keys(draft(), two.holder.make_keys)
    with pytest.raises(PlanInvalid, match="takes no part in plans with protection 'he'"):
        helper.open_plan(signed(plan))
    with pytest.raises(PlanInvalid, match="takes no part in plans with protection 'shares'"):
        two.holder.open_plan(signed(make_plan()))
    for party in (helper, two.leader):
        with pytest.raises(EncryptionKeysInvalid, match="nothing is encrypted"):
            party.open_plan(signed(make_plan()), keys)
    helper.close()


def test_a_leader_that_was_not_told_of_a_key_holder_says_so(two: Two, tmp_path: Path) -> None:
    plan, keys = with_keys(draft(), two.holder.make_keys)
    (tmp_path / "alone").mkdir()
    alone = shares_world.make_leader(tmp_path / "alone", None)
    with pytest.raises(KeyHolderUnknown, match="--keyholder") as refused:
        alone.open_plan(signed(plan), keys)
    assert refusal_of(refused.value).reason == "KEY_HOLDER_UNKNOWN"
    alone.close()


def test_settings_that_demand_proofs_or_noise_refuse_plans_that_have_none(tmp_path: Path) -> None:
    for name, settings, error in (
        ("proofs", replace(SETTINGS, require_proofs=True), ProofsRequired),
        ("noise", replace(SETTINGS, allow_no_noise=False), NoiseRefused),
    ):
        (tmp_path / name).mkdir()
        two = Two(tmp_path / name, settings)
        plan, keys = with_keys(draft(), two.holder.make_keys)
        for call in (lambda: two.holder.open_plan(signed(plan)), lambda: two.leader.open_plan(signed(plan), keys)):  # noqa: B023
            with pytest.raises(error):
                call()
        two.close()


def test_the_files_of_helper_and_key_holder_are_not_mixed_up(two: Two) -> None:
    with pytest.raises(StorageUnusable, match="belongs to the keyholder"):
        Storage(two.holder.storage.path, "helper")


def test_a_plan_whose_sums_or_keys_are_too_large_is_refused_before_keys_are_made(two: Two) -> None:
    many = draft(*(view(f"v{i}", keys=1) for i in range(60)), panes=1)
    with pytest.raises(HeImpossible, match="public keys of this plan"):
        with_keys(many, two.holder.make_keys)
    with pytest.raises(HeImpossible, match="sums of this plan"):
        with_keys(draft(panes=131_071 + 10_000), two.holder.make_keys)
    assert two.holder.storage.one("SELECT count(*) FROM secret_keys") == (0,)
    require_size(draft(*(view(f"v{i}", keys=1) for i in range(MAX_KEYS_BYTES // 81_920)), panes=1))


# the life of a key


def test_keys_and_sums_are_gone_from_the_files_when_the_plan_is_opened(two: Two) -> None:
    plan, keys = two.plan()
    two.submit(Site(plan, keys).batch([0, 0, 1, 1]))
    secret = secret_of(two.holder, plan)
    assert on_disk(two.holder, secret)
    two.shares(plan)
    message = b"".join(pb.SumPart.FromString(part).sums for part in two.link.sent)
    for piece in (secret, message[1_000:1_100], message[-200:-100]):
        assert not on_disk(two.holder, piece)
    two.restart()
    assert not on_disk(two.leader, message[1_000:1_100])
    with pytest.raises(EncryptionKeysMissing):
        two.holder._secret_keys(plan)


def test_keys_of_a_plan_that_nobody_opens_are_gone_when_it_can_no_longer_be_charged(two: Two) -> None:
    plan, keys = two.plan()
    two.submit(Site(plan, keys).batch([0, 0]))
    secret = secret_of(two.holder, plan)
    two.clock.now = DEADLINE + LATEST_CHARGE_US
    two.restart()
    assert on_disk(two.holder, secret)
    two.clock.now += 1
    two.restart()
    assert not on_disk(two.holder, secret)
    with pytest.raises(AfterDeadline):
        two.leader.collect(collect_request(plan, COLLECTOR.sign))
    with pytest.raises(EncryptionKeysMissing):
        two.holder.open_sums(iter(sums_of(plan, [zeros(plan, keys)] * 2)))


def test_the_latest_plan_is_still_opened(two: Two) -> None:
    plan, keys = two.plan()
    site = Site(plan, keys)
    two.submit(site.batch([0, 0]))
    two.clock.now = DEADLINE + LATEST_CHARGE_US
    two.restart()
    require_exact(plan, two.collect(plan), site.sums)


# the ledger


def test_the_key_holders_own_ledger_charges_the_view_and_what_its_decryption_noise_tells(tmp_path: Path) -> None:
    price = RHO + LEAK
    for allowed, name in ((price, "enough"), (price - 1, "little")):
        (tmp_path / name).mkdir()
        two = Two(tmp_path / name)
        two.holder.settings = replace(two.holder.settings, budget=Budget(allowed))
        plan, keys = with_keys(draft(noise="full"), two.holder.make_keys)
        assert plan.leak_micro_rho(plan.views[0]) == LEAK
        if allowed < price:
            with pytest.raises(DayBudgetSpent):
                two.holder.open_plan(signed(plan))
            two.leader.open_plan(signed(plan), keys)
            two.submit(Site(plan, keys).batch([0, 0]))
            with pytest.raises(PeerRefused) as refused:
                two.leader.collect(collect_request(plan, COLLECTOR.sign))
            assert refusal_of(refused.value).reason == "DAY_BUDGET_SPENT"
        else:
            two.open(plan, keys)
            assert two.holder.ledger.state.spent == {}
            two.submit(Site(plan, keys).batch([0, 0]))
            two.shares(plan)
            for party in (two.leader, two.holder):
                assert party.ledger.state.spent == {0: price, 1: price}
            with pytest.raises(PaneTaken):
                two.holder.open_plan(signed(with_keys(draft(number=1), two.holder.make_keys)[0]))
        two.close()


def test_the_announcement_leaves_out_days_that_the_key_holder_does_not_pay_for(two: Two) -> None:
    """Each plan that is left gets an id and keys of its own."""
    two.holder.settings = replace(two.holder.settings, budget=Budget(RHO + LEAK))
    first, keys = two.plan(panes=1, noise="full")
    two.submit(Site(first, keys).batch([0, 0]))
    two.shares(first)
    announced = announce(
        draft(view("w", keys=2), panes=2, noise="full", number=9), COORDINATOR.sign, Parties(two), bytes
    )
    assert announced.plan is not None
    assert announced.plan.views[0].pane_starts.tolist() == [DAY]
    assert announced.plan.plan_id != draft(number=9).plan_id
    assert verify_keys(announced.encryption_keys, announced.plan)
    (left,) = announced.left_out
    assert left.planned.pane_starts.tolist() == [0]


class Parties:
    """Leader and key holder, as a coordinator reaches them."""

    def __init__(self, two: Two) -> None:
        self.two = two

    def make_keys(self, request: bytes) -> bytes:
        return self.two.holder.make_keys(request)

    def open_plan(self, data: bytes, keys: bytes = b"") -> None:
        try:
            self.two.open_signed(data, keys)
        except Exception as error:  # noqa: BLE001
            refusal = refusal_of(error)
            raise Refused("key holder", refusal.reason, refusal.text, refusal.numbers, refusal.view) from None


# what is no sum of this plan


def test_sums_that_are_not_the_leaders_are_refused_and_nothing_is_kept(two: Two) -> None:
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
        (SignatureInvalid, [pb.SumPart(plan_hash=plan.hash, statement=good[0].statement[:-1] + b"?"), *good[1:]]),
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
        assert not two.holder.ledger.state.intended
    with pytest.raises(NotCommitted):
        two.holder.collect(collect_request(plan, COLLECTOR.sign))
    two.holder.open_sums(iter(good))
    assert two.holder.status(plan.hash)[0].state == "noised"


def test_sums_come_in_pieces_of_any_size(two: Two) -> None:
    plan, keys = two.plan(panes=1)
    head, whole = sums_of(plan, [zeros(plan, keys)])
    pieces = [pb.SumPart(sums=whole.sums[at : at + 1_000]) for at in range(0, len(whole.sums), 1_000)]
    two.holder.open_sums(iter([head, *pieces]))
    assert two.holder.status()[0].state == "noised"


def test_a_leader_signs_the_sums_of_a_plan_once(two: Two) -> None:
    """Also where the first ones were opened: what it has signed is the evidence."""
    plan, keys = two.plan(panes=1)
    first, second = (sums_of(plan, [zeros(plan, keys)]) for _ in range(2))
    drawn = two.holder._drawn

    def dies(*_: Any) -> Any:
        raise Killed

    two.holder._drawn = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        two.holder.open_sums(iter(first))
    two.holder._drawn = drawn  # type: ignore[method-assign]
    kept = two.holder.storage.message("ciphertexts", 1, 0)
    nothing = sums_of(plan, [], outcomes=bytes([Outcome.BATCH_TOO_SMALL]))
    for other in (second, nothing):
        with pytest.raises(CommitmentConflict):
            two.holder.open_sums(iter(other))
    assert two.holder.storage.message("ciphertexts", 1, 0) == kept == first[1].sums
    two.restart()
    two.holder.open_sums(iter(first))
    for _ in range(2):
        with pytest.raises(CommitmentConflict):
            two.holder.open_sums(iter(second))
        with pytest.raises(CommitmentConflict):
            two.holder.open_sums(iter([pb.SumPart(plan_hash=plan.hash)]))
        two.holder.open_sums(iter(first))
    stored = two.holder.storage.plan(plan.hash)
    assert stored is not None
    assert stored.other == first[0].statement
    rest = iter([pb.SumPart(sums=b"x")] * 5)
    with pytest.raises(CommitmentConflict):
        two.holder.open_sums(chain([pb.SumPart(plan_hash=plan.hash)], rest))
    assert len(list(rest)) == 5  # nobody who signs nothing keeps others waiting


def test_sums_that_were_overwritten_after_they_came_are_not_opened(two: Two) -> None:
    """What is decrypted is what the leader's kept statement says, byte for byte."""
    plan, keys = two.plan(panes=2)
    honest = sums_of(plan, [zeros(plan, keys)] * 2)
    charge = two.holder._charge

    def meanwhile(of: Plan) -> None:
        two.holder._charge = charge  # type: ignore[method-assign]
        two.holder.storage.set_message("ciphertexts", 1, 0, attack(plan, keys, 1))
        charge(of)

    two.holder._charge = meanwhile  # type: ignore[method-assign]
    with pytest.raises(StatementMalformed):
        two.holder.open_sums(iter(honest))
    assert two.holder.status()[0].state == "closed"  # and not burnt
    two.holder.open_sums(iter(honest))
    assert two.holder.status()[0].state == "noised"


def test_a_second_call_that_finds_the_plan_burnt_says_so(two: Two) -> None:
    plan, keys = two.plan(panes=1)
    lie = sums_of(plan, [attack(plan, keys, 1)])
    charge = two.holder._charge
    with ThreadPoolExecutor(1) as thread:
        second: list[Future[None]] = []

        def meanwhile(of: Plan) -> None:
            second.append(thread.submit(two.holder.open_sums, iter(lie)))
            charge(of)

        two.holder._charge = meanwhile  # type: ignore[method-assign]
        with pytest.raises(SumOutOfRange):
            two.holder.open_sums(iter(lie))
        with pytest.raises(KeyBurnt):
            second[0].result()
    assert len(second) == 1  # it has waited, and was not charged
    with pytest.raises(KeyBurnt):
        two.holder._noise(plan)
    assert not two.holder.ledger.state.done
    told = Witness(plan.hash, True, two.leader.ledger.head, None, None)
    with pytest.raises(KeyBurnt):
        two.holder.witness(sign(b"covey-1 witness leader", told.to_bytes(), LEADER.sign))


# witnesses, and older files


def test_nothing_is_sent_before_the_leader_knows_of_the_opening(two: Two) -> None:
    plan, keys = two.plan()
    request = collect_request(plan, COLLECTOR.sign)
    two.holder.open_sums(iter(sums_of(plan, [zeros(plan, keys)] * 2)))
    with pytest.raises(NotCommitted):
        two.holder.collect(request)
    for keys_of in (LEADER, HELPER, COORDINATOR):
        with pytest.raises(SignatureInvalid):
            two.holder.collect(collect_request(plan, keys_of.sign))


def test_a_witness_before_the_sums_is_refused(two: Two) -> None:
    plan, _ = two.plan()
    for committed, key, error in ((True, LEADER, NotCommitted), (True, HELPER, SignatureInvalid)):
        told = Witness(plan.hash, committed, two.leader.ledger.head, None, None)
        with pytest.raises(error):
            two.holder.witness(sign(b"covey-1 witness leader", told.to_bytes(), key.sign))


def test_a_key_holder_that_lost_its_storage_opens_nothing_again(two: Two) -> None:
    plan, keys = two.plan()
    two.submit(Site(plan, keys).batch([0, 0, 1, 1]))
    two.shares(plan)
    two.close()
    for file in two.path.glob("keyholder.db*"):
        file.unlink()
    two.start()
    with pytest.raises(StateBehindLedger):
        two.holder.open_plan(signed(plan))
    with pytest.raises(PeerRefused) as refused:
        two.leader.collect(collect_request(plan, COLLECTOR.sign))
    assert refusal_of(refused.value).reason == "LEDGER_BROKEN"
    two.close()
    for file in two.path.glob("keyholder.*"):  # and its ledger: the leader remembers what stood there
        file.unlink()
    two.start()
    with pytest.raises(EncryptionKeysMissing):
        two.holder.open_plan(signed(plan))
    assert with_keys(draft(), two.holder.make_keys)[1] != keys
    with pytest.raises(EncryptionKeysInvalid):
        two.holder.open_plan(signed(plan))


def test_without_the_extra_every_call_is_refused_by_name(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> Any:
        raise ExtraMissing("tenseal", "he")

    monkeypatch.setattr(SecretKey, "generate", missing)
    with pytest.raises(ExtraMissing) as refused:
        with_keys(draft(), two.holder.make_keys)
    assert refusal_of(refused.value).reason == "EXTRA_MISSING"


def test_a_state_that_is_older_than_the_ledger_is_found_before_anything_is_decrypted(two: Two) -> None:
    plan, keys = two.plan()
    two.submit(Site(plan, keys).batch([0, 0, 1, 1]))
    older = two.path / "older"
    older.mkdir()
    two.close()
    for file in two.path.glob("keyholder.db*"):
        shutil.copy(file, older)
    two.start()
    two.shares(plan)
    sent = list(two.link.sent)
    two.close()
    for file in older.iterdir():
        shutil.copy(file, two.path)
    two.start()
    assert two.holder.storage.secret_keys(plan.plan_id) is not None
    two.holder._drawn = None  # type: ignore[assignment, method-assign]
    with pytest.raises(StateBehindLedger):
        two.holder.open_sums(pb.SumPart.FromString(part) for part in sent)


def test_a_clock_and_a_link_are_all_that_a_restart_needs(tmp_path: Path) -> None:
    """A key holder that is reached now and then: it makes keys, goes, and comes back for the sums."""
    holder = make_key_holder(tmp_path, clock=Clock())
    plan, keys = with_keys(draft(), holder.make_keys)
    holder.open_plan(signed(plan))
    holder.close()
    link = HolderLink(holder)
    link.down = True
    leader = shares_world.make_leader(tmp_path, None, key_holder=link)
    leader.open_plan(signed(plan), keys)
    site = Site(plan, keys)
    assert leader.submit(site.batch([0, 0, 1, 1]).to_bytes()).verdicts == bytes(4)
    with pytest.raises(KeyHolderUnavailable) as refused:
        leader.collect(collect_request(plan, COLLECTOR.sign))
    assert refusal_of(refused.value).reason == "KEY_HOLDER_UNAVAILABLE"
    link.helper, link.down = make_key_holder(tmp_path, clock=Clock()), False
    assert leader.collect(collect_request(plan, COLLECTOR.sign))
    leader.close()
    link.helper.close()
