"""The key holder under homomorphic encryption: it opens one noised sum a pane, and adds noise of its own before it tells.

It cannot count reports, so it keeps what the leader says about them. BFV does not withstand chosen ciphertexts (see
`crypto.bfv_secret`): a pane is opened once, and the first sum that no honest reports give is the end of the plan's keys.
"""

from __future__ import annotations

import hashlib

import numpy as np

from crypto.bfv import Ciphertexts, PublicKey
from crypto.bfv_secret import SecretKey, SumRange
from crypto.errors import KeyErased
from crypto.noise import NoiseSource
from federation.errors import KeyBurnt, PaneOpenedBefore, ReportRefused, StatementMalformed
from federation.noise_context import NoiseContext
from federation.plan import Plan
from federation.protocol import OpenedView, Outcome, draw_noise
from federation.statement import Statement, require_subject
from federation.terms import Encrypted

from .leader import EncryptedSums, opened_of, require_source
from .view import slot_bounds


class HeKeyHolder:
    """The key holder of one plan: a key pair for each of its views, made, burnt and erased together.

    Attributes:
        statements: what the leader has said of each opening: evidence, if it was not so.

    Raises:
        ReportRefused: the plan has another protection.
    """

    def __init__(self, plan: Plan) -> None:
        if not isinstance(plan.terms, Encrypted):
            raise ReportRefused(f"the plan says protection {plan.terms.protection.value!r}: there is no key to hold")
        self.plan = plan
        self.statements: list[Statement] = []
        self._keys = [SecretKey.generate(plan.he_parameters(planned)) for planned in plan.views]
        self._ranges = [sum_range(plan, view) for view in range(len(plan.views))]
        self._opened: set[int] = set()
        self._burnt = False

    def __repr__(self) -> str:
        return f"HeKeyHolder(plan {self.plan.hash.hex()[:16]}…: redacted)"

    @property
    def public_keys(self) -> tuple[PublicKey, ...]:
        """Of each view, for clients and leader."""
        return tuple(key.public for key in self._keys)

    def open(self, sums: EncryptedSums, source: NoiseSource | None) -> OpenedView:
        """The sums of a view with both parties' noise.

        Args:
            source: None only where the plan says noise off (and the caller's settings allow it).

        Raises:
            SumOutOfRange: of one of them, whichever; nothing is told of any, and the plan's keys are erased.
            KeyErased: they were before.
            KeyBurnt: that has happened before. PaneOpenedBefore. NoiseRefused.
            StatementMalformed: the leader's statement is of something else. WrongLength, KeyMismatch,
            CoefficientOutOfRange: no sums under this plan's key. Nothing is decrypted then.
        """
        if self._burnt:
            raise KeyBurnt(self.plan.hash)
        for key in self._keys:
            if key.erased:  # before a pane counts as opened
                raise KeyErased(key.public.key_id)
        require_source(self.plan, "key holder", source)
        view = self._subject(sums)
        opened_panes = opened_of(self.plan, view, sums.statement.outcomes)
        planned, key = self.plan.views[view], self._keys[view]
        parsed = [Ciphertexts.from_bytes(key.public.parameters, key.public.key_id, data) for data in sums.messages]
        self._spend(view, opened_panes)
        self.statements.append(sums.statement)
        try:
            opened = [key.open_sum(one, self._ranges[view]) for one in parsed]
        except BaseException:  # whatever went wrong after a sum was looked at: no second look
            self._burnt = True
            self.erase()
            raise
        shape = len(opened), planned.layout.keys, planned.layout.slots_per_key
        values = np.array(opened, np.int64).reshape(shape)
        if source is not None:
            said = sums.statement
            context = NoiseContext.of_decrypted(self.plan, view, said.sets, said.outcomes, values)
            values += draw_noise(planned.layout, len(opened), source, context)
        return OpenedView(planned, np.frombuffer(sums.statement.outcomes, np.uint8), values)

    def erase(self) -> None:
        """Forget the secret keys: at the plan's end."""
        for key in self._keys:
            key.erase()

    def _subject(self, sums: EncryptedSums) -> int:
        """The view that the sums are of."""
        statement = sums.statement
        require_sums(self.plan, statement)
        if (need := statement.outcomes.count(Outcome.OPENED)) != len(sums.messages):
            raise StatementMalformed(f"{len(sums.messages)} sums for its {need} opened panes")
        if hashlib.sha256(b"".join(sums.messages)).digest() != statement.share:
            raise StatementMalformed("it is of other sums")
        return statement.view

    def _spend(self, view: int, collections: list[int]) -> None:
        """Mark the panes as opened, before they are."""
        if self._opened.intersection(collections):
            raise PaneOpenedBefore(self.plan.views[view].view.name)
        self._opened.update(collections)


def require_sums(plan: Plan, statement: Statement) -> None:
    """Raise StatementMalformed unless a statement is the leader's, of a view of this plan."""
    if not 0 <= statement.view < len(plan.views):
        raise StatementMalformed(f"the plan has no view number {statement.view}")
    require_subject(statement, plan, statement.view, "leader")


def sum_range(plan: Plan, view: int) -> SumRange:
    """Where each slot of an honest sum of a view lies, the leader's noise included."""
    planned = plan.views[view]
    bounds = slot_bounds(planned.layout, noisy=plan.noisy)
    return SumRange.of(plan.he_parameters(planned), bounds.low, bounds.high, bounds.noise)
