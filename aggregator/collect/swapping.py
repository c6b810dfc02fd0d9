"""How leader and helper see what they have opened, and sign it: each gives the other its noised shares. The same steps at both.

    digest    both have been witnessed ──► each signs the SHA-256 of its noised shares, and keeps the other's word of them
    swap      the shares themselves, which must have that digest ──► both added ──► {the values, signed}
    settle    both have stored that ──► own noised shares are erased, and shares and values may be sent to the collector

Nothing is sent to the other before it is bound to its own share, so neither can choose one by the other's. With finish mpc no
share is swapped: the values that both have opened together are signed (finishing.py). A crash before `settle` is mended by
doing the steps again: the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from aggregator.errors import CommitmentConflict, MessageMalformed, NotCommitted
from aggregator.storage.role_storage import StoredPlan
from crypto import field as field64
from federation.errors import FinishRefused
from federation.opened_values import sign_values
from federation.plan import Plan
from federation.protocol import Outcome
from federation.statement import verify_statement

from .opening import Opener
from .sealed_share import SealedShare


class Swapping(Opener):
    """Leader or helper, as far as its own share is concerned."""

    def _own_shares(self, stored: StoredPlan) -> bytes:
        """This aggregator's noised shares of a plan that is witnessed: all views, in order.

        Raises:
            NotCommitted: it is not. FinishRefused: they are erased.
        """
        if stored.state != "witnessed":
            raise NotCommitted(stored.hash)
        held = self.storage.to_swap(stored.number)
        if not held:
            raise FinishRefused(
                f"plan {stored.hash.hex()[:16]}… was finished before, and its noised shares are erased: put the newest copy "
                f"of the {self.peer}'s file back"
            )
        return b"".join(held)

    def _keep_digest(self, stored: StoredPlan, digest: bytes) -> None:
        """Remember what the other aggregator is bound to. Raises CommitmentConflict: it was bound to another one before."""
        with self.storage.transaction():
            self.storage.set_swap_digest(stored.number, digest)
        if self.storage.swap_digest(stored.number) != digest:
            raise CommitmentConflict(f"the {self.peer} has signed another digest of its noised shares before")

    def _received(self, stored: StoredPlan, pieces: Iterable[bytes]) -> bytes:
        """The other aggregator's noised shares, which have the digest that it signed. They are as long as those here.

        Raises:
            NotCommitted: it has signed none. MessageMalformed.
        """
        size, found = len(self._own_shares(stored)), bytearray()
        for piece in pieces:
            found += piece
            if len(found) > size:
                break
        due = self.storage.swap_digest(stored.number)
        if due is None:
            raise NotCommitted(stored.hash)
        if hashlib.sha256(found).digest() != due:
            raise MessageMalformed(f"the noised shares of the {self.peer} are not those whose digest it signed")
        return bytes(found)

    def _signed_values(self, stored: StoredPlan, plan: Plan, theirs: bytes) -> list[bytes]:
        """What both shares add up to, signed, of each view. Raises FieldElementOutOfRange, MessageMalformed."""
        signed, left = [], memoryview(theirs)
        for view, (planned, own) in enumerate(zip(plan.views, self.storage.to_swap(stored.number), strict=True)):
            other, left = left[: len(own)], left[len(own) :]
            if len(other) != len(own):
                raise MessageMalformed(f"the {self.peer} has opened fewer panes of view {planned.view.name!r}")
            statement = verify_statement(self.storage.statements(stored.number)[view], self.keys.sign.public)
            total = field64.add(field64.from_bytes(own), field64.from_bytes(bytes(other)))
            panes = statement.outcomes.count(Outcome.OPENED)
            sums = field64.decode_centred(total).astype(np.int64).reshape(panes, planned.layout.length)
            signed.append(sign_values(plan, view, self.role, sums, self.keys.sign))
        return signed

    def _erase_held(self, stored: StoredPlan) -> None:
        """Erase the noised shares of what is stored: nothing is opened again. A repeat changes nothing.

        Raises:
            NotCommitted. FinishRefused: the values are not here, so this file is an older copy.
        """
        shares = self.storage.noised(stored.number)
        if not shares:
            raise NotCommitted(stored.hash)
        if not all(share.opened for share in shares):
            raise FinishRefused(
                f"plan {stored.hash.hex()[:16]}… was finished before, and what was opened is not in {self.storage.path}: put the "
                f"newest copy of the {self.role}'s file back"
            )
        with self.storage.transaction():
            self.storage.settle(stored.number)
        self._forget()

    def _shares(self, plan: Plan) -> list[SealedShare]:
        """As `Opener`; nothing before the values are stored at both, so that the bytes do not change. Raises NotCommitted."""
        if self.storage.to_swap(self._opened(plan.hash)[0].number):
            raise NotCommitted(plan.hash)
        return super()._shares(plan)
