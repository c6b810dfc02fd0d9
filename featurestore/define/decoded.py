"""Decoded features: values with their standard errors due to noise, their n and their status."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


class Status(IntEnum):
    """Says whether a value is usable, or why it is null. Statuses up to STALE_BUDGET have a value; DROWNED has only its n."""

    OK = 0
    """The value is there."""
    ROUGH_SE = 1
    """The noised n of a Mean or Rate is below 20·se(n). There the delta method does not hold, so the standard error is rough. The
    interval holds."""
    STALE_BUDGET = 2
    """No newer pane was opened, because a later client-day has no budget left; this is the last value before that. It was OK
    or ROUGH_SE at its release."""
    VOID = 3
    """The pane was not opened (too few clients, or it failed), its release was retracted, or it was opened for another version of
    the view, which does not collect the feature."""
    LOW_COVERAGE = 4
    """The coverage of the window is below `min_coverage`, or that of the pane's sites is below `min_site_coverage`."""
    DROWNED = 5
    """The noised n of a Mean or Rate is below max(1, 3·se(n)), so the value would be mostly noise."""
    SUPPRESSED = 6
    """The key's noised ClientCount is below `suppress_below`, or the cell was withheld under the limit of an earlier version."""
    OUTSIDE_MAX_AGE = 7
    """The row is older than the view's ttl. Only reads give this status."""
    NOT_FOUND = 8
    """The key is unknown, or has no row yet at the requested time. Only reads give this status."""
    UNDEFINED = 9
    """The function of an on-demand view returned NaN. Only reads give this status."""


_LAST_WITH_VALUE = np.uint8(Status.STALE_BUDGET)  # comparing an array with an IntEnum takes several times as long
_DROWNED = np.uint8(Status.DROWNED)


def value_is_there(status: Bytes) -> npt.NDArray[np.bool_]:
    """True where the status has a value and its `__se`; bool in the shape of `status`."""
    is_there: npt.NDArray[np.bool_] = status <= _LAST_WITH_VALUE
    return is_there


def n_is_there(status: Bytes) -> npt.NDArray[np.bool_]:
    """True where the status of a Mean or Rate has its `__n`."""
    is_there: npt.NDArray[np.bool_] = value_is_there(status) | (status == _DROWNED)
    return is_there


def made_stale(status: Bytes) -> Bytes:
    """The statuses of a row that is still served because a later pane had no budget."""
    return np.where(value_is_there(status), np.uint8(Status.STALE_BUDGET), status)


Shape = Literal["count", "ratio", "list", "estimate"]
"""int64; float64 with `__n` beside it; a list of int64; float64."""


@dataclass(frozen=True)
class Serving:
    """How a feature is served.

    Attributes:
        width: number of cells of a list; else 1.
        clamp: the interval [low, high] that clamping limits a value to; None: unlimited at that end.
    """

    shape: Shape
    width: int = 1
    clamp: tuple[float | None, float | None] = (0.0, None)


@dataclass(frozen=True, eq=False)
class OpenedSlots:
    """The mapped slots of one feature over N rows, summed over the opened panes of each row.

    Attributes:
        slots: int64[N, S].
        variances: float64[N] for each of the feature's groups, the variance of the noise in each slot of the group.
        status: uint8[N], OK or the reason why the whole row is null (VOID, LOW_COVERAGE, SUPPRESSED).
    """

    slots: Ints
    variances: tuple[Floats, ...]
    status: Bytes


@dataclass(frozen=True, eq=False)
class Decoded:
    """One served feature over N rows. An entry has a meaning only if `status` says that it has a value.

    Attributes:
        value: int64[N] (count), float64[N] (ratio, estimate) or int64[N, width] (list).
        se: float64[N], standard error due to noise, for a list that of each cell. The standard error of an estimate includes
            all other error.
        n: int64[N] for a ratio, else None.
        status: uint8[N] of `Status`.
    """

    value: Ints | Floats
    se: Floats
    n: Ints | None
    status: Bytes


def ratio_se(numerator: Ints, n: Ints, numerator_var: Floats, n_var: Floats) -> Floats:
    """The standard error of numerator/n by the delta method, for independent noise, from released values only."""
    ratio = numerator / n
    spread: Floats = np.sqrt(numerator_var + ratio**2 * n_var) / np.abs(n)
    return spread


def decoded_ratio(value: Floats, se: Floats, n: Ints, n_var: Floats, base: Bytes) -> Decoded:
    """A ratio with its status: DROWNED below 3 standard errors of n, ROUGH_SE below 20, from where on 1/n is nearly linear."""
    n_se = np.sqrt(n_var)
    own = np.where(n < 20.0 * n_se, np.uint8(Status.ROUGH_SE), np.uint8(Status.OK))
    own = np.where(n < np.maximum(1.0, 3.0 * n_se), np.uint8(Status.DROWNED), own)
    return Decoded(value, se, n, np.where(base == Status.OK, own, base))
