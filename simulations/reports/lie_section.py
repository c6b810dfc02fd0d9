"""The section of a run's page about a lie: for each view a table, and a plot of the value that moved furthest."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np

from simulations.attacks.lies.kinds import KINDS
from simulations.attacks.lies.text import number as value_text
from simulations.attacks.lies.text import off_by

from .numbered import Numbered
from .page import Figure, PageBlock, Section
from .plots import COLOURS, Line, Panel
from .recorded import Record
from .texts import number

BAND: Final = 1.96
"""Standard errors on each side that hold 95 % of the noise."""
_HEAD: Final = ("feature", "key", "pane", "honest", "without proofs", "off by", "with proofs", "off by")
_SIDES: Final = {"without_proofs": ("without proofs", COLOURS[1]), "with_proofs": ("with proofs", COLOURS[2])}
_HONEST: Final = COLOURS[5]
_DAY_S: Final = 86_400


def lie_section(lie: Record, numbered: Numbered) -> Section | None:
    """Return the section; None if no client lied."""
    if not lie.fields:
        return None
    kind, liars = lie.text("kind", ""), lie.number("liars")
    who = "One client" if liars == 1 else f"Each of {number(liars)} clients"
    told = f"{who} of each pane {KINDS.get(kind, 'lies')}. Noise is {lie.text('noise')}, level {lie.text('level')}."
    skipped = [why for _, why in lie.part("skipped").flat()]
    views = [block for view in lie.parts("views") for block in _view(view, numbered)]
    if not views:
        return Section.of(f"Lie: {kind}", told, *skipped, "No pane had enough honest clients.")
    return Section.of(f"Lie: {kind}", told, *skipped, *views)


def _view(view: Record, numbered: Numbered) -> list[PageBlock]:
    name = view.text("view", "")
    rows = [_row(moved) for moved in view.parts("worst")]
    counts = (view.number(key) for key in ("opened", "void_with_proofs", "rejected", "values"))
    opened, void, rejected, values = map(number, counts)
    moved = [number(view.number(f"moved_{side}")) for side in _SIDES]
    caption = (
        f"{name}: the values that moved furthest, in standard errors of the noise. Of {values} values in {opened} panes, "
        f"{moved[0]} moved without proofs and {moved[1]} with; {rejected} reports were rejected with proofs, and {void} panes "
        "were void."
    )
    table = numbered.table(caption, _HEAD, rows)
    furthest = view.part("furthest")
    return [table, _picture(name, furthest, numbered)] if furthest.fields else [table]


def _row(moved: Record) -> list[str]:
    honest, se = moved.number("honest"), moved.number("noise_se")
    cells = []
    for side in _SIDES:
        value = moved.number(side)
        cells += [value_text(value), off_by(honest, value, se)]
    return [moved.text("feature", ""), _key(moved), moved.text("pane_start"), value_text(honest), *cells]


def _key(moved: Record) -> str:
    key = moved.fields.get("key")
    return ", ".join(map(str, key)) if isinstance(key, list) else ""


def _picture(view: str, furthest: Record, numbered: Numbered) -> Figure:
    """Draw the value in every pane: with honest clients and 95 % of the noise, and with liars."""
    starts = furthest.fields.get("pane_start")
    x = _days(starts if isinstance(starts, list) else [])
    honest, se = (_values(furthest, name, len(x)) for name in ("honest", "noise_se"))
    truth = Line("every client honest", x, honest, honest - BAND * se, honest + BAND * se, _HONEST, dashed=True)
    panels = [
        Panel(
            title,
            (truth, Line(f"with liars, {title}", x, _values(furthest, side, len(x)), colour=colour)),
            "days from the first pane",
            furthest.text("feature", ""),
        )
        for side, (title, colour) in _SIDES.items()
    ]
    legend = [("every client honest, with 95 % of the noise", _HONEST)]
    legend += [(f"with liars, {title}", colour) for title, colour in _SIDES.values()]
    caption = (
        f"{view}:{furthest.text('feature', '')} of {_key(furthest)}, the value that moved furthest. A gap: no value."
    )
    return numbered.figure(caption, panels, legend)


def _values(furthest: Record, name: str, count: int) -> np.ndarray:
    """Return float64[count]; NaN where the record has no number."""
    values = furthest.numbers(name)[:count]
    return np.array(values + [np.nan] * (count - len(values)), np.float64)


def _days(starts: list[object]) -> np.ndarray:
    """Return float64[P]: days from the first pane."""
    try:
        seconds = np.array([datetime.fromisoformat(str(start)).timestamp() for start in starts], np.float64)
    except ValueError:  # a damaged record
        seconds = _DAY_S * np.arange(len(starts), dtype=np.float64)
    return np.asarray((seconds - seconds[:1]) / _DAY_S)
