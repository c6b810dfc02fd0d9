"""Each feature's keys, and the sum over its keys, compared with their past."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from featurestore.define.decoded import Floats, Ints
from featurestore.define.panes import Bools

from .blocks import Deviations, deviations
from .series import Series
from .variation import Baseline, fit

LEAST_FREEDOM: Final = 5.0
"""A key is compared if its past has so many degrees of freedom."""

LEAST_SHARE: Final = 0.5
"""A key is compared if so large a share of the newest panes has a value and a baseline."""

COUNT_SD: Final = 10.0
"""The count of a ratio is measured if it is so many standard deviations of its noise."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """The panes of a check.

    Attributes:
        starts: int64[T], µs; place: int64[T], of each pane in the season.
        last: how many of the newest panes are compared as one.
    """

    starts: Ints
    place: Ints
    last: int

    @property
    def past(self) -> Bools:
        """bool[T]: the panes that are not the newest ones."""
        return np.arange(len(self.starts)) < len(self.starts) - self.last

    @property
    def number(self) -> Ints:
        """int64[T]: the block of each pane, of `last` panes each; the newest are the last one, the oldest may be in none (−1)."""
        count = len(self.starts)
        number = (np.arange(count) - count) // self.last + count // self.last
        return np.maximum(number, -1)


@dataclass(frozen=True, eq=False)
class Judged:
    """The deviations of K series of one feature: of its keys, or of the sum over keys.

    Attributes:
        known: bool[K], the series with enough values in the past and in the newest panes.
        hidden: bool[K], those whose noise hides every possible change.
        keys: how many keys are added up; 0: the series are those of the keys.
    """

    series: Series
    base: Baseline
    deviations: Deviations
    known: Bools
    hidden: Bools
    keys: int

    @property
    def compared(self) -> Bools:
        """bool[K]: the series that are compared."""
        return self.known & ~self.hidden

    @property
    def units(self) -> Floats:
        """float64[K]: what a sum over the newest panes is divided by: for a count the panes, for a ratio the expected count."""
        ratio = self.series.ratio
        return self._over_newest(np.ones_like(self.series.values) if ratio is None else ratio.expected)

    @property
    def measured_units(self) -> Floats:
        """float64[K]: the same with the count that a ratio has in the newest panes, where its noise is small."""
        ratio = self.series.ratio
        if ratio is None:
            return self.units
        count, noise = self._over_newest(ratio.count), self._over_newest(ratio.count_noise)
        measured: Floats = np.where(count >= COUNT_SD * np.sqrt(noise), count, self.units)
        return measured

    def _over_newest(self, values: Floats) -> Floats:
        newest = ~self.base.past
        total: Floats = np.where(self.base.has[newest], values[newest], 0.0).sum(axis=0)
        return np.maximum(total, 1e-300)


def judged(series: Series, blocks: Blocks) -> Iterator[Judged]:
    """The keys of a feature, and their sum over those without a gap, if there are several. Noise may hide each of them alone."""
    of_keys = _judge(series, blocks, 0)
    yield of_keys
    base = of_keys.base
    whole = of_keys.known & base.has.all(axis=0) & (base.variance > 0).all(axis=0)
    if whole.sum() > 1:
        yield _judge(series.total(whole, base.variance[base.past].mean(axis=0)), blocks, int(whole.sum()))


def _judge(series: Series, blocks: Blocks, keys: int) -> Judged:
    base = fit(series.values, series.noise, series.events, blocks.place, blocks.past)
    found = deviations(base, blocks.number, blocks.last)
    known = found.there[-1] & (base.has[~base.past].mean(axis=0) >= LEAST_SHARE) & (base.own >= LEAST_FREEDOM)
    return Judged(series, base, found, known, ~series.shows_change(blocks.last), keys)
