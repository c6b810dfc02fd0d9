"""Statements of an aggregator that it never opened a plan, and the check of which panes were never opened (ADR 0029).

    role ‖ plan hash, signed in the domain `covey-1 never opened`

An aggregator signs it after it has erased its sums and its live secret of the plan, and recorded so in its ledger. What one
honest aggregator has erased can never be opened. The hash binds the plan's panes. A pane whose outcome is not OPENED in an
opening statement was not opened either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from crypto.errors import CryptoError
from crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey

from .commitment import Outcome
from .errors import StatementMalformed
from .parties import Aggregator
from .plan import AGGREGATORS
from .statement import verify_statement

DOMAIN: Final = b"covey-1 never opened"


def sign_never_opened(role: Aggregator, plan_hash: bytes, key: SigningKey) -> bytes:
    """Run by an aggregator that has freed a plan: role ‖ plan hash ‖ signature, 102 bytes."""
    body = role.encode("ascii") + plan_hash
    return body + key.sign(DOMAIN, body)


def never_opened(statements: Iterable[bytes], role: Aggregator, plan_hash: bytes, key: VerifyKey) -> bool:
    """Whether one of these statements says, signed by this key, that this role never opened the plan."""
    body = role.encode("ascii") + plan_hash
    for signed in statements:
        if len(signed) == len(body) + SIGNATURE_BYTES and signed.startswith(body):
            try:
                key.verify(DOMAIN, body, signed[len(body) :])
            except CryptoError:
                continue
            return True
    return False


def unopened(
    statements: Sequence[bytes],
    plan_hash: bytes,
    keys: tuple[bytes, ...],
    views: Sequence[tuple[bytes, npt.NDArray[np.int64]]],
) -> list[npt.NDArray[np.int64]]:
    """The panes of an earlier plan that neither aggregator opened, by what both signed. Other statements are ignored.

    Args:
        keys: the signing keys of leader and helper in that plan, from the own ledger; empty: no statement counts.
        views: the definition hash and the pane starts (µs) of each view of that plan, in order.

    Returns:
        int64[P] for each view: pane starts, increasing.
    """
    found = [panes for _, panes in views]
    if len(keys) != len(AGGREGATORS):
        return [panes[:0] for panes in found]
    for role, data in zip(AGGREGATORS, keys, strict=True):
        try:
            key = VerifyKey(data)
        except CryptoError:
            return [panes[:0] for panes in found]
        if not never_opened(statements, role, plan_hash, key):
            found = _not_opened_in(statements, role, plan_hash, key, views, found)
    return found


def _not_opened_in(
    statements: Iterable[bytes],
    role: Aggregator,
    plan_hash: bytes,
    key: VerifyKey,
    views: Sequence[tuple[bytes, npt.NDArray[np.int64]]],
    among: list[npt.NDArray[np.int64]],
) -> list[npt.NDArray[np.int64]]:
    """Of these panes, those that an opening statement of this role names with another outcome than OPENED."""
    found = [panes[:0] for panes in among]
    for signed in statements:
        try:
            said = verify_statement(signed, key)
        except (CryptoError, StatementMalformed):
            continue
        if (said.role, said.plan_hash) != (role, plan_hash) or said.view >= len(views):
            continue
        definition, panes = views[said.view]
        if said.definition == definition and len(said.outcomes) == len(panes):
            outcomes = np.frombuffer(said.outcomes, np.uint8)
            found[said.view] = np.intersect1d(among[said.view], panes[outcomes != Outcome.OPENED])
    return found
