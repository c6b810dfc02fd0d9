"""Counts of published panes, which are added up from one reading to the next."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tally:
    """How many published panes there are, and the first and the last of them (µs); None: there is none."""

    opened: int = 0
    void: int = 0
    first: int | None = None
    last: int | None = None

    @property
    def panes(self) -> int:
        """All of them."""
        return self.opened + self.void

    def __add__(self, other: Tally) -> Tally:
        """The tally of both, which have no publication in common."""
        starts = [one for one in (self.first, self.last, other.first, other.last) if one is not None]
        first, last = (min(starts), max(starts)) if starts else (None, None)
        return Tally(self.opened + other.opened, self.void + other.void, first, last)
