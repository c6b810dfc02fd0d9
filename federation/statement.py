"""Opening statements: each aggregator signs one for every view that it opens, and every release is checked against them.

A statement binds the plan, the view, the outcome of each pane, the set of reports behind the opened panes, and the bytes
that were sent to the collector. It names the counted sites of the plan, so that a later plan for the same panes can refuse
them. It holds no count of reports, and its digest of random ids reveals none. The statements of
leader and helper are equal except for role and share: a collector that receives statements that disagree opens nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from crypto.sharing import PLAN_HASH_BYTES
from crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from featurestore.define.wire import definition_hash

from .commitment import Commitment, Outcome
from .counted_sites import require_enrolled, sites_from_bytes, sites_to_bytes
from .errors import PartyInvalid, StatementMalformed, StatementsDisagree
from .parties import Aggregator
from .plan import Plan

DOMAIN: Final = b"covey-1 opening"
DIGEST_BYTES: Final = 32
_ROLES: Final[tuple[Aggregator, ...]] = ("leader", "helper")
_ROLE_BYTES: Final = 6
ROLES: Final = (b"leader", b"helper")
"""The first bytes of a statement; no other evidence begins with them."""
_VIEW_BYTES: Final = 4
_SIZE_BYTES: Final = 4
FIXED_BYTES: Final = _ROLE_BYTES + PLAN_HASH_BYTES + _VIEW_BYTES + 3 * DIGEST_BYTES + _SIZE_BYTES
"""Length of a statement without its counted sites, its outcomes and its signature."""


@dataclass(frozen=True)
class Statement:
    """One aggregator's record of the opening of one view of a plan.

    Attributes:
        view: index of the view in the plan.
        definition: the view's definition hash.
        outcomes: one byte of `Outcome` a pane.
        sets: see `sets_of`.
        share: SHA-256 of the share that is sealed to the collector; under `he`, of the leader's sums for the key holder.
        sites: the counted sites of the whole plan, sorted (counted_sites.py).
    """

    role: Aggregator
    plan_hash: bytes
    view: int
    definition: bytes
    outcomes: bytes
    sets: bytes
    share: bytes
    sites: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """role ‖ plan hash ‖ view (u32 BE) ‖ definition hash ‖ sets ‖ share ‖ bytes of the sites (u32 BE) ‖ sites ‖ outcomes."""
        view, sites = self.view.to_bytes(_VIEW_BYTES, "big"), sites_to_bytes(self.sites)
        fixed = (self.role.encode("ascii"), self.plan_hash, view, self.definition, self.sets, self.share)
        return b"".join((*fixed, len(sites).to_bytes(_SIZE_BYTES, "big"), sites, self.outcomes))

    def sign(self, key: SigningKey) -> bytes:
        """`to_bytes` ‖ signature."""
        body = self.to_bytes()
        return body + key.sign(DOMAIN, body)

    @classmethod
    def from_bytes(cls, data: bytes) -> Statement:
        """Parse. Raises StatementMalformed."""
        if len(data) <= FIXED_BYTES:
            raise StatementMalformed(f"{len(data)} bytes, need more than {FIXED_BYTES}")
        role = next((role for role in _ROLES if data.startswith(role.encode("ascii"))), None)
        if role is None:
            raise StatementMalformed("it does not begin with a role of an aggregator")
        end = FIXED_BYTES + sites_size(data)
        outcomes = data[end:]
        if not outcomes:
            raise StatementMalformed(f"{len(data)} bytes, but its sites alone end at {end}")
        try:
            sites = sites_from_bytes(data[FIXED_BYTES:end])
        except PartyInvalid as error:
            raise StatementMalformed(str(error)) from None
        if max(outcomes) > max(Outcome):
            raise StatementMalformed(f"there is no outcome {max(outcomes)}")
        at = _ROLE_BYTES + PLAN_HASH_BYTES + _VIEW_BYTES
        definition, sets, share = (data[at + n * DIGEST_BYTES :][:DIGEST_BYTES] for n in range(3))
        plan_hash, view = data[_ROLE_BYTES:][:PLAN_HASH_BYTES], data[at - _VIEW_BYTES : at]
        return cls(role, plan_hash, int.from_bytes(view, "big"), definition, outcomes, sets, share, sites)


def most_statement_bytes(plan: Plan, view: int) -> int:
    """The most bytes of a signed statement of a view: all sites of the roster are counted."""
    return FIXED_BYTES + plan.roster_bytes + len(plan.views[view].pane_starts) + SIGNATURE_BYTES


def sites_size(statement: bytes) -> int:
    """The number of bytes of a statement's counted sites, by its fixed part."""
    return int.from_bytes(statement[FIXED_BYTES - _SIZE_BYTES : FIXED_BYTES], "big")


def plan_of(signed: bytes) -> bytes:
    """The hash of the plan that a statement names; the signature is not checked."""
    return signed[_ROLE_BYTES:][:PLAN_HASH_BYTES]


def sets_of(plan: Plan, view: int, commitment: Commitment, outcomes: bytes) -> bytes:
    """SHA-256 over (collection index as u32 BE ‖ digest of its sorted report ids) of a view's opened panes, in order."""
    digest = hashlib.sha256()
    for collection, outcome in enumerate(outcomes, plan.offsets[view]):
        if outcome == Outcome.OPENED:
            digest.update(collection.to_bytes(4, "big") + commitment.digests[collection])
    return digest.digest()


def sign_statement(
    plan: Plan, view: int, role: Aggregator, outcomes: bytes, commitment: Commitment, sealed: bytes, key: SigningKey
) -> bytes:
    """Run by an aggregator: its signed statement of one view, `Statement.to_bytes` ‖ signature.

    Args:
        sealed: the share as it is sent.
    """
    digest = hashlib.sha256(sealed).digest()
    return statement_of(plan, view, role, outcomes, commitment, digest).sign(key)


def statement_of(
    plan: Plan, view: int, role: Aggregator, outcomes: bytes, commitment: Commitment, share: bytes
) -> Statement:
    """A statement of one view, not signed yet; `share` as in `Statement`."""
    definition, sets = definition_hash(plan.views[view].view), sets_of(plan, view, commitment, outcomes)
    return Statement(role, plan.hash, view, definition, outcomes, sets, share, commitment.sites)


def verify_statement(signed: bytes, key: VerifyKey) -> Statement:
    """The statement of these bytes, if this key signed it. Raises SignatureInvalid and StatementMalformed."""
    if len(signed) < SIGNATURE_BYTES:
        raise StatementMalformed(f"{len(signed)} bytes are too short for a signature")
    body, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
    key.verify(DOMAIN, body, signature)
    return Statement.from_bytes(body)


def require_subject(statement: Statement, plan: Plan, view: int, role: Aggregator) -> None:
    """Return if a statement is of this role, plan and view, and counts sites of the plan only. Raises StatementMalformed."""
    planned = plan.views[view]
    have = (statement.role, statement.plan_hash, statement.view, statement.definition, len(statement.outcomes))
    need = (role, plan.hash, view, definition_hash(planned.view), len(planned.pane_starts))
    what = ("role", "plan", "view", "definition", "number of panes")
    for name, mine, theirs in zip(what, need, have, strict=True):
        if mine != theirs:
            raise StatementMalformed(f"its {name} does not fit the {role}'s statement of view {planned.view.name!r}")
    try:
        require_enrolled(statement.sites, plan.roster)
    except PartyInvalid as error:
        raise StatementMalformed(str(error)) from None


def require_agreement(view: str, leader: Statement, helper: Statement) -> None:
    """Return if both opened the same panes, over the same reports, of the same sites. Raises StatementsDisagree."""
    if leader.outcomes != helper.outcomes:
        raise StatementsDisagree(view, "opened different panes")
    if leader.sets != helper.sets:
        raise StatementsDisagree(view, "opened sums over different reports")
    if leader.sites != helper.sites:
        raise StatementsDisagree(view, "opened sums, but count different sites")


def digest_of(statements: Iterable[bytes]) -> bytes:
    """SHA-256 over the SHA-256 of each signed statement of a plan: an aggregator's ledger records it for an opening."""
    return hashlib.sha256(b"".join(hashlib.sha256(signed).digest() for signed in statements)).digest()
