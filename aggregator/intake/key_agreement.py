"""Leader and helper agree on the verification key of a plan with proofs, before the plan is signed.

    coordinator  signed draft ──Prepare──► leader, which draws 32 bytes and stores them
    leader       signed draft ──Prepare──► helper ──► its live keys, the same as before
    leader       ──► KeyOffer: the key, sealed to the helper's live key, signed ──► helper
    helper       stores it ──► KeyTaken: its hash, signed ──► leader ──► hash ──► coordinator

A party that knows this key can prove false reports. Only the aggregators have it, because the coordinator may collude with a
client. Each stores the first key of a plan id. A repeat gives the same hash until the plan accepts no more reports
(retention.py). An aggregator knows the other aggregator from its own settings.
"""

from __future__ import annotations

from typing import Final

from aggregator.errors import MessageMalformed
from aggregator.services import aggregator_pb2 as pb
from aggregator.signed_message import Signed, decode, encode, require_length, sign
from crypto.errors import WrongLength
from crypto.prio3_batch import VERIFY_KEY_SIZE
from crypto.seal import SealKey, SealPublicKey, open_sealed, seal
from crypto.signing import SigningKey, VerifyKey
from federation.circuit.validity import VerificationKey
from federation.plan import PLAN_ID_BYTES
from federation.wire_terms import KEY_HASH_BYTES

OFFER_DOMAIN: Final = b"covey-1 key offer"
TAKEN_DOMAIN: Final = b"covey-1 key taken"
KEY_BYTES: Final = VERIFY_KEY_SIZE


def key_offer(plan_id: bytes, draft: bytes, key: VerificationKey, leader: SigningKey, helper: SealPublicKey) -> bytes:
    """Run by the leader: seal the key to the helper. `helper` is the helper's live key of this draft."""
    sealed = seal(helper, key.secret_bytes(), _info(draft, leader.public, helper))
    return sign(OFFER_DOMAIN, encode(pb.KeyOffer(plan_id=plan_id, sealed=sealed)), leader)


def offered_plan(data: bytes, leader: VerifyKey) -> tuple[bytes, bytes]:
    """Run by the helper: plan id and sealed key of an offer. Raises MessageMalformed and SignatureInvalid."""
    message = decode(pb.KeyOffer, Signed.from_bytes(data).verify(OFFER_DOMAIN, leader))
    return require_length("plan id", message.plan_id, PLAN_ID_BYTES), message.sealed


def offered_key(sealed: bytes, draft: bytes, leader: VerifyKey, helper: SealKey) -> VerificationKey:
    """Run by the helper: the key in an offer. Raises MessageMalformed and SealBroken."""
    content = open_sealed(helper, sealed, _info(draft, leader, helper.public))
    try:
        return VerificationKey(content)
    except WrongLength as error:
        raise MessageMalformed(str(error)) from None


def confirm_key(plan_id: bytes, key: VerificationKey, helper: SigningKey) -> bytes:
    """Run by the helper: confirm that it stores the key."""
    return sign(TAKEN_DOMAIN, encode(pb.KeyTaken(plan_id=plan_id, key_hash=key.hash_for(plan_id))), helper)


def require_taken(data: bytes, plan_id: bytes, key: VerificationKey, helper: VerifyKey) -> None:
    """Run by the leader: check that the helper stores this key. Raises MessageMalformed and SignatureInvalid."""
    message = decode(pb.KeyTaken, Signed.from_bytes(data).verify(TAKEN_DOMAIN, helper))
    key_hash = require_length("hash of a key", message.key_hash, KEY_HASH_BYTES)
    if (message.plan_id, key_hash) != (plan_id, key.hash_for(plan_id)):
        raise MessageMalformed("the helper stores another verification key")


def _info(draft: bytes, leader: VerifyKey, helper: SealPublicKey) -> bytes:
    """HPKE's `info`: every part has a fixed length."""
    return OFFER_DOMAIN + draft + leader.id + helper.id
