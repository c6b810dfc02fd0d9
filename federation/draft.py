"""A draft: a plan before its keys are made. All keys of a plan are bound to the hash of its draft.

coordinator  sign_draft ──► leader, helper or key holder
aggregators  verify_draft ──► live keys (live_keys.py); under `he` the encryption keys (he/keys.py); with proofs the
             verification key (circuit/validity.py), on which the two agree
coordinator  adds the keys to the plan ──► sign_plan (signed_plan.py)
every party  require_live: both aggregators have signed live keys for exactly this plan
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from crypto.errors import SignatureInvalid
from crypto.signing import SigningKey, VerifyKey
from featurestore.errors import FeatureStoreError
from federation.ledger.entries import genesis

from .errors import PlanInvalid
from .live_keys import MOST_AFTER_DEADLINE_US, LiveSecret, sign_live_keys
from .plan import AGGREGATORS, Plan, plan_from_bytes, plan_to_bytes
from .signed_bytes import signed_bytes, to_signed

DOMAIN: Final = b"covey-1 draft"

NO_WIRE_TERMS: Final = "the plan has no keys of parties and no deadline; a plan on the wire needs both"
"""The error of a plan for one process, where a plan on the wire is needed."""


def draft_of(plan: Plan) -> Plan:
    """The plan before its keys are made. Raises PlanInvalid: the plan is for one process."""
    if plan.wire is None:
        raise PlanInvalid("the plan names no keys of parties: it is for one process, and no keys are made for it")
    wire = replace(plan.wire, verify_key_hash=b"", encryption_keys_hash=b"", leader_live=None, helper_live=None)
    return replace(plan, wire=wire)


def sign_draft(plan: Plan, coordinator: SigningKey) -> bytes:
    """Run by the coordinator: the draft of a plan, as the aggregators receive it. Raises PlanInvalid: too long."""
    return to_signed(plan_to_bytes(draft_of(plan)), DOMAIN, coordinator)


def verify_draft(data: bytes, coordinator: VerifyKey) -> Plan:
    """Run by an aggregator: the draft to make keys for, if the pinned coordinator signed it.

    Raises:
        SignatureInvalid: another key signed it, or it was changed.
        PlanInvalid: too long, not a plan, or a plan that has keys already.
    """
    signed = signed_bytes(data, DOMAIN, coordinator)
    try:
        plan = plan_from_bytes(signed)
    except FeatureStoreError as error:
        raise PlanInvalid(f"a view of the draft is not valid: {error}") from error
    if plan.hash != draft_of(plan).hash:
        raise PlanInvalid("the plan has keys already; keys are made only for a draft")
    return plan


def require_live(plan: Plan) -> None:
    """Return if both aggregators have signed live keys for this plan, and the keys end at an allowed time.

    Raises:
        PlanInvalid: a draft; keys for another draft, or signed by keys that the plan does not name; keys that end before
            the deadline, or more than a day after it.
    """
    if plan.wire is None:
        raise PlanInvalid(NO_WIRE_TERMS)
    draft = draft_of(plan).hash
    for role in AGGREGATORS:
        live = plan.wire.live(role)
        try:
            live.verify(role, draft, plan.wire.sign_key(role))
        except SignatureInvalid:
            raise PlanInvalid(f"the {role} did not sign its live keys for this plan") from None
        after = live.not_after_us - plan.wire.deadline_us
        if not 0 <= after <= MOST_AFTER_DEADLINE_US:
            raise PlanInvalid(
                f"the live keys of the {role} end {after / 1e6:,.0f} s after the deadline; it must be 0 to "
                f"{MOST_AFTER_DEADLINE_US / 1e6:,.0f} s"
            )


def with_live(plan: Plan, leader: tuple[SigningKey, LiveSecret], helper: tuple[SigningKey, LiveSecret]) -> Plan:
    """The plan with live keys of both aggregators, for a process that runs both of them without a ledger.

    Args:
        leader, helper: signing key and live secret of each.

    Raises:
        PlanInvalid: the plan is for one process.
    """
    draft = draft_of(plan)
    if draft.wire is None or plan.wire is None:
        raise PlanInvalid("the plan names no keys of parties: it is for one process, and no keys are made for it")
    not_after_us, made = draft.wire.deadline_us + MOST_AFTER_DEADLINE_US, []
    for role, (key, secret) in zip(AGGREGATORS, (leader, helper), strict=True):
        if secret.seal is None:
            raise PlanInvalid(f"the seal seed of the {role}'s live secret was erased")
        hashes = secret.seal.public, secret.secret_hash
        made.append(sign_live_keys(role, draft.hash, *hashes, not_after_us, genesis(role), key))
    return replace(plan, wire=replace(plan.wire, leader_live=made[0], helper_live=made[1]))
