"""What is opened of one feature in each pane and key, by the feature's own decoding: so any kind of feature can be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurestore.define.decoded import Decoded, Floats, Ints, Status
from featurestore.define.definitions import FeatureView
from featurestore.define.feature import PaneFeature
from featurestore.define.interval import Ratio
from featurestore.define.layout import layout_of
from featurestore.define.panes import Bools, Panes
from featurestore.define.values import decode


@dataclass(frozen=True, eq=False)
class OpenedFeature:
    """A feature over N rows, each a key in a pane.

    Attributes:
        rows: int64[N, S], opened sums; units: float64[G, N], the number of noises in each, by the feature's groups.
        known: bool[T], the panes that have the feature.
    """

    view: FeatureView
    feature: PaneFeature
    rows: Ints
    units: Floats
    known: Bools

    @classmethod
    def of(cls, view: FeatureView, panes: Panes, feature: PaneFeature, at: Ints) -> OpenedFeature:
        """The feature in some panes, int64[T]."""
        layout = layout_of(view)
        source = view.source_of(feature) or feature
        groups = np.array([i for i, group in enumerate(layout.groups) if group.feature == source.name])
        units = np.broadcast_to(panes.noise_units, (len(panes.start), len(layout.groups)))[np.ix_(at, groups)]
        column = [one.name for one in view.collected].index(source.name)
        known = np.broadcast_to(panes.known, (len(panes.start), len(view.collected)))[at, column]
        rows = panes.slots[at].reshape(-1, layout.slots_per_key)
        return cls(view, feature, rows, units.T.repeat(layout.keys, axis=1), known)

    def decoded(self, rows: Ints) -> Decoded:
        """Decode sums that have the noise of the rows."""
        base = np.full(len(rows), np.uint8(Status.OK))
        return decode(layout_of(self.view), self.feature, rows, self.units, base)


@dataclass(frozen=True, eq=False)
class RatioSums:
    """The sums of a ratio centre + S/n.

    Attributes:
        total: float64[N], S; n: float64[N]; n_noise: float64[N], the variance of the noise of n. That of S is its scale² times.
    """

    total: Floats
    n: Floats
    n_noise: Floats

    @classmethod
    def of(cls, opened: OpenedFeature, rule: Ratio) -> RatioSums:
        """The sums of all rows.

        S follows from the ratio, except where n is 0. There another row is added to the sums, and its S is taken away again.
        """
        first = cls._where_defined(opened.decoded(opened.rows), rule)
        zero = first.n == 0
        other = int(np.argmax(np.abs(first.n)))
        if not zero.any() or first.n[other] == 0:
            return first
        moved = cls._where_defined(opened.decoded(opened.rows + np.where(zero[:, None], opened.rows[other], 0)), rule)
        return cls(moved.total - zero * first.total[other], first.n, moved.n_noise)

    @classmethod
    def _where_defined(cls, decoded: Decoded, rule: Ratio) -> RatioSums:
        if decoded.n is None:
            raise TypeError("a ratio has a count")
        n = decoded.n.astype(np.float64)
        r, se = (np.where(n != 0, one, 0.0) for one in (decoded.value - rule.centre, decoded.se))
        n_noise = (n * se) ** 2 / (rule.scale**2 + r**2)
        return cls(r * n, n, n_noise)
