"""The cost of views for a client: integers that add up over groups, views, panes and days. People read it as ε at δ.

A client-day costs a view the sum over its noise groups, once: panes are disjoint parts of the day, and the layout's
sensitivities are those of the whole client-day, so a pane costs nothing beyond its day. Views and days add up (zCDP: Bun
and Steinke 2016, Lemma 1.7; pure DP: basic composition). Every rounding is to the safe side. A view's price is split into
whole millionths, rounded down, before it buys noise. A Laplace group's micro-ρ, σ and b of the samplers, and ε in texts are
rounded up. Under homomorphic encryption a plan adds what its openings reveal to the key holder.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import exp, floor
from typing import Final

from featurestore.define.accounting import HALVES_RATIO, Moves, merged, rounded_micro_rho_of, schedule_epsilon
from featurestore.define.epsilon import epsilon_of
from featurestore.define.layout import Layout
from featurestore.define.mechanism import LEAST_SIGMA_SQ, NOISERS

from .plan import Plan, PlannedView
from .price import Observer, Price, Rho

CLAIMED_DAYS: Final = (1, 7, 30)
"""Claims are about a client-day, and about any 7 and any 30 days."""


@dataclass(frozen=True)
class EpsilonClaim:
    """ε at δ of a client that takes part on each of some days.

    Attributes:
        outsiders: against those who see releases, if both aggregators are honest.
        aggregator: against a curious or cheating aggregator, and against everybody if one of the two cheats.
        pure: ε without δ against all of them, if all noise is Laplace; else None.
    """

    days: int
    outsiders: float
    aggregator: float
    pure: float | None


@dataclass(frozen=True)
class Cost:
    """A price that a client pays for charges that are fixed beforehand.

    Attributes:
        micro_rho: zCDP of all of it in millionths, the unit of ledgers.
        moves: what the charges with Gaussian noise move, in their normal form.
        laplace: pure ε in millionths of the charges with Laplace noise.
        leak: the part of `micro_rho` that only the key holder's view of ciphertexts costs.
    """

    micro_rho: int
    moves: tuple[Moves, ...] = ()
    laplace: int = 0
    leak: int = 0

    def __add__(self, other: Cost) -> Cost:
        """The cost of both for one client."""
        return Cost(
            self.micro_rho + other.micro_rho,
            merged(self.moves + other.moves),
            self.laplace + other.laplace,
            self.leak + other.leak,
        )

    @property
    def micro_epsilon(self) -> int | None:
        """Pure ε in millionths, where all noise is Laplace noise; None where some is Gaussian."""
        return None if self.moves or self.leak else self.laplace

    def over(self, days: int) -> Cost:
        """The cost of `days` days on which the client takes part."""
        return Cost(self.micro_rho * days, merged(self.moves, days), self.laplace * days, self.leak * days)

    def epsilon(self, delta: float) -> float:
        """The smallest ε at δ that is known to hold: from zCDP, or pure ε of the Laplace part and ε of the Gaussian part.

        It is what one aggregator learns, who knows its own noise: the other one's noise alone protects the client.
        """
        if not self.leak and not self.laplace:
            return schedule_epsilon(self.moves, delta)
        by_zcdp = epsilon_of(self.micro_rho, delta)
        return by_zcdp if self.leak else min(by_zcdp, self.laplace / 10**6 + schedule_epsilon(self.moves, delta))

    def epsilon_outside(self, delta: float) -> float:
        """ε at δ for those who see opened sums only, if both aggregators are honest: a sum has the noise of both.

        It is the ε that a view with `noisers="shared"` states.

        The sum of two discrete Gaussians of σ² ≥ 8 is one of 2σ² up to a log ratio of 2e^(−π²σ²) < 10⁻³³, here 10⁻¹⁶ for each
        moved sum (cf. Kairouz, Liu and Steinke 2021, Theorem 1). Of other noise the second is not counted.
        """
        ratio = HALVES_RATIO * self._coordinates
        return 2 * ratio + self._outside().epsilon(delta * exp(-ratio))

    @property
    def price(self) -> Price:
        """The integers that a ledger holds of it."""
        outside = self._outside()
        return Price(
            Rho(self.micro_rho, rounded_micro_rho_of(self.moves)),
            Rho(outside.micro_rho, rounded_micro_rho_of(outside.moves)),
            self._coordinates,
            self.laplace,
            self.leak,
        )

    @property
    def _coordinates(self) -> int:
        return sum(one.coordinates for one in self.moves)

    def _outside(self) -> Cost:
        """The cost with the noise that outsiders see."""
        seen = merged(replace(one, sigma_sq=NOISERS * one.sigma_sq) if _doubles(one) else one for one in self.moves)
        saved = sum(floor(10**6 * one.delta2_sq / (4 * one.sigma_sq)) for one in self.moves if _doubles(one))
        return Cost(self.micro_rho - self.leak - saved, seen, self.laplace)

    def claims(self, delta: float, spans: Iterable[int] = CLAIMED_DAYS) -> tuple[EpsilonClaim, ...]:
        """The claims about a client that pays this on 1, 7 and 30 days, or on other numbers of days."""
        return tuple(self.over(days)._claim(delta, days) for days in spans)

    def _claim(self, delta: float, days: int) -> EpsilonClaim:
        pure = None if self.micro_epsilon is None else self.micro_epsilon / 10**6
        return EpsilonClaim(days, self.epsilon_outside(delta), self.epsilon(delta), pure)


def _doubles(moves: Moves) -> bool:
    return moves.sigma_sq >= LEAST_SIGMA_SQ


def cost_of_day(layouts: Iterable[Layout]) -> Cost:
    """The cost of one client-day over all these views together."""
    each = list(layouts)
    moves = [group.moves for layout in each for group in layout.groups if group.moves is not None]
    laplace = sum(layout.laplace_micro_epsilon for layout in each)
    return Cost(sum(layout.micro_rho for layout in each), merged(moves), laplace)


def charge_of(plan: Plan, planned: PlannedView) -> Price:
    """The price of a client-day under this plan, which ledgers charge. Under `he` it has the leak of the view's openings."""
    leak = plan.leak_micro_rho(planned)
    return (cost_of_day([planned.layout]) + Cost(leak, leak=leak)).price


def ledger_claim(price: Price, days: int, delta: float) -> EpsilonClaim:
    """The claim about a client that has paid this price on some days, from the integers of a ledger."""
    outsiders, aggregator = (price.epsilon(delta, one) for one in (Observer.OUTSIDERS, Observer.AGGREGATOR))
    return EpsilonClaim(days, outsiders, aggregator, None if price.pure is None else price.pure / 10**6)


def epsilon(micro_rho: int, delta: float, days: int = 1) -> float:
    """ε at δ of `days` client-days at ρ = micro_rho/10⁶ each: the form in which people read a ledger's sum."""
    return epsilon_of(micro_rho * days, delta)
