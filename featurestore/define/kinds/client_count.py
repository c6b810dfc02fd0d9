"""`ClientCount`: the number of distinct clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from base.plain import make_plain
from featurestore.define.decoded import Decoded, OpenedSlots, Serving
from featurestore.define.encoding import EachClient
from featurestore.define.feature import PaneFeature, Setting, Weight, register
from featurestore.define.interval import WholeNumber


@register
@dataclass(frozen=True)
class ClientCount(PaneFeature):
    """The number of distinct clients with an event of the key in one pane. It has no windows, because it does not add up.

    Args:
        name: the name of the feature.
        weight: its share of the view's price, in proportion to the weights of the other features; a whole number, a float or a
            fraction above 0.
        description: a text for people.
    """

    kind: ClassVar[str] = "ClientCount"
    spelling: ClassVar[str] = "client_count"
    counts_clients: ClassVar[bool] = True
    name: str
    weight: Weight = field(default=1, kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        make_plain(self, "name", "weight", "description")

    def problem(self) -> str | None:
        """See `ViewFeature`. A ClientCount has no settings that could be wrong."""
        return None

    @property
    def encoding(self) -> EachClient:
        """See `PaneFeature`."""
        return EachClient()

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

    def settings(self) -> Mapping[str, Setting]:
        """See `ViewFeature`. A ClientCount has none."""
        return {}

    @classmethod
    def of(cls, settings: Mapping[str, Any], **common: Any) -> Self:
        """See `ViewFeature`."""
        return cls(**common)
