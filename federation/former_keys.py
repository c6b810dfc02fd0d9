"""The keys of a role in the course of time. The deadline of a plan determines which of them is the role's key for the plan.

    change-over of K1          change-over of K2
    ──────── K1 ───────┤──────────── K2 ───────────┤──────── K3, the current key ────────►  deadlines of plans

A rotation makes a new key and names a change-over that no plan under way ends after. So both sides of every message derive the
same key from the plan alone, whichever of them learns of the rotation first, and a collection under way keeps its keys
(ADR 0047).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from crypto.errors import SignatureInvalid
from crypto.seal import SealPublicKey
from crypto.signing import VerifyKey

from .errors import KeyNotInForce
from .node_keys import NodeCertificate

KEPT_US: Final = 31 * 86_400 * 10**6
"""How long former keys are needed after their change-over. No plan is charged later after its deadline than that
(aggregator/storage/retention.py), so none can need them afterwards."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class FormerKey:
    """A public key that a role has replaced.

    Attributes:
        until_us: µs since the epoch, its change-over: it is the role's key for plans whose deadline is not later.
        seal, node: the seal key beside it, at the collector only; the node key, at sites only.
        lost: it was lost or stolen, so whoever has it may sign with it now. It verifies only what has a place in time: plans,
            and what follows from them.
    """

    role: str
    key: VerifyKey
    until_us: int
    seal: SealPublicKey | None = None
    node: NodeCertificate | None = None
    lost: bool = False


@dataclass(frozen=True)
class PinnedKey:
    """The keys of one role, as a party knows them.

    Attributes:
        former: those that were replaced, oldest first.
    """

    role: str
    current: VerifyKey
    former: tuple[FormerKey, ...] = ()

    @property
    def all(self) -> tuple[VerifyKey, ...]:
        """The current key, then the former ones."""
        return (self.current, *(one.key for one in self.former))

    def at(self, deadline_us: int) -> VerifyKey:
        """The role's key for plans with this deadline."""
        return next((one.key for one in self.former if deadline_us <= one.until_us), self.current)

    def require(self, key: VerifyKey, deadline_us: int) -> None:
        """Return if this is the role's key for plans with this deadline. Raises KeyNotInForce."""
        if (due := self.at(deadline_us)) != key:
            until = next((one.until_us for one in self.former if one.key == key), None)
            raise KeyNotInForce(self.role, key.id.hex(), due.id.hex(), deadline_us, until)

    def needed(self, now_us: int) -> PinnedKey:
        """The current key, and those former ones that a plan may still need: they are not lost, and not long replaced."""
        needed = (one for one in self.former if not one.lost and now_us <= one.until_us + KEPT_US)
        return replace(self, former=tuple(needed))

    def is_lost(self, key: VerifyKey) -> bool:
        """Whether this former key was lost or stolen."""
        return any(one.key == key and one.lost for one in self.former)

    def verified(self, check: Callable[[VerifyKey], _T], deadline_of: Callable[[_T], int]) -> _T:
        """What `check` returns with the key that signed it, if that key is in force for its deadline.

        Args:
            check: verifies a signature. Raises SignatureInvalid.

        Raises:
            SignatureInvalid: none of the keys signed it. KeyNotInForce. And as `check`.
        """
        key, found = self.signer(check)
        self.require(key, deadline_of(found))
        return found

    def signed(self, check: Callable[[VerifyKey], _T]) -> _T:
        """As `verified`, for a message of which the deadline is not known here: with any of the keys."""
        return self.signer(check)[1]

    def signer(self, check: Callable[[VerifyKey], _T]) -> tuple[VerifyKey, _T]:
        """As `signed`, with the key that signed it."""
        try:
            return self.current, check(self.current)
        except SignatureInvalid as refused:
            for one in self.former:
                try:
                    return one.key, check(one.key)
                except SignatureInvalid:
                    continue
            raise refused


@dataclass(frozen=True)
class FormerKeys:
    """The former keys of all roles that a file pins, each role's oldest first."""

    entries: tuple[FormerKey, ...] = ()

    def pinned(self, role: str, current: VerifyKey) -> PinnedKey:
        """The keys of a role whose current key is pinned elsewhere in the file."""
        return PinnedKey(role, current, self.of(role))

    def of(self, role: str) -> tuple[FormerKey, ...]:
        """The former keys of a role."""
        return tuple(one for one in self.entries if one.role == role)


NO_FORMER_KEYS: Final = FormerKeys()
