"""A plan on the wire: its canonical bytes, signed by the coordinator, whose key every other party has pinned."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from crypto.errors import WrongLength
from crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from featurestore.errors import FeatureStoreError

from . import plan_pb2 as pb
from .batch import max_reports
from .errors import PlanInvalid
from .parties import PublicKeys, Role
from .plan import Plan, WireTerms, plan_from_bytes, plan_to_bytes

DOMAIN: Final = b"covey-1 plan"
MAX_PLAN_BYTES: Final = 4 * 2**20
"""About 520,000 panes, or a domain of some 250,000 keys of ten letters; a longer backfill takes several plans."""

NO_TERMS: Final = "a plan on the wire names its parties' keys and its deadline"


def sign_plan(plan: Plan, coordinator: SigningKey) -> bytes:
    """Run by the coordinator: the bytes that every party receives.

    Raises:
        PlanInvalid: without keys and deadline, without its verification or encryption keys, or longer than MAX_PLAN_BYTES.
        ReportTooLong: see `max_reports`.
    """
    _require_wire(plan)
    data = plan_to_bytes(plan)
    message = pb.SignedPlan(plan=data, signature=coordinator.sign(DOMAIN, data))
    signed: bytes = message.SerializeToString(deterministic=True)
    if len(signed) > MAX_PLAN_BYTES:
        raise PlanInvalid(f"a signed plan of {len(signed):,} bytes; at most {MAX_PLAN_BYTES:,}: make several plans")
    return signed


def verify_plan(data: bytes, coordinator: VerifyKey) -> Plan:
    """Run by every other party: the plan, if the pinned coordinator signed it. Nothing in it is read before.

    Raises:
        PlanInvalid: too long, not canonical, terms or a view that do not exist, no keys; where a view is not valid, its
            cause is the `ViewMalformed` or `DefinitionError`. ReportTooLong.
        SignatureInvalid: by another coordinator, or changed on the way.
    """
    signed = signed_bytes(data, coordinator)
    try:
        plan = plan_from_bytes(signed)
        _require_wire(plan)
    except FeatureStoreError as error:
        raise PlanInvalid(f"a view in it is not valid: {error}") from error
    return plan


def signed_bytes(data: bytes, coordinator: VerifyKey) -> bytes:
    """The plan's bytes, not read yet, if the pinned coordinator signed them; their SHA-256 is the plan's hash.

    Raises:
        PlanInvalid: too long, or no canonical frame of a plan and a signature. SignatureInvalid.
    """
    if len(data) > MAX_PLAN_BYTES:
        raise PlanInvalid(f"a signed plan of {len(data):,} bytes; at most {MAX_PLAN_BYTES:,}")
    try:
        message = pb.SignedPlan.FromString(data)
    except DecodeError:
        raise PlanInvalid("the bytes of a signed plan are not protobuf") from None
    if len(message.signature) != SIGNATURE_BYTES:
        raise PlanInvalid(str(WrongLength("bytes of a signature", len(message.signature), SIGNATURE_BYTES)))
    coordinator.verify(DOMAIN, message.plan, message.signature)
    if pb.SignedPlan(plan=message.plan, signature=message.signature).SerializeToString(deterministic=True) != data:
        raise PlanInvalid("the bytes of a signed plan are not canonical")
    plan: bytes = message.plan
    return plan


def require_own_keys(plan: Plan, role: Role, own: PublicKeys) -> None:
    """Run by leader, helper and collector before they take part: the plan names them and nobody else.

    Raises:
        PlanInvalid: the plan gives another key for this role; what is sealed to that one could not be opened.
    """
    if plan.wire is None:
        raise PlanInvalid(NO_TERMS)
    named = plan.wire.keys_of(role)
    for what, theirs, mine in (("signing", named.sign, own.sign), ("seal", named.seal, own.seal)):
        if theirs != mine:
            raise PlanInvalid(f"the plan's {role} has the {what} key {theirs.id.hex()}; mine is {mine.id.hex()}")


def _require_wire(plan: Plan) -> WireTerms:
    if plan.wire is None:
        raise PlanInvalid(NO_TERMS)
    if plan.validity == "prio3" and not plan.wire.verify_key_hash:
        raise PlanInvalid("a plan with proofs on the wire commits its aggregators to a verification key")
    if plan.protection == "he" and not plan.wire.encryption_keys_hash:
        raise PlanInvalid("a plan with protection he on the wire commits its parties to its encryption keys")
    for view in range(len(plan.views)):
        max_reports(plan, view)
    return plan.wire
