"""`Count`: the number of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from base.plain import make_plain
from featurestore.define.decoded import Decoded, OpenedSlots, Serving
from featurestore.define.encoding import EachEvent, OneHot
from featurestore.define.feature import DerivableFeature, PaneFeature, Setting, Weight, flag_problem, register
from featurestore.define.interval import WholeNumber


@register
@dataclass(frozen=True)
class Count(DerivableFeature):
    """The number of events. `derive=True` decodes it from a `Histogram(nulls=True)` of the view, at no cost.

    Args:
        name: the name of the feature.
        derive: decode the feature from a Histogram of the view, at no cost.
        weight: its share of the view's price, in proportion to the weights of the other features; a whole number, a float or a
            fraction above 0.
        description: a text for people.
    """

    kind: ClassVar[str] = "Count"
    spelling: ClassVar[str] = "count"
    needs: ClassVar[str] = "a Histogram with nulls=True, which counts every event"
    name: str
    derive: bool = field(default=False, kw_only=True)
    weight: Weight = field(default=1, kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        make_plain(self, "name", "derive", "weight", "description")

    def problem(self) -> str | None:
        """See `ViewFeature`."""
        return flag_problem(derive=self.derive)

    @property
    def encoding(self) -> EachEvent:
        """See `PaneFeature`."""
        return EachEvent()

    @property
    def serving(self) -> Serving:
        """See `PaneFeature`."""
        return Serving("count")

    def decode(self, opened: OpenedSlots) -> Decoded:
        """See `PaneFeature`."""
        (variance,) = opened.variances
        return Decoded(opened.slots[:, 0], np.sqrt(variance), None, opened.status)

    def interval(self, variances: Sequence[float]) -> WholeNumber:
        """See `PaneFeature`."""
        return WholeNumber()

    def turned(self) -> Self:
        """See `DerivableFeature`."""
        return replace(self, derive=not self.derive)

    def reads(self, other: PaneFeature) -> bool:
        """Whether every event adds to one of the other feature's cells."""
        return isinstance(other.encoding, OneHot) and other.encoding.counts_all

    def decode_from(self, other: PaneFeature, opened: OpenedSlots) -> Decoded:
        """The sum of all cells."""
        (variance,) = opened.variances
        return Decoded(opened.slots.sum(axis=1), np.sqrt(opened.slots.shape[1] * variance), None, opened.status)

    def interval_from(self, other: PaneFeature, variances: Sequence[float]) -> WholeNumber:
        """See `DerivableFeature`."""
        return WholeNumber()

    def settings(self) -> Mapping[str, Setting]:
        """See `ViewFeature`."""
        return {"derive": self.derive}

    @classmethod
    def of(cls, settings: Mapping[str, Any], **common: Any) -> Self:
        """See `ViewFeature`."""
        return cls(derive=settings["derive"], **common)
