"""The page of a sweep: errors, costs and attacks against each swept number, and a table of all runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from .numbered import Numbered
from .page import Facts, Failure, Failures, Page, Section
from .plots import COLOURS, Line, Panel, Scale
from .recorded import Record
from .texts import number

SEEDS: Final = frozenset({"seed", "noise_seed"})
"""Runs that differ only in these settings are averaged."""
LIE_MEASURES: Final = {
    "rejected": "reports rejected with proofs",
    "moved_without_proofs": "values moved without proofs",
    "moved_with_proofs": "values moved with proofs",
}
"""The measures of a lie that are drawn, by their names in the record."""
COSTS: Final = ("bytes a client", "CPU seconds")
"""The measures of what a run costs."""
_MOST_PANELS: Final = 9
_WIDE: Final = 20.0
"""An axis is logarithmic if its largest value exceeds its smallest by at least this factor."""


def sweep_page(sweep: Record, runs: Sequence[Record | None]) -> Page:
    """Make the page of a sweep. `runs`: the records of the planned runs, in their order; None for a run without a record."""
    numbered, planned = Numbered(), sweep.parts("runs")
    pairs = list(zip(planned, runs, strict=True))
    done = [(_swept(plan), run) for plan, run in pairs if run is not None and run.text("status") == "done"]
    figures = [part for name in _numeric(planned) if (part := _against(name, done, numbered)) is not None]
    bad = [_failure(plan, run) for plan, run in pairs if run is None or run.text("status") != "done"]
    failed = (Section.of(f"{len(bad)} run(s) did not finish", Failures(tuple(bad))),) if bad else ()
    git = sweep.part("git")
    facts = Facts((("runs", f"{len(done)} of {len(planned)} done"), ("code", git.text("revision")[:12])))
    sections = (Section.of("", facts), *failed, *figures, _all_runs(pairs, numbered))
    return Page(f"Sweep: {sweep.text('name', '')}", sections)


def _swept(planned: Record) -> dict[str, str]:
    return dict(planned.part("swept").flat())


def _as_number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _numeric(planned: Sequence[Record]) -> list[str]:
    """Return the swept settings, without seeds, that are numbers in every run that has them."""
    values: dict[str, set[float | None]] = defaultdict(set)
    for one in planned:
        for name, text in _swept(one).items():
            values[name].add(_as_number(text))
    return [name for name, found in values.items() if name not in SEEDS and None not in found and len(found) > 1]


def measures(run: Record) -> Iterator[tuple[str, float]]:
    """Yield the measures of a run that are drawn: (name, number)."""
    summary, attack = run.part("summary"), run.part("attack")
    for side in ("off", "on"):
        effect = attack.part(side).part("effect")
        if (value := effect.number("estimate")) is not None:
            yield f"defence {side}: {effect.text('what', 'effect')}", value
    for lied in run.part("lie").parts("views"):
        for name, words in LIE_MEASURES.items():
            if (value := lied.number(name)) is not None:
                yield f"{lied.text('view', '')} {words}", value
    errors = summary.part("error")
    for view in errors.fields:
        for feature in errors.part(view).fields:
            one = errors.part(view).part(feature)
            rmse, size = one.number("rmse"), one.number("mean_abs_truth")
            if rmse is not None:
                yield (f"{view}:{feature} relative error", rmse / size) if size else (f"{view}:{feature} RMSE", rmse)
    if size := summary.number("bytes_per_client"):
        yield COSTS[0], size
    steps = summary.part("steps_cpu_s")
    if seconds := sum(value for name in steps.fields if (value := steps.number(name)) is not None):
        yield COSTS[1], seconds


def _against(name: str, done: Sequence[tuple[dict[str, str], Record]], numbered: Numbered) -> Section | None:
    """Draw every measure against one setting, with a line for each combination of the other settings."""
    found: dict[str, dict[str, dict[float, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for swept, run in done:
        x = _as_number(swept.get(name, ""))
        others = ", ".join(f"{key}={value}" for key, value in swept.items() if key != name and key not in SEEDS)
        if x is not None:
            for measure, value in measures(run):
                found[measure][others][x].append(value)
    if not found:
        return None
    groups = list(dict.fromkeys(group for of in found.values() for group in of))
    shown = groups[: len(COLOURS)]
    panels = [_panel(measure, name, of, shown) for measure, of in list(found.items())[:_MOST_PANELS]]
    left = (
        [f" {len(groups) - len(shown)} more combinations of settings are only in the table."]
        if len(groups) > len(shown)
        else []
    )
    if len(found) > len(panels):
        left.append(f" {len(found) - len(panels)} more measures are only in results.parquet.")
    caption = f"Measures against {name}; each point is the mean of runs that differ only in their seed.{''.join(left)}"
    legend = [(group or "all runs", colour) for group, colour in zip(shown, COLOURS, strict=False)]
    return Section.of(f"Against {name}", numbered.figure(caption, panels, legend if len(shown) > 1 else ()))


def _panel(measure: str, name: str, of: dict[str, dict[float, list[float]]], groups: Sequence[str]) -> Panel:
    lines = []
    for group, colour in zip(groups, COLOURS, strict=False):
        points = sorted(of.get(group, {}).items())
        if points:
            x, y = np.array([x for x, _ in points]), np.array([float(np.mean(values)) for _, values in points])
            lines.append(Line(group, x, y, colour=colour))
    xs, ys = (np.concatenate([getattr(line, axis) for line in lines] or [np.zeros(1)]) for axis in ("x", "y"))
    return Panel(measure, tuple(lines), name, "", _scale(xs), _scale(ys))


def _scale(values: np.ndarray) -> Scale:
    least = float(values.min())
    return "log" if least > 0 and float(values.max()) >= _WIDE * least else "linear"


def _failure(planned: Record, run: Record | None) -> Failure:
    why = planned.text("error", "") if run is None else run.text("error", "")
    settings = ", ".join(f"{name}={value}" for name, value in _swept(planned).items())
    label = f"{planned.text('folder', 'a run')} ({settings})"
    return Failure(label, why or planned.text("status", "no record"))


def _all_runs(pairs: Sequence[tuple[Record, Record | None]], numbered: Numbered) -> Section:
    names = list(dict.fromkeys(name for planned, _ in pairs for name in _swept(planned)))
    told = [dict(measures(run)) if run is not None else {} for _, run in pairs]
    columns = list(dict.fromkeys(name for one in told for name in one))[:_MOST_PANELS]
    rows = []
    for (planned, run), found in zip(pairs, told, strict=True):
        swept = _swept(planned)
        status = planned.text("status", "planned") if run is None else run.text("status")
        cells = (number(found.get(column)) for column in columns)
        rows.append([number(planned.number("number")), status, *(swept.get(name, "–") for name in names), *cells])
    return Section.of("Every run", numbered.table("All runs of the sweep.", ("run", "status", *names, *columns), rows))
