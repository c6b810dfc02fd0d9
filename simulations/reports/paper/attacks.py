"""Attacks: success against ε with the defence on and off, and the measured ε beside the claimed ε."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from simulations.reports.numbered import Numbered
from simulations.reports.page import PageBlock, Section
from simulations.reports.plots import COLOURS, Line, Panel, Scale
from simulations.reports.texts import interval, number

from .items import FinishedItem
from .points import Part, chosen, line, listed

OFF, ON = COLOURS[1], COLOURS[0]
EPSILON: Final = "ε of a client-day"
_FAR: Final = 50.0
"""A larger effect is drawn on a symmetric log axis."""


def attacks(done: Sequence[FinishedItem], numbered: Numbered) -> Part | None:
    """Write the section about attacks."""
    mine = [one for one in done if one.item.kind == "attack" and one.outcome is not None]
    if not mine:
        return None
    names = list(dict.fromkeys(one.item.asked["attack"] for one in mine))
    by_name = {name: [one for one in mine if one.item.asked["attack"] == name] for name in names}
    legend = [("defence off", OFF), ("defence on", ON)]
    defences = numbered.table(
        "Each attack, its defence, and the one change that turns the defence off.",
        ("attack", "action", "defence", "defence off means"),
        [[name, *(_extra(of[0])[key] for key in ("what", "defence", "what_is_off"))] for name, of in by_name.items()],
    )
    effects = numbered.figure(
        "Success of each attack, in its own measure, against ε of a client-day. The dotted line is the baseline: the success of "
        "an adversary that observes nothing.",
        [_effect_panel(name, of_name) for name, of_name in by_name.items()],
        legend,
    )
    measured = _measured(by_name, numbered, legend)
    table = numbered.table(
        "Each attack at each ε, with 95 % intervals. ✓: the attack succeeds, because its whole interval lies above the limit. The "
        "limit is the baseline plus the margin of the attack.",
        ("attack", "what is guessed", "ε", "baseline", "limit", "defence off", "defence on"),
        [_row(one) for one in mine],
    )
    return Part(
        Section.of("Attacks against ε", defences, effects, table, *measured), [*_success(by_name), *_bounds(mine)]
    )


def _extra(one: FinishedItem) -> dict[str, Any]:
    return {} if one.outcome is None else one.outcome.extra


def _effect_panel(name: str, of_name: Sequence[FinishedItem]) -> Panel:
    effect = _extra(of_name[0])["on"]["effect"]["what"]
    points = [point for one in of_name if one.outcome is not None for point in one.outcome.points]
    lines = [
        line(chosen(points, measure=f"{name}: {effect}", x_name=EPSILON, series=series), series, colour)
        for series, colour in (("off", OFF), ("on", ON))
    ]
    far = max(float(np.nanmax(np.abs(one.y))) for one in lines)
    scale: Scale = "symlog" if far > _FAR else "linear"
    level = float(_extra(of_name[0])["on"]["baseline"])
    return Panel(name, tuple(lines), EPSILON, effect, x_scale="log", y_scale=scale, level=level, y_from_zero=True)


def _measured(
    by_name: dict[str, list[FinishedItem]], numbered: Numbered, legend: list[tuple[str, str]]
) -> list[PageBlock]:
    """Draw the measured ε against the claimed ε, for the attacks that measure ε with the defence on."""
    panels = []
    for name, of_name in by_name.items():
        points = [point for one in of_name if one.outcome is not None for point in one.outcome.points]
        on = chosen(points, measure=f"{name}: measured ε", x_name=EPSILON, series="on")
        if on:
            claim = np.array([one.x for one in on])
            drawn = line(on, "on", ON)
            panels.append(
                Panel(
                    name,
                    (drawn, Line("claimed", claim, claim, colour=COLOURS[5], dashed=True)),
                    EPSILON,
                    "measured ε",
                    "log",
                )
            )
    if not panels:
        return []
    told = (
        "The ε that each attack measures with its defence on, against the claimed ε (dashed line). Only the lower end of an "
        "interval is evidence."
    )
    return [numbered.figure(told, panels, [legend[1], ("the claimed ε", COLOURS[5])])]


def _row(one: FinishedItem) -> list[str]:
    on, off = _extra(one)["on"], _extra(one)["off"]
    epsilon = one.outcome.points[0].x if one.outcome is not None else None
    levels = number(on["baseline"]), number(on["baseline"] + on["margin"])
    about = one.item.asked["attack"], on["effect"]["what"], number(epsilon)
    return [*about, *levels, _effect_cell(off), _effect_cell(on)]


def _effect_cell(of: dict[str, Any]) -> str:
    effect = of["effect"]
    return interval(effect["estimate"], effect["low"], effect["high"]) + (" ✓" if of["succeeded"] else "")


def _success(by_name: dict[str, list[FinishedItem]]) -> list[str]:
    told = []
    for series, state in (("off", "off"), ("on", "on")):
        ever = [name for name, of in by_name.items() if any(_extra(one)[series]["succeeded"] for one in of)]
        told.append(
            f"With its defence {state} {len(ever)} of {len(by_name)} attacks succeed{'s' if len(ever) == 1 else ''} at "
            f"some tested ε" + (f": {listed(ever)}" if 0 < len(ever) < len(by_name) else "") + "."
        )
    return told


def _bounds(mine: Sequence[FinishedItem]) -> list[str]:
    """Compare the lower bounds on ε with the claims."""
    bounds = [
        (one.item.asked["attack"], on["epsilon"]["low"], on["claimed_epsilon"])
        for one in mine
        if (on := _extra(one)["on"])["epsilon"] is not None and on["claimed_epsilon"] is not None
    ]
    bounds = [(name, low, claim) for name, low, claim in bounds if low == low]
    if not bounds:
        return []
    above = [name for name, low, claim in bounds if low > claim]
    name, low, claim = max(bounds, key=lambda one: one[1] / one[2])
    if above:
        return [
            f"With the defence on the lower bound on ε exceeds the claimed ε in: {listed(list(dict.fromkeys(above)))}."
        ]
    return [
        "With the defence on no lower bound on ε exceeds the claimed ε. The closest attack is "
        f"{name}: {number(low)} of {number(claim)}."
    ]
