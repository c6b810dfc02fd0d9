"""`Mean`: the mean of clipped values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, NamedTuple, Self

import numpy as np

from base.plain import make_plain, plain_tuple
from featurestore.define.decoded import Decoded, OpenedSlots, Serving, decoded_ratio, ratio_se
from featurestore.define.encoding import OffsetSum
from featurestore.define.feature import PaneFeature, Setting, Weight, column_problem, is_finite, register
from featurestore.define.interval import Ratio

MAX_Q: Final = 2**24
"""The largest encoded value. With it the sum of 2**30 clients is still far below half the field."""
MIN_CLIP_WIDTH: Final = 1e-300
"""The smallest width of a clip. A thousandth of it is still a normal float64."""


class Clip(NamedTuple):
    """The `clip` of a Mean."""

    low: float
    high: float


@register
@dataclass(frozen=True)
class Mean(PaneFeature):
    """The mean of a column's non-null values, each clipped to `clip` and rounded to `resolution`.

    Args:
        column: a numeric column of the events.
        clip: (low, high), the interval that every value is limited to. It is required, because it bounds what one client adds.
        resolution: the step of the encoding; default: the largest power of two ≤ (high − low)/1000.
        name: default: `<column>_mean`.
        weight: its share of the view's price, in proportion to the weights of the other features; a whole number, a float or a
            fraction above 0.
        description: a text for people.
    """

    kind: ClassVar[str] = "Mean"
    spelling: ClassVar[str] = "mean"
    column: str
    clip: tuple[float, float] | None = field(default=None, kw_only=True)
    resolution: float | None = field(default=None, kw_only=True)
    name: str = field(default="", kw_only=True)
    weight: Weight = field(default=1, kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        make_plain(self, "column", "resolution", "name", "weight", "description")
        object.__setattr__(self, "clip", plain_tuple(self.clip))
        if not self.name and isinstance(self.column, str):
            object.__setattr__(self, "name", f"{self.column}_mean")

    @property
    def bounds(self) -> tuple[float, float]:
        """`clip` as floats. Use it only if `problem` is None."""
        if self.clip is None:
            raise ValueError("a Mean needs `clip`")
        return float(self.clip[0]), float(self.clip[1])

    @property
    def step(self) -> float:
        """`resolution`, or its default."""
        low, high = self.bounds
        if self.resolution is not None:
            return float(self.resolution)
        exponent = math.floor(math.log2((high - low) / 1000))
        while 2.0**exponent > (high - low) / 1000:  # log2 may round up across a power of two
            exponent -= 1
        return 2.0**exponent

    @property
    def q_max(self) -> int:
        """The largest encoded value."""
        return self.encoding.q_max

    def problem(self) -> str | None:
        """See `ViewFeature`."""
        return column_problem(self.column) or self._clip_problem() or self._resolution_problem()

    def _clip_problem(self) -> str | None:
        clip = self.clip
        if clip is None:
            return "`clip` is required, because it bounds what one client adds; write clip=(low, high)"
        if not isinstance(clip, tuple) or len(clip) != 2 or not all(is_finite(x) for x in clip):
            return f"`clip` must be two finite numbers, (low, high), got {clip!r}"
        (low, high), got = self.bounds, f"got ({clip[0]}, {clip[1]})"
        if not low < high:
            return f"`clip` must be (low, high) with low < high, {got}"
        if not math.isfinite(high - low):
            return f"`clip` is too wide, {got}: its width must fit into float64"
        if high - low < MIN_CLIP_WIDTH:
            return f"`clip` is too narrow, {got}: express the column in another unit"
        return None

    def _resolution_problem(self) -> str | None:
        low, high = self.bounds
        if self.resolution is not None and not (is_finite(self.resolution) and 0 < self.resolution <= high - low):
            return f"`resolution` must be above 0 and at most high − low = {high - low}, got {self.resolution!r}"
        if (high - low) / self.step > 2 * MAX_Q or not 1 <= self.q_max <= MAX_Q:
            steps = (high - low) / self.step
            return f"`resolution` {self.step} divides the clip range into {steps:,.0f} steps, of at most {MAX_Q:,}; coarsen it"
        return None

    @property
    def encoding(self) -> OffsetSum:
        """See `PaneFeature`."""
        low, high = self.bounds
        return OffsetSum(self.column, low, high, self.step)

    @property
    def serving(self) -> Serving:
        """See `PaneFeature`."""
        return Serving("ratio", clamp=self.bounds)

    def decode(self, opened: OpenedSlots) -> Decoded:
        """low + step·(Σq / n) in float64, in this order."""
        centred, n = opened.slots[:, 0], opened.slots[:, 1]
        sum_variance, n_variance = opened.variances
        encoding = self.encoding
        with np.errstate(divide="ignore", invalid="ignore"):
            value = encoding.low + encoding.step * ((centred + encoding.middle * n) / n)
            spread = ratio_se(centred, n, sum_variance, n_variance)
        return decoded_ratio(value, encoding.step * spread, n, n_variance, opened.status)

    def interval(self, variances: Sequence[float]) -> Ratio:
        """See `PaneFeature`. S/n is the mean less the middle of its range."""
        encoding, (sum_variance, n_variance) = self.encoding, variances
        centre = encoding.low + encoding.step * encoding.middle
        return Ratio(centre, encoding.step * math.sqrt(sum_variance / n_variance), *self.bounds)

    def settings(self) -> Mapping[str, Setting]:
        """See `ViewFeature`."""
        low, high = self.bounds
        return {"column": self.column, "low": low, "high": high, "resolution": self.step}

    def spelled_settings(self) -> Mapping[str, object]:
        """See `ViewFeature`."""
        return {"column": self.column, "clip": Clip(*self.bounds), "resolution": self.step}

    @classmethod
    def of(cls, settings: Mapping[str, Any], **common: Any) -> Self:
        """See `ViewFeature`."""
        clip = (settings["low"], settings["high"])
        return cls(settings["column"], clip=clip, resolution=settings["resolution"], **common)
