"""The served features of a view, and their values from opened sums. All of it is post-processing of releases."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .decoded import Bytes, Decoded, Floats, Ints, OpenedSlots, Serving
from .definitions import FeatureView, Window
from .feature import DerivableFeature, PaneFeature, ViewFeature
from .filtered import PARTS, SERVINGS, Part
from .interval import NORMAL, Estimate, Interval, critical_value
from .layout import Layout, layout_of
from .mechanism import NOISERS


@dataclass(frozen=True)
class ServedFeature:
    """One column of the store: a feature over the pane itself or over a window, or a part of a Filtered.

    Attributes:
        name: `<feature>`, `<feature>_<window>` or `<filtered>_<part>`.
        part: the part of a Filtered that it is; else None.
    """

    name: str
    feature: ViewFeature
    window: Window | None
    serving: Serving
    part: Part | None = None

    @property
    def width(self) -> int:
        """Number of cells of a list; else 1."""
        return self.serving.width

    @property
    def is_list(self) -> bool:
        """Whether a value is a list of whole numbers."""
        return self.serving.shape == "list"

    @property
    def has_n(self) -> bool:
        """Whether it has the companion `__n`, its noised number of events."""
        return self.serving.shape == "ratio"

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers, int64."""
        return self.serving.shape in ("count", "list")


def served_features(view: FeatureView) -> tuple[ServedFeature, ...]:
    """The served features of a view, in column order: the pane's features, then each window's, then each Filtered's."""
    served = [ServedFeature(feature.name, feature, None, feature.serving) for feature in view.pane_features]
    for window in view.trailing:
        served += [
            ServedFeature(f"{feature.name}_{window.name}", feature, window, feature.serving)
            for feature in view.pane_features
            if not feature.counts_clients
        ]
    for filtered in view.filtered:
        names = zip(PARTS, filtered.names, strict=True)
        served += [ServedFeature(name, filtered, None, SERVINGS[part], part) for part, name in names]
    return tuple(served)


def decode(layout: Layout, feature: PaneFeature, sums: Ints, noise_units: Floats, base: Bytes) -> Decoded:
    """Decode one feature from N rows of opened sums.

    Args:
        sums: int64[N, slots_per_key], mapped slots (after the noise basis), summed over the opened panes of a row.
        noise_units: float64[N], or float64[G, N] for each of the feature's groups: the number of noises in each sum. It is 2 for
            each opened pane, because both aggregators add noise; 0 with noise off.
        base: uint8[N], OK or the reason why the whole row is null (VOID, LOW_COVERAGE, SUPPRESSED).
    """
    groups = layout.groups_of(feature)
    slots = slice(groups[0].slots[0], groups[-1].slots[-1] + 1)  # a feature's slots are adjacent
    units = np.broadcast_to(noise_units, (len(groups), len(sums)))
    variances = tuple(noises * group.variance for noises, group in zip(units, groups, strict=True))
    opened = OpenedSlots(sums[:, slots], variances, base)
    source = layout.view.source_of(feature)
    if source is None or not isinstance(feature, DerivableFeature):
        return feature.decode(opened)
    return feature.decode_from(source, opened)


def interval_of(view: FeatureView, served: ServedFeature) -> Interval:
    """The rule for the 95 % intervals of a served feature. A Filtered states the normal error of its own estimate.

    The rule also holds for sums of panes that another version of the view opened. There both noises of a ratio are larger or
    smaller by one factor, up to the rounding of prices to millionths, so their ratio is that of this view. The critical value of
    Laplace noise is that of equal noises; where the noise of one pane outweighs that of all others, an interval holds 94.2 %
    instead of 95 %.
    """
    feature = served.feature
    if not isinstance(feature, PaneFeature):
        return Interval(Estimate(), NORMAL)
    variances = [group.variance for group in layout_of(view).groups_of(feature)]
    source = view.source_of(feature)
    if source is None or not isinstance(feature, DerivableFeature):
        shape = feature.interval(variances)
    else:
        shape = feature.interval_from(source, variances)
    panes = 1 if served.window is None else _least_panes(view, served.window)
    return Interval(shape, critical_value(view.privacy.mechanism, NOISERS * panes))


def _least_panes(view: FeatureView, window: Window) -> int:
    """The least number of opened panes with which a window has a value."""
    return max(1, math.ceil(view.min_coverage * window.panes - 1e-9))  # 0.28 · 25 is 7.000000000000001
