"""The price of charges for one client: integers that add up, against one aggregator and against outsiders. Ledgers hold it.

Charges of a ledger follow each other, each chosen with the releases before it in sight. Two bounds hold for them: zCDP, and
the rounding bound with pure ε of Laplace noise beside it (`featurestore.define.accounting`). A price has the integers of
both, so its ε is the smaller one. Every integer is rounded to the side that costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import exp
from typing import Final, assert_never

from featurestore.define.accounting import HALVES_RATIO, ledger_epsilon
from featurestore.define.epsilon import epsilon_of


class Observer(StrEnum):
    """`aggregator`: one of the two, curious or cheating; it knows its own noise. `outsiders`: they see releases only, with the
    noise of two honest aggregators."""

    AGGREGATOR = "aggregator"
    OUTSIDERS = "outsiders"


@dataclass(frozen=True)
class Rho:
    """Σρ of charges in millionths, by two bounds.

    Attributes:
        micro_rho: zCDP of all of them.
        rounded: Σ ρσ²/(σ² − 1) of those with Gaussian noise, for the rounding bound; None if one σ² is at most 1.
    """

    micro_rho: int
    rounded: int | None

    def __add__(self, other: Rho) -> Rho:
        """Both charges."""
        known = self.rounded is not None and other.rounded is not None
        return Rho(self.micro_rho + other.micro_rho, (self.rounded or 0) + (other.rounded or 0) if known else None)


@dataclass(frozen=True)
class Price:
    """What charges cost one client. Prices of views, days and plans add up.

    Attributes:
        aggregator: against one aggregator; with `leak`.
        outsiders: against outsiders, if both aggregators are honest.
        coordinates: the number of sums that the charges with Gaussian noise move.
        micro_epsilon: pure ε in millionths of the charges with Laplace noise.
        leak: the part of the aggregator's micro-ρ that the key holder's view of ciphertexts costs. No other bound holds for it.

    Raises:
        ValueError: a number is negative, or the two prices exclude each other: outsiders see a sum with at most two noises.
    """

    aggregator: Rho
    outsiders: Rho
    coordinates: int = 0
    micro_epsilon: int = 0
    leak: int = 0

    def __post_init__(self) -> None:
        whole = self.aggregator.micro_rho, self.outsiders.micro_rho, self.coordinates, self.micro_epsilon, self.leak
        if min(*whole, self.aggregator.rounded or 0, self.outsiders.rounded or 0) < 0:
            raise ValueError("a price has no negative numbers")
        noised = self.aggregator.micro_rho - self.leak
        if noised and not self.coordinates and not self.micro_epsilon:
            raise ValueError(f"{noised:,} micro-rho need a sum that moves, or the epsilon of Laplace noise")
        if not self.outsiders.micro_rho <= noised <= 2 * self.outsiders.micro_rho:
            raise ValueError(
                f"{noised:,} micro-rho against an aggregator and {self.outsiders.micro_rho:,} against outsiders exclude each "
                "other: a sum has the noise of one or of two aggregators"
            )

    def __add__(self, other: Price) -> Price:
        """The price of both for one client."""
        return Price(
            self.aggregator + other.aggregator,
            self.outsiders + other.outsiders,
            self.coordinates + other.coordinates,
            self.micro_epsilon + other.micro_epsilon,
            self.leak + other.leak,
        )

    def over(self, days: int) -> Price:
        """The price of as many days that cost this each."""
        aggregator, outsiders = (
            Rho(days * one.micro_rho, None if one.rounded is None else days * one.rounded)
            for one in (self.aggregator, self.outsiders)
        )
        return Price(aggregator, outsiders, days * self.coordinates, days * self.micro_epsilon, days * self.leak)

    def micro_rho(self, counts: Observer) -> int:
        """The micro-ρ that a budget of this kind counts.

        A budget that counts outsiders' prices counts the key holder's leak, too. So the price against an aggregator is at
        most twice what any budget counts.
        """
        match counts:
            case Observer.AGGREGATOR:
                return self.aggregator.micro_rho
            case Observer.OUTSIDERS:
                return self.outsiders.micro_rho + self.leak
            case _:
                assert_never(counts)

    @property
    def pure(self) -> int | None:
        """Pure ε in millionths, where all noise is Laplace noise; None where some is Gaussian."""
        return None if self.coordinates or self.leak else self.micro_epsilon

    def epsilon(self, delta: float, observer: Observer) -> float:
        """The smaller ε at δ of the two bounds, against this observer."""
        match observer:
            case Observer.AGGREGATOR:
                by_zcdp = epsilon_of(self.aggregator.micro_rho, delta)
                return by_zcdp if self.leak else min(by_zcdp, self._by_parts(self.aggregator, delta))
            case Observer.OUTSIDERS:
                ratio, rho = HALVES_RATIO * self.coordinates, self.outsiders
                left = delta * exp(-ratio)
                return 2 * ratio + min(epsilon_of(rho.micro_rho, left), self._by_parts(rho, left))
            case _:
                assert_never(observer)

    def _by_parts(self, rho: Rho, delta: float) -> float:
        """Pure ε of the Laplace part and ε of the Gaussian part."""
        gaussian = ledger_epsilon(rho.micro_rho, rho.rounded, self.coordinates, delta) if self.coordinates else 0.0
        return self.micro_epsilon / 10**6 + gaussian


NO_PRICE: Final = Price(Rho(0, 0), Rho(0, 0))
"""The price of nothing."""
