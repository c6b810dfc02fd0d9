"""Noise drawn in parts, so that an aggregator can stop: a thread cannot be interrupted, and a year of noise takes seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from typing import Final

import numpy as np

from aggregator.errors import Stopping
from crypto.noise import Noise, NoiseSource, NoiseStream

NOISE_PART: Final = 2**18
"""Samples of one part: some tenths of a second."""


class StoppableNoise:
    """A noise source whose streams end with Stopping once the event is set."""

    def __init__(self, source: NoiseSource, stopped: threading.Event) -> None:
        self.name, self.seeded = source.name, source.seeded
        self._source, self._stopped = source, stopped

    def stream(self, context: bytes) -> NoiseStream:
        """The stream of a context."""
        return _StoppableStream(self._source.stream(context), self._stopped)


class _StoppableStream:
    def __init__(self, stream: NoiseStream, stopped: threading.Event) -> None:
        self._stream, self._stopped = stream, stopped

    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> Noise:
        """Draw int64[size]. Raises Stopping, and as the source."""
        return self._drawn(lambda part: self._stream.discrete_gaussian(sigma_sq, part), size)

    def discrete_laplace(self, scale: Fraction, size: int) -> Noise:
        """Draw int64[size]. Raises Stopping, and as the source."""
        return self._drawn(lambda part: self._stream.discrete_laplace(scale, part), size)

    def _drawn(self, draw: Callable[[int], Noise], size: int) -> Noise:
        parts = [np.empty(0, np.int64)]
        for at in range(0, size, NOISE_PART):
            if self._stopped.is_set():
                raise Stopping("this aggregator is stopping; nothing was opened. Collect again when it is back")
            parts.append(draw(min(NOISE_PART, size - at)))
        return np.concatenate(parts)
