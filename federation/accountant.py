"""The cost of views for a client: integers that add up over groups, views, panes and days. People read it as ε at δ.

A client-day costs a view the sum over its noise groups, once: panes are disjoint parts of the day, and the layout's
sensitivities are those of the whole client-day, so a pane costs nothing beyond its day. Views and days add up (zCDP: Bun
and Steinke 2016, Lemma 1.7; pure DP: basic composition). Every rounding is to the safe side. A view's price is split into
whole millionths, rounded down, before it buys noise. A Laplace group's micro-ρ, σ and b of the samplers, and ε in texts are
rounded up. Under homomorphic encryption a plan adds what its openings reveal to the key holder.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from featurestore.define.epsilon import epsilon_of
from featurestore.define.layout import Layout

from .plan import Plan, PlannedView


@dataclass(frozen=True)
class Cost:
    """A price that a client pays.

    Attributes:
        micro_rho: zCDP in millionths, the unit of ledgers.
        micro_epsilon: pure ε in millionths, where all of it is Laplace noise; None where some is Gaussian.
    """

    micro_rho: int
    micro_epsilon: int | None

    def __add__(self, other: Cost) -> Cost:
        """The cost of both for one client."""
        pure = None
        if self.micro_epsilon is not None and other.micro_epsilon is not None:
            pure = self.micro_epsilon + other.micro_epsilon
        return Cost(self.micro_rho + other.micro_rho, pure)

    def over(self, days: int) -> Cost:
        """The cost of `days` days on which the client takes part."""
        return Cost(self.micro_rho * days, None if self.micro_epsilon is None else self.micro_epsilon * days)

    def epsilon(self, delta: float) -> float:
        """The smallest known ε at δ: the one that follows from zCDP, or the pure ε if it is smaller."""
        from_zcdp = epsilon_of(self.micro_rho, delta)
        return from_zcdp if self.micro_epsilon is None else min(from_zcdp, self.micro_epsilon / 10**6)


NOTHING = Cost(0, 0)


def cost_of_day(layouts: Iterable[Layout]) -> Cost:
    """The cost of one client-day over all these views together."""
    total = NOTHING
    for layout in layouts:
        total += Cost(layout.micro_rho, layout.micro_epsilon)
    return total


def charge_of(plan: Plan, planned: PlannedView) -> int:
    """The cost of a client-day in micro-ρ under this plan: the view's price, and under `he` the leak of its openings."""
    return planned.layout.micro_rho + plan.leak_micro_rho(planned)


def epsilon(micro_rho: int, delta: float, days: int = 1) -> float:
    """ε at δ of `days` client-days at ρ = micro_rho/10⁶ each: the form in which people read a ledger's sum."""
    return epsilon_of(micro_rho * days, delta)
