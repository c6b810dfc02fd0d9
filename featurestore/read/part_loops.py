"""Loops that fill the parts of an answer (see `featurestore.read.feature_columns`), for whole batches.

They are compiled when this module is imported, and for read-only rows, as blocks have them. numpy takes a microsecond or more for
each of its calls, and an answer of one row needs dozens of them (`featurestore.read.part_loops_numpy`).
"""

from __future__ import annotations

import numpy as np

from base.compiled import boolean, float64, int64, njit, types, uint8, void
from featurestore.define.decoded import Bytes, Floats, Status
from featurestore.define.interval import CENTRE, CRITICAL, HIGH, KIND, LOW, MIXED, RATIO, SCALE, WHOLE
from featurestore.online.view_rows import Ints

from .request import Bools

_EXPIRED = np.uint8(Status.OUTSIDE_MAX_AGE)
_DROWNED = int(Status.DROWNED)
_LAST_WITH_VALUE = int(Status.STALE_BUDGET)
_PLACES = int64[::1]
_NUMBERS = types.Array(float64, 2, "C", readonly=True)
_STATUS = types.Array(uint8, 2, "C", readonly=True)
_ENDS = types.UniTuple(float64, 2)


@njit(_ENDS(float64, float64, float64[::1]), cache=True, nogil=True, error_model="numpy")
def _ends(value: float, se: float, rule: Floats) -> tuple[float, float]:
    """See `featurestore.define.interval.ends`."""
    if rule[KIND] != RATIO:
        half = rule[CRITICAL] * se
        if rule[KIND] == WHOLE:
            half = np.ceil(half - 0.5)
            if half <= 0.0:
                half = 0.0
        return value - half, value + half
    scale = rule[SCALE]
    r = (value - rule[CENTRE]) / scale
    square = r * r
    both = square + 1.0
    spread = se / scale
    relative = spread * spread / both
    of_n = square / both
    of_sum = 1.0 - of_n
    z = rule[CRITICAL] + rule[MIXED] * (of_n * of_n + of_sum * of_sum)
    g = z * z * relative
    if g >= 1.0:
        return rule[LOW], rule[HIGH]
    half, middle, rest = z * np.sqrt(relative * (both - g)), g * r, 1.0 - g
    return value + scale * (middle - half) / rest, value + scale * (middle + half) / rest


@njit(float64(float64, float64[::1]), cache=True, nogil=True)
def _limited(value: float, limits: Floats) -> float:
    """The value within limits; NaN stays."""
    least: float = limits[0]
    most: float = limits[1]
    if value < least:
        return least
    return most if value > most else value


@njit(
    void(
        _PLACES, _NUMBERS, _STATUS, boolean, int64[:, ::1], int64[:, ::1], int64[:, ::1], int64[::1],
        float64[:, ::1], float64[:, ::1], boolean, int64[::1],
        boolean[:, ::1], float64[:, ::1], int64[:, ::1], uint8[:, ::1],
    ),
    cache=True, nogil=True,
)  # fmt: skip
def fill_scalars(
    place: Ints, numbers: Floats, status: Bytes, expired: bool, features: Ints, scalars: Ints, counted: Ints, whole: Ints,
    rules: Floats, limits: Floats, clamp: bool, moments: Ints,
    masks: Bools, floats: Floats, ints: Ints, codes: Bytes,
) -> None:  # fmt: skip
    """Fill the parts of C features, of which S are no lists, K have an n, and W are whole numbers.

    Args:
        place: int64[N], rows of `numbers` and `status`; −1 is the last row, that of a missing key.
        numbers: float64[M, …]; status: uint8[M, F].
        expired: whether the rows are too old: then found rows get this reason.
        features: int64[C, 2], of each its column of `status`, and that of its standard error.
        scalars: int64[S, 2], of each its place among the features, and its column of values.
        counted: int64[K, 2], of each its place among the features, and its column of n.
        whole: int64[W], places among the scalars.
        rules: float64[S, …], see `featurestore.define.interval.rules_of`.
        limits: float64[S, 2], to which values and the ends of their intervals are limited if `clamp`; then n is at least 0.
        moments: int64[2], the times.
        masks: bool[C + K + 1, N]; floats: float64[3S + C, N]; ints: int64[W + K + 2, N]; codes: uint8[C, N]; all filled.
    """
    last, many = len(numbers) - 1, len(scalars)
    for i in range(len(place)):
        there = place[i] >= 0
        row = place[i] if there else last
        for f in range(len(features)):
            code = status[row, features[f, 0]]
            if expired and there:
                code = _EXPIRED
            codes[f, i] = code
            masks[f, i] = code <= _LAST_WITH_VALUE
            floats[3 * many + f, i] = numbers[row, features[f, 1]]
        for k in range(len(counted)):
            code = codes[counted[k, 0], i]
            n = numbers[row, counted[k, 1]]
            is_there = code <= _LAST_WITH_VALUE or code == _DROWNED
            masks[len(features) + k, i] = is_there
            if clamp and n < 0.0:
                n = 0.0
            ints[len(whole) + k, i] = np.int64(n) if is_there else 0
        masks[len(features) + len(counted), i] = there
        for m in range(2):
            ints[len(whole) + len(counted) + m, i] = moments[m]
        for s in range(many):
            value = numbers[row, scalars[s, 1]]
            low, high = _ends(value, floats[3 * many + scalars[s, 0], i], rules[s])
            if clamp:
                value, low, high = _limited(value, limits[s]), _limited(low, limits[s]), _limited(high, limits[s])
            floats[s, i], floats[many + s, i], floats[2 * many + s, i] = value, low, high
        for w in range(len(whole)):
            s = whole[w]
            ints[w, i] = np.int64(floats[s, i]) if masks[scalars[s, 0], i] else 0


@njit(
    void(
        _PLACES, _NUMBERS, boolean, int64, int64, float64[::1], float64[::1], boolean, boolean[::1],
        int64[:, ::1], float64[:, ::1], float64[:, ::1],
    ),
    cache=True, nogil=True,
)  # fmt: skip
def fill_list(
    place: Ints, numbers: Floats, expired: bool, start: int, se_at: int, rule: Floats, limits: Floats, clamp: bool, there: Bools,
    values: Ints, low: Floats, high: Floats,
) -> None:  # fmt: skip
    """Fill the parts of a list; see `fill_scalars`.

    Args:
        start, se_at: the columns of its first cell, and of the standard error of each cell.
        there: bool[N], where it has a value.
        values: int64[N, cells]; low, high: float64[N, cells], NaN in expired rows; all filled.
    """
    last = len(numbers) - 1
    for i in range(len(place)):
        row = place[i] if place[i] >= 0 else last
        for cell in range(values.shape[1]):
            if expired:
                values[i, cell], low[i, cell], high[i, cell] = 0, np.nan, np.nan
                continue
            value = numbers[row, start + cell]
            least, most = _ends(value, numbers[row, se_at], rule)
            if clamp:
                value, least, most = _limited(value, limits), _limited(least, limits), _limited(most, limits)
            values[i, cell] = np.int64(value) if there[i] else 0
            low[i, cell], high[i, cell] = least, most
