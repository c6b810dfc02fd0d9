"""The published panes of a view, from which all of its rows are computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .decoded import Floats, Ints
from .release import MILLION

NEVER: Final = 2**63 - 1
"""The `retracted_at` of a pane without a retraction."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Panes:
    """Published panes of one view, by increasing start.

    Attributes:
        start: int64[P], µs.
        opened: bool[P]; the others are void.
        site_share: int64[P], the share of enrolled clients whose sites are counted, in millionths.
        slots: int64[P, K, S], zero in void panes.
        withheld: bool[P], whether the pane's cells below `suppress_below` were never opened (finish mpc); their slots are 0.
        noise_units: float64[P], the number of noises in each opened pane (2, or 0 with noise off).
        released_at: int64[P], µs.
        retracted_at: int64[P], µs; NEVER without a retraction.
    """

    start: Ints
    opened: Bools
    site_share: Ints
    slots: Ints
    withheld: Bools
    noise_units: Floats
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
