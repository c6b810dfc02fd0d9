"""The encryption keys of a plan, from the key holder to sites and leader. The key holder signs them; the plan has their hash.

    coordinator  draft ──► key holder
    key holder   makes a key pair a view ──sign_keys──► draft hash ‖ public keys ‖ signature
    coordinator  keys_hash ──► into the plan, which it signs; it sends the keys to leader and sites beside the plan
    leader, site verify_keys ──► the public key of each view

The key holder is pinned in place of the helper, so a coordinator cannot replace its key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from crypto.bfv import PublicKey, public_key_bytes
from crypto.bfv_parameters import BfvParameters
from crypto.errors import CryptoError
from crypto.sharing import PLAN_HASH_BYTES
from crypto.signing import SIGNATURE_BYTES, SigningKey
from federation.draft import draft_of
from federation.errors import EncryptionKeysInvalid
from federation.plan import Plan
from federation.terms import Encrypted

DOMAIN: Final = b"covey-1 encryption keys"


def sign_keys(draft_hash: bytes, keys: Sequence[PublicKey], key_holder: SigningKey) -> bytes:
    """Run by the key holder: the public key of each view of a draft, signed."""
    body = draft_hash + b"".join(key.to_bytes() for key in keys)
    return body + key_holder.sign(DOMAIN, body)


def keys_hash(signed: bytes) -> bytes:
    """The 32 bytes by which a plan commits to the keys."""
    return hashlib.sha256(signed).digest()


def verify_keys(signed: bytes, plan: Plan) -> tuple[PublicKey, ...]:
    """Run by site and leader: the public key of each view, as the plan's key holder signed them.

    Raises:
        EncryptionKeysInvalid: the plan commits to other keys, its key holder did not sign them, or they are malformed.
    """
    if plan.wire is None or not isinstance(plan.terms, Encrypted):
        raise EncryptionKeysInvalid("the plan's reports are not encrypted")
    parameters = [plan.he_parameters(planned) for planned in plan.views]
    sizes = [public_key_bytes(each) for each in parameters]
    if (need := PLAN_HASH_BYTES + sum(sizes) + SIGNATURE_BYTES) != len(signed):
        raise EncryptionKeysInvalid(f"{len(signed):,} bytes, need {need:,}")
    if keys_hash(signed) != plan.wire.encryption_keys_hash:
        raise EncryptionKeysInvalid("the plan commits to other keys")
    body, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
    try:
        plan.wire.helper.verify(DOMAIN, body, signature)
        if not body.startswith(draft_of(plan).hash):
            raise EncryptionKeysInvalid("they were made for another plan")
        return _keys(parameters, sizes, memoryview(body)[PLAN_HASH_BYTES:])
    except CryptoError as error:
        raise EncryptionKeysInvalid(str(error)) from None


def _keys(parameters: Sequence[BfvParameters], sizes: Sequence[int], data: memoryview) -> tuple[PublicKey, ...]:
    keys = []
    for each, size in zip(parameters, sizes, strict=True):
        keys.append(PublicKey.from_bytes(each, data[:size]))
        data = data[size:]
    return tuple(keys)
