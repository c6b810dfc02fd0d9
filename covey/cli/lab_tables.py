"""The output of `covey lab run`: the table of one run, of an attack, or of a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from deployment.printing.tables import Cell, Table
from simulations.reports.recorded import Record
from simulations.reports.sweep_page import COSTS, measures

from .lab_lie import print_lie

if TYPE_CHECKING:
    from rich.console import Console

    from deployment.printing.output import Output
    from simulations.experiments.running import FinishedRuns

_MANY: Final = 40
"""The most lines of a printed table."""
_MEASURES: Final = 4
"""The most measures of a run in a printed table."""


def print_runs(finished: FinishedRuns, out: Output, talk: Console) -> None:
    """Print a table on stdout, and remarks about a lie on stderr."""
    if finished.asked.sweep is None and finished.runs[0].get("lie") is not None:
        print_lie(finished.runs[0]["lie"], out, talk)
        return
    if finished.asked.sweep is not None:
        _print_sweep(finished, out)
    elif finished.runs[0]["attack"] is not None:
        out.table(_of_attack(finished.runs[0]))
    else:
        out.table(_of_collection(finished.runs[0]))


def _of_collection(run: dict[str, Any]) -> Table:
    summary = run["summary"]
    title = "; ".join(
        f"{name}: {view['opened']:,} pane(s) opened, {view['void']:,} void, {view['reports']:,} report(s) of "
        f"{view['clients']:,} clients"
        for name, view in summary["views"].items()
    )
    rows = [(view, *of) for view, features in summary["error"].items() for of in features.items() if of[1]["values"]]
    more = f"; {len(rows) - _MANY:,} more features in run.json" if len(rows) > _MANY else ""
    caption = (
        f"error: against the plain sums of the same reports; {_number(summary['bytes_per_client'])} bytes a client, "
        f"{_number(summary['wall_s'])} s{more}"
    )
    heads = "view", "feature", "values", "mean |error|", "rmse", "served se", "rmse ÷ se"
    table = Table(*heads, title=title, caption=caption, light=True)
    for view, feature, error in rows[:_MANY]:
        numbers = (_cell(error[name]) for name in ("mean_abs_error", "rmse", "served_se", "rmse_over_se"))
        table.add_row(view, feature, error["values"], *numbers)
    return table


def _of_attack(run: dict[str, Any]) -> Table:
    on = run["attack"]["on"]
    table = Table(
        "defence",
        "effect",
        "95 %",
        "of a guess",
        "ε ≥",
        "ε claimed",
        title=f"{on['attack']}: {on['effect']['what']}",
        caption=f"defence: {on['defence']}",
        light=True,
    )
    for side, result in run["attack"].items():
        effect, epsilon = result["effect"], result["epsilon"]
        table.add_row(
            side,
            _cell(effect["estimate"]),
            Cell(f"{_number(effect['low'])} … {_number(effect['high'])}", [effect["low"], effect["high"]]),
            _cell(result["baseline"]),
            _cell(None if epsilon is None else epsilon["low"]),
            _cell(result["claimed_epsilon"]),
        )
    return table


def _print_sweep(finished: FinishedRuns, out: Output) -> None:
    """Print as many measures as fit the terminal; CSV has all."""
    if out.is_csv:
        out.table(_of_sweep(finished, None, None))
        return
    tables = (_of_sweep(finished, measures, _MANY) for measures in range(_MEASURES, 0, -1))
    out.table(next((table for table in tables if out.fits(table)), None) or _of_sweep(finished, _MEASURES, _MANY))


def _of_sweep(finished: FinishedRuns, most_measures: int | None, most_runs: int | None) -> Table:
    """A row for each run: the varied settings, and the run's errors or effects. What is the same in all runs is in the title."""
    planned, runs = finished.asked.planned, finished.runs
    swept = list(dict.fromkeys(name for one in planned for name in one.swept))
    measured = [dict(measures(Record(run))) for run in runs]
    names = list(dict.fromkeys(name for of in measured for name in of if name not in COSTS))
    shown = names[:most_measures]
    told = {"status": [Cell(run["status"], run["status"]) for run in runs], "panes": [_panes(run) for run in runs]}
    alike = [f"{name} {of[0].text}" for name, of in told.items() if len({cell.text for cell in of}) == 1]
    told = {name: of for name, of in told.items() if len({cell.text for cell in of}) > 1}
    left = [
        f"{len(names) - len(shown):,} more measures" if len(names) > len(shown) else "",
        f"{len(runs) - most_runs:,} more runs" if most_runs is not None and len(runs) > most_runs else "",
    ]
    more = " and ".join(filter(None, left))
    table = Table(
        "run",
        *swept,
        *told,
        *_without_view(shown),
        "s",
        title=", ".join([f"{finished.asked.sweep}: {len(runs):,} run(s)", *alike]),
        caption=f"{more} in results.parquet" if more else None,
        light=True,
    )
    for at, (one, run) in list(enumerate(zip(planned, runs, strict=True)))[:most_runs]:
        table.add_row(
            one.number,
            *(one.swept.get(name, "") for name in swept),
            *(of[at] for of in told.values()),
            *(_cell(measured[at].get(name)) for name in shown),
            _cell(run["seconds"]),
        )
    return table


def _without_view(names: list[str]) -> list[str]:
    """The names of measures, without the view's if all are of one view."""
    views = {name.partition(":")[0] for name in names}
    return (
        [name.partition(":")[2] for name in names] if len(views) == 1 and all(":" in name for name in names) else names
    )


def _panes(run: dict[str, Any]) -> Cell:
    """The number of opened panes."""
    views = (run["summary"] or {}).get("views", {})
    opened = sum(view["opened"] for view in views.values())
    return Cell(f"{opened:,}" if views else "–", opened if views else None)


def _cell(value: float | None) -> Cell:
    return Cell(_number(value), value)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if value == int(value) and abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:.3g}"
