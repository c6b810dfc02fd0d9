"""The inputs and outputs that a foreign model's file declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Shape: TypeAlias = tuple[int | None, ...]
"""None: any size, such as the number of rows."""


@dataclass(frozen=True)
class Port:
    """An input or an output.

    Attributes:
        dtype: `float32`, `float64`, `bool`, …, or what it is instead of an array, such as `sequence`.
        shape: None: the file does not say.
    """

    name: str
    dtype: str
    shape: Shape | None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.name} ({self.dtype})"
        return f"{self.name} ({self.dtype} [{', '.join('N' if one is None else str(one) for one in self.shape)}])"


@dataclass(frozen=True)
class Ports:
    """All of a model."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
