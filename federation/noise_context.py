"""The context that the noise of a group is bound to: everything that the sums depend on, and the sums themselves.

An aggregator's noise follows from its live secret and this context (`crypto.noise.SecretNoise`). A restored aggregator that
has the same sums draws the same noise. An aggregator that has other sums draws independent noise, so that the difference of
two openings never shows a sum without noise. A pseudorandom function of plan and commitment alone would show it, because a
retry keeps report ids while shares and values change.

    version ‖ role ‖ what ‖ plan hash ‖ view ‖ both commitments ‖ outcomes ‖ SHA-256(own sums) ‖ group ‖ mechanism ‖ scale
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from crypto import field as field64
from featurestore.define.layout import Group

from .noise import drawn_scale
from .parties import Aggregator
from .plan import Plan

VERSION: Final = b"covey-1 noise cks20-1"
"""The version includes the sampler: another sampler makes other samples of the same words."""


@dataclass(frozen=True)
class NoiseContext:
    """The context of the sums of one view, or of one collection if collections are noised one by one.

    Attributes:
        what: `sums`, or `flood` for the flooding of an encrypted sum.
        commitments: digests of both aggregators' commitments to their sets of reports (under `he`, the leader's only).
        outcomes: one byte of `Outcome` a pane.
        sums: SHA-256 of this aggregator's own sums: in the noise basis, or encrypted.
    """

    plan_hash: bytes
    role: Aggregator
    view: int
    commitments: tuple[bytes, ...]
    outcomes: bytes
    sums: bytes
    what: Literal["sums", "flood"] = "sums"

    @classmethod
    def of_shares(
        cls,
        plan: Plan,
        role: Aggregator,
        view: int,
        commitments: tuple[bytes, ...],
        outcomes: bytes,
        mapped: npt.NDArray[np.uint64],
    ) -> NoiseContext:
        """Run by leader and helper: the context of its own shares of the opened sums, uint64[opened, K·S]."""
        return cls(plan.hash, role, view, commitments, outcomes, hashlib.sha256(field64.to_bytes(mapped)).digest())

    @classmethod
    def of_ciphertext(cls, plan: Plan, view: int, collection: int, commitment: bytes, total: bytes) -> NoiseContext:
        """Run by the leader under `he`: the context of one collection's encrypted sum, as bytes."""
        sums = hashlib.sha256(collection.to_bytes(4, "big") + total).digest()
        return cls(plan.hash, "leader", view, (commitment,), b"", sums)

    @classmethod
    def of_decrypted(
        cls, plan: Plan, view: int, sets: bytes, outcomes: bytes, sums: npt.NDArray[np.int64]
    ) -> NoiseContext:
        """Run by the key holder: the context of a view's decrypted sums. `sets`: the leader's digest of their reports.

        It does not include the leader's messages, so that two encryptions of the same sums get the same noise.
        """
        return cls(plan.hash, "helper", view, (sets,), outcomes, hashlib.sha256(sums.astype("<i8").tobytes()).digest())

    def of_group(self, number: int, group: Group) -> bytes:
        """The bytes for a noise group of the view."""
        return self._bytes(number, group.mechanism.name, drawn_scale(group.mechanism))

    def of_flood(self, sigma_sq: int) -> bytes:
        """The bytes for the flooding of a ciphertext."""
        return replace(self, what="flood")._bytes(0, "gaussian", Fraction(sigma_sq))

    def _bytes(self, number: int, mechanism: str, scale: Fraction) -> bytes:
        parts = (
            VERSION, self.role.encode(), self.what.encode(), self.plan_hash, self.view.to_bytes(4, "big"),
            len(self.commitments).to_bytes(4, "big"), *self.commitments, self.outcomes, self.sums,
            number.to_bytes(4, "big"), mechanism.encode(), f"{scale.numerator}/{scale.denominator}".encode(),
        )  # fmt: skip
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
