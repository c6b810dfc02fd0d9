"""Loops that copy columns out of a view's rows, for whole batches.

They are compiled when this module is imported, not in the first read, and for read-only rows, as blocks have them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from base.compiled import boolean, float64, int64, njit, types, uint8, void
from featurestore.define.decoded import Bytes, Floats, Status
from featurestore.online.view_rows import Ints

Floats32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_EXPIRED = np.uint8(Status.OUTSIDE_MAX_AGE)
_LAST_WITH_VALUE = int(Status.STALE_BUDGET)
_PLACES = int64[::1]
_NUMBERS = types.Array(float64, 2, "C", readonly=True)
_STATUS = types.Array(uint8, 2, "C", readonly=True)


@njit(
    void(
        _PLACES, _NUMBERS, _STATUS, _PLACES, _PLACES, _PLACES, boolean, float64[:, ::1], float64[:, ::1], uint8[:, ::1]
    ),
    cache=True,
    nogil=True,
)  # fmt: skip
def gather(
    place: Ints,
    numbers: Floats,
    status: Bytes,
    values_at: Ints,
    se_at: Ints,
    status_at: Ints,
    expired: bool,
    values: Floats,
    se: Floats,
    codes: Bytes,
) -> None:
    """Fill the vector of each row: its values, their standard errors and statuses.

    Args:
        place: int64[N], rows of `numbers` and `status`; −1 is the last row, that of a missing key.
        numbers: float64[M, W]; status: uint8[M, F].
        values_at, se_at: int64[V], columns of `numbers`; status_at: int64[V], columns of `status`.
        expired: whether the rows are too old: then no value is served, and found rows get this reason.
        values, se: float64[N, V], filled; codes: uint8[N, V], filled.
    """
    last = len(numbers) - 1
    for i in range(len(place)):
        row = place[i]
        if row < 0:
            row = last
        for j in range(len(values_at)):
            if expired:
                values[i, j] = np.nan
                se[i, j] = np.nan
                codes[i, j] = status[row, status_at[j]] if row == last else _EXPIRED
            else:
                values[i, j] = numbers[row, values_at[j]]
                se[i, j] = numbers[row, se_at[j]]
                codes[i, j] = status[row, status_at[j]]


@njit(
    void(
        _PLACES, _NUMBERS, _STATUS, _PLACES, _PLACES, _PLACES, _PLACES, boolean,
        types.float32[:, ::1], boolean[:, ::1], types.float32[:, ::1], uint8[:, ::1],
    ),
    cache=True,
    nogil=True,
)  # fmt: skip
def gather_inputs(
    place: Ints,
    numbers: Floats,
    status: Bytes,
    values_at: Ints,
    se_at: Ints,
    status_at: Ints,
    to: Ints,
    expired: bool,
    x: Floats32,
    mask: Bools,
    se: Floats32,
    codes: Bytes,
) -> None:
    """Fill some columns of a model's inputs: values and standard errors as float32, 0 where there is no value.

    Args:
        place, numbers, status, values_at, se_at, status_at, expired: see `gather`.
        to: int64[V], the columns that are filled.
        x, se: float32[N, F]; mask: bool[N, F], where there is a value; codes: uint8[N, ≥ V].
    """
    last = len(numbers) - 1
    for i in range(len(place)):
        row = place[i]
        if row < 0:
            row = last
        for j in range(len(values_at)):
            code, at = status[row, status_at[j]], to[j]
            if expired and row != last:
                code = _EXPIRED
            codes[i, at] = code
            if code <= _LAST_WITH_VALUE and not expired:
                x[i, at] = numbers[row, values_at[j]]
                se[i, at] = numbers[row, se_at[j]]
                mask[i, at] = True
            else:
                x[i, at] = 0
                se[i, at] = 0
                mask[i, at] = False


@njit(boolean(_PLACES, _NUMBERS, _STATUS, _PLACES, float64[:, ::1]), cache=True, nogil=True)
def gather_columns(place: Ints, numbers: Floats, status: Bytes, columns: Ints, values: Floats) -> bool:
    """Fill an array for each column. Returns whether all features of these rows have values.

    Args:
        place, numbers, status: see `gather`.
        columns: int64[V], columns of `numbers`.
        values: float64[V, N], filled.
    """
    last, greatest = len(numbers) - 1, 0
    for i in range(len(place)):
        row = place[i]
        if row < 0:
            row = last
        for j in range(len(columns)):
            values[j, i] = numbers[row, columns[j]]
        for j in range(status.shape[1]):
            greatest = max(greatest, status[row, j])
    return greatest <= _LAST_WITH_VALUE
