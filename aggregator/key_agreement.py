"""The verification key of a plan with proofs: agreed between leader and helper before the plan is signed.

    coordinator  PrepareKey(plan id) ──► leader
    leader       draws 32 bytes, keeps them ──► KeyOffer: sealed to the helper, signed ──► helper
    helper       keeps them ──► KeyTaken: their hash, signed ──► leader ──► hash ──► coordinator, who puts it into the plan

Whoever knows the key can prove what is false, so it is the aggregators' alone: the coordinator may be in league with a
client. Each keeps the first key of a plan id, and a repeat gives the same hash, until the plan takes no more reports
(retention.py). Who the other aggregator is, an aggregator knows from its own settings: there is no plan yet that could
say so.
"""

from __future__ import annotations

from typing import Final

from crypto.errors import WrongLength
from crypto.prio3_batch import VERIFY_KEY_SIZE
from crypto.seal import SealKey, open_sealed, seal
from crypto.signing import SigningKey, VerifyKey
from federation.he_keys import sign_draft
from federation.keys import RoleKeys
from federation.parties import PublicKeys
from federation.plan import KEY_HASH_BYTES, PLAN_ID_BYTES, Plan
from federation.validity import VerificationKey

from . import aggregator_pb2 as pb
from .errors import MessageMalformed
from .messages import Signed, decode, encode, require_length, sign

PREPARE_DOMAIN: Final = b"covey-1 prepare key"
OFFER_DOMAIN: Final = b"covey-1 key offer"
TAKEN_DOMAIN: Final = b"covey-1 key taken"
KEY_BYTES: Final = VERIFY_KEY_SIZE


def prepare_request(plan_id: bytes, coordinator: SigningKey) -> bytes:
    """Run by the coordinator: ask the leader to agree on a key for a plan that is yet to be signed."""
    return sign(PREPARE_DOMAIN, encode(pb.PrepareKey(plan_id=plan_id)), coordinator)


def draft_request(plan: Plan, coordinator: SigningKey) -> bytes:
    """Run by the coordinator: ask the key holder to make the keys of a plan under `he` that is yet to be signed."""
    body, signature = sign_draft(plan, coordinator)
    return encode(pb.Signed(body=body, signature=signature))


def prepared_plan(data: bytes, coordinator: VerifyKey) -> bytes:
    """Run by the leader: the plan id of a request. Raises MessageMalformed and SignatureInvalid."""
    message = decode(pb.PrepareKey, Signed.from_bytes(data).verify(PREPARE_DOMAIN, coordinator))
    return require_length("plan id", message.plan_id, PLAN_ID_BYTES)


def key_offer(plan_id: bytes, key: VerificationKey, leader: RoleKeys, helper: PublicKeys) -> bytes:
    """Run by the leader: the key, for the helper alone."""
    sealed = seal(helper.seal, key.secret_bytes(), _info(plan_id, leader.sign.public, helper))
    return sign(OFFER_DOMAIN, encode(pb.KeyOffer(plan_id=plan_id, sealed=sealed)), leader.sign)


def offered_key(
    data: bytes, leader: PublicKeys, seal_key: SealKey, helper: PublicKeys
) -> tuple[bytes, VerificationKey]:
    """Run by the helper: plan id and key. Raises MessageMalformed, SignatureInvalid and SealBroken."""
    message = decode(pb.KeyOffer, Signed.from_bytes(data).verify(OFFER_DOMAIN, leader.sign))
    plan_id = require_length("plan id", message.plan_id, PLAN_ID_BYTES)
    content = open_sealed(seal_key, message.sealed, _info(plan_id, leader.sign, helper))
    try:
        return plan_id, VerificationKey(content)
    except WrongLength as error:
        raise MessageMalformed(str(error)) from None


def key_taken(plan_id: bytes, key: VerificationKey, helper: SigningKey) -> bytes:
    """Run by the helper: it keeps the key."""
    return sign(TAKEN_DOMAIN, encode(pb.KeyTaken(plan_id=plan_id, key_hash=key.hash_for(plan_id))), helper)


def require_taken(data: bytes, plan_id: bytes, key: VerificationKey, helper: VerifyKey) -> None:
    """Run by the leader: the helper keeps this very key. Raises MessageMalformed and SignatureInvalid."""
    message = decode(pb.KeyTaken, Signed.from_bytes(data).verify(TAKEN_DOMAIN, helper))
    key_hash = require_length("hash of a key", message.key_hash, KEY_HASH_BYTES)
    if (message.plan_id, key_hash) != (plan_id, key.hash_for(plan_id)):
        raise MessageMalformed("the helper keeps another verification key")


def _info(plan_id: bytes, leader: VerifyKey, helper: PublicKeys) -> bytes:
    """HPKE's `info`: every part has a fixed length."""
    return OFFER_DOMAIN + plan_id + leader.id + helper.seal.id
