"""`Histogram`: the number of values in each interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Final, Self

import numpy as np

from base.plain import make_plain, plain_tuple
from featurestore.define.decoded import Decoded, OpenedSlots, Serving
from featurestore.define.encoding import OneHot
from featurestore.define.feature import PaneFeature, Setting, Weight, column_problem, flag_problem, is_finite, register
from featurestore.define.interval import WholeNumber

MAX_EDGES: Final = 1_000


@register
@dataclass(frozen=True)
class Histogram(PaneFeature):
    """The numbers of non-null values in (−∞, e0), [e0, e1), …, [en, ∞).

    Args:
        column: a numeric column of the events.
        edges: e0 < e1 < … < en.
        nulls: adds a last cell that counts null values.
        name: default: `<column>_hist`.
        weight: its share of the view's price, in proportion to the weights of the other features; a whole number, a float or a
            fraction above 0.
        description: a text for people.
    """

    kind: ClassVar[str] = "Histogram"
    spelling: ClassVar[str] = "histogram"
    column: str
    edges: Sequence[float] = field(kw_only=True)
    nulls: bool = field(default=False, kw_only=True)
    name: str = field(default="", kw_only=True)
    weight: Weight = field(default=1, kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        make_plain(self, "column", "nulls", "name", "weight", "description")
        object.__setattr__(self, "edges", plain_tuple(self.edges))
        if not self.name and isinstance(self.column, str):
            object.__setattr__(self, "name", f"{self.column}_hist")

    @property
    def cells(self) -> int:
        """Number of cells, including the null cell."""
        return len(self.edges) + 1 + self.nulls

    def problem(self) -> str | None:
        """See `ViewFeature`."""
        return column_problem(self.column) or flag_problem(nulls=self.nulls) or edges_problem(self.edges)

    @property
    def encoding(self) -> OneHot:
        """See `PaneFeature`."""
        return OneHot(self.column, tuple(map(float, self.edges)), self.nulls)

    @property
    def serving(self) -> Serving:
        """See `PaneFeature`."""
        return Serving("list", self.cells)

    def decode(self, opened: OpenedSlots) -> Decoded:
        """See `PaneFeature`."""
        (variance,) = opened.variances
        return Decoded(opened.slots, np.sqrt(variance), None, opened.status)

    def interval(self, variances: Sequence[float]) -> WholeNumber:
        """See `PaneFeature`."""
        return WholeNumber()

    def cell_labels(self, width: int) -> tuple[str, ...]:
        """See `ViewFeature`."""
        edges = [f"{edge:.15g}" for edge in self.edges]
        inner = [f"{low} to {high}" for low, high in pairwise(edges)]
        return (f"below {edges[0]}", *inner, f"{edges[-1]} and above", *(["no value"] if self.nulls else []))

    def settings(self) -> Mapping[str, Setting]:
        """See `ViewFeature`."""
        return {"column": self.column, "edges": tuple(map(float, self.edges)), "nulls": self.nulls}

    @classmethod
    def of(cls, settings: Mapping[str, Any], **common: Any) -> Self:
        """See `ViewFeature`."""
        return cls(settings["column"], edges=tuple(settings["edges"]), nulls=settings["nulls"], **common)


def edges_problem(edges: object) -> str | None:
    """The problem of the edges of intervals, with the mend; None if they are valid."""
    if not isinstance(edges, tuple):
        return f"`edges` must be a list of numbers, such as [0, 10, 20], got {edges!r}"
    if not 1 <= len(edges) <= MAX_EDGES:
        return f"`edges` must have 1 to {MAX_EDGES:,} numbers, got {len(edges):,}"
    if not all(is_finite(edge) for edge in edges):
        return f"`edges` must be finite numbers, got {list(edges)}"
    if any(not float(a) < float(b) for a, b in pairwise(edges)):
        return f"`edges` must be strictly increasing, got {list(edges)}"
    return None
