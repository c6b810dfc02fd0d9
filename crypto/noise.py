"""The noise of a release, behind one interface: integers from the discrete Gaussian N_Z(0, σ²) or Laplace Lap_Z(b).

Gaussian: P[X = x] is proportional to exp(-x²/2σ²) (CKS20: Canonne, Kamath, Steinke 2020, "The Discrete Gaussian for
Differential Privacy"); a sum of L2 sensitivity Δ₂ costs ρ = Δ₂²/2σ² of zCDP. Laplace: P[X = x] is proportional to
exp(-|x|/b) (Ghosh, Roughgarden, Sundararajan 2009); a sum of L1 sensitivity Δ₁ costs ε = Δ₁/b of pure DP. σ² and b travel
as fractions, because parties compare fractions, never floats. `aggregator.opendp_noise` is the source for releases;
`SeededNoise` here is for tests and simulations.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crypto.cks20 import ROOM, discrete_gaussian, discrete_laplace
from crypto.errors import ScaleOutOfRange

Noise = npt.NDArray[np.int64]

_Kernel = Callable[[npt.NDArray[np.uint64], Noise, int], tuple[int, int]]
"""(words, samples, done) → (samples that are done, words that they used)."""

_ROOM_IS = f"the sampler has room for 2^{ROOM.bit_length() - 1}"


class NoiseSource(Protocol):
    """Where an aggregator's noise comes from. A release says which source it had."""

    @property
    def name(self) -> str:
        """Short and stable: it is printed in manifests."""

    @property
    def seeded(self) -> bool:
        """True where somebody can draw the same noise again: then it protects nobody."""

    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> Noise:
        """Draw `size` independent samples (int64[size]) of N_Z(0, σ²). Raises ScaleOutOfRange."""

    def discrete_laplace(self, scale: Fraction, size: int) -> Noise:
        """Draw `size` independent samples (int64[size]) of Lap_Z(b), b = `scale`. Raises ScaleOutOfRange."""


def scale_of(sigma_sq: Fraction) -> float:
    """σ as a float that is never below the root of σ² (checked in integers), and the smallest such float."""
    if sigma_sq <= 0:
        raise ScaleOutOfRange("sigma^2", sigma_sq, "not positive")
    scale = math.sqrt(sigma_sq)
    while Fraction(scale) ** 2 < sigma_sq:
        scale = math.nextafter(scale, math.inf)
    while Fraction(below := math.nextafter(scale, 0.0)) ** 2 >= sigma_sq:
        scale = below
    return scale


def float_not_below(scale: Fraction) -> float:
    """The smallest float that is at least b: the nearest one, or its neighbour. OverflowError beyond all floats."""
    nearest = float(scale)
    return nearest if nearest >= scale else math.nextafter(nearest, math.inf)


class SeededNoise:
    """A reproducible source for tests and simulations: exact CKS20 over numpy's Philox. **Protects nobody.**

    `stream` separates sources of one seed: "leader" and "helper" draw independent noise. Calls continue the stream:
    3 samples and then 5 are the 8 of one call. One source belongs to one thread.

    The samplers are exact for every scale that fits their words (see `crypto.cks20`): for σ = 0.2 as well, whose noise is
    0 but for 7 samples in a million, as the mathematics has it.
    """

    name = "cks20-seeded"
    seeded = True

    def __init__(self, seed: int, stream: str) -> None:
        label = np.frombuffer(hashlib.sha256(stream.encode()).digest(), "<u4")
        self._bits = np.random.Philox(np.random.SeedSequence(seed, spawn_key=tuple(int(word) for word in label)))
        self._words = np.empty(0, np.uint64)  # drawn, not yet used

    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> Noise:
        """Draw int64[size]. Raises ScaleOutOfRange where σ² is not positive or its fraction is too long."""
        n, m = sigma_sq.numerator, sigma_sq.denominator
        if n <= 0:
            raise ScaleOutOfRange("sigma^2", sigma_sq, "not positive")
        t = math.isqrt(n // m) + 1  # floor(σ) + 1
        if max(n, t * t * m) >= ROOM:
            raise ScaleOutOfRange("sigma^2", sigma_sq, _ROOM_IS)
        return self._fill(size, lambda words, samples, done: discrete_gaussian(words, samples, done, n, m, t))

    def discrete_laplace(self, scale: Fraction, size: int) -> Noise:
        """Draw int64[size]. Raises ScaleOutOfRange where b is not positive or its fraction is too long."""
        t, s = scale.numerator, scale.denominator
        if t <= 0:
            raise ScaleOutOfRange("b", scale, "not positive")
        if max(t, s) >= ROOM:
            raise ScaleOutOfRange("b", scale, _ROOM_IS)
        return self._fill(size, lambda words, samples, done: discrete_laplace(words, samples, done, s, t))

    def _fill(self, size: int, kernel: _Kernel) -> Noise:
        """`size` samples of a kernel, which is given more words of the stream until it has them all."""
        samples = np.empty(size, np.int64)
        done = 0
        while done < size:
            # About 16 words a sample; a sample that runs out of words starts again with the same ones and more.
            fresh = self._bits.random_raw(min(20 * (size - done) + 256, 1 << 20))
            self._words = np.concatenate([self._words, fresh])
            done, used = kernel(self._words, samples, done)
            self._words = self._words[used:]
        return samples
