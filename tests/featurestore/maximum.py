"""`Max`: a kind of feature that Covey lacks, as an installation can add it, in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from base.plain import make_plain, plain_tuple
from featurestore.define.decoded import Decoded, OpenedSlots, Serving, Status
from featurestore.define.encoding import OneHot
from featurestore.define.feature import PaneFeature, Setting, Weight, column_problem, register
from featurestore.define.interval import Estimate
from featurestore.define.kinds.histogram import edges_problem


@register
@dataclass(frozen=True)
class Max(PaneFeature):
    """The largest of these edges that a value of the column reaches, read from one-hot cells."""

    kind: ClassVar[str] = "Max"
    spelling: ClassVar[str] = "max"
    column: str
    edges: Sequence[float] = field(kw_only=True)
    name: str = field(default="", kw_only=True)
    weight: Weight = field(default=1, kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        make_plain(self, "column", "name", "weight", "description")
        object.__setattr__(self, "edges", plain_tuple(self.edges))
        if not self.name and isinstance(self.column, str):
            object.__setattr__(self, "name", f"{self.column}_max")

    def problem(self) -> str | None:
        return column_problem(self.column) or edges_problem(self.edges)

    @property
    def encoding(self) -> OneHot:
        return OneHot(self.column, tuple(map(float, self.edges)), nulls=False)

    @property
    def serving(self) -> Serving:
        return Serving("estimate", clamp=(None, None))

    def decode(self, opened: OpenedSlots) -> Decoded:
        """The lower edge of the highest cell whose count exceeds the noise; no value if there is none."""
        (variance,) = opened.variances
        found = opened.slots[:, 1:] > 3 * np.sqrt(variance)[:, None]
        highest = found.shape[1] - 1 - found[:, ::-1].argmax(axis=1)
        value = np.asarray(self.edges, dtype=np.float64)[highest]
        own = np.where(found.any(axis=1), np.uint8(Status.OK), np.uint8(Status.DROWNED))
        return Decoded(value, np.zeros(len(value)), None, np.where(opened.status == Status.OK, own, opened.status))

    def interval(self, variances: Sequence[float]) -> Estimate:
        return Estimate()

    def settings(self) -> Mapping[str, Setting]:
        return {"column": self.column, "edges": tuple(map(float, self.edges))}

    @classmethod
    def of(cls, settings: Mapping[str, Any], **common: Any) -> Self:
        return cls(settings["column"], edges=tuple(settings["edges"]), **common)
