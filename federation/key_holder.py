"""The key holder under homomorphic encryption: it opens one noised sum a pane, and adds noise of its own before it tells.

It cannot count reports, so it keeps what the leader says about them. BFV does not withstand chosen ciphertexts (see
`crypto.bfv_secret`): a pane is opened once, and the first sum that no honest reports give is the end of the plan's keys.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from crypto.bfv import Ciphertexts, PublicKey
from crypto.bfv_secret import SecretKey, SumRange
from crypto.errors import KeyErased
from crypto.noise import NoiseSource

from .errors import KeyBurnt, NoiseRefused, PaneOpenedBefore, ReportRefused, StatementMalformed
from .he_leader import EncryptedSums
from .he_view import slot_bounds
from .plan import Plan
from .protocol import OpenedView, Outcome, draw_noise
from .statement import Statement, require_subject


class KeyHolder:
    """The key holder of one plan: a key pair for each of its views, made, burnt and erased together.

    Attributes:
        statements: what the leader has said of each opening: evidence, if it was not so.

    Raises:
        ReportRefused: the plan has another protection.
    """

    def __init__(self, plan: Plan) -> None:
        if plan.protection != "he":
            raise ReportRefused(f"the plan says protection {plan.protection!r}: there is no key to hold")
        self.plan = plan
        self.statements: list[Statement] = []
        self._keys = [SecretKey.generate(plan.he_parameters(planned)) for planned in plan.views]
        self._ranges = [self._range(view) for view in range(len(plan.views))]
        self._opened: set[int] = set()
        self._burnt = False

    def __repr__(self) -> str:
        return f"KeyHolder(plan {self.plan.hash.hex()[:16]}…: redacted)"

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
        if (source is None) != (self.plan.noise == "none"):
            raise NoiseRefused(f"the plan says noise {self.plan.noise!r}, the key holder was told otherwise")
        view, outcomes = self._subject(sums)
        planned, key = self.plan.views[view], self._keys[view]
        parsed = [Ciphertexts.from_bytes(key.public.parameters, key.public.key_id, data) for data in sums.messages]
        self._spend(view, outcomes)
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
            values += draw_noise(planned.layout, len(opened), source)
        return OpenedView(planned, outcomes, values)

    def erase(self) -> None:
        """Forget the secret keys: at the plan's end."""
        for key in self._keys:
            key.erase()

    def _subject(self, sums: EncryptedSums) -> tuple[int, npt.NDArray[np.uint8]]:
        """The view that the sums are of, and uint8[C] of `Outcome`."""
        statement = sums.statement
        if not 0 <= statement.view < len(self.plan.views):
            raise StatementMalformed(f"the plan has no view number {statement.view}")
        require_subject(statement, self.plan, statement.view, "leader")
        outcomes = np.frombuffer(statement.outcomes, np.uint8)
        if np.count_nonzero(outcomes == Outcome.OPENED) != len(sums.messages):
            raise StatementMalformed(f"{len(sums.messages)} sums are not those of its opened panes")
        if hashlib.sha256(b"".join(sums.messages)).digest() != statement.share:
            raise StatementMalformed("it is of other sums")
        return statement.view, outcomes

    def _spend(self, view: int, outcomes: npt.NDArray[np.uint8]) -> None:
        """Mark the panes as opened, before they are."""
        collections = (self.plan.offsets[view] + np.flatnonzero(outcomes == Outcome.OPENED)).tolist()
        if self._opened.intersection(collections):
            raise PaneOpenedBefore(self.plan.views[view].view.name)
        self._opened.update(collections)

    def _range(self, view: int) -> SumRange:
        planned = self.plan.views[view]
        bounds = slot_bounds(planned.layout, noisy=self.plan.noise != "none")
        return SumRange.of(self._keys[view].public.parameters, bounds.low, bounds.high, bounds.noise)
