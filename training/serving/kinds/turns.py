"""What a server and the process of a foreign model say to each other: fixed binary turns over two pipes, arrays in shared memory.

The server writes rows into the memory and sends their number; the process writes predictions into the memory and answers. Each
side holds one end of each pipe, so either notices at once when the other is gone.
"""

from __future__ import annotations

import mmap
import struct
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from training.serving.arrays import Arrays, Floats32

REQUEST: Final = struct.Struct("<II")
"""From the server: the number of the turn, and of rows."""
REPLY: Final = struct.Struct("<IBI")
"""From the process: the number of the turn, an outcome, and the length of a text in UTF-8 that follows."""
START: Final = struct.Struct("<I")
"""From the server, once: the length of the JSON that follows. The reply has the number 0."""
MAX_START: Final = 2**20
MAX_TEXT: Final = 2**10
MAX_ROWS: Final = 4096
"""The most rows in a turn."""
_MAX_BYTES: Final = 32 * 2**20

DONE: Final = 0
FAILED: Final = 1
"""The model raised an error, or its prediction has another form; the text says why."""
NO_MEMORY: Final = 2
"""The model needs more memory than it may have."""

Library: TypeAlias = Literal["torch", "onnx", "package"]
"""What loads a model: PyTorch, onnxruntime, or PyTorch for a package of AOTInductor."""


class Shared(NamedTuple):
    """The shared memory of a model with F inputs, for R rows.

    Attributes:
        given: the rows of a turn, for up to R rows.
        predicted: float32[R].
    """

    memory: mmap.mmap
    given: Arrays
    predicted: Floats32


def rows_of(width: int) -> int:
    """Return how many rows of F features a turn has at most."""
    return max(1, min(MAX_ROWS, _MAX_BYTES // (9 * width + 4)))


def bytes_of(width: int) -> int:
    """Return the size of the shared memory: x, se, predictions, mask."""
    return rows_of(width) * (9 * width + 4)


def opened(descriptor: int, width: int) -> Shared:
    """Map the memory that a descriptor names."""
    memory, rows = mmap.mmap(descriptor, bytes_of(width)), rows_of(width)
    floats: npt.NDArray[np.float32] = np.frombuffer(memory, np.float32, rows * (2 * width + 1))
    x, se = floats[: 2 * rows * width].reshape(2, rows, width)
    mask: npt.NDArray[np.bool_] = np.frombuffer(memory, np.bool_, rows * width, floats.nbytes).reshape(rows, width)
    return Shared(memory, Arrays(x, mask, se), floats[2 * rows * width :])
