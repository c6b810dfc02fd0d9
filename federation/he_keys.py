"""The encryption keys of a plan on their way from the key holder to sites and leader: signed by it, and in the plan by hash.

    coordinator  plan without their hash ──sign_draft──► key holder
    key holder   plan_of_draft ──► makes a key pair a view ──sign_keys──► plan id ‖ public keys ‖ signature
    coordinator  keys_hash ──► into the plan, which it signs; the bytes go to leader and sites beside it
    leader, site verify_keys ──► the public key of each view

The key holder is pinned where the helper is: a coordinator cannot put a key of its own in its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from crypto.bfv import PublicKey, public_key_bytes
from crypto.bfv_parameters import BfvParameters
from crypto.errors import CryptoError
from crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from featurestore.errors import FeatureStoreError

from .errors import EncryptionKeysInvalid, PlanInvalid
from .plan import PLAN_ID_BYTES, Plan, plan_from_bytes, plan_to_bytes

DOMAIN: Final = b"covey-1 encryption keys"
DRAFT_DOMAIN: Final = b"covey-1 make keys"


def draft_of(plan: Plan) -> Plan:
    """A plan as it was before its keys were made. Raises PlanInvalid: a plan that stays in one process."""
    if plan.wire is None:
        raise PlanInvalid("a plan without its parties' keys stays in one process; no keys are made for it")
    return replace(plan, wire=replace(plan.wire, encryption_keys_hash=b""))


def sign_draft(plan: Plan, coordinator: SigningKey) -> tuple[bytes, bytes]:
    """Run by the coordinator: the plan as it is before its keys are made, and the signature of that."""
    data = plan_to_bytes(plan)
    return data, coordinator.sign(DRAFT_DOMAIN, data)


def plan_of_draft(data: bytes, signature: bytes, coordinator: VerifyKey) -> Plan:
    """Run by the key holder: the plan to make keys for.

    Raises:
        SignatureInvalid. PlanInvalid: it is none, or one that encrypts nothing, or that has keys already.
    """
    coordinator.verify(DRAFT_DOMAIN, data, signature)
    try:
        plan = plan_from_bytes(data)
    except FeatureStoreError as error:
        raise PlanInvalid(f"a view in it is not valid: {error}") from error
    if plan.protection != "he" or plan.wire is None or plan.wire.encryption_keys_hash:
        raise PlanInvalid("keys are made for a plan with protection he on the wire that has none yet")
    return plan


def sign_keys(plan_id: bytes, keys: Sequence[PublicKey], key_holder: SigningKey) -> bytes:
    """Run by the key holder: the public key of each view of a plan, signed."""
    body = plan_id + b"".join(key.to_bytes() for key in keys)
    return body + key_holder.sign(DOMAIN, body)


def keys_hash(signed: bytes) -> bytes:
    """The 32 bytes that a plan commits to."""
    return hashlib.sha256(signed).digest()


def verify_keys(signed: bytes, plan: Plan) -> tuple[PublicKey, ...]:
    """Run by site and leader: the public key of each view, as the plan's key holder signed them.

    Raises:
        EncryptionKeysInvalid: not the keys that the plan commits to, not signed by its key holder, or no keys.
    """
    if plan.wire is None or plan.protection != "he":
        raise EncryptionKeysInvalid("the plan's reports are not encrypted")
    parameters = [plan.he_parameters(planned) for planned in plan.views]
    sizes = [public_key_bytes(each) for each in parameters]
    if (need := PLAN_ID_BYTES + sum(sizes) + SIGNATURE_BYTES) != len(signed):
        raise EncryptionKeysInvalid(f"{len(signed):,} bytes, need {need:,}")
    if keys_hash(signed) != plan.wire.encryption_keys_hash:
        raise EncryptionKeysInvalid("the plan commits to other ones")
    body, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
    try:
        plan.wire.helper.sign.verify(DOMAIN, body, signature)
        if not body.startswith(plan.plan_id):
            raise EncryptionKeysInvalid("they were made for another plan")
        return _keys(parameters, sizes, memoryview(body)[PLAN_ID_BYTES:])
    except CryptoError as error:
        raise EncryptionKeysInvalid(str(error)) from None


def _keys(parameters: Sequence[BfvParameters], sizes: Sequence[int], data: memoryview) -> tuple[PublicKey, ...]:
    keys = []
    for each, size in zip(parameters, sizes, strict=True):
        keys.append(PublicKey.from_bytes(each, data[:size]))
        data = data[size:]
    return tuple(keys)
