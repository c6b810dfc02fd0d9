"""A plan on the wire: its canonical bytes, signed by the coordinator. Every other party has pinned the coordinator's key."""

from __future__ import annotations

from typing import Final

from crypto.signing import SigningKey, VerifyKey
from featurestore.errors import FeatureStoreError
from federation.batch.sealing import max_reports
from federation.terms import Encrypted, Validity

from .draft import NO_WIRE_TERMS, draft_of, require_live
from .errors import PlanInvalid
from .former_keys import PinnedKey
from .parties import Aggregator
from .plan import Plan, plan_from_bytes, plan_to_bytes
from .signed_bytes import signed_bytes, to_signed

DOMAIN: Final = b"covey-1 plan"


def sign_plan(plan: Plan, coordinator: SigningKey) -> bytes:
    """Run by the coordinator: the bytes that every party receives.

    Raises:
        PlanInvalid: without keys and deadline, without its live, verification or encryption keys, or longer than
            MAX_PLAN_BYTES.
        ReportTooLong: see `max_reports`.
    """
    _require_wire(plan)
    return to_signed(plan_to_bytes(plan), DOMAIN, coordinator)


def sign_refused_plan(plan: Plan, coordinator: SigningKey) -> bytes:
    """Run by the coordinator: a plan that is never announced, as evidence of voids. All parties refuse it: it has no keys."""
    return to_signed(plan_to_bytes(draft_of(plan)), DOMAIN, coordinator)


def verify_plan(data: bytes, coordinator: VerifyKey) -> Plan:
    """Run by every other party: the plan, if the pinned coordinator signed it. It is parsed only after that check.

    Raises:
        PlanInvalid: too long, not canonical, with terms that do not exist, with a view that is not valid (the cause is the
            `ViewMalformed` or `DefinitionError`), or without keys.
        ReportTooLong: see `max_reports`.
        SignatureInvalid: another coordinator signed it, or it was changed on the way.
    """
    signed = signed_bytes(data, DOMAIN, coordinator)
    try:
        plan = plan_from_bytes(signed)
        _require_wire(plan)
    except FeatureStoreError as error:
        raise PlanInvalid(f"a view of the plan is not valid: {error}") from error
    return plan


def require_own_key(plan: Plan, role: Aggregator, own: PinnedKey) -> None:
    """Run by leader, helper and key holder before they take part: return if the plan names this party.

    Raises:
        PlanInvalid: the plan gives another signing key for this role. KeyNotInForce: a key of another time.
    """
    if plan.wire is None:
        raise PlanInvalid(NO_WIRE_TERMS)
    if (named := plan.wire.sign_key(role)) not in own.all:
        due = own.at(plan.deadline_us)
        raise PlanInvalid(f"the plan's {role} has the signing key {named.id.hex()}; this {role} has {due.id.hex()}")
    own.require(named, plan.deadline_us)


def _require_wire(plan: Plan) -> None:
    if plan.wire is None:
        raise PlanInvalid(NO_WIRE_TERMS)
    if plan.terms.validity is Validity.PRIO3 and not plan.wire.verify_key_hash:
        raise PlanInvalid("the plan has proofs but no hash of a verification key, which it needs on the wire")
    if isinstance(plan.terms, Encrypted) and not plan.wire.encryption_keys_hash:
        raise PlanInvalid("the plan has protection 'he' but no hash of encryption keys, which it needs on the wire")
    for view in range(len(plan.views)):
        max_reports(plan, view)
    require_live(plan)
