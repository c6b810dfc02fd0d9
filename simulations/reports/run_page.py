"""The page of one run: its settings, releases, errors, costs, and the results of an attack."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from featurestore.define.epsilon import epsilon_of
from simulations.reports.comparison.text import in_bytes, in_time

from .lie_section import lie_section
from .numbered import Numbered
from .page import Facts, Failure, Page, Paragraph, Section
from .plots import COLOURS, Bars, Bells, Drawable, Line, Panel, Scale
from .recorded import Record
from .texts import interval, number, percent

Floats = npt.NDArray[np.float64]

DELTA: Final = 1e-6
_MOST: Final = 12
"""The most features that are drawn."""
_BINS: Final = 8
_IN_BINS: Final = 5 * _BINS
"""The fewest values that are worth grouping."""
_MAX_RHO: Final = 100.0
_WIDE: Final = 50.0
"""An attack's x axis is logarithmic if its largest value exceeds its smallest by a larger factor."""


def run_page(run: Record, values: Path | None) -> Page:
    """Make the page of a run. `values`: its values.parquet, if it has one."""
    numbered, summary = Numbered(), run.part("summary")
    parts = [_state(run), _released(summary, numbered)]
    if values is not None:
        parts.append(_errors(summary, values, numbered))
    parts += [
        _attack(run.part("attack"), numbered),
        lie_section(run.part("lie"), numbered),
        _cost(summary, numbered),
        _asked(run),
    ]
    return Page(f"Run: {_title(run)}", tuple(part for part in parts if part is not None))


def _title(run: Record) -> str:
    overrides = run.fields.get("overrides")
    given = [str(one) for one in overrides] if isinstance(overrides, list) else []
    return ", ".join(given)[:200] or "as configured"


def _state(run: Record) -> Section:
    status, error = run.text("status"), run.text("error", "")
    seconds = run.number("seconds")
    pairs = [("begun", run.text("started_at")), ("took", "not recorded" if seconds is None else in_time(seconds))]
    if status == "done":
        return Section.of("Outcome", Facts((("status", "done"), *pairs)))
    why = Failure("This run failed", error or "the record has no error")
    return Section.of("Outcome", why, Facts((("status", status), *pairs)))


def _released(summary: Record, numbered: Numbered) -> Section | None:
    views = summary.part("views")
    if not views.fields:
        return None
    names = ("opened", "void", "reports", "rejected", "clients")
    rows = [[name, *(number(views.part(name).number(what)) for what in names)] for name in views.fields]
    head = ("view", "panes opened", "void", "reports", "rejected", "clients")
    table = numbered.table("Panes and reports of each view.", head, rows)
    tally = summary.part("tally")
    fates = ("answered", "offline", "lost", "late")
    known = [(name, tally.number(name)) for name in fates]
    drawn = [(name, value) for name, value in known if value is not None]
    if not drawn:
        return Section.of("Released", table)
    bars = Bars(
        "sites", tuple(name for name, _ in drawn), tuple(v for _, v in drawn), tuple(number(v) for _, v in drawn)
    )
    panels: list[Drawable] = [bars]
    dropped = [(name, value) for name in tally.part("dropped").fields if (value := tally.part("dropped").number(name))]
    if dropped:
        panels.append(
            Bars(
                "events not counted",
                tuple(name for name, _ in dropped[:_MOST]),
                tuple(value for _, value in dropped[:_MOST]),
                tuple(number(value) for _, value in dropped[:_MOST]),
                colour=COLOURS[1],
            )
        )
    told = "Answers of the sites to each plan, and the reasons why events were not counted."
    return Section.of("Released", table, numbered.figure(told, panels))


def _errors(summary: Record, path: Path, numbered: Numbered) -> Section:
    by_feature = _read(path)
    figures = summary.part("error")
    rows = []
    for view in figures.fields:
        for feature in figures.part(view).fields:
            one = figures.part(view).part(feature)
            cells = (one.number(name) for name in ("values", "mean_abs_error", "rmse", "served_se", "rmse_over_se"))
            rows.append([view, feature, *map(number, cells), percent(one.number("coverage"))])
    head = ("view", "feature", "values", "mean |error|", "RMSE", "served se", "RMSE ÷ se", "in the 95 % interval")
    table = numbered.table(
        "Errors of the released values, compared with the plain sums of the same reports.", head, rows
    )
    noisy = {name: of for name, of in by_feature.items() if (of[1] > 0).any()}
    if not noisy:
        return Section.of("Errors", table, "The run added no noise, so there is no standard error to compare with.")
    shown = list(noisy.items())[:_MOST]
    left = len(noisy) - len(shown)
    more = f" {left} more feature(s) are only in the table." if left else ""
    bells = numbered.figure(
        f"Errors divided by the served standard errors; the curve is the expected distribution.{more}",
        [Bells(name, error[se > 0] / se[se > 0]) for name, (error, se) in shown],
    )
    spread = [(name, of) for name, of in shown if len(of[1]) >= _IN_BINS and len(np.unique(of[1])) > 1]
    if not spread:
        return Section.of("Errors", table, bells)
    by_size = numbered.figure(
        "RMSE against the served standard error, which grows as the number of events n of a value falls. Points should lie on the "
        "dashed line.",
        [_by_se(name, *of) for name, of in spread],
        [("values, grouped by standard error", COLOURS[0]), ("RMSE = standard error", COLOURS[5])],
    )
    return Section.of("Errors", table, bells, by_size)


def _read(path: Path) -> dict[str, tuple[Floats, Floats]]:
    """Return {feature: (error, se)} of the values that have both, sorted by view and name."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    columns = pq.read_table(path, columns=["view", "feature", "error", "se"])
    columns = columns.filter(pc.and_(pc.is_valid(columns["error"]), pc.is_valid(columns["se"])))
    label = pc.binary_join_element_wise(columns["view"], columns["feature"], ":").dictionary_encode()
    label = label.combine_chunks()
    at, error, se = label.indices.to_numpy(), columns["error"].to_numpy(), columns["se"].to_numpy()
    return {
        str(name): (error[at == number], se[at == number]) for number, name in enumerate(label.dictionary.to_pylist())
    }


def _by_se(name: str, error: Floats, se: Floats) -> Panel:
    groups = [group for group in np.array_split(np.argsort(se, kind="stable"), _BINS) if len(group)]
    x = np.array([float(np.sqrt(np.mean(se[group] ** 2))) for group in groups])
    y = np.array([float(np.sqrt(np.mean(error[group] ** 2))) for group in groups])
    ends = np.array([x.min(), x.max()])
    lines = Line("values", x, y), Line("equal", ends, ends, colour=COLOURS[5], dashed=True, marks=False)
    return Panel(name, lines, "served standard error", "RMSE")


def _attack(attack: Record, numbered: Numbered) -> Section | None:
    sides = [(side, attack.part(side)) for side in ("off", "on") if attack.part(side).fields]
    if not sides:
        return None
    rows = []
    for side, one in sides:
        effect, epsilon = one.part("effect"), one.part("epsilon")
        rows.append(
            [
                f"defence {side}",
                effect.text("what"),
                _measure(effect),
                number(one.number("baseline")),
                "yes" if one.fields.get("succeeded") is True else "no",
                _measure(epsilon) if epsilon.fields else "–",
                number(one.number("claimed_epsilon")),
                number(one.number("trials")),
            ]
        )
    head = ("", "what is guessed", "effect", "baseline", "succeeds", "measured ε", "claimed ε", "trials")
    table = numbered.table(
        "The attack with its defence off and on, with 95 % intervals. The baseline is the success of an adversary "
        "that observes nothing.",
        head,
        rows,
    )
    panels = [panel for side, one in sides if (panel := _series(f"defence {side}", one)) is not None]
    labels = [series.text("label", "") for series in sides[0][1].parts("series")][: len(COLOURS)]
    drawn = (
        (numbered.figure("The attack's own curves.", panels, list(zip(labels, COLOURS, strict=False))),)
        if panels
        else ()
    )
    notes = (Paragraph(one.text("note", ""), f"Defence {side}.") for side, one in sides)
    return Section.of(f"Attack: {sides[0][1].text('attack', '')}", table, *drawn, *notes)


def _measure(of: Record) -> str:
    return interval(of.number("estimate"), of.number("low"), of.number("high"))


def _series(title: str, one: Record) -> Panel | None:
    lines = []
    for at, series in enumerate(one.parts("series")[: len(COLOURS)]):
        x, y, low, high = (np.array(series.numbers(name), np.float64) for name in ("x", "y", "low", "high"))
        if len(x) and len(x) == len(y):
            both = len(low) == len(high) == len(x)
            lines.append(
                Line(series.text("label", ""), x, y, low if both else None, high if both else None, COLOURS[at])
            )
    if not lines:
        return None
    far = max(float(np.nanmax(np.abs(line.y), initial=0.0)) for line in lines)
    scale: Any = "symlog" if far > 1e3 else "linear"
    every = np.concatenate([line.x for line in lines])
    wide: Scale = "log" if every.min() > 0 and every.max() > _WIDE * every.min() else "linear"
    return Panel(title, tuple(lines), one.text("x_label", ""), one.text("y_label", ""), x_scale=wide, y_scale=scale)


def _cost(summary: Record, numbered: Numbered) -> Section | None:
    steps = summary.part("steps_cpu_s")
    known = [(name, value) for name in steps.fields if (value := steps.number(name))]
    wall, peak, size = (summary.number(name) for name in ("wall_s", "peak_mb", "bytes_per_client"))
    pairs = [
        ("wall time", "not recorded" if wall is None else in_time(wall)),
        ("most memory", "not recorded" if not peak else f"{number(peak)} MiB"),
        ("bytes a client", "not recorded" if size is None else in_bytes(size)),
    ]
    if not known:
        return None if wall is None else Section.of("Cost", Facts(tuple(pairs)))
    bars = Bars(
        "CPU time by step",
        tuple(name for name, _ in known[:_MOST]),
        tuple(value for _, value in known[:_MOST]),
        tuple(in_time(value) for _, value in known[:_MOST]),
        colour=COLOURS[2],
    )
    return Section.of("Cost", Facts(tuple(pairs)), numbered.figure("CPU time of each step, over all workers.", [bars]))


def _asked(run: Record) -> Section:
    git, config = run.part("git"), list(run.part("config").flat())
    code = git.text("revision")[:12] + (
        " with changes that are not committed" if git.fields.get("dirty") is True else ""
    )
    versions = ", ".join(f"{name} {version}" for name, version in run.part("versions").flat())
    told = [
        (f"ε of {name} = {value}", f"{number(epsilon)} at δ = {number(DELTA)}")
        for name, value in config
        if name.rsplit(".", 1)[-1] == "rho" and (epsilon := _epsilon(value)) is not None
    ]
    return Section.of("Terms", Facts((*told, ("code", code), ("versions", versions or "not recorded"), *config)))


def _epsilon(rho: str) -> float | None:
    try:
        value = float(rho)
    except ValueError:
        return None
    return epsilon_of(math.ceil(value * 1e6), DELTA) if 0 < value <= _MAX_RHO else None
