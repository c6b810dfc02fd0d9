"""A plan on the wire: its canonical bytes, signed by the coordinator, whose key every other party has pinned."""

from __future__ import annotations

from typing import Final

from crypto.signing import SigningKey, VerifyKey
from featurestore.errors import FeatureStoreError
from federation.batch.batch import max_reports
from federation.terms import Encrypted, Validity

from .draft import require_live
from .errors import PlanInvalid
from .parties import Aggregator
from .plan import Plan, plan_from_bytes, plan_to_bytes
from .signed_bytes import signed_bytes, to_signed

DOMAIN: Final = b"covey-1 plan"

NO_TERMS: Final = "a plan on the wire names its parties' keys and its deadline"


def sign_plan(plan: Plan, coordinator: SigningKey) -> bytes:
    """Run by the coordinator: the bytes that every party receives.

    Raises:
        PlanInvalid: without keys and deadline, without its live, verification or encryption keys, or longer than
            MAX_PLAN_BYTES.
        ReportTooLong: see `max_reports`.
    """
    _require_wire(plan)
    return to_signed(plan_to_bytes(plan), DOMAIN, coordinator)


def verify_plan(data: bytes, coordinator: VerifyKey) -> Plan:
    """Run by every other party: the plan, if the pinned coordinator signed it. Nothing in it is read before.

    Raises:
        PlanInvalid: too long, not canonical, terms or a view that do not exist, no keys; where a view is not valid, its
            cause is the `ViewMalformed` or `DefinitionError`. ReportTooLong.
        SignatureInvalid: by another coordinator, or changed on the way.
    """
    signed = signed_bytes(data, DOMAIN, coordinator)
    try:
        plan = plan_from_bytes(signed)
        _require_wire(plan)
    except FeatureStoreError as error:
        raise PlanInvalid(f"a view in it is not valid: {error}") from error
    return plan


def require_own_key(plan: Plan, role: Aggregator, own: VerifyKey) -> None:
    """Run by leader, helper and key holder before they take part: the plan names them and nobody else.

    Raises:
        PlanInvalid: the plan gives another signing key for this role.
    """
    if plan.wire is None:
        raise PlanInvalid(NO_TERMS)
    if (named := plan.wire.sign_key(role)) != own:
        raise PlanInvalid(f"the plan's {role} has the signing key {named.id.hex()}; mine is {own.id.hex()}")


def _require_wire(plan: Plan) -> None:
    if plan.wire is None:
        raise PlanInvalid(NO_TERMS)
    if plan.terms.validity is Validity.PRIO3 and not plan.wire.verify_key_hash:
        raise PlanInvalid("a plan with proofs on the wire commits its aggregators to a verification key")
    if isinstance(plan.terms, Encrypted) and not plan.wire.encryption_keys_hash:
        raise PlanInvalid("a plan with protection he on the wire commits its parties to its encryption keys")
    for view in range(len(plan.views)):
        max_reports(plan, view)
    require_live(plan)
