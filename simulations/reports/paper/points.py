"""Select points of experiments, and format them as lines and cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from simulations.reports.page import Section
from simulations.reports.plots import Line
from simulations.reports.texts import interval, number, percent

from .items import FinishedItem, Point


@dataclass(frozen=True)
class Part:
    """A section, and the sentences that sum it up."""

    section: Section
    readings: list[str]


def points_of(done: Sequence[FinishedItem], starts: str) -> list[Point]:
    """Return the points of all experiments whose names start with `starts`."""
    return [
        point
        for one in done
        if one.outcome is not None and one.item.name.startswith(starts)
        for point in one.outcome.points
    ]


def chosen(points: Sequence[Point], *, measure: str, x_name: str, series: str | None = None) -> list[Point]:
    """Return the finite points of one measure, sorted by x."""
    found = [
        one
        for one in points
        if one.measure == measure
        and one.x_name == x_name
        and series in (None, one.series)
        and math.isfinite(one.estimate)
    ]
    return sorted(found, key=lambda one: one.x)


def line(points: Sequence[Point], label: str, colour: str, *, dashed: bool = False, times: float = 1.0) -> Line:
    """Make a line of the points."""

    def numbers(values: Sequence[float | None]) -> np.ndarray:
        return times * np.array([math.nan if value is None else value for value in values], np.float64)

    return Line(
        label,
        np.array([one.x for one in points], np.float64),
        numbers([one.estimate for one in points]),
        numbers([one.low for one in points]),
        numbers([one.high for one in points]),
        colour,
        dashed,
    )


def cell(point: Point | None, tell: Callable[[object], str] = number) -> str:
    """Format a point, with its interval if it has one."""
    if point is None:
        return "–"
    if point.low is None:
        return tell(point.estimate)
    if tell is percent:
        low, high = (100 * (end or 0.0) for end in (max(0.0, point.low), point.high))
        return f"{number(100 * point.estimate)} ({number(low)} … {number(high)}) %"
    return interval(point.estimate, point.low, point.high)


def at(points: Sequence[Point], x: float) -> Point | None:
    """Return the point at x, or None."""
    return next((one for one in points if one.x == x), None)


def exponent(points: Sequence[Point]) -> str:
    """Return the slope of a line through the points on log axes; `–` if there are fewer than two points."""
    usable = [one for one in points if one.estimate > 0 and one.x > 0]
    if len(usable) < 2:
        return "–"
    slope = float(np.polyfit(np.log([one.x for one in usable]), np.log([one.estimate for one in usable]), 1)[0])
    return f"{slope:.2f}".replace("-", "−")


def listed(names: Sequence[str]) -> str:
    """Join names as `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"
