"""The key holder under homomorphic encryption: it opens one noised sum a pane, and adds its own noise before it passes it on.

It cannot count reports, so it keeps the leader's statements about them. BFV is not secure against chosen ciphertexts (see
`crypto.bfv_secret`). So a pane is opened once, and the plan's keys are erased after the first sum that honest reports cannot
give.
"""

from __future__ import annotations

import hashlib

import numpy as np

from crypto.bfv import Ciphertexts, PublicKey
from crypto.bfv_secret import SecretKey, SumRange
from crypto.errors import KeyErased
from crypto.noise import NoiseSource
from federation.aggregation import OpenedView, draw_noise
from federation.commitment import Outcome
from federation.errors import KeyBurnt, PaneOpenedBefore, ReportRefused, StatementMalformed
from federation.noise_context import NoiseContext
from federation.plan import Plan
from federation.statement import Statement, require_subject
from federation.terms import Encrypted

from .leader import EncryptedSums, opened_of, require_source
from .view import slot_bounds


class HeKeyHolder:
    """The key holder of one plan: a key pair for each view. All pairs are made and erased together.

    Attributes:
        statements: the leader's statement of each opening: evidence against the leader if it is false.

    Raises:
        ReportRefused: the plan has another protection.
    """

    def __init__(self, plan: Plan) -> None:
        if not isinstance(plan.terms, Encrypted):
            raise ReportRefused(f"the plan says protection {plan.terms.protection.value!r}: it needs no key holder")
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
        """The public key of each view, for clients and leader."""
        return tuple(key.public for key in self._keys)

    def open(self, sums: EncryptedSums, source: NoiseSource | None) -> OpenedView:
        """The sums of a view with both parties' noise.

        Args:
            source: None only if the plan has no noise (and the caller's settings allow it).

        Raises:
            SumOutOfRange: a sum is out of range. Nothing about any sum is revealed, and the plan's keys are erased.
            KeyBurnt: the keys were erased before, for that reason. KeyErased: they were erased before.
            PaneOpenedBefore, NoiseRefused. StatementMalformed: the leader's statement is about something else. WrongLength,
            KeyMismatch, CoefficientOutOfRange: these are not sums under this plan's key. In all these cases nothing is
            decrypted.
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
        except BaseException:  # after any error while sums are decrypted, they are never decrypted again
            self._burnt = True
            self.erase()
            raise
        shape = len(opened), planned.layout.keys, planned.layout.slots_per_key
        values = np.array(opened, np.int64).reshape(shape)
        if source is not None:
            statement = sums.statement
            context = NoiseContext.of_decrypted(self.plan, view, statement.sets, statement.outcomes, values)
            values += draw_noise(planned.layout, len(opened), source, context)
        return OpenedView(planned, np.frombuffer(sums.statement.outcomes, np.uint8), values)

    def erase(self) -> None:
        """Forget the secret keys. Run at the end of the plan."""
        for key in self._keys:
            key.erase()

    def _subject(self, sums: EncryptedSums) -> int:
        """The view of the sums, if they are those of the leader's statement."""
        statement = sums.statement
        require_sums(self.plan, statement)
        if (need := statement.outcomes.count(Outcome.OPENED)) != len(sums.messages):
            raise StatementMalformed(f"{len(sums.messages)} sums came with it, need {need}: one for each opened pane")
        if hashlib.sha256(b"".join(sums.messages)).digest() != statement.share:
            raise StatementMalformed("it names other sums than the ones that came with it")
        return statement.view

    def _spend(self, view: int, collections: list[int]) -> None:
        """Mark the panes as opened, before they are opened."""
        if self._opened.intersection(collections):
            raise PaneOpenedBefore(self.plan.views[view].view.name)
        self._opened.update(collections)


def require_sums(plan: Plan, statement: Statement) -> None:
    """Return if a statement is the leader's, about a view of this plan. Raises StatementMalformed."""
    if not 0 <= statement.view < len(plan.views):
        raise StatementMalformed(f"it names view number {statement.view}, which the plan does not have")
    require_subject(statement, plan, statement.view, "leader")


def sum_range(plan: Plan, view: int) -> SumRange:
    """The range of each slot of an honest sum of a view, the leader's noise included."""
    planned = plan.views[view]
    bounds = slot_bounds(planned.layout, noisy=plan.noisy)
    return SumRange.of(plan.he_parameters(planned), bounds.low, bounds.high, bounds.noise)
