"""The encryption keys of a plan in transit: their owner, their plan, and no byte that can be changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crypto.bfv import PublicKey, public_key_bytes
from crypto.bfv_secret import SecretKey
from crypto.sharing import PLAN_HASH_BYTES
from crypto.signing import SIGNATURE_BYTES
from federation.draft import draft_of
from federation.errors import EncryptionKeysInvalid, PlanInvalid
from federation.he.keys import keys_hash, sign_keys, verify_keys
from federation.plan import Plan
from tests.federation.he_cases import plan as plan_of
from tests.federation.he_cases import view, with_shares
from tests.federation.wire import COORDINATOR, HELPER, LEADER, TERMS

DRAFT = replace(plan_of(view("v", keys=2), view("w", keys=3)), wire=TERMS)


def made_for(draft: Plan) -> list[PublicKey]:
    return [SecretKey.generate(draft.he_parameters(planned)).public for planned in draft.views]


def committed(draft: Plan, signed: bytes) -> Plan:
    assert draft.wire is not None
    return replace(draft, wire=replace(draft.wire, encryption_keys_hash=keys_hash(signed)))


@pytest.fixture(scope="module")
def keys() -> list[PublicKey]:
    return made_for(DRAFT)


@pytest.fixture(scope="module")
def signed(keys: list[PublicKey]) -> bytes:
    return sign_keys(draft_of(DRAFT).hash, keys, HELPER.sign)


def test_the_keys_of_a_plan_are_read_back_view_by_view(keys: list[PublicKey], signed: bytes) -> None:
    plan = committed(DRAFT, signed)
    assert [key.key_id for key in verify_keys(signed, plan)] == [key.key_id for key in keys]

    assert draft_of(plan).hash == DRAFT.hash != plan.hash
    sizes = [public_key_bytes(DRAFT.he_parameters(planned)) for planned in DRAFT.views]
    assert len(signed) == PLAN_HASH_BYTES + sum(sizes) + SIGNATURE_BYTES


def test_no_byte_of_them_can_be_changed(signed: bytes) -> None:
    """Changed keys are refused both where the plan commits to the true keys and where it commits to the changed ones."""
    plan, rng = committed(DRAFT, signed), np.random.default_rng(1)
    places = {0, PLAN_HASH_BYTES - 1, PLAN_HASH_BYTES, len(signed) - SIGNATURE_BYTES, len(signed) - 1}
    for at in (*places, *rng.integers(0, len(signed), 60).tolist()):
        changed = bytearray(signed)
        changed[at] ^= 1 << int(rng.integers(0, 8))
        with pytest.raises(EncryptionKeysInvalid, match="commits to other keys"):
            verify_keys(bytes(changed), plan)
        with pytest.raises(EncryptionKeysInvalid):
            verify_keys(bytes(changed), committed(DRAFT, bytes(changed)))


@pytest.mark.parametrize("cut", [0, 1, 16, 80, 1_000, -1, -64, 10**6])
def test_of_another_length_they_are_refused(signed: bytes, cut: int) -> None:
    wrong = signed + bytes(-cut) if cut < 0 else signed[: max(0, len(signed) - cut)] if cut else b""
    with pytest.raises(EncryptionKeysInvalid, match="bytes, need"):
        verify_keys(wrong, committed(DRAFT, wrong))


def test_keys_of_another_key_holder_plan_or_order_are_refused(keys: list[PublicKey], signed: bytes) -> None:
    others = [
        ("signature", sign_keys(draft_of(DRAFT).hash, keys, LEADER.sign)),
        ("signature", sign_keys(draft_of(DRAFT).hash, keys, COORDINATOR.sign)),
        ("another plan", sign_keys(b"x" * 32, keys, HELPER.sign)),
    ]
    for why, wrong in others:
        with pytest.raises(EncryptionKeysInvalid, match=why):
            verify_keys(wrong, committed(DRAFT, wrong))
    fresh = sign_keys(draft_of(DRAFT).hash, made_for(DRAFT), HELPER.sign)
    with pytest.raises(EncryptionKeysInvalid, match="commits to other keys"):
        verify_keys(fresh, committed(DRAFT, signed))
    one = sign_keys(draft_of(DRAFT).hash, keys[:1], HELPER.sign)
    with pytest.raises(EncryptionKeysInvalid, match="bytes, need"):
        verify_keys(one, committed(DRAFT, one))


def test_keys_that_hide_nothing_are_refused_though_they_are_signed(keys: list[PublicKey]) -> None:
    bare = [replace(key, polynomials=np.zeros_like(key.polynomials)) for key in keys]
    signed = sign_keys(draft_of(DRAFT).hash, bare, HELPER.sign)
    with pytest.raises(EncryptionKeysInvalid, match="BFV public key"):
        verify_keys(signed, committed(DRAFT, signed))
    large = PLAN_HASH_BYTES + public_key_bytes(DRAFT.he_parameters(DRAFT.views[0]))
    body = bytearray(sign_keys(draft_of(DRAFT).hash, keys, HELPER.sign)[:-SIGNATURE_BYTES])
    body[PLAN_HASH_BYTES:large] = b"\xff" * (large - PLAN_HASH_BYTES)
    wrong = bytes(body) + HELPER.sign.sign(b"covey-1 encryption keys", bytes(body))
    with pytest.raises(EncryptionKeysInvalid):
        verify_keys(wrong, committed(DRAFT, wrong))


def test_plans_that_encrypt_nothing_have_no_keys(signed: bytes) -> None:
    for plan in (with_shares(DRAFT), replace(with_shares(DRAFT), wire=TERMS), replace(DRAFT, wire=None)):
        with pytest.raises(EncryptionKeysInvalid, match="not encrypted"):
            verify_keys(signed, plan)
    with pytest.raises(PlanInvalid):
        draft_of(replace(DRAFT, wire=None))
