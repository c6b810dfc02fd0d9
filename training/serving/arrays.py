"""The arrays that a model takes and gives, for whole batches."""

from __future__ import annotations

from typing import Final, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt

Floats32: TypeAlias = npt.NDArray[np.float32]
Bools: TypeAlias = npt.NDArray[np.bool_]


class Arrays(NamedTuple):
    """The inputs of a model, for B rows of F features: the stored ones, then plain columns.

    Attributes:
        x: float32[B, F], 0 where there is no value.
        mask: bool[B, F], where there is a value.
        se: float32[B, F], standard errors due to noise; 0 where there is no value, and for plain columns.
    """

    x: Floats32
    mask: Bools
    se: Floats32

    @classmethod
    def zeros(cls, rows: int, width: int) -> Self:
        """Return rows of zeros, all of them values."""
        shape = rows, width
        return cls(np.zeros(shape, np.float32), np.ones(shape, np.bool_), np.zeros(shape, np.float32))

    def rows(self, some: slice) -> Arrays:
        """Return some of the rows."""
        return Arrays(self.x[some], self.mask[some], self.se[some])


INPUTS: Final = Arrays._fields
"""The names of the inputs of an exported model, which returns float32[B]."""
