"""The series of a view: each feature of each key over opened panes, as sums whose noise is independent and known.

A ratio is not compared itself: where its count is small its error is no normal one, and the panes in which it is null are not
a random part. Its count n and its sum S (the value is centre + S/n) have independent noise, so S − β·n is compared, where
centre + β is the key's ratio over the whole past. It is a sum, whose noise variance is known, and its mean is 0 unless the ratio
changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from featurestore.define.decoded import Decoded, Floats, Ints
from featurestore.define.definitions import FeatureView
from featurestore.define.feature import PaneFeature
from featurestore.define.interval import Ratio
from featurestore.define.panes import NEVER, Bools, Panes, suppressed_cells
from featurestore.define.values import ServedFeature, interval_of, served_features

from .opened import OpenedFeature, RatioSums
from .variation import levels

RATIO_SD: Final = 3.0
"""A ratio of a key is compared if the largest possible change of it is at least so many standard deviations of its noise."""


@dataclass(frozen=True, eq=False)
class RatioParts:
    """What turns sums S − β·n into ratios.

    Attributes:
        usual: float64[K], the ratio over the past, centre + β.
        count: float64[T, K], n; count_noise: float64[T, K], its variance; expected: float64[T, K], its expectation, at least 0.
        low, high: the range of the feature.
    """

    usual: Floats
    count: Floats
    count_noise: Floats
    expected: Floats
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Series:
    """One feature, or one cell of a list, of all keys.

    Attributes:
        cell: the number of the cell of a list; else None.
        values: float64[T, K], a count or S − β·n; NaN where there is no value.
        noise: float64[T, K], the variance of its noise.
        ratio: None for a count.
    """

    feature: str
    cell: int | None
    values: Floats
    noise: Floats
    ratio: RatioParts | None

    @property
    def name(self) -> str:
        """The name of the feature, with the cell of a list."""
        return self.feature if self.cell is None else f"{self.feature}[{self.cell}]"

    @property
    def events(self) -> Floats | None:
        """The expected number of events of a ratio."""
        return None if self.ratio is None else self.ratio.expected

    def shows_change(self, last: int) -> Bools:
        """bool[K]: the keys whose noise in the `last` newest panes does not hide every possible change."""
        ratio = self.ratio
        if ratio is None:
            return np.ones(self.values.shape[1], dtype=bool)
        change: Floats = np.nan_to_num(np.maximum(ratio.high - ratio.usual, ratio.usual - ratio.low))
        largest: Floats = change * ratio.expected[-last:].sum(axis=0)
        hiding: Floats = RATIO_SD * np.sqrt(self.noise[-last:].sum(axis=0))
        shows: Bools = (largest >= hiding) & (change > 0)
        return shows

    def total(self, keys: Bools, variance: Floats) -> Series:
        """The sum over some keys, as one series.

        A count is added up as it is. A ratio that moves by δ in every key moves S − β·n by δ·n. So each key has the weight n/V,
        with which the sum shows the least δ, and the weights are scaled so that they do not change the sum of the expected n.

        Args:
            keys: bool[K]; variance: float64[K], V of a key's values, above 0 for these keys.
        """
        values, noise, ratio = self.values[:, keys], self.noise[:, keys], self.ratio
        if ratio is None:
            return Series(self.feature, self.cell, _sum(values), _sum(noise), None)
        expected = ratio.expected[:, keys]
        each = expected.mean(axis=0)
        weight = each / variance[keys]
        weight *= each.sum() / max(float(weight @ each), 1e-300)
        usual = np.array([float(ratio.usual[keys] @ (weight * each)) / max(float(each.sum()), 1e-300)])
        count, count_noise = _sum(weight * ratio.count[:, keys]), _sum(weight**2 * ratio.count_noise[:, keys])
        parts = RatioParts(usual, count, count_noise, _sum(weight * expected), ratio.low, ratio.high)
        return Series(self.feature, self.cell, _sum(weight * values), _sum(weight**2 * noise), parts)


def usable_panes(view: FeatureView, panes: Panes) -> Bools:
    """bool[P]: the panes with values: opened, not retracted, and with enough sites."""
    usable: Bools = panes.usable(view.min_site_coverage) & (panes.retracted_at == NEVER)
    return usable


def series_of(view: FeatureView, panes: Panes, used: Bools, place: Ints, past: Bools) -> Iterator[Series]:
    """Decode the series of the pane features of a view.

    Sums depend on which sites are counted, so a count has no value in a pane whose share of enrolled clients is not that of the
    newest one.

    Args:
        used: bool[P], the T panes to decode; place: int64[T], of each in the season; past: bool[T], all but the newest ones.
    """
    at = np.flatnonzero(used)
    hidden = suppressed_cells(view, panes.slots[at], _rows(panes.known, at)) | _rows(panes.withheld, at)
    hidden = np.broadcast_to(hidden, (len(at), len(view.entity.domain)))
    other_sites = (panes.site_share[at] != panes.site_share[at[-1]])[:, None]
    for served in served_features(view):
        feature = served.feature
        if not isinstance(feature, PaneFeature) or served.window is not None:
            continue
        opened = OpenedFeature.of(view, panes, feature, at)
        has = opened.known[:, None] & ~hidden
        rule = interval_of(view, served).shape
        if isinstance(rule, Ratio):
            yield _ratio(served, RatioSums.of(opened, rule), rule, has, place, past)
        else:
            yield from _counts(served, opened.decoded(opened.rows), has & ~other_sites)


def _counts(served: ServedFeature, decoded: Decoded, has: Bools) -> Iterator[Series]:
    noise = decoded.se.reshape(has.shape) ** 2
    values = decoded.value.astype(np.float64).reshape(*has.shape, served.width)
    for cell in range(served.width):
        counted = np.where(has, values[..., cell], np.nan)
        yield Series(served.name, cell if served.is_list else None, counted, noise, None)


def _ratio(served: ServedFeature, sums: RatioSums, rule: Ratio, has: Bools, place: Ints, past: Bools) -> Series:
    total, n, n_noise = (np.where(has, one.reshape(has.shape), 0.0) for one in (sums.total, sums.n, sums.n_noise))
    events = n[past].sum(axis=0)
    beta = np.divide(total[past].sum(axis=0), events, out=np.full(len(events), np.nan), where=events > 0)
    beta = np.clip(beta, rule.low - rule.centre, rule.high - rule.centre)
    values = np.where(has, total - beta * n, np.nan)
    noise = np.where(has, n_noise * (rule.scale**2 + beta**2), 0.0)
    parts = RatioParts(rule.centre + beta, n, n_noise, levels(n, has, place), rule.low, rule.high)
    return Series(served.name, None, values, noise, parts)


def _sum(values: Floats) -> Floats:
    """float64[T, 1] of float64[T, K]."""
    total: Floats = values.sum(axis=1, keepdims=True)
    return total


def _rows(table: Bools, at: Ints) -> Bools:
    rows: Bools = table[at]
    return rows
