"""Run the models of `covey train`, which are read as data, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.errors import ArchiveRefused, ModelFailed
from training.serving.arrays import Arrays, Floats32

from .trees import Trees

if TYPE_CHECKING:
    from .program import Program


class TreesRunner:
    """A `Runner` of boosted trees; it does not need PyTorch."""

    how = "trees"
    failure = None

    def __init__(self, model: str, trees: Trees) -> None:
        self._model, self._trees = model, trees

    def run(self, arrays: Arrays) -> Floats32:
        """See `Runner`."""
        try:
            return self._trees.predict(arrays.x, arrays.mask)
        except ArchiveRefused as error:
            raise ModelFailed(self._model, str(error)) from None

    def close(self) -> None:
        """See `Runner`."""


class ProgramRunner:
    """A `Runner` of a network, step by step.

    Args:
        device: of PyTorch.
    """

    how = "eager"
    failure = None

    def __init__(self, model: str, program: Program, device: str) -> None:
        self._model, self._device = model, device
        self._program = program if device == "cpu" else program.on(device)

    def run(self, arrays: Arrays) -> Floats32:
        """See `Runner`."""
        try:
            return self._program.predict(arrays, self._device)
        except ArchiveRefused as error:
            raise ModelFailed(self._model, str(error)) from None

    def close(self) -> None:
        """See `Runner`."""
