"""The price of a view: its split over the noise groups, and the ρ that an ε buys.

`Privacy(epsilon=…)` of a Gaussian view gets the largest ρ whose ε at δ is at most that, by the accountant for a list that is
fixed beforehand (`accounting.schedule_epsilon`). It is the ε that the view states: against an aggregator, or under
`noisers="shared"` against outsiders. ε depends on σ of each group and on the number of sums that a client-day
moves, so ρ depends on the features and the bounds. A definition holds the ρ that was found, and never the ε.

The search uses the rounding bound, which needs no library. Only where that is more than 0.5 % above the Gaussian trade-off, for
small σ, the other bounds narrow it down.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from typing import Final, assert_never

from featurestore.errors import DefinitionError

from .accounting import (
    HALVES_RATIO,
    Moves,
    continuous_epsilon,
    is_exact_enough,
    merged,
    rounding_epsilon,
    schedule_epsilon,
)
from .encoding import GroupShape
from .epsilon import largest_micro_rho
from .feature import PaneFeature
from .mechanism import MIN_SIGMA_SQ, NOISERS, GaussianMechanism
from .privacy import MAX_MICRO_RHO, Bounds, Noisers, Privacy, exact

_NARROW: Final = 2_000
"""For small σ, ρ is found to one part in this many, and ε to about two: each step costs a composed distribution."""


@dataclass(frozen=True)
class GroupShare:
    """A noise group before its price is known.

    Attributes:
        of_price: its feature's share of the view's price.
    """

    shape: GroupShape
    of_price: Fraction

    def price(self, whole: int) -> int:
        """Its part of the view's price, both in millionths, rounded down."""
        return int(whole * self.of_price) * self.shape.tenths // 10


def group_shares(collected: Sequence[PaneFeature], events: int) -> list[list[GroupShare]]:
    """The noise groups of each feature with slots of its own, and their shares of the price by weight.

    Args:
        events: the most events of a cell.
    """
    weights = [Fraction(feature.weight) for feature in collected]
    total = sum(weights, Fraction(0))
    return [
        [GroupShare(shape, weight / total) for shape in feature.encoding.groups(events)]
        for feature, weight in zip(collected, weights, strict=True)
    ]


def priced(view: str, privacy: Privacy, collected: Sequence[PaneFeature], bounds: Bounds) -> Privacy:
    """The privacy of a view with its ρ, if its price is an ε for Gaussian noise.

    Args:
        collected: its features with slots of their own.

    Raises:
        DefinitionError: the ε is not one of a ρ from 0.000001 to 1000.
    """
    if privacy.epsilon is None or privacy.mechanism == "laplace":
        return privacy
    epsilon, found = exact(privacy.epsilon), 0
    if epsilon is not None and 0 < epsilon < _largest_epsilon(privacy.delta):
        groups = tuple(chain.from_iterable(group_shares(collected, bounds.max_events_per_cell)))
        ratio = _ratio(privacy.chosen_noisers, groups, bounds.max_cells)
        asked = epsilon - 2 * Fraction(ratio), privacy.delta * math.exp(-ratio)
        found = micro_rho_for(groups, bounds.max_cells, privacy.chosen_noisers, *asked, MAX_MICRO_RHO + 1)
    if not 1 <= found <= MAX_MICRO_RHO:
        raise DefinitionError(
            view,
            f"`epsilon` must be the ε of a ρ from 0.000001 to 1000 at δ = {privacy.delta:g}, got {privacy.epsilon!r}",
        )
    return privacy.at(found)


def _ratio(noisers: Noisers, groups: Iterable[GroupShare], cells: int) -> float:
    """The log ratio between the noise that the ε is about and one discrete Gaussian of the σ² of the price.

    Under `each` the ε is the one against an aggregator: the other one's noise is that Gaussian. Under `shared` it is the one
    against outsiders, for whom both halves are one Gaussian, nearly.
    """
    match noisers:
        case "each":
            return 0.0
        case "shared":
            return HALVES_RATIO * cells * sum(one.shape.per_cell if one.shape.is_split else 1 for one in groups)
        case _:
            assert_never(noisers)


def _largest_epsilon(delta: float) -> float:
    """More than ε at δ of the largest ρ (Bun and Steinke 2016, Proposition 1.3)."""
    rho = MAX_MICRO_RHO / 10**6
    return 1 + rho + 2 * math.sqrt(rho * -math.log(delta))


@lru_cache(maxsize=256)
def micro_rho_for(
    groups: tuple[GroupShare, ...], cells: int, noisers: Noisers, epsilon: Fraction, delta: float, most: int
) -> int:
    """The largest whole micro-ρ of 0 … most whose ε at δ is at most `epsilon`, for a view with these groups.

    For small σ it may be smaller by one part in 2,000, but never than the one by zCDP. Where even a σ² below the least would
    do, it is the first ρ with such a σ², and the layout refuses it.

    Args:
        cells: the most cells of a client-day.
    """

    def moves(micro_rho: int) -> tuple[Moves, ...]:
        return merged(_moves(groups, cells, noisers, micro_rho))

    def is_noisy(micro_rho: int) -> bool:
        return all(one.sigma_sq >= MIN_SIGMA_SQ for one in moves(micro_rho))

    def by_rounding(micro_rho: int) -> float:
        return rounding_epsilon(moves(micro_rho), delta)

    def continuous(micro_rho: int) -> float:
        return continuous_epsilon(moves(micro_rho), delta)

    most = min(most, _largest(most, is_noisy) + 1)
    low = _largest(most, lambda micro_rho: by_rounding(micro_rho) <= epsilon)
    if low == most or is_exact_enough(by_rounding(low), continuous(low)):
        return low
    low = max(low, largest_micro_rho(epsilon, delta, most))
    guess = _largest(most, lambda micro_rho: continuous(micro_rho) <= epsilon)
    guess += guess // _NARROW + 1
    asked = float(epsilon) if float(epsilon) <= epsilon else math.nextafter(float(epsilon), 0)
    return _narrowed(lambda micro_rho: schedule_epsilon(moves(micro_rho), delta) - asked, low, guess, most)


def _moves(groups: Iterable[GroupShare], cells: int, noisers: Noisers, micro_rho: int) -> Iterable[Moves]:
    """What a client-day moves at this price. Groups that the price gives nothing, or too much noise, are left out.

    A layout refuses such groups, so the ρ that is found for them is never used.
    """
    for group in groups:
        price, shape = group.price(micro_rho), group.shape
        if price:
            try:
                sigma_sq = _seen_sigma_sq(
                    GaussianMechanism.of_price(cells * shape.per_cell**2, price, noisers), noisers
                )
            except OverflowError:
                continue
            yield Moves(sigma_sq, shape.per_cell, cells, shape.is_split)


def _seen_sigma_sq(mechanism: GaussianMechanism, noisers: Noisers) -> Fraction:
    """σ² of the noise that the view's ε is about: that of one aggregator, or of both under `shared`."""
    match noisers:
        case "each":
            return mechanism.sigma_sq
        case "shared":
            return NOISERS * mechanism.sigma_sq
        case _:
            assert_never(noisers)


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """The largest number of 0 … most that fits, if 0 does and no number fits above one that does not."""
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _narrowed(over: Callable[[int], float], low: int, guess: int, most: int) -> int:
    """The largest number of low … most with `over` at most 0, to one part in `_NARROW`; `over` grows, and `low` has it.

    It is the Illinois form of the false position, which needs few values of `over`.

    Args:
        guess: a number near the one that is searched for.
    """
    below = over(low)
    while low < most:
        high = min(most, guess if guess > low else low + low // 8 + 1)
        if (above := over(high)) > 0:
            break
        low, below = high, above
    else:
        return most
    while high - low > max(1, low // _NARROW):
        at = low + int((high - low) * below / (below - above))
        at = min(high - 1, max(low + 1, at))
        if (value := over(at)) > 0:
            high, above, below = at, value, below / 2
        else:
            low, below, above = at, value, above / 2
    return low
