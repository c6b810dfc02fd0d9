"""Opened values: the aggregators' signatures of the opened sums, so that other sums cannot be published.

Leader and helper each sign them after they have swapped their noised shares, or have finished them together (`mpc`). Under
`he` the key holder signs alone, because the leader never sees a sum. A collector that adds wrongly, or whose store is edited
later, has no signature for its values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from crypto.sharing import PLAN_HASH_BYTES
from crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from featurestore.define.release import content_of
from federation.terms import Encrypted, Shares

from .errors import StatementMalformed
from .parties import Aggregator
from .plan import Plan

DOMAIN: Final = b"covey-1 opened values"
CONTENT_BYTES: Final = 32
_ROLES: Final[tuple[Aggregator, ...]] = ("leader", "helper")
_ROLE_BYTES: Final = 6
_VIEW_BYTES: Final = 4
FIXED_BYTES: Final = _ROLE_BYTES + PLAN_HASH_BYTES + _VIEW_BYTES
"""Length of signed values without their contents and their signature."""


@dataclass(frozen=True)
class OpenedValues:
    """One aggregator's record of the opened sums of one view of a plan.

    Attributes:
        view: index of the view in the plan.
        contents: the `content_hash` of the release of each opened pane, in order.
    """

    role: Aggregator
    plan_hash: bytes
    view: int
    contents: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """role ‖ plan hash ‖ view (u32 BE) ‖ contents."""
        view = self.view.to_bytes(_VIEW_BYTES, "big")
        return b"".join((self.role.encode("ascii"), self.plan_hash, view, *self.contents))

    def sign(self, key: SigningKey) -> bytes:
        """`to_bytes` ‖ signature."""
        body = self.to_bytes()
        return body + key.sign(DOMAIN, body)

    @classmethod
    def from_bytes(cls, data: bytes) -> OpenedValues:
        """Parse. Raises StatementMalformed."""
        contents = data[FIXED_BYTES:]
        if len(data) < FIXED_BYTES or len(contents) % CONTENT_BYTES:
            raise StatementMalformed(f"{len(data)} bytes are not the length of opened values")
        role = next((role for role in _ROLES if data.startswith(role.encode("ascii"))), None)
        if role is None:
            raise StatementMalformed("it does not begin with a role of an aggregator")
        plan_hash, view = data[_ROLE_BYTES:][:PLAN_HASH_BYTES], data[FIXED_BYTES - _VIEW_BYTES : FIXED_BYTES]
        each = (contents[at : at + CONTENT_BYTES] for at in range(0, len(contents), CONTENT_BYTES))
        return cls(role, plan_hash, int.from_bytes(view, "big"), tuple(each))


def signers(plan: Plan) -> tuple[Aggregator, ...]:
    """The roles that sign the opened values of a plan: both aggregators; under `he` the key holder, in place of the helper."""
    match plan.terms:
        case Shares():
            return _ROLES
        case Encrypted():
            return ("helper",)


def sign_values(plan: Plan, view: int, role: Aggregator, sums: npt.NDArray[np.int64], key: SigningKey) -> bytes:
    """Run by an aggregator: the signed values of one view.

    Args:
        sums: int64[opened, …], as released.
    """
    return OpenedValues(role, plan.hash, view, _contents(sums)).sign(key)


def verify_values(signed: bytes, plan: Plan, view: int, role: Aggregator, key: VerifyKey, opened: int) -> OpenedValues:
    """The opened values of these bytes, if this key signed them for this role, plan and view, with `opened` panes.

    Raises:
        SignatureInvalid, StatementMalformed.
    """
    if len(signed) < SIGNATURE_BYTES:
        raise StatementMalformed(f"{len(signed)} bytes are too short for a signature")
    body, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
    key.verify(DOMAIN, body, signature)
    values = OpenedValues.from_bytes(body)
    have = (values.role, values.plan_hash, values.view, len(values.contents))
    for what, mine, theirs in zip(
        ("role", "plan", "view", "number of panes"), (role, plan.hash, view, opened), have, strict=True
    ):
        if mine != theirs:
            raise StatementMalformed(
                f"its {what} does not fit the {role}'s values of view {plan.views[view].view.name!r}"
            )
    return values


def require_values(
    signed: Sequence[bytes], plan: Plan, view: int, keys: Sequence[VerifyKey], sums: npt.NDArray[np.int64]
) -> None:
    """Run by the collector: return if all signers have signed exactly these sums.

    Args:
        signed, keys: the signed values and the key of each of `signers`, in order.

    Raises:
        SignatureInvalid.
        StatementMalformed: also if a signer has signed other sums.
    """
    for role, one, key in zip(signers(plan), signed, keys, strict=True):
        values = verify_values(one, plan, view, role, key, len(sums))
        if values.contents != _contents(sums):
            raise StatementMalformed(
                f"the {role} signed values of view {plan.views[view].view.name!r} that differ from the sum of the shares"
            )


def _contents(sums: npt.NDArray[np.int64]) -> tuple[bytes, ...]:
    return tuple(content_of(one) for one in sums)
