"""The best attack on discrete Gaussian noise, computed instead of sampled: what it shows holds without any chance.

`MovedSums` runs both worlds through the real chain. It takes how far the canary moves each sum, and the σ² that the aggregators
ask their sampler for: what they draw, not what the layout says. `least_epsilon` then sums the definition of (ε, δ) over the
lattice of outputs. Sums of equal moves and equal noise are added first. For one aggregator's noise that loses nothing, because
the likelihood ratio is a function of the total; for the noise of both it is post-processing. So the result is a lower bound on
the true ε in any case. It uses nothing of the accountant that it judges.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

from crypto.noise import Noise
from featurestore.define.definitions import FeatureView
from federation.aggregation import ClosedAggregation
from simulations.attacks.statistics.bounds import Floats

from .chain import Chain
from .coalitions import Coalition, exact_sums, noise_in
from .worlds import run_world

Places = npt.NDArray[np.int64]

GRID: Final = 1e-4
"""The privacy losses of different noise are added on this grid, each rounded down to it."""
TAIL: Final = 12
"""σ beyond the largest move at which noise is cut: more has probability below 10⁻³²."""
LEAST: Final = 1e-290
"""Smaller probabilities have no exact logarithm in float64."""


@dataclass(frozen=True)
class Moved:
    """A sum that the canary moves.

    Attributes:
        by: how far.
        sigma_sq: σ² of each noise in it that the attacker has not drawn itself.
    """

    by: int
    sigma_sq: tuple[Fraction, ...]


class ScaleMarks:
    """A noise source whose noise says how it was asked for: each sum gets the number of the request plus one."""

    name = "marks"
    seeded = True

    def __init__(self) -> None:
        self.requests: list[Fraction] = []

    def stream(self, context: bytes) -> ScaleMarks:
        return self

    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> Noise:
        self.requests.append(sigma_sq)
        return np.full(size, len(self.requests))

    def discrete_laplace(self, scale: Fraction, size: int) -> Noise:
        raise NotImplementedError("the exact attack knows Gaussian noise only")


@dataclass(frozen=True)
class MovedSums:
    """The sums that one client-day moves in a world: how far each, and σ² of each aggregator's noise in it; None for no noise."""

    by: tuple[int, ...]
    leader: tuple[Fraction | None, ...]
    helper: tuple[Fraction | None, ...]

    @classmethod
    def of(cls, view: FeatureView) -> MovedSums:
        """Run both worlds, and both aggregators up to their noise."""
        present, absent = (run_world(view, Chain(), canary=canary) for canary in (True, False))
        moved = (exact_sums(present) - exact_sums(absent)).reshape(-1)
        at = np.flatnonzero(moved)
        leader, helper = absent.leader, absent.helper
        return cls(tuple(abs(int(by)) for by in moved[at]), _scales(leader, helper, at), _scales(helper, leader, at))

    def before(self, coalition: Coalition) -> Counter[Moved]:
        """The moved sums as a coalition sees them: it subtracts its own noise."""
        known = coalition.split(" + ")
        noises = [scales for role, scales in (("leader", self.leader), ("helper", self.helper)) if role not in known]
        scales = zip(*noises, strict=True)
        return Counter(
            Moved(by, tuple(one for one in left if one is not None)) for by, left in zip(self.by, scales, strict=True)
        )


def _scales(closed: ClosedAggregation, other: ClosedAggregation, at: Places) -> tuple[Fraction | None, ...]:
    marks = ScaleMarks()
    numbers = noise_in(closed, closed.noise(other.commitment, marks)).reshape(-1)[at]
    return tuple(marks.requests[number - 1] if number else None for number in numbers)


def least_epsilon(moved: Counter[Moved], delta: float, days: int = 1) -> float:
    """The ε at δ that the attacker shows of a client that takes part on so many days; ∞ if a moved sum has no noise."""
    if any(not one.sigma_sq for one in moved):
        return math.inf
    first, probability = 0, np.ones(1)
    for one, count in moved.items():
        start, losses = _losses(one, count * days)
        first, probability = first + start, losses if len(probability) == 1 else fftconvolve(probability, losses)
    loss = (first + np.arange(len(probability))) * GRID

    def delta_at(epsilon: float) -> float:
        above = loss > epsilon
        return float(-(probability[above] * np.expm1(epsilon - loss[above])).sum())

    low, high = 0.0, float(loss[-1])
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_at(middle) > delta else (low, middle)
    return low


def _losses(one: Moved, count: int) -> tuple[int, Floats]:
    """The privacy loss of the total of `count` equal sums: its first point on the grid, and probabilities from there.

    The loss of a total t is log P[t | present] − log P[t | absent], and the worlds differ by a move of count·by.
    """
    sd, move = math.sqrt(count * float(sum(one.sigma_sq))), count * one.by
    noise = _total(one.sigma_sq, count, math.ceil(TAIL * sd) + move)
    present, absent = noise[: len(noise) - move], noise[move:]
    known = (present > LEAST) & (absent > LEAST)
    at = np.floor((np.log(present[known]) - np.log(absent[known])) / GRID).astype(np.int64)
    start = int(at.min())
    return start, np.bincount(at - start, weights=present[known])


def _total(scales: tuple[Fraction, ...], count: int, reach: int) -> Floats:
    """float64[2·reach + 1]: the distribution of the sum of `count` noises of each of these σ²."""
    each = np.ones(1)
    for sigma_sq in scales:
        exponent = -(np.arange(-reach, reach + 1.0) ** 2) / (2 * float(sigma_sq))
        noise = np.exp(exponent)
        each = _convolved(each, noise / noise.sum(), reach)
    total = np.ones(1)
    while count:
        if count % 2:
            total = _convolved(total, each, reach)
        count //= 2
        each = _convolved(each, each, reach) if count else each
    return total


def _convolved(a: Floats, b: Floats, reach: int) -> Floats:
    """Directly: an FFT would have errors beside which small probabilities are lost. Cut to ±reach, and to what is not 0."""
    both = np.convolve(_trimmed(a), _trimmed(b))
    middle = len(both) // 2
    padded = np.zeros(2 * reach + 1)
    width = min(middle, reach)
    padded[reach - width : reach + width + 1] = both[middle - width : middle + width + 1]
    return padded


def _trimmed(symmetric: Floats) -> Floats:
    known = np.flatnonzero(symmetric > LEAST)
    return symmetric[known[0] : known[-1] + 1]
