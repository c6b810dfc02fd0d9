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
    """Says how good a value is, or why it is null. Statuses up to STALE_BUDGET have a value; DROWNED still has its n."""

    OK = 0
    ROUGH_SE = 1
    """A Mean or Rate whose noised n is below 20·se(n): the delta method does not hold, its standard error is rough."""
    STALE_BUDGET = 2
    """The last value before the budget of a later client-day was spent. It was OK or ROUGH_SE when it was released."""
    VOID = 3
    """The pane was not opened (too few clients, or it failed), or its release was retracted."""
    LOW_COVERAGE = 4
    """Too few of the window's panes were opened."""
    DROWNED = 5
    """A Mean or Rate whose noised n is below max(1, 3·se(n)): the noise drowns it."""
    SUPPRESSED = 6
    """The key's noised ClientCount is below `suppress_below`."""
    OUTSIDE_MAX_AGE = 7
    """The row is older than the view's ttl (told at reads only)."""
    NOT_FOUND = 8
    """No such key, or no row yet at the time asked for (told at reads only)."""
    UNDEFINED = 9
    """The function of an on-demand transformation gave no number (told at reads only)."""


_LAST_WITH_VALUE = np.uint8(Status.STALE_BUDGET)  # comparing an array with an IntEnum takes several times as long
_DROWNED = np.uint8(Status.DROWNED)


def value_is_there(status: Bytes) -> npt.NDArray[np.bool_]:
    """Where these statuses go with a value and its `__se`; bool in the shape of `status`."""
    is_there: npt.NDArray[np.bool_] = status <= _LAST_WITH_VALUE
    return is_there


def n_is_there(status: Bytes) -> npt.NDArray[np.bool_]:
    """Where these statuses go with the `__n` of a Mean or Rate."""
    is_there: npt.NDArray[np.bool_] = value_is_there(status) | (status == _DROWNED)
    return is_there


def made_stale(status: Bytes) -> Bytes:
    """The statuses of a row that is served on because the budget of a later pane was gone."""
    return np.where(value_is_there(status), np.uint8(Status.STALE_BUDGET), status)


Shape = Literal["count", "ratio", "list", "estimate"]
"""int64; float64 with `__n` beside it; a list of int64; float64."""


@dataclass(frozen=True)
class Serving:
    """How a feature is served.

    Attributes:
        width: number of cells of a list; else 1.
        clamp: what a value is held to where clamping is asked for: [low, high]; None: no such end.
    """

    shape: Shape
    width: int = 1
    clamp: tuple[float | None, float | None] = (0.0, None)


@dataclass(frozen=True, eq=False)
class OpenedSlots:
    """The mapped slots of one feature over N rows, summed over the opened panes of each row.

    Attributes:
        slots: int64[N, S].
        variances: of the noise in each of the feature's groups, float64[N]; all slots of a group have the same.
        status: uint8[N], OK or the reason why the whole row is null (VOID, LOW_COVERAGE, SUPPRESSED).
    """

    slots: Ints
    variances: tuple[Floats, ...]
    status: Bytes


@dataclass(frozen=True, eq=False)
class Decoded:
    """One served feature over N rows; entries are meaningful only where `status` says so.

    Attributes:
        value: int64[N] (count), float64[N] (ratio, estimate) or int64[N, width] (list).
        se: float64[N], standard error due to noise; of each cell for a list. Of an estimate, with all other error too.
        n: int64[N] for a ratio, else None.
        status: uint8[N] of `Status`.
    """

    value: Ints | Floats
    se: Floats
    n: Ints | None
    status: Bytes


def ratio_se(numerator: Ints, n: Ints, numerator_var: Floats, n_var: Floats) -> Floats:
    """Delta method for numerator/n with independent noise, from released values only."""
    ratio = numerator / n
    spread: Floats = np.sqrt(numerator_var + ratio**2 * n_var) / np.abs(n)
    return spread


def decoded_ratio(value: Floats, se: Floats, n: Ints, n_var: Floats, base: Bytes) -> Decoded:
    """A ratio with its status: nothing is said where n drowns, and 20 standard errors are where 1/n is nearly linear."""
    n_se = np.sqrt(n_var)
    own = np.where(n < 20.0 * n_se, np.uint8(Status.ROUGH_SE), np.uint8(Status.OK))
    own = np.where(n < np.maximum(1.0, 3.0 * n_se), np.uint8(Status.DROWNED), own)
    return Decoded(value, se, n, np.where(base == Status.OK, own, base))
