"""Prices of a client-day: the ρ that an ε buys for all views of a task together, by the accountant of releases."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, assert_never

from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Noisers
from federation.accountant import Cost, cost_of_day

DELTA: Final = 1e-6
_MOST: Final = 0.6
"""More than the ρ of an ε in units of ε²/ln(1/δ): .39 at ε = 1, and ¼ if δ goes to 0."""


@dataclass(frozen=True)
class Price:
    """What the views of a task cost a client-day.

    Attributes:
        rho: ρ (zCDP) of all views together.
    """

    rho: float
    noisers: Noisers

    def of(self, view: FeatureView, share: float = 1.0) -> FeatureView:
        """Return a view of the task at its share of the price."""
        return replace(view, privacy=replace(view.privacy, rho=self.rho * share, noisers=self.noisers))


@dataclass(frozen=True)
class Promise:
    """An ε that a price must keep at δ = 10⁻⁶: against outsiders if the noise is shared, otherwise against everybody.

    Attributes:
        days: the promise is about any so many days of a client.
    """

    title: str
    epsilon: float
    days: int = 1
    noisers: Noisers = "shared"

    def epsilon_of(self, cost: Cost) -> float:
        """Return ε of the cost of a client-day, over the days of the promise."""
        whole = cost.over(self.days)
        match self.noisers:
            case "shared":
                return whole.epsilon_outside(DELTA)
            case "each":
                return whole.epsilon(DELTA)
            case _:
                assert_never(self.noisers)


def price_of(promise: Promise, views: Callable[[Price], Sequence[FeatureView]]) -> Price:
    """Return the highest price, in whole micro-ρ, that keeps the promise.

    Args:
        views: makes the views of a task at a price.
    """

    def made(micro_rho: int) -> Price:
        return Price(micro_rho / 10**6, promise.noisers)

    most = int(_MOST * promise.epsilon**2 / promise.days / math.log(1 / DELTA) * 10**6)
    kept = range(most // 10, most)
    found = bisect_right(kept, promise.epsilon, key=lambda one: promise.epsilon_of(cost_of(views(made(one)))))
    return made(kept[found - 1])


def cost_of(views: Sequence[FeatureView]) -> Cost:
    """Return the cost of a client-day."""
    return cost_of_day(map(layout_of, views))
