"""What views cost a client: integers that add up over groups, views, panes and days; ε at δ is told to people.

A client-day costs a view the sum over its noise groups, once: panes are disjoint parts of the day, and the layout's
sensitivities are those of the whole client-day, so a pane costs nothing beyond its day. Views and days add up (zCDP: Bun
and Steinke 2016, Lemma 1.7; pure DP: basic composition). Every rounding is to the safe side: a view's price is split into
whole millionths rounded down before it buys noise, a Laplace group's micro-ρ is rounded up, σ and b are rounded up by the
samplers, and a text of ε is rounded up. Under homomorphic encryption a plan adds what its openings tell the key holder.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from featurestore.define.epsilon import epsilon_of
from featurestore.define.layout import Layout

from .plan import Plan, PlannedView


@dataclass(frozen=True)
class Cost:
    """What something costs a client.

    Attributes:
        micro_rho: zCDP in millionths: what ledgers hold.
        micro_epsilon: pure ε in millionths, where all of it is Laplace noise; None where some is Gaussian.
    """

    micro_rho: int
    micro_epsilon: int | None

    def __add__(self, other: Cost) -> Cost:
        """Both to one client."""
        pure = None
        if self.micro_epsilon is not None and other.micro_epsilon is not None:
            pure = self.micro_epsilon + other.micro_epsilon
        return Cost(self.micro_rho + other.micro_rho, pure)

    def over(self, days: int) -> Cost:
        """The same on each of `days` days on which the client takes part."""
        return Cost(self.micro_rho * days, None if self.micro_epsilon is None else self.micro_epsilon * days)

    def epsilon(self, delta: float) -> float:
        """The least ε at δ that is known: of the zCDP or, if it is less, the pure one."""
        told = epsilon_of(self.micro_rho, delta)
        return told if self.micro_epsilon is None else min(told, self.micro_epsilon / 10**6)


NOTHING = Cost(0, 0)


def cost_of_day(layouts: Iterable[Layout]) -> Cost:
    """What one client-day costs, of all these views together."""
    total = NOTHING
    for layout in layouts:
        total += Cost(layout.micro_rho, layout.micro_epsilon)
    return total


def charge_of(plan: Plan, planned: PlannedView) -> int:
    """What a client-day costs in micro-ρ under this plan: the view's price, and under `he` what openings tell besides."""
    return planned.layout.micro_rho + plan.leak_micro_rho(planned)


def epsilon(micro_rho: int, delta: float, days: int = 1) -> float:
    """ε at δ of `days` client-days at ρ = micro_rho/10⁶ each: what a ledger's sum is told as."""
    return epsilon_of(micro_rho * days, delta)
