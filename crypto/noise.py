"""The noise of a release, behind one interface: integers from the discrete Gaussian N_Z(0, σ²) or Laplace Lap_Z(b).

Gaussian: P[X = x] is proportional to exp(-x²/2σ²) (CKS20: Canonne, Kamath, Steinke 2020, "The Discrete Gaussian for
Differential Privacy"); a sum of L2 sensitivity Δ₂ costs ρ = Δ₂²/2σ² of zCDP. Laplace: P[X = x] is proportional to
exp(-|x|/b) (Ghosh, Roughgarden, Sundararajan 2009); a sum of L1 sensitivity Δ₁ costs ε = Δ₁/b of pure DP. σ² and b travel
as fractions, because parties compare fractions, never floats. `SecretNoise` is the source of releases, `SeededNoise` is for
tests and simulations. Both sample by `crypto.cks20`; scales whose fraction is too long for it are refused.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import ScaleOutOfRange, WrongLength

Noise = npt.NDArray[np.int64]

_Kernel = Callable[[npt.NDArray[np.uint64], Noise, int], tuple[int, int]]
"""(words, samples, done) → (complete samples, words that they used)."""

NOISE_KEY_BYTES: Final = 32
_WORD_BYTES: Final = 8
_COUNTER_AND_NONCE: Final = bytes(16)


class NoiseStream(Protocol):
    """Independent samples, one after another. Calls continue the stream: 3 samples and then 5 equal the 8 of one call."""

    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> Noise:
        """Draw `size` independent samples (int64[size]) of N_Z(0, σ²). Raises ScaleOutOfRange."""

    def discrete_laplace(self, scale: Fraction, size: int) -> Noise:
        """Draw `size` independent samples (int64[size]) of Lap_Z(b), b = `scale`. Raises ScaleOutOfRange."""


class NoiseSource(Protocol):
    """The source of an aggregator's noise. A release names its source."""

    @property
    def name(self) -> str:
        """Short and stable: manifests show it."""

    @property
    def seeded(self) -> bool:
        """True where the same noise can be drawn again; such noise protects no client."""

    def stream(self, context: bytes) -> NoiseStream:
        """The noise of one group of sums; `context` names the group, and everything that the sums depend on."""


class _Sampler(ABC):
    """Exact CKS20 over a stream of uniform words. One sampler belongs to one thread."""

    def __init__(self) -> None:
        self._words = np.empty(0, np.uint64)  # drawn, not yet used

    @abstractmethod
    def _fresh(self, count: int) -> npt.NDArray[np.uint64]:
        """The next words of the stream."""

    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> Noise:
        """Draw int64[size]. Raises ScaleOutOfRange where σ² is not positive or its fraction is too long."""
        from .cks20 import ROOM, discrete_gaussian, gaussian_terms  # imports numba, which takes half a second

        n, m = sigma_sq.numerator, sigma_sq.denominator
        if n <= 0:
            raise ScaleOutOfRange("sigma^2", sigma_sq, "not positive")
        if (terms := gaussian_terms(n, m)) is None:
            raise ScaleOutOfRange("sigma^2", sigma_sq, _room_is(ROOM))
        return self._fill(size, lambda words, samples, done: discrete_gaussian(words, samples, done, *terms))

    def discrete_laplace(self, scale: Fraction, size: int) -> Noise:
        """Draw int64[size]. Raises ScaleOutOfRange where b is not positive or its fraction is too long."""
        from .cks20 import ROOM, discrete_laplace  # imports numba, which takes half a second

        t, s = scale.numerator, scale.denominator
        if t <= 0:
            raise ScaleOutOfRange("b", scale, "not positive")
        if max(t, s) >= ROOM:
            raise ScaleOutOfRange("b", scale, _room_is(ROOM))
        return self._fill(size, lambda words, samples, done: discrete_laplace(words, samples, done, s, t))

    def _fill(self, size: int, kernel: _Kernel) -> Noise:
        """`size` samples of a kernel; the kernel gets more words of the stream until all samples are complete."""
        samples = np.empty(size, np.int64)
        done = 0
        while done < size:
            # About 16 words a sample; a sample that runs out of words starts again with the same ones and more.
            fresh = self._fresh(min(20 * (size - done) + 256, 1 << 20))
            self._words = np.concatenate([self._words, fresh])
            done, used = kernel(self._words, samples, done)
            self._words = self._words[used:]
        return samples


def _room_is(room: int) -> str:
    return f"the sampler has room for 2^{room.bit_length() - 1}"


class SecretNoise:
    """The noise of releases, from a secret of 32 bytes. Without the secret it cannot be distinguished from random noise.

    Each context has a ChaCha20 stream of its own under HKDF-SHA256(secret; context), so equal contexts draw equal noise:
    the context must hold every sum that the noise is added to (docs/adr/0019). Stateless, so threads may share it.
    """

    name = "cks20-hkdf-chacha20"
    seeded = False

    def __init__(self, secret: bytes) -> None:
        if len(secret) != NOISE_KEY_BYTES:
            raise WrongLength("bytes of a noise secret", len(secret), NOISE_KEY_BYTES)
        self._secret = secret

    def __repr__(self) -> str:
        return "SecretNoise(redacted)"

    def stream(self, context: bytes) -> NoiseStream:
        """The noise of one group of sums."""
        return _ChaChaStream(HKDF(SHA256(), NOISE_KEY_BYTES, salt=None, info=context).derive(self._secret))


class _ChaChaStream(_Sampler):
    """Samples over the keystream of ChaCha20, words little-endian."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._stream = Cipher(algorithms.ChaCha20(key, _COUNTER_AND_NONCE), None).encryptor()

    def _fresh(self, count: int) -> npt.NDArray[np.uint64]:
        return np.frombuffer(self._stream.update(bytes(count * _WORD_BYTES)), "<u8")


class SeededNoise(_Sampler):
    """A reproducible source for tests and simulations: exact CKS20 over numpy's Philox. **It protects no client.**

    `stream` separates sources of one seed: "leader" and "helper" draw independent noise. A source has one stream, for every
    context. The samplers are exact for every scale that fits their words (see `crypto.cks20`). This includes σ = 0.2, for
    which all samples but 7 in a million are 0.
    """

    name = "cks20-seeded"
    seeded = True

    def __init__(self, seed: int, stream: str) -> None:
        super().__init__()
        label = np.frombuffer(hashlib.sha256(stream.encode()).digest(), "<u4")
        self._bits = np.random.Philox(np.random.SeedSequence(seed, spawn_key=tuple(int(word) for word in label)))

    def stream(self, context: bytes) -> NoiseStream:
        """The one stream of this source, continued."""
        return self

    def _fresh(self, count: int) -> npt.NDArray[np.uint64]:
        return self._bits.random_raw(count)
