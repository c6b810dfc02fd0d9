"""Errors of released values against ε and against the number of clients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from simulations.reports.numbered import Numbered
from simulations.reports.page import Section, Table
from simulations.reports.plots import COLOURS, Panel
from simulations.reports.texts import number, percent

from .items import FinishedItem, Point
from .points import Part, at, cell, chosen, exponent, line, points_of
from .running import FEATURES, MEASURES

KINDS: Final = tuple(FEATURES.values())
EPSILON, CLIENTS = "ε of a client-day", "clients"
RELATIVE, RATIO, COVERAGE, SERVED = MEASURES
CAPTION: Final = (
    "The figure in numbers. Within: the share of the values whose 95 % interval holds the true value. Served: the share of "
    "the rows that have a value. A mean or rate that noise drowns has no value and counts in no error."
)


def utility(done: Sequence[FinishedItem], numbered: Numbered) -> Part | None:
    """Write the section about the error against ε."""
    points = points_of(done, "utility-")
    if not points:
        return None
    asked = next(one.item.asked for one in done if one.item.name.startswith("utility-"))
    panels = [_panel(points, kind, EPSILON, "ε of a client-day") for kind in KINDS]
    figure = numbered.figure(
        f"Error of one value, in percent of the mean size of the values, against ε: {asked['clients']:,} clients, {asked['keys']} "
        f"keys, {asked['days']} day(s) a repeat, {asked['repeats']} repeats. Both axes are logarithmic.",
        panels,
    )
    table = _table(points, EPSILON, "ε", CAPTION, numbered)
    section = Section.of("Utility against ε", figure, table)
    return Part(section, [*_span_reading(points), *_coverage_reading(points)])


def clients(done: Sequence[FinishedItem], numbered: Numbered) -> Part | None:
    """Write the section about the error against the number of clients."""
    points = points_of(done, "clients-")
    if not points:
        return None
    asked = next(one.item.asked for one in done if one.item.name.startswith("clients-"))
    figure = numbered.figure(
        f"Error of one value against the number of clients, at ρ = {asked['rho']:g} a client-day, {asked['keys']} keys. "
        "The noise does not depend on the number of clients, so the relative error falls as values grow. Means and rates that "
        "noise drowns are not served and are left out.",
        [_panel(points, kind, CLIENTS, "clients") for kind in KINDS],
    )
    table = _table(points, CLIENTS, "clients", CAPTION, numbered)
    return Part(Section.of("Error against the number of clients", figure, table), _fall_reading(points))


def _panel(points: Sequence[Point], kind: str, x_name: str, label: str) -> Panel:
    mine = chosen(points, measure=RELATIVE, x_name=x_name, series=kind)
    drawn = line(mine, kind, COLOURS[KINDS.index(kind)], times=100)
    if drawn.low is not None:  # a log axis has no zero: an interval that reaches zero ends at a tenth of the value
        drawn.low[:] = np.maximum(drawn.low, drawn.y / 10)
    return Panel(kind, (drawn,), label, "relative error, %", x_scale="log", y_scale="log")


def _table(points: Sequence[Point], x_name: str, head: str, caption: str, numbered: Numbered) -> Table:
    rows = []
    for x in sorted({one.x for one in points if one.x_name == x_name}):
        for kind in KINDS:
            relative, ratio, covered, served = (
                at(chosen(points, measure=measure, x_name=x_name, series=kind), x) for measure in MEASURES
            )
            parts = (percent(one and one.estimate) for one in (covered, served))
            rows.append([number(x), kind, cell(relative, percent), number(ratio and ratio.estimate), *parts])
    return numbered.table(caption, (head, "feature", "relative error", "RMSE ÷ served se", "within", "served"), rows)


def _span_reading(points: Sequence[Point]) -> list[str]:
    told = []
    for kind in KINDS:
        mine = chosen(points, measure=RELATIVE, x_name=EPSILON, series=kind)
        if mine:
            first, last = mine[0], mine[-1]
            told.append(
                f"{kind} {percent(first.estimate)} at ε = {number(first.x)}"
                + (f", {percent(last.estimate)} at ε = {number(last.x)}" if len(mine) > 1 else "")
            )
    return [f"Relative error: {'; '.join(told)}."] if told else []


def _coverage_reading(points: Sequence[Point]) -> list[str]:
    covered = [one.estimate for one in points if one.measure == COVERAGE and one.x_name == EPSILON]
    covered = [one for one in covered if math.isfinite(one)]
    if not covered:
        return []
    mean = float(np.mean(covered))
    return [f"Over all ε and features the 95 % interval of {percent(mean)} of the values holds the true value."]


def _fall_reading(points: Sequence[Point]) -> list[str]:
    told = []
    for kind in KINDS:
        mine = chosen(points, measure=RELATIVE, x_name=CLIENTS, series=kind)
        if len(mine) > 1:
            told.append(
                f"{kind} from {percent(mine[0].estimate)} to {percent(mine[-1].estimate)}, as n^{exponent(mine)}"
            )
    if not told:
        return []
    xs = sorted({one.x for one in points if one.x_name == CLIENTS})
    return [f"From {number(xs[0])} to {number(xs[-1])} clients the relative error changes: {'; '.join(told)}."]
