"""The key holder's keys: drafts, the plans that may use them, when they are erased, and what such a plan costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aggregator.collect.collection_job import collect_request
from aggregator.errors import (
    AfterDeadline,
    DraftConflict,
    EncryptionKeysMissing,
    KeyHolderUnknown,
    LiveSecretLost,
    PeerRefused,
    ProofsRequired,
    RemoteRefusal,
    StorageUnusable,
)
from aggregator.he.size import MAX_KEYS_BYTES, require_size
from aggregator.intake.preparation import Preparation
from aggregator.intake.refusals import refusal_of
from aggregator.services import aggregator_pb2 as pb
from aggregator.storage.retention import LATEST_CHARGE_US
from aggregator.storage.role_storage import Storage
from base.errors import ExtraMissing
from crypto.bfv_secret import SecretKey
from crypto.errors import SignatureInvalid
from deployment.coordinator.announcement import announce
from federation.draft import DOMAIN as DRAFT_DOMAIN
from federation.draft import draft_of, sign_draft
from federation.errors import DayBudgetSpent, EncryptionKeysInvalid, HeImpossible, NoiseRefused, PaneTaken, PlanInvalid
from federation.he.keys import verify_keys
from federation.ledger.state import Budget
from federation.plan import Plan, plan_to_bytes
from federation.signed_bytes import to_signed
from tests.aggregator.he_world import (
    LeaderAndKeyHolder,
    Site,
    draft,
    make_key_holder,
    on_disk,
    secret_of,
    sums_of,
    with_keys,
    zeros,
)
from tests.aggregator.world import DEADLINE, RHO, SETTINGS, make_plan, open_at, require_exact, signed
from tests.federation.he_cases import view
from tests.federation.wire import COLLECTOR, COORDINATOR, DAY, LEADER, live
from tests.ledgers import spent_of

from . import world as shares_world

LEAK = 1  # µρ of the view for the leak of its decryption noise


@pytest.fixture
def two(tmp_path: Path) -> Iterator[LeaderAndKeyHolder]:
    made = LeaderAndKeyHolder(tmp_path)
    yield made
    made.close()


def open_with(party: Any, plan: Plan, keys: bytes) -> None:
    party.prepare(sign_draft(plan, COORDINATOR.sign))
    party.open_plan(signed(plan), keys)


# keys and plans


def test_keys_of_another_draft_under_the_same_id_are_refused(two: LeaderAndKeyHolder) -> None:
    plan, keys = with_keys(draft(), two.holder.prepare)
    for other in (draft(k=3), draft(panes=3), draft(max_clients=21), draft(noise="full"), draft(view("w", keys=2))):
        with pytest.raises(DraftConflict):
            with_keys(other, two.holder.prepare)
        assert plan.wire is not None
        with pytest.raises(EncryptionKeysMissing):  # a plan with other terms does not get them either
            two.holder.open_plan(signed(live(replace(other, wire=plan.wire))))
    two.open(plan, keys)
    held = two.holder.files.storage.secret_keys(plan.plan_id)
    assert held is not None
    assert held.draft == draft_of(plan).hash


def test_a_draft_is_the_coordinators_and_has_no_keys_yet(two: LeaderAndKeyHolder) -> None:
    plan, _ = with_keys(draft(), two.holder.prepare)
    shares = make_plan()
    for error, request in (
        (SignatureInvalid, sign_draft(draft(number=1), LEADER.sign)),
        (PlanInvalid, to_signed(plan_to_bytes(plan), DRAFT_DOMAIN, COORDINATOR.sign)),
        (PlanInvalid, sign_draft(shares, COORDINATOR.sign)),
        (PlanInvalid, to_signed(plan_to_bytes(replace(plan, wire=None)), DRAFT_DOMAIN, COORDINATOR.sign)),
        (PlanInvalid, sign_draft(
            replace(draft(number=1), wire=replace(shares.wire, helper=COLLECTOR.sign.public)), COORDINATOR.sign)),
        (SignatureInvalid, signed(make_plan())),
        (PlanInvalid, b"?"),
    ):  # fmt: skip
        with pytest.raises(error):
            two.holder.prepare(request)
    assert two.holder.files.storage.one("SELECT count(*) FROM secret_keys") == (1,)


def test_no_keys_are_made_after_the_deadline_and_a_far_one_is_kept_all_the_same(two: LeaderAndKeyHolder) -> None:
    terms = draft().wire
    assert terms is not None
    far = live(replace(draft(number=1), wire=replace(terms, deadline_us=2**63 - 1 - DAY)))
    assert with_keys(far, two.holder.prepare)[1]
    two.clock.now = DEADLINE
    with pytest.raises(AfterDeadline):
        with_keys(draft(), two.holder.prepare)


def test_a_plan_without_its_keys_or_with_other_ones_is_refused_by_each(two: LeaderAndKeyHolder, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_key_holder(tmp_path / "other")
    plan, keys = with_keys(draft(), two.holder.prepare)
    foreign, foreign_keys = with_keys(draft(), other.prepare)
    with pytest.raises(LiveSecretLost):  # this key holder prepared nothing
        two.holder.open_plan(signed(with_keys(draft(number=5), other.prepare)[0]))
    with pytest.raises(EncryptionKeysInvalid):
        open_at(two.holder, foreign)
    with pytest.raises(EncryptionKeysInvalid):
        two.holder.open_plan(signed(plan), keys)  # it uses its own keys
    for wrong in (b"", keys[:-1], foreign_keys, keys + b"\0"):
        with pytest.raises(EncryptionKeysInvalid):
            open_with(two.leader, plan, wrong)
    other.close()
    assert two.leader.status() == two.holder.status() == []
    two.open(plan, keys)


def test_protections_stay_with_their_parties(two: LeaderAndKeyHolder, tmp_path: Path) -> None:
    helper = shares_world.make_helper(tmp_path)
    plan, keys = with_keys(draft(), two.holder.prepare)
    with pytest.raises(PlanInvalid, match="takes no part in plans with encrypted reports"):
        open_at(helper, plan)
    with pytest.raises(PlanInvalid, match="takes no part in plans with shared reports"):
        open_at(two.holder, make_plan())
    for party in (helper, two.leader):
        with pytest.raises(EncryptionKeysInvalid, match="nothing is encrypted"):
            open_with(party, make_plan(), keys)
    helper.close()


def test_a_leader_that_was_not_told_of_a_key_holder_says_so(two: LeaderAndKeyHolder, tmp_path: Path) -> None:
    plan, keys = with_keys(draft(), two.holder.prepare)
    (tmp_path / "alone").mkdir()
    alone = shares_world.make_leader(tmp_path / "alone", None)
    with pytest.raises(KeyHolderUnknown, match="no key holder") as refused:
        open_with(alone, plan, keys)
    assert refusal_of(refused.value).reason == "KEY_HOLDER_UNKNOWN"
    alone.close()


def test_settings_that_demand_proofs_or_noise_refuse_plans_that_have_none(tmp_path: Path) -> None:
    for name, settings, error in (
        ("proofs", replace(SETTINGS, require_proofs=True), ProofsRequired),
        ("noise", replace(SETTINGS, allow_no_noise=False), NoiseRefused),
    ):
        (tmp_path / name).mkdir()
        two = LeaderAndKeyHolder(tmp_path / name, settings)
        for party in (two.holder, two.leader):
            with pytest.raises(error):
                party.prepare(sign_draft(draft(), COORDINATOR.sign))
        two.close()


def test_the_files_of_helper_and_key_holder_are_not_mixed_up(two: LeaderAndKeyHolder) -> None:
    with pytest.raises(StorageUnusable, match="belongs to the keyholder"):
        Storage(two.holder.files.storage.path, "helper")


def test_a_plan_whose_sums_or_keys_are_too_large_is_refused_before_keys_are_made(two: LeaderAndKeyHolder) -> None:
    many = draft(*(view(f"v{i}", keys=1) for i in range(60)), panes=1)
    with pytest.raises(HeImpossible, match="public keys of this plan"):
        with_keys(many, two.holder.prepare)
    with pytest.raises(HeImpossible, match="sums of this plan"):
        with_keys(draft(panes=131_071 + 10_000), two.holder.prepare)
    assert two.holder.files.storage.one("SELECT count(*) FROM secret_keys") == (0,)
    require_size(draft(*(view(f"v{i}", keys=1) for i in range(MAX_KEYS_BYTES // 81_920)), panes=1))


# the life of a key


def test_keys_and_sums_are_gone_from_the_files_when_the_plan_is_opened(two: LeaderAndKeyHolder) -> None:
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
        two.holder.decryption.secret_keys(plan)


def test_keys_of_a_plan_that_nobody_opens_are_gone_when_it_can_no_longer_be_charged(two: LeaderAndKeyHolder) -> None:
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


def test_the_latest_plan_is_still_opened(two: LeaderAndKeyHolder) -> None:
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
        two = LeaderAndKeyHolder(tmp_path / name)
        two.holder.identity.settings = replace(two.holder.identity.settings, budget=Budget(allowed))
        plan, keys = with_keys(draft(noise="full"), two.holder.prepare)
        assert plan.leak_micro_rho(plan.views[0]) == LEAK
        if allowed < price:
            with pytest.raises(DayBudgetSpent):
                open_at(two.holder, plan)
            open_with(two.leader, plan, keys)
            two.submit(Site(plan, keys).batch([0, 0]))
            with pytest.raises(PeerRefused) as refused:
                two.leader.collect(collect_request(plan, COLLECTOR.sign))
            assert refusal_of(refused.value).reason == "DAY_BUDGET_SPENT"
        else:
            two.open(plan, keys)
            assert spent_of(two.holder.files.ledger.state) == {}
            two.submit(Site(plan, keys).batch([0, 0]))
            two.shares(plan)
            for party in (two.leader, two.holder):
                assert spent_of(party.files.ledger.state) == {0: price, 1: price}
            with pytest.raises(PaneTaken):
                two.holder.open_plan(signed(with_keys(draft(number=1), two.holder.prepare)[0]))
        two.close()


def test_the_announcement_leaves_out_days_that_the_key_holder_does_not_pay_for(two: LeaderAndKeyHolder) -> None:
    """Each remaining plan gets an id and keys of its own."""
    two.holder.identity.settings = replace(two.holder.identity.settings, budget=Budget(RHO + LEAK))
    first, keys = two.plan(panes=1, noise="full")
    two.submit(Site(first, keys).batch([0, 0]))
    two.shares(first)
    announced = announce(
        draft_of(draft(view("w", keys=2), panes=2, noise="full", number=9)),
        COORDINATOR.sign,
        Parties(two),
        lambda size: b"x" * size,
    )
    assert announced.plan is not None
    assert announced.plan.views[0].pane_starts.tolist() == [DAY]
    assert announced.plan.plan_id != draft(number=9).plan_id
    assert verify_keys(announced.encryption_keys, announced.plan)
    (left,) = announced.left_out
    assert left.planned.pane_starts.tolist() == [0]


class Parties:
    """Leader and key holder, as a coordinator reaches them."""

    def __init__(self, two: LeaderAndKeyHolder) -> None:
        self.two = two

    def prepare(self, signed_draft: bytes) -> tuple[Preparation, Preparation]:
        return self.two.leader.prepare(signed_draft), self.two.holder.prepare(signed_draft)

    def open_plan(self, data: bytes, keys: bytes = b"") -> None:
        try:
            self.two.holder.open_plan(data)
            self.two.leader.open_plan(data, keys)
        except Exception as error:  # noqa: BLE001
            refusal = refusal_of(error)
            raise RemoteRefusal("key holder", refusal.reason, refusal.text, refusal.numbers, refusal.view) from None


def test_without_the_extra_every_call_is_refused_by_name(
    two: LeaderAndKeyHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: Any) -> Any:
        raise ExtraMissing("encryption", "tenseal", "he")

    monkeypatch.setattr(SecretKey, "generate", missing)
    with pytest.raises(ExtraMissing) as refused:
        with_keys(draft(), two.holder.prepare)
    assert refusal_of(refused.value).reason == "EXTRA_MISSING"
