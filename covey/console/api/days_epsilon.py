"""ε of a client that takes part on some days, as several places state it."""

from __future__ import annotations

from typing import Self

from federation.accountant import EpsilonClaim

from .form import Form


class DaysEpsilon(Form):
    """ε at a δ of a client that takes part on each of some days. `pure`: without δ; null unless all noise is Laplace noise."""

    days: int
    outsiders: float
    aggregator: float
    pure: float | None

    @classmethod
    def of(cls, claim: EpsilonClaim) -> Self:
        """A claim of the accountant."""
        return cls(days=claim.days, outsiders=claim.outsiders, aggregator=claim.aggregator, pure=claim.pure)
