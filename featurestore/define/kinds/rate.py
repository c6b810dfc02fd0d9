"""`Rate`: the share of events for which a condition is true."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from base.plain import make_plain
from featurestore.define.decoded import Decoded, OpenedSlots, Serving, decoded_ratio, ratio_se
from featurestore.define.encoding import OneHot, TrueOrFalse
from featurestore.define.expressions import Compare, parse
from featurestore.define.feature import DerivableFeature, PaneFeature, Setting, Weight, flag_problem, register
from featurestore.define.interval import Ratio


@register
@dataclass(frozen=True)
class Rate(DerivableFeature):
    """The share of events for which `where` is true, among those for which it is not null.

    `derive=True` decodes it from a `Histogram` of the same column, if `where` is exactly `column >= edge` or
    `column < edge`. It then costs nothing, and has the noise of all cells that are added up for it.

    Args:
        name: the name of the feature.
        where: the condition, in the closed grammar of `where` (docs/features.md).
        derive: decode the feature from a Histogram of the view, at no cost.
        weight: its share of the view's price, in proportion to the weights of the other features; a whole number, a float or a
            fraction above 0.
        description: a text for people.
    """

    kind: ClassVar[str] = "Rate"
    spelling: ClassVar[str] = "rate"
    is_share: ClassVar[bool] = True
    needs: ClassVar[str] = (
        "a Histogram of the same column with that edge; `where` is exactly `column >= edge` or `column < edge`"
    )
    name: str
    where: str = field(kw_only=True)
    derive: bool = field(default=False, kw_only=True)
    weight: Weight = field(default=1, kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        make_plain(self, "name", "where", "derive", "weight", "description")

    def problem(self) -> str | None:
        """See `ViewFeature`. The checks of the view parse the condition, because its errors name the view."""
        return flag_problem(derive=self.derive)

    @property
    def encoding(self) -> TrueOrFalse:
        """See `PaneFeature`."""
        return TrueOrFalse(self.where)

    @property
    def serving(self) -> Serving:
        """See `PaneFeature`."""
        return Serving("ratio", clamp=(0.0, 1.0))

    def decode(self, opened: OpenedSlots) -> Decoded:
        """See `PaneFeature`."""
        centred, n = opened.slots[:, 0], opened.slots[:, 1]
        sum_variance, n_variance = opened.variances
        with np.errstate(divide="ignore", invalid="ignore"):
            value = (centred + n) / 2 / n
            spread = ratio_se(centred, n, sum_variance, n_variance)
        return decoded_ratio(value, spread / 2, n, n_variance, opened.status)

    def interval(self, variances: Sequence[float]) -> Ratio:
        """See `PaneFeature`. S is half of true − false."""
        sum_variance, n_variance = variances
        return Ratio(0.5, math.sqrt(sum_variance / n_variance) / 2, 0.0, 1.0)

    def turned(self) -> Self:
        """See `DerivableFeature`."""
        return replace(self, derive=not self.derive)

    def reads(self, other: PaneFeature) -> bool:
        """Whether the other feature is a histogram of the condition's column with the condition's edge."""
        cells = other.encoding
        match parse(self.where).root:
            case Compare(op=">=" | "<", left=column, right=float(edge)) if isinstance(cells, OneHot):
                return cells.column == column.name and edge in cells.edges
        return False

    def decode_from(self, other: PaneFeature, opened: OpenedSlots) -> Decoded:
        """T/(T + F) with T true and F false events, each a sum of cells with independent noise."""
        (variance,) = opened.variances
        is_true, non_null = self._cells(other)
        true = opened.slots[:, is_true].sum(axis=1)
        false = opened.slots[:, non_null & ~is_true].sum(axis=1)
        n = true + false
        true_var = int(is_true.sum()) * variance
        false_var = int((non_null & ~is_true).sum()) * variance
        with np.errstate(divide="ignore", invalid="ignore"):
            value = true / n
            se = np.sqrt((false / n) ** 2 * true_var + (true / n) ** 2 * false_var) / np.abs(n)
        return decoded_ratio(value, se, n, true_var + false_var, opened.status)

    def interval_from(self, other: PaneFeature, variances: Sequence[float]) -> Ratio:
        """With a cells of true and b of false events, S = T − n·a/(a + b) is the sum whose noise is independent of that of n."""
        is_true, non_null = self._cells(other)
        a, cells = int(is_true.sum()), int(non_null.sum())
        return Ratio(a / cells, math.sqrt(a * (cells - a)) / cells, 0.0, 1.0, apart=False)

    def _cells(self, other: PaneFeature) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Two masks, bool[cells]: the cells in which the condition is true, and the cells of non-null values."""
        comparison, cells = parse(self.where).root, other.encoding
        if not (isinstance(cells, OneHot) and isinstance(comparison, Compare) and isinstance(comparison.right, float)):
            raise TypeError(f"{self.where!r} cannot be decoded from {other.name!r}")
        index = np.arange(cells.cells)
        non_null = index <= len(cells.edges)
        above = (index > cells.edges.index(comparison.right)) & non_null
        return (above if comparison.op == ">=" else non_null & ~above), non_null

    def settings(self) -> Mapping[str, Setting]:
        """See `ViewFeature`."""
        return {"where": self.where, "derive": self.derive}

    @classmethod
    def of(cls, settings: Mapping[str, Any], **common: Any) -> Self:
        """See `ViewFeature`."""
        return cls(where=settings["where"], derive=settings["derive"], **common)
