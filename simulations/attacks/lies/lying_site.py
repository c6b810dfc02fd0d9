"""A site whose clients lie. It is the same at every level of reality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from federation.sharding import Protect, protect

from .liars import Liars


@dataclass(frozen=True)
class LyingSite:
    """The site of a fleet at which the first clients of each pane lie.

    Attributes:
        kinds, keys: see `Liars`.
    """

    site: str
    kinds: tuple[str, ...]
    keys: Mapping[str, int] = field(default_factory=dict)

    def protect_of(self, site: str) -> Protect:
        """Return how a site protects the reports of an answer: this site lies, every other site follows the plan."""
        return Liars(self.kinds, self.keys).protect if site == self.site else protect
