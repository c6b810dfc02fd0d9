"""Figures and tables of a page, numbered as they come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .page import Html, table, tag
from .plots import Drawable, svg

Figure = tuple[Sequence[Drawable], Sequence[tuple[str, str]]]


@dataclass
class Numbered:
    """What has been numbered so far.

    Attributes:
        figures: panels and legend of each figure, for PNGs.
    """

    figures: list[Figure] = field(default_factory=list)
    tables: int = 0

    def figure(self, caption: str, panels: Sequence[Drawable], legend: Sequence[tuple[str, str]] = ()) -> Html:
        """A figure of panels side by side; `legend`: (name, colour)."""
        self.figures.append((panels, legend))
        number = len(self.figures)
        drawn = (tag("div", svg(panel, f"f{number}-{at}")) for at, panel in enumerate(panels))
        names = tag("ul", *(_key(name, colour) for name, colour in legend), class_="legend")
        told = tag("figcaption", tag("b", f"Figure {number}. "), caption)
        return tag("figure", tag("div", *drawn, class_="panels"), *((names,) if legend else ()), told)

    def table(self, caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
        """A table with its caption above."""
        self.tables += 1
        return table(head, rows, f"Table {self.tables}. {caption}")


def _key(name: str, colour: str) -> Html:
    return tag("li", tag("i", style=f"background:{colour}"), name)
