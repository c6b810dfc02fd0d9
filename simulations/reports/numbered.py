"""Number the figures and tables of a page in their order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .page import Figure, Table
from .plots import Drawable


@dataclass
class Numbered:
    """The counters of figures and tables of a page.

    Attributes:
        figures: all figures in their order, for PNGs.
    """

    figures: list[Figure] = field(default_factory=list)
    tables: int = 0

    def figure(self, caption: str, panels: Sequence[Drawable], legend: Sequence[tuple[str, str]] = ()) -> Figure:
        """Make a figure of panels side by side; `legend`: (name, colour)."""
        made = Figure(len(self.figures) + 1, caption, tuple(panels), tuple(legend))
        self.figures.append(made)
        return made

    def table(self, caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
        """Make a table with its caption above."""
        self.tables += 1
        return Table(f"Table {self.tables}. {caption}", tuple(head), tuple(tuple(row) for row in rows))
