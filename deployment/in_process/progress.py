"""The progress of a run: drawn samples, and batches that have passed the protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from threading import Lock
from types import TracebackType
from typing import Final, Self

import numpy as np

from crypto.noise import Noise, NoiseSource, NoiseStream
from deployment.errors import RunRefused
from federation.batch.reports import Reports

NOISE_CHUNK: Final = 2**15
"""Samples drawn between two steps of the progress bar."""

Progress = Callable[[str, str, int, int], None]
"""(view, step, done, total), called often; the steps are `compute`, `protect`, `noise`, `publish`; under `he` `encrypt` and
`flood` instead of `protect` and `noise`."""


class Draws:
    """Counts the samples that both parties draw, for the progress bar. `total` is exact if every pane opens.

    Use it as a context manager: an exception inside stops the threads that draw.
    """

    def __init__(self, view: str, step: str, total: int, progress: Progress) -> None:
        self._view, self._step, self._total, self._progress = view, step, total, progress
        self._done, self._stopped = 0, False
        self._lock = Lock()

    def of(self, source: NoiseSource) -> NoiseSource:
        """The same source, which draws in counted chunks."""
        return _CountedSource(source, self)

    def add(self, samples: int) -> None:
        """Count samples. Raises RunRefused after the run was stopped: it ends the thread, which cannot be interrupted."""
        with self._lock:
            if self._stopped:
                raise RunRefused("the run was stopped")
            self._done += samples
            self._progress(self._view, self._step, self._done, self._total)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stopped = True
        elif self._done:
            self._progress(self._view, self._step, self._done, self._done)


class _CountedSource:
    """A noise source that counts the samples of its streams."""

    def __init__(self, source: NoiseSource, draws: Draws) -> None:
        self._source, self._draws = source, draws
        self.name, self.seeded = source.name, source.seeded

    def stream(self, context: bytes) -> NoiseStream:
        return _CountedStream(self._source.stream(context), self._draws)


class _CountedStream:
    def __init__(self, stream: NoiseStream, draws: Draws) -> None:
        self._stream, self._draws = stream, draws

    def discrete_gaussian(self, sigma_sq: Fraction, size: int) -> Noise:
        return self._drawn(lambda part: self._stream.discrete_gaussian(sigma_sq, part), size)

    def discrete_laplace(self, scale: Fraction, size: int) -> Noise:
        return self._drawn(lambda part: self._stream.discrete_laplace(scale, part), size)

    def _drawn(self, draw: Callable[[int], Noise], size: int) -> Noise:
        samples = np.empty(size, dtype=np.int64)
        for first in range(0, size, NOISE_CHUNK):
            last = min(first + NOISE_CHUNK, size)
            samples[first:last] = draw(last - first)
            self._draws.add(last - first)
        return samples


def counted(reports: Reports, elements: int, view: str, step: str, progress: Progress) -> Iterator[Reports]:
    """The batches of some reports; each one reports its progress when it is done."""
    total, done = len(reports.collection), 0
    for batch in reports.batches(elements):
        yield batch
        done += len(batch.collection)
        progress(view, step, done, total)
