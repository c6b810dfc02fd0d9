"""The kinds of features: what one event adds to, and what is read off the sum.

A feature is data. What it occupies in a report and what it costs stands in `featurestore.define.layout`; how it is read off
an opened sum in `featurestore.define.values`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import ClassVar, Final

from base.plain import is_text, make_plain, plain_tuple

from .filtered import Filtered, filter_problem

Weight = int | float | Fraction

MAX_Q: Final = 2**24
"""The finest encoding of one clipped value, in steps: sums of 2**30 clients then stay far below half the field."""
MAX_EDGES: Final = 1_000
MIN_CLIP_WIDTH: Final = 1e-300
"""A thousandth of it is still a normal float64."""
MAX_WEIGHT_DIGITS: Final = 1_000
"""Decimal digits of a weight's numerator and denominator: those of any float64 fit."""


@dataclass(frozen=True)
class Count:
    """The number of events. `derive=True` reads it off a `Histogram(nulls=True)` of the view, at no cost."""

    kind: ClassVar[str] = "Count"
    name: str
    derive: bool = field(default=False, kw_only=True)
    weight: Weight = field(default=1, kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        make_plain(self, "name", "derive", "weight", "description")


@dataclass(frozen=True)
class ClientCount:
    """The number of distinct clients with an event of the key in one pane. It has no windows: panes do not add up."""

    kind: ClassVar[str] = "ClientCount"
    derive: ClassVar[bool] = False
    name: str
    weight: Weight = field(default=1, kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        make_plain(self, "name", "weight", "description")


@dataclass(frozen=True)
class Mean:
    """The mean of a column's non-null values, each clipped to `clip` and rounded to `resolution`.

    Args:
        column: a numeric column of the events.
        clip: (low, high); every value is held inside. Needed: it bounds what one client can add.
        resolution: the step of the encoding; default: the largest power of two ≤ (high − low)/1000.
        name: the whole name; default `<column>_mean`.
    """

    kind: ClassVar[str] = "Mean"
    derive: ClassVar[bool] = False
    column: str
    clip: tuple[float, float] | None = field(default=None, kw_only=True)
    resolution: float | None = field(default=None, kw_only=True)
    name: str = field(default="", kw_only=True)
    weight: Weight = field(default=1, kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        make_plain(self, "column", "resolution", "name", "weight", "description")
        object.__setattr__(self, "clip", plain_tuple(self.clip))
        _default_name(self, "mean")

    @property
    def bounds(self) -> tuple[float, float]:
        """`clip` as floats; only after `problem` found none."""
        if self.clip is None:
            raise ValueError("a Mean without clip")
        return float(self.clip[0]), float(self.clip[1])

    @property
    def step(self) -> float:
        """The resolution in force."""
        low, high = self.bounds
        if self.resolution is not None:
            return float(self.resolution)
        exponent = math.floor(math.log2((high - low) / 1000))
        while 2.0**exponent > (high - low) / 1000:  # log2 may round up across a power of two
            exponent -= 1
        return 2.0**exponent

    @property
    def q_max(self) -> int:
        """The largest encoded value: q(high), with q(x) = ⌊(x − low)/resolution + ½⌋ in float64."""
        low, high = self.bounds
        return math.floor((high - low) / self.step + 0.5)


@dataclass(frozen=True)
class Histogram:
    """How many non-null values fall into (−∞, e0), [e0, e1), …, [en, ∞).

    Args:
        column: a numeric column of the events.
        edges: e0 < e1 < … < en.
        nulls: adds a last cell that counts null values.
        name: the whole name; default `<column>_hist`.
    """

    kind: ClassVar[str] = "Histogram"
    derive: ClassVar[bool] = False
    column: str
    edges: Sequence[float] = field(kw_only=True)
    nulls: bool = field(default=False, kw_only=True)
    name: str = field(default="", kw_only=True)
    weight: Weight = field(default=1, kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        make_plain(self, "column", "nulls", "name", "weight", "description")
        object.__setattr__(self, "edges", plain_tuple(self.edges))
        _default_name(self, "hist")

    @property
    def cells(self) -> int:
        """Number of cells, the null cell included."""
        return len(self.edges) + 1 + self.nulls


@dataclass(frozen=True)
class Rate:
    """The share of events for which `where` is true, of those for which it is not null.

    `derive=True` reads it off a `Histogram` of the same column when `where` is exactly `column >= edge` or
    `column < edge`: it then costs nothing, and has the noise of the cells that are summed.
    """

    kind: ClassVar[str] = "Rate"
    name: str
    where: str = field(kw_only=True)
    derive: bool = field(default=False, kw_only=True)
    weight: Weight = field(default=1, kw_only=True)
    description: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        make_plain(self, "name", "where", "derive", "weight", "description")


PaneFeature = Count | ClientCount | Mean | Histogram | Rate
"""What is read off the sums of a pane, or of a window: from slots of its own, or from those of a Histogram."""
Feature = PaneFeature | Filtered


def problem(feature: Feature) -> str | None:
    """What is wrong with a feature taken alone, with the mend; None if nothing is."""
    if isinstance(feature, Mean | Histogram) and not (is_text(feature.column) and feature.column):
        return f"`column` must be the name of a column, in valid Unicode, got {feature.column!r}"
    if not is_text(feature.description):
        return f"`description` must be a text of valid Unicode, got {feature.description!r}"
    if isinstance(feature, Filtered):
        return filter_problem(feature)
    for flag in ("derive", "nulls"):
        if type(getattr(feature, flag, False)) is not bool:
            return f"`{flag}` must be True or False, got {getattr(feature, flag)!r}"
    if isinstance(feature.weight, bool) or not isinstance(feature.weight, int | float | Fraction):
        return f"`weight` must be a number, got {feature.weight!r}"
    if not feature.weight > 0 or (isinstance(feature.weight, float) and not math.isfinite(feature.weight)):
        return f"`weight` must be above 0 and finite, got {feature.weight}"
    if max(Fraction(feature.weight).as_integer_ratio()) >= 10**MAX_WEIGHT_DIGITS:
        return f"`weight` has over {MAX_WEIGHT_DIGITS:,} digits; only the weights' proportions count: divide them all"
    if not feature.name and isinstance(feature, Mean | Histogram):
        return f"no name follows from the column {feature.column!r}; give one with `name=`"
    if isinstance(feature, Mean):
        return _mean_problem(feature)
    if isinstance(feature, Histogram):
        return _edges_problem(feature)
    return None


def _mean_problem(mean: Mean) -> str | None:
    clip = mean.clip
    if clip is None:
        return "`clip` is required: it bounds what one client can add; write clip=(low, high)"
    if not isinstance(clip, tuple) or len(clip) != 2 or not all(_is_finite(x) for x in clip):
        return f"`clip` must be two finite numbers, (low, high), got {clip!r}"
    (low, high), got = mean.bounds, f"got ({clip[0]}, {clip[1]})"
    if not low < high:
        return f"`clip` must be low < high, {got}"
    if not math.isfinite(high - low):
        return f"`clip` is too wide, {got}"
    if high - low < MIN_CLIP_WIDTH:
        return f"`clip` is too narrow, {got}: express the column in another unit"
    if mean.resolution is not None and not (_is_finite(mean.resolution) and 0 < mean.resolution <= high - low):
        return f"`resolution` must be above 0 and at most high − low = {high - low}, got {mean.resolution!r}"
    if (high - low) / mean.step > 2 * MAX_Q or not 1 <= mean.q_max <= MAX_Q:
        steps = (high - low) / mean.step
        return f"`resolution` {mean.step} makes {steps:,.0f} steps of the clip range; at most {MAX_Q:,}: coarsen it"
    return None


def _edges_problem(histogram: Histogram) -> str | None:
    edges = histogram.edges
    if not isinstance(edges, tuple):
        return f"`edges` must be a list of numbers, such as [0, 10, 20], got {edges!r}"
    if not 1 <= len(edges) <= MAX_EDGES:
        return f"`edges` must hold 1 to {MAX_EDGES:,} numbers, got {len(edges)}"
    if not all(_is_finite(edge) for edge in edges):
        return f"`edges` must be finite numbers, got {list(edges)}"
    if any(not float(a) < float(b) for a, b in pairwise(edges)):
        return f"`edges` must be strictly increasing, got {list(edges)}"
    return None


def _is_finite(x: object) -> bool:
    """Whether this is a number that float64 can hold."""
    try:
        return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)
    except OverflowError:
        return False


def _default_name(feature: Mean | Histogram, suffix: str) -> None:
    if not feature.name and isinstance(feature.column, str):
        object.__setattr__(feature, "name", f"{feature.column}_{suffix}")
