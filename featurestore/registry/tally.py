"""Counts of published panes, which are added up from one reading to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


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


@dataclass(frozen=True)
class PublishedTally:
    """How many published panes there are, at least one, and when they were published.

    Attributes:
        opened: without the retracted ones. first, last: the first and the last pane, µs.
        first_published, last_published: µs since the epoch.
    """

    opened: int
    void: int
    retracted: int
    first: int
    last: int
    first_published: int
    last_published: int

    @classmethod
    def sum(cls, parts: Sequence[Self]) -> Self:
        """The tally of all parts, which have no pane in common."""
        return cls(
            sum(one.opened for one in parts),
            sum(one.void for one in parts),
            sum(one.retracted for one in parts),
            min(one.first for one in parts),
            max(one.last for one in parts),
            min(one.first_published for one in parts),
            max(one.last_published for one in parts),
        )
