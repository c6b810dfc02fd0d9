"""Noised copies of released sums: kernels that add fresh noise with the variance that the release states.

A copy needs the distribution of the noise, not its secrecy, so this is no sampler of releases. Sums of many noises are drawn at
once: a normal number, or for Laplace noise a difference of two Gamma numbers, is scaled to the variance of the sum and rounded.
Rounding adds 1/12 to a variance, which is taken off before. All copies of a key follow from its seed.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from base.compiled import boolean, float64, int64, njit, types
from featurestore.define.decoded import Floats, Ints

_OF_ROUNDING = 1.0 / 12.0
_SUMS = types.Array(int64, 2, "C", readonly=True)
_NUMBERS = types.Array(float64, 2, "C", readonly=True)
_SEEDS = types.Array(int64, 1, "C", readonly=True)


@njit(int64(float64, float64, boolean), cache=True, nogil=True)
def drawn(variance: float, noises: float, is_gaussian: bool) -> int:
    """A sum of `noises` independent noises, which together have this variance; 0 if there is none."""
    if variance <= _OF_ROUNDING:
        return 0
    spread = variance - _OF_ROUNDING
    if is_gaussian:
        return round(np.random.normal(0.0, 1.0) * math.sqrt(spread))
    scale = math.sqrt(spread / (2.0 * noises))
    one, other = np.random.gamma(noises, 1.0), np.random.gamma(noises, 1.0)
    return round((one - other) * scale)


@njit(int64[:, :, :, ::1](_SEEDS, types.Array(int64, 3, "C", readonly=True), types.Array(float64, 3, "C", readonly=True),
      types.Array(float64, 3, "C", readonly=True), int64, boolean), cache=True, nogil=True)  # fmt: skip
def noised_sums(
    seeds: Ints,
    sums: npt.NDArray[np.int64],
    variance: npt.NDArray[np.float64],
    noises: npt.NDArray[np.float64],
    copies: int,
    is_gaussian: bool,
) -> npt.NDArray[np.int64]:
    """Noised copies of the sums of some keys.

    Args:
        seeds: int64[N] below 2³², one a key.
        sums: int64[N, L, S] of disjoint sets of panes.
        variance: float64[N, L, S], of their noise; noises: float64[N, L, S], how many noises were added up in each.

    Returns:
        int64[N, 1 + copies, L, S], where the sums of a set are with those of all sets before it. The first copy has no fresh noise.
    """
    count, levels, slots = sums.shape
    made = np.empty((count, copies + 1, levels, slots), np.int64)
    for i in range(count):
        np.random.seed(seeds[i])
        for at in range(levels):
            for slot in range(slots):
                for copy in range(copies + 1):
                    value = sums[i, at, slot]
                    if copy:
                        value += drawn(variance[i, at, slot], noises[i, at, slot], is_gaussian)
                    if at:
                        value += made[i, copy, at - 1, slot]
                    made[i, copy, at, slot] = value
    return made


@njit(int64[:, ::1](int64, types.Array(int64, 1, "A", readonly=True), types.Array(float64, 1, "A", readonly=True),
      types.Array(float64, 1, "A", readonly=True), int64, boolean), cache=True, nogil=True)  # fmt: skip
def noised_panes(seed: int, sums: Ints, variance: Floats, noises: Floats, copies: int, is_gaussian: bool) -> Ints:
    """Noised copies of one slot of one key in each pane: int64[P, 1 + copies]. The first copy has no fresh noise.

    Args:
        seed: below 2³².
        sums: int64[P]; variance, noises: float64[P], see `noised_sums`.
    """
    made = np.empty((len(sums), copies + 1), np.int64)
    np.random.seed(seed)
    for i in range(len(sums)):
        made[i, 0] = sums[i]
        for copy in range(1, copies + 1):
            made[i, copy] = sums[i] + drawn(variance[i], noises[i], is_gaussian)
    return made


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def seeds_of(base: int, keys: Ints) -> Ints:
    """int64[N] below 2³²: a seed for each key (by its place in the domain), by SplitMix64 of an epoch's base below 2⁶⁴."""
    with np.errstate(over="ignore"):
        mixed = np.uint64(base) + (keys.astype(np.uint64) + np.uint64(1)) * _GOLDEN
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
        found: Ints = ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(32)).astype(np.int64)
    return found
