"""A loaded version of a model."""

from __future__ import annotations

from typing import Protocol

from training.serving.arrays import Arrays, Floats32


class Runner(Protocol):
    """Runs one version of a model on whole batches. Several threads may call `run` at a time, and none waits long for another."""

    @property
    def how(self) -> str:
        """How it runs, for people and metadata: `eager`, `AOTInductor`, `trees`, `onnxruntime`. It may change."""

    @property
    def failure(self) -> str | None:
        """Why the model has failed for good: each `run` raises; None: it runs."""

    def run(self, arrays: Arrays) -> Floats32:
        """float32[B] for B rows, NaN where a model gives no number for a row.

        Raises:
            ModelFailed: the model throws, gives another shape, or exceeds its limit.
        """
        ...

    def close(self) -> None:
        """Release what it holds; it is not called afterwards."""
