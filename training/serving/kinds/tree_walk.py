"""The loop that walks rows through trees. It is compiled when this module is imported, not by the first request."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from base.compiled import boolean, float64, int64, njit, types, void
from training.serving.arrays import Bools, Floats32

_NODES = int64[:, ::1]
_X = types.Array(types.float32, 2, "C", readonly=True)
_MASK = types.Array(boolean, 2, "C", readonly=True)


@njit(
    void(
        _X, _MASK, _NODES, float64[:, ::1], boolean[:, ::1], _NODES, _NODES, float64[:, ::1], float64[::1]
    ),
    cache=True,
    nogil=True,
)  # fmt: skip
def walk(
    x: Floats32,
    mask: Bools,
    feature: npt.NDArray[np.int64],
    threshold: npt.NDArray[np.float64],
    null_left: Bools,
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
    value: npt.NDArray[np.float64],
    score: npt.NDArray[np.float64],
) -> None:
    """Fill the sum of each row's leaves, tree after tree. Every walk ends: children come after their parent.

    Args:
        x: float32[B, F]; mask: bool[B, F], where x has a value.
        feature, threshold, null_left, left, right, value: see `Trees`.
        score: float64[B], filled.
    """
    for i in range(len(x)):
        total = 0.0
        for t in range(len(value)):
            node = 0
            while left[t, node] != node:
                at = feature[t, node]
                seen = np.float64(x[i, at])
                has_value = mask[i, at] and not np.isnan(seen)
                goes_left = seen <= threshold[t, node] if has_value else null_left[t, node]
                node = left[t, node] if goes_left else right[t, node]
            total += value[t, node]
        score[i] = total
