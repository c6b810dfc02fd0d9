"""The published panes of a view, from which all of its rows are computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .decoded import Floats, Ints
from .definitions import FeatureView
from .layout import layout_of
from .release import MILLION

NEVER: Final = 2**63 - 1
"""The `retracted_at` of a pane without a retraction."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Panes:
    """Published panes from which the rows of one view follow, by increasing start.

    A pane may have been opened for another version of the view; then the view has those of its features that are carried
    (`featurestore.define.carry`). P panes, K keys, S slots of a key, G noise groups and F collected features are those of the
    view. A second dimension of 1 says that all keys, groups or features are alike.

    Attributes:
        start: int64[P], µs.
        opened: bool[P]; the others are void.
        site_share: int64[P], the share of enrolled clients whose sites are counted, in millionths.
        slots: int64[P, K, S], zero in void panes and where the pane does not have the feature.
        withheld: bool[P, K] or [P, 1], the cells that were never opened, because the pane's own definition suppresses them
            (finish mpc); their slots are 0.
        noise_units: float64[P, G] or [P, 1], the variance of each opened sum, in noises of the view: 2 in a pane of the view
            itself, 0 with noise off.
        known: bool[P, F] or [P, 1], whether the pane has the feature.
        released_at: int64[P], µs.
        retracted_at: int64[P], µs; NEVER without a retraction.
    """

    start: Ints
    opened: Bools
    site_share: Ints
    slots: Ints
    withheld: Bools
    noise_units: Floats
    known: Bools
    released_at: Ints
    retracted_at: Ints

    def usable(self, min_site_coverage: float) -> Bools:
        """bool[P]: the opened panes with at least this share of enrolled clients. Only these have values."""
        usable: Bools = self.opened & (self.site_share >= min_site_coverage * MILLION)
        return usable

    @property
    def in_order(self) -> bool:
        """Whether each pane was released after the ones before it, and none was retracted."""
        return bool((np.diff(self.released_at) >= 0).all() and (self.retracted_at == NEVER).all())


def suppressed_cells(view: FeatureView, slots: Ints, known: Bools) -> Bools:
    """bool[P, K], or [P, 1] without `suppress_below`: the cells whose noised ClientCount is below it.

    With several ClientCounts the smallest decides. One that a pane does not have suppresses nothing. The finish mpc uses the
    same rule.

    Args:
        slots: int64[P, K, S].
        known: see `Panes`.
    """
    limit = view.privacy.suppress_below
    if limit is None:
        return np.zeros((len(slots), 1), dtype=bool)
    layout = layout_of(view)
    counts = slots[..., layout.client_counts]
    if not known.all():
        names = [feature.name for feature in view.collected]
        places = [names.index(group.feature) for group in layout.groups if group.kind == "client_count"]
        has_count = np.broadcast_to(known, (len(slots), len(names)))[:, None, places]
        counts = np.where(has_count, counts, limit)
    small: Bools = counts.min(axis=-1) < limit
    return small
