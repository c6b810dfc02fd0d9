"""Every figure of a run: those that `covey lab run` prints of it, and the measures that its sweep's page draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .recorded import Record
from .sweep_page import measures

ERRORS: Final = {
    "values": "values",
    "mean_abs_error": "mean |error|",
    "rmse": "RMSE",
    "served_se": "served se",
    "rmse_over_se": "RMSE ÷ se",
    "coverage": "share in the 95 % interval",
}
"""The figures of a feature's errors, by their names in the record."""
COUNTS: Final = ("opened", "void", "reports", "rejected", "clients")
"""The counts of a view's panes and reports, by their names in the record."""


def figures(run: Record) -> Iterator[tuple[str, float]]:
    """Yield the figures of a run: (name, number). An effect is followed by its interval; a name may come twice, with one number."""
    summary, attack = run.part("summary"), run.part("attack")
    for side in ("off", "on"):
        result, name = attack.part(side), f"defence {side}"
        effect = result.part("effect")
        yield from _some(f"{name}: {effect.text('what', 'effect')}", effect.number("estimate"))
        yield from _some(f"{name}: 95 % from", effect.number("low"))
        yield from _some(f"{name}: 95 % to", effect.number("high"))
        yield from _some(f"{name}: of a guess", result.number("baseline"))
        yield from _some(f"{name}: ε at least", result.part("epsilon").number("low"))
        yield from _some(f"{name}: ε claimed", result.number("claimed_epsilon"))
    yield from measures(run)
    yield from _some("wall seconds", summary.number("wall_s"))
    views, errors = summary.part("views"), summary.part("error")
    for view in views.fields:
        for what in COUNTS:
            yield from _some(f"{view} {what}", views.part(view).number(what))
    for view in errors.fields:
        for feature in errors.part(view).fields:
            for what, words in ERRORS.items():
                yield from _some(f"{view}:{feature} {words}", errors.part(view).part(feature).number(what))


def _some(name: str, value: float | None) -> Iterator[tuple[str, float]]:
    if value is not None:
        yield name, value
