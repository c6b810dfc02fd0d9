"""From opened sums to features: each value with its standard error due to noise, its n and its status.

Everything here is post-processing of releases. Values are never clamped: a count may be negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

from .definitions import FeatureView, Window
from .expressions import Compare, parse
from .features import ClientCount, Count, Feature, Histogram, Mean, PaneFeature, Rate
from .filtered import PARTS, Filtered, Part
from .layout import Layout

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


class Status(IntEnum):
    """How good a value is, or why it is null. Those up to STALE_BUDGET have a value; DROWNED still has its n."""

    OK = 0
    ROUGH_SE = 1
    """A Mean or Rate whose noised n is below 20·se(n): the delta method does not hold, its standard error is rough."""
    STALE_BUDGET = 2
    """The last value before the budget of a later client-day was gone: OK or ROUGH_SE when it was released."""
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


@dataclass(frozen=True)
class ServedFeature:
    """One column of the store: a feature over the pane itself or over a window, or a part of a Filtered.

    Attributes:
        name: `<feature>`, `<feature>_<window>` or `<filtered>_<part>`.
        shape: `count` (int64), `ratio` (float64, with `__n`), `list` (int64 of `width` cells) or `estimate` (float64).
        part: of a Filtered; else None.
    """

    name: str
    feature: Feature
    window: Window | None
    shape: Literal["count", "ratio", "list", "estimate"]
    width: int
    part: Part | None = None

    @property
    def has_n(self) -> bool:
        """Whether `__n`, the noised number of events behind it, is served beside it."""
        return self.shape == "ratio"

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers, int64."""
        return self.shape in ("count", "list")

    @property
    def clamp(self) -> tuple[float | None, float | None]:
        """What a value is held to where clamping is asked for: [low, high]; None: no such end."""
        match self.feature:
            case Filtered() if self.part == "dev":
                return None, None
            case Filtered() if self.part == "pred":
                return 0.0, 1.0
            case Rate():
                return 0.0, 1.0
            case Mean():
                return self.feature.bounds
            case _:
                return 0.0, None


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


def served_features(view: FeatureView) -> tuple[ServedFeature, ...]:
    """What a view serves, in column order: the pane's features, then each window's, then each Filtered's."""
    served = [_served(feature, None) for feature in view.pane_features]
    for window in view.trailing:
        served += [_served(feature, window) for feature in view.pane_features if not isinstance(feature, ClientCount)]
    for feature in view.filtered:
        names = zip(PARTS, feature.names, strict=True)
        served += [ServedFeature(name, feature, None, "estimate", 1, part) for part, name in names]
    return tuple(served)


def _served(feature: PaneFeature, window: Window | None) -> ServedFeature:
    name = feature.name if window is None else f"{feature.name}_{window.name}"
    if isinstance(feature, Histogram):
        return ServedFeature(name, feature, window, "list", feature.cells)
    return ServedFeature(name, feature, window, "ratio" if isinstance(feature, Mean | Rate) else "count", 1)


def decode(layout: Layout, feature: PaneFeature, sums: Ints, noise_units: Floats, base: Bytes) -> Decoded:
    """Read one feature off N rows of opened sums.

    Args:
        sums: int64[N, slots_per_key], mapped slots (after the noise basis), summed over the opened panes of a row.
        noise_units: float64[N], how many noises of the full scale are in each sum: 2 for every opened pane that both
            aggregators noised, 0 where noise is off.
        base: uint8[N], OK or the reason why the whole row is null (VOID, LOW_COVERAGE, SUPPRESSED).
    """
    variances = {group.kind: noise_units * group.variance for group in layout.groups_of(feature)}
    slots = [slot for group in layout.groups_of(feature) for slot in group.slots]
    source = layout.view.source_of(feature)
    match feature:
        case Count() if source is not None:
            cells = sums[:, slots]
            return Decoded(cells.sum(axis=1), np.sqrt(len(slots) * variances["histogram"]), None, base)
        case Count():
            return Decoded(sums[:, slots[0]], np.sqrt(variances["count"]), None, base)
        case ClientCount():
            return Decoded(sums[:, slots[0]], np.sqrt(variances["client_count"]), None, base)
        case Histogram():
            return Decoded(sums[:, slots], np.sqrt(variances["histogram"]), None, base)
        case Mean():
            centred, n = sums[:, slots[0]], sums[:, slots[1]]
            low, _ = feature.bounds
            with np.errstate(divide="ignore", invalid="ignore"):
                value = low + feature.step * ((centred + (feature.q_max // 2) * n) / n)
                spread = _ratio_se(centred, n, variances["centred_sum"], variances["non_null_count"])
            return _ratio(value, feature.step * spread, n, variances["non_null_count"], base)
        case Rate() if source is not None:
            return _derived_rate(feature, source, sums[:, slots], variances["histogram"], base)
        case Rate():
            centred, n = sums[:, slots[0]], sums[:, slots[1]]
            with np.errstate(divide="ignore", invalid="ignore"):
                value = (centred + n) / 2 / n
                spread = _ratio_se(centred, n, variances["centred_sum"], variances["non_null_count"])
            return _ratio(value, spread / 2, n, variances["non_null_count"], base)


def _ratio_se(numerator: Ints, n: Ints, numerator_var: Floats, n_var: Floats) -> Floats:
    """Delta method for numerator/n with independent noise, from released values only."""
    ratio = numerator / n
    spread: Floats = np.sqrt(numerator_var + ratio**2 * n_var) / np.abs(n)
    return spread


def _derived_rate(rate: Rate, source: Histogram, cells: Ints, variance: Floats, base: Bytes) -> Decoded:
    """A Rate read off a histogram: T true and F false events, each a sum of cells with independent noise."""
    is_true = _true_cells(rate, source)
    non_null = np.ones(source.cells, dtype=bool)
    if source.nulls:
        non_null[-1] = False
    true = cells[:, is_true].sum(axis=1)
    false = cells[:, non_null & ~is_true].sum(axis=1)
    n = true + false
    true_var = int(is_true.sum()) * variance
    false_var = int((non_null & ~is_true).sum()) * variance
    with np.errstate(divide="ignore", invalid="ignore"):
        value = true / n
        se = np.sqrt((false / n) ** 2 * true_var + (true / n) ** 2 * false_var) / np.abs(n)
    return _ratio(value, se, n, true_var + false_var, base)


def _true_cells(rate: Rate, source: Histogram) -> npt.NDArray[np.bool_]:
    """bool[cells]: the cells of the histogram for which the rate's condition holds."""
    comparison = parse(rate.where).root
    if not isinstance(comparison, Compare) or not isinstance(comparison.right, float):
        raise TypeError(f"{rate.where!r} cannot be read off a histogram")
    cut = [float(edge) for edge in source.edges].index(comparison.right) + 1
    index = np.arange(source.cells)
    above = (index >= cut) & (index <= len(source.edges))
    return above if comparison.op == ">=" else index < cut


def _ratio(value: Floats, se: Floats, n: Ints, n_var: Floats, base: Bytes) -> Decoded:
    """A ratio with its status: nothing is said where n drowns, and 20 standard errors are where 1/n is nearly linear."""
    n_se = np.sqrt(n_var)
    own = np.where(n < 20.0 * n_se, np.uint8(Status.ROUGH_SE), np.uint8(Status.OK))
    own = np.where(n < np.maximum(1.0, 3.0 * n_se), np.uint8(Status.DROWNED), own)
    return Decoded(value, se, n, np.where(base == Status.OK, own, base))
