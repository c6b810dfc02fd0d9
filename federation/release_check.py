"""Checks that a release follows from its plan, and from what both aggregators signed. The check needs no secret.

coordinator ──signs──► plan ──names──► keys of leader, helper, collector; views, panes, k, participation, noise
leader, helper ──sign──► opening statements: plan, view, outcome of each pane, the set of reports behind them
leader, helper (under he: key holder) ──sign──► opened values: the content hash of each opened pane
collector ──signs──► release or void: its manifest follows from the plan, and names statements and values by their SHA-256
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from google.protobuf.message import DecodeError

from base.times import utc_text
from crypto.errors import SignatureInvalid
from featurestore.define.release import Release, Void, is_retraction, is_unattempted, release_id
from featurestore.define.wire import definition_hash
from featurestore.errors import FeatureStoreError

from . import plan_pb2 as pb
from .commitment import Outcome
from .counted_sites import coverage_of
from .dating import Dating
from .errors import KeyNotInForce, PlanInvalid, StatementMalformed, StatementsDisagree, VerificationFailed
from .former_keys import PinnedKey
from .manifest import manifest_of, trust_of
from .opened_values import signers, verify_values
from .parties import PinnedCollector
from .plan import Plan, PlannedView, plan_from_bytes
from .release_signing import verify_release
from .signed_bytes import signed_bytes
from .signed_plan import DOMAIN as PLAN_DOMAIN
from .statement import ROLES, Statement, plan_of, require_agreement, require_subject, verify_statement
from .unopened import unopened
from .wire_terms import WireTerms

_COLLECTOR_TERMS: Final = ("view_version", "noise_source", "sites")
"""Terms of a manifest that come from the collector or the aggregators, not from the plan."""


def find_plan(evidence: Iterable[bytes], plan_hash: bytes) -> bytes | None:
    """The signed plan with this hash among blobs of evidence; None if it is not there."""
    for blob in evidence:
        try:
            message = pb.SignedPlan.FromString(blob)
        except DecodeError:
            continue
        if hashlib.sha256(message.plan).digest() == plan_hash:
            return blob
    return None


@dataclass(frozen=True)
class PlannedPane:
    """A pane that was opened under a stored plan, or never reported. A release or void must exist for it, under any plan."""

    view: str
    release_id: bytes
    plan_hash: bytes
    pane_start: int


def planned_panes(evidence: Iterable[bytes], coordinator: PinnedKey | None) -> Iterator[PlannedPane]:
    """Every pane of every plan among blobs of evidence, and of every plan that a statement names.

    Panes that both opening statements of the plan call unopened are left out: they stay due, or have a void of their own.

    Args:
        coordinator: only plans that it signed count; None: all plans.

    Raises:
        VerificationFailed: `plan`: a statement names a plan that is not in the evidence.
    """
    plans: dict[bytes, Plan] = {}
    stated: dict[bytes, list[bytes]] = {}
    for blob in evidence:
        if blob.startswith(ROLES):
            stated.setdefault(plan_of(blob), []).append(blob)
            continue
        with suppress(VerificationFailed), _failing("plan"):
            plan = _read_plan(blob, coordinator)
            plans[plan.hash] = plan
    for plan_hash in sorted(stated.keys() - plans.keys()):
        raise VerificationFailed(
            "plan", f"there are opening statements of plan {plan_hash.hex()[:16]}…, but the plan itself is missing"
        )
    for plan in plans.values():
        keys = () if plan.wire is None else (plan.wire.leader.data, plan.wire.helper.data)
        views = [(definition_hash(one.view), one.pane_starts) for one in plan.views]
        free = unopened(stated.get(plan.hash, []), plan.hash, keys, views)
        for planned, of_view in zip(plan.views, free, strict=True):
            digest = definition_hash(planned.view)
            for start in np.setdiff1d(planned.pane_starts, of_view).tolist():
                yield PlannedPane(planned.view.name, release_id(digest, start), plan.hash, start)


def verify_opening(
    item: Release | Void,
    signed_plan: bytes,
    statements: tuple[bytes, bytes] | None,
    values: Sequence[bytes] = (),
    *,
    coordinator: PinnedKey | None = None,
    collector: PinnedCollector | None = None,
    leader: PinnedKey | None = None,
    helper: PinnedKey | None = None,
) -> Plan:
    """Return the plan that a release, void or tombstone follows from, if every check holds.

    Args:
        signed_plan: as `signed_plan.sign_plan` made it.
        statements: the signed statements of leader and helper for the item's view. None for a void by decision, such as
            for lack of budget: no aggregator took part in it.
        coordinator, collector, leader, helper: pinned keys. None: the keys that the plan names, and any coordinator.

    Raises:
        VerificationFailed: names the check: `plan`, `parties`, `view`, `pane`, `manifest`, `commitments`, `statement`,
            `agreement`, `sites`, `outcome`, `values` or `signature`.
    """
    plan = _check_plan(item, signed_plan, coordinator)
    wire = _check_parties(plan, collector=collector, leader=leader, helper=helper)
    view, planned = _find_view(item, plan)
    _check_manifest(item, plan, planned)
    pane = _find_pane(item, planned)
    if isinstance(item, Void) and is_unattempted(item.reason):
        if statements is not None or item.manifest.commitments != ("", ""):
            raise VerificationFailed(
                "commitments",
                f"the void is a decision ({item.reason}), but there are opening statements",
            )
        if item.manifest.sites is not None:
            raise VerificationFailed("sites", f"the void is a decision ({item.reason}), but it counts sites")
    else:
        statement = _check_statements(item, plan, view, wire, statements)
        _check_sites(item, plan, statement)
        _check_outcome(item, statement, pane)
        if isinstance(item, Release):
            _check_values(item, plan, view, wire, values, statement, pane)
    _check_signature(item, wire, collector)
    return plan


def _check_plan(item: Release | Void, signed_plan: bytes, coordinator: PinnedKey | None) -> Plan:
    with _failing("plan"):
        plan = _read_plan(signed_plan, coordinator)
    if plan.hash.hex() != item.manifest.plan_hash:
        raise VerificationFailed("plan", f"the plan's hash is {plan.hash.hex()[:16]}…, the manifest names another plan")
    return plan


@lru_cache(maxsize=8)  # a year of hourly panes is one plan, which is read for each of its panes
def _read_plan(signed_plan: bytes, coordinator: PinnedKey | None) -> Plan:
    if coordinator is None:
        return plan_from_bytes(pb.SignedPlan.FromString(signed_plan).plan)
    return coordinator.verified(
        lambda key: plan_from_bytes(signed_bytes(signed_plan, PLAN_DOMAIN, key)), lambda plan: plan.deadline_us
    )


def _check_parties(plan: Plan, **pinned: PinnedCollector | PinnedKey | None) -> WireTerms:
    if plan.wire is None:
        raise VerificationFailed("parties", "the plan names no parties: it was run in one process, without signatures")
    for role, keys in pinned.items():
        if keys is not None and getattr(plan.wire, role) != keys.at(plan.deadline_us):
            raise VerificationFailed("parties", f"the plan's {role} is not the pinned {role}")
    return plan.wire


def _find_view(item: Release | Void, plan: Plan) -> tuple[int, PlannedView]:
    for index, planned in enumerate(plan.views):
        if planned.view.name == item.manifest.view:
            return index, planned
    raise VerificationFailed("view", f"the plan has no view {item.manifest.view!r}")


def _find_pane(item: Release | Void, planned: PlannedView) -> int:
    """The index of the item's pane in the planned view."""
    found = (planned.pane_starts == item.pane_start).nonzero()[0]
    if not len(found):
        raise VerificationFailed("pane", f"the plan does not ask for the pane of {utc_text(item.pane_start)}")
    view = planned.view
    if item.pane_end != item.pane_start + view.pane_us:
        raise VerificationFailed("pane", "its end is not one pane after its start")
    retracted = isinstance(item, Void) and is_retraction(item.reason)
    due = int(Dating.of(item.clock).released_at(planned, item.published_at)[found[0]])
    if not retracted and item.released_at != due:
        raise VerificationFailed(
            "pane", f"released_at is {utc_text(item.released_at)}; by its clock it must be {utc_text(due)}"
        )
    shape = (planned.layout.keys, planned.layout.slots_per_key)
    if isinstance(item, Release) and item.slots.shape != shape:
        raise VerificationFailed("pane", f"its sums have the shape {item.slots.shape}; the view needs {shape}")
    return int(found[0])


def _check_manifest(item: Release | Void, plan: Plan, planned: PlannedView) -> None:
    """Return if every term that follows from view and plan is as in the manifest."""
    mine = item.manifest
    due = asdict(
        manifest_of(
            plan,
            planned,
            noise_source=mine.noise_source,
            trust=trust_of(plan, planned),
            commitments=mine.commitments,
            opened=mine.opened,
        )
    )
    for term, value in asdict(mine).items():
        if term not in _COLLECTOR_TERMS and value != due[term]:
            raise VerificationFailed("manifest", f"{term} is {value!r}; by the plan it must be {due[term]!r}")


def _check_statements(
    item: Release | Void, plan: Plan, view: int, wire: WireTerms, signed: tuple[bytes, bytes] | None
) -> Statement:
    """The leader's statement, if both statements are valid and agree."""
    if signed is None:
        raise VerificationFailed("commitments", "the aggregators' opening statements are missing")
    if item.manifest.commitments != tuple(hashlib.sha256(one).hexdigest() for one in signed):
        raise VerificationFailed("commitments", "the manifest names other opening statements")
    with _failing("statement"):
        leader, helper = verify_statement(signed[0], wire.leader), verify_statement(signed[1], wire.helper)
        require_subject(leader, plan, view, "leader")
        require_subject(helper, plan, view, "helper")
    with _failing("agreement"):
        require_agreement(item.manifest.view, leader, helper)
    return leader


def _check_sites(item: Release | Void, plan: Plan, statement: Statement) -> None:
    """Return if the item counts the sites that both aggregators counted, of the plan's roster."""
    due = coverage_of(plan.roster, statement.sites)
    if item.manifest.sites != due:
        raise VerificationFailed("sites", f"sites is {item.manifest.sites}; both aggregators signed {due}")


def _check_outcome(item: Release | Void, statement: Statement, pane: int) -> None:
    outcome = Outcome(statement.outcomes[pane])
    if isinstance(item, Release) or is_retraction(item.reason):
        fits = outcome == Outcome.OPENED
    else:
        fits = outcome != Outcome.OPENED and item.reason == outcome.name
    if not fits:
        says = "a release" if isinstance(item, Release) else f"void ({item.reason})"
        raise VerificationFailed("outcome", f"both aggregators signed {outcome.name}, but this is {says}")


def _check_values(
    item: Release, plan: Plan, view: int, wire: WireTerms, signed: Sequence[bytes], statement: Statement, pane: int
) -> None:
    """Return if the aggregators signed exactly the sums of the release."""
    roles = signers(plan)
    if len(signed) != len(roles) or item.manifest.opened != tuple(hashlib.sha256(one).hexdigest() for one in signed):
        raise VerificationFailed(
            "values", "the signed values are missing, or differ from those that the manifest names"
        )
    opened = statement.outcomes.count(Outcome.OPENED)
    place = statement.outcomes[:pane].count(Outcome.OPENED)
    for role, one in zip(roles, signed, strict=True):
        with _failing("values"):
            values = verify_values(one, plan, view, role, wire.sign_key(role), opened)
        if values.contents[place] != item.content_hash:
            raise VerificationFailed(
                "values", f"the {role} signed sums of this pane that differ from the published sums"
            )


def _check_signature(item: Release | Void, wire: WireTerms, collector: PinnedCollector | None) -> None:
    pinned = PinnedKey("collector", wire.collector.sign)
    if isinstance(item, Void) and is_retraction(item.reason) and collector is not None:
        pinned = collector.sign  # a tombstone is signed long after the plan: with the key of its own time
    with _failing("signature"):
        key, _ = pinned.signer(lambda key: verify_release(item, key))
    if pinned.is_lost(key):
        raise VerificationFailed(
            "signature", f"the collector's key {key.id.hex()} is lost or stolen: anybody may have signed this tombstone"
        )


@contextmanager
def _failing(check: str) -> Iterator[None]:
    """Turn every error inside into a failure of this check."""
    try:
        yield
    except SignatureInvalid:
        raise VerificationFailed(check, "its signature is not valid") from None
    except (
        PlanInvalid,
        KeyNotInForce,
        FeatureStoreError,
        StatementMalformed,
        StatementsDisagree,
        DecodeError,
    ) as error:
        raise VerificationFailed(check, str(error)) from None
