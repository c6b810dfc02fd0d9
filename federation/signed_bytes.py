"""The frame of a signed plan or draft: its canonical bytes, and the coordinator's signature in a domain."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from crypto.errors import WrongLength
from crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey

from . import plan_pb2 as pb
from .errors import PlanInvalid

MAX_PLAN_BYTES: Final = 4 * 2**20
"""About 520,000 panes, or a domain of some 250,000 keys of ten letters; a longer backfill takes several plans."""


def to_signed(plan: bytes, domain: bytes, coordinator: SigningKey) -> bytes:
    """Sign the bytes of a plan. Raises PlanInvalid: longer than MAX_PLAN_BYTES."""
    message = pb.SignedPlan(plan=plan, signature=coordinator.sign(domain, plan))
    signed: bytes = message.SerializeToString(deterministic=True)
    if len(signed) > MAX_PLAN_BYTES:
        raise PlanInvalid(
            f"the signed plan has {len(signed):,} bytes; at most {MAX_PLAN_BYTES:,} are allowed. Make several plans"
        )
    return signed


def signed_bytes(data: bytes, domain: bytes, coordinator: VerifyKey) -> bytes:
    """The plan's bytes, not parsed yet, if the pinned coordinator signed them. Their SHA-256 is the plan's hash.

    Raises:
        PlanInvalid: too long, or not a canonical frame of a plan and a signature.
        SignatureInvalid: another key signed them, or they were changed.
    """
    if len(data) > MAX_PLAN_BYTES:
        raise PlanInvalid(f"the signed plan has {len(data):,} bytes; at most {MAX_PLAN_BYTES:,} are allowed")
    try:
        message = pb.SignedPlan.FromString(data)
    except DecodeError:
        raise PlanInvalid("the bytes of a signed plan are not protobuf") from None
    if len(message.signature) != SIGNATURE_BYTES:
        raise PlanInvalid(str(WrongLength("bytes of a signature", len(message.signature), SIGNATURE_BYTES)))
    coordinator.verify(domain, message.plan, message.signature)
    if pb.SignedPlan(plan=message.plan, signature=message.signature).SerializeToString(deterministic=True) != data:
        raise PlanInvalid("the bytes of a signed plan are not canonical")
    plan: bytes = message.plan
    return plan
