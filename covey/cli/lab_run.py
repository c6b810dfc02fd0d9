"""`covey lab run`."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .lab_options import AsJson, require_hydra

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from simulations.experiments.running import FinishedRuns, PlannedRuns

_MANY = 40
"""The most lines of a printed table."""


def run(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="What to run, such as fleet=10k view.k=20; see covey lab list."),
    ] = None,
    multirun: Annotated[
        bool, typer.Option("-m", "--multirun", help="Sweep: k=20,50 or seed=range(5) starts a run for each value.")
    ] = False,
    sweep: Annotated[
        str | None, typer.Option(metavar="NAME|FILE.yaml", help="A nested sweep; see covey lab list sweep.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Continue a sweep, or repeat a failed run.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of the run. Default: lab-runs/<UTC date>_<time>_<name>."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes, or Ray tasks, at a time. Default: one for each core.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Collect from a simulated fleet, or attack a collection, and write a folder with values, stores and a report.

    Without any NAME=VALUE it is a thousand clients and one view. Groups choose a whole part (fleet=1m, view=dest_delay,
    view=views.py:name, attack=membership, attack=negative, arrivals=trace, experiment=dropouts, hydra/launcher=ray). Dotted
    names choose one setting of a part (fleet.clients=5000, view.rho=0.05), and plain names a setting of the run (k=20,
    noise=off, protection=he, validity=prio3, participation=all, level=processes, seed=1). Runs with the same fleet see the
    same events.
    """
    from base.errors import DONE, FAILURE, NOTHING_RELEASED

    require_hydra()
    from deployment.printing.console import progress_bars, talk_console
    from simulations.experiments.running import carry_out

    talk = talk_console()
    with _what(overrides or [], multirun, sweep, resume, out) as asked:
        try:
            with progress_bars(talk, eta=True) as progress:
                finished = carry_out(asked, workers, progress)
        except KeyboardInterrupt:
            talk.print(f"finished runs are kept; covey lab run --resume {asked.folder} continues", soft_wrap=True)
            raise
    if as_json:
        typer.echo(json.dumps(_as_dict(finished), ensure_ascii=False))
    else:
        _print(finished, talk)
    for planned, why in finished.failed:
        talk.print(f"run {planned.number} failed: {why}", style="red", soft_wrap=True)
    talk.print(f"in {asked.folder}", soft_wrap=True)
    if finished.failed:
        return FAILURE
    if not finished.released:
        talk.print("nothing was released: no pane had enough reports", style="yellow")
    return DONE if finished.released else NOTHING_RELEASED


def _what(
    overrides: list[str], multirun: bool, sweep: str | None, resume: Path | None, out: Path | None
) -> AbstractContextManager[PlannedRuns]:
    from deployment.errors import UsageError
    from simulations.experiments.running import plan_runs, resume_runs

    if resume is None:
        return plan_runs(overrides, multirun=multirun, sweep=sweep, out=out)
    if overrides or multirun or sweep is not None or out is not None:
        raise UsageError("--resume FOLDER repeats the run of the folder; only --workers may be given with it")
    return resume_runs(resume)


def _as_dict(finished: FinishedRuns) -> dict[str, Any]:
    if finished.asked.sweep is None:
        return {"folder": str(finished.asked.folder), **finished.runs[0]}
    runs = [
        {"number": planned.number, "swept": planned.swept, **run}
        for planned, run in zip(finished.asked.planned, finished.runs, strict=True)
    ]
    return {"folder": str(finished.asked.folder), "name": finished.asked.sweep, "runs": runs}


def _print(finished: FinishedRuns, talk: Console) -> None:
    from deployment.printing.console import data_console

    from .lab_lie import print_lie

    if finished.asked.sweep is None and finished.runs[0].get("lie") is not None:
        print_lie(finished.runs[0]["lie"], talk)
        return
    if finished.asked.sweep is not None:
        table = _of_sweep(finished)
    elif finished.runs[0]["attack"] is not None:
        table = _of_attack(finished.runs[0])
    else:
        table = _of_collection(finished.runs[0])
    data_console().print(table)


def _plain_table(title: str, *headers: str) -> Table:
    from rich.box import SIMPLE_HEAD

    from deployment.printing.console import folding_table

    table = folding_table(*headers, title=title)
    table.box, table.show_edge, table.pad_edge, table.padding = SIMPLE_HEAD, False, False, (0, 1, 0, 0)
    table.title_justify = table.caption_justify = "left"
    return table


def _of_collection(run: dict[str, Any]) -> Table:
    summary = run["summary"]
    title = "; ".join(
        f"{name}: {view['opened']:,} pane(s) opened, {view['void']:,} void, {view['reports']:,} report(s) of "
        f"{view['clients']:,} clients"
        for name, view in summary["views"].items()
    )
    table = _plain_table(title, "view", "feature", "values", "mean |error|", "rmse", "served se", "rmse ÷ se")
    rows = [(view, *of) for view, features in summary["error"].items() for of in features.items() if of[1]["values"]]
    for view, feature, error in rows[:_MANY]:
        numbers = (_number(error[name]) for name in ("mean_abs_error", "rmse", "served_se", "rmse_over_se"))
        table.add_row(view, feature, f"{error['values']:,}", *numbers)
    more = f"; {len(rows) - _MANY:,} more features in run.json" if len(rows) > _MANY else ""
    table.caption = (
        f"error: against the plain sums of the same reports; {_number(summary['bytes_per_client'])} bytes a client, "
        f"{_number(summary['wall_s'])} s{more}"
    )
    return table


def _of_attack(run: dict[str, Any]) -> Table:
    on = run["attack"]["on"]
    table = _plain_table(
        f"{on['attack']}: {on['effect']['what']}", "defence", "effect", "95 %", "of a guess", "ε ≥", "ε claimed"
    )
    for side, result in run["attack"].items():
        effect, epsilon = result["effect"], result["epsilon"]
        table.add_row(
            side,
            _number(effect["estimate"]),
            f"{_number(effect['low'])} … {_number(effect['high'])}",
            _number(result["baseline"]),
            _number(None if epsilon is None else epsilon["low"]),
            _number(result["claimed_epsilon"]),
        )
    table.caption = f"defence: {on['defence']}"
    return table


def _of_sweep(finished: FinishedRuns) -> Table:
    swept = list(dict.fromkeys(name for one in finished.asked.planned for name in one.swept))
    heads = ("run", *swept, "status", "panes", "rmse ÷ se", "attack on", "attack off", "s")
    rows = [
        (str(one.number), *(one.swept.get(name, "") for name in swept), *_in_short(run))
        for one, run in zip(finished.asked.planned, finished.runs, strict=True)
    ]
    used = [at for at, head in enumerate(heads) if head in ("run", *swept, "status") or any(row[at] for row in rows)]
    table = _plain_table(f"{finished.asked.sweep}: {len(rows):,} run(s)", *(heads[at] for at in used))
    for row in rows[:_MANY]:
        table.add_row(*(row[at] for at in used))
    if len(rows) > _MANY:
        table.caption = f"{len(rows) - _MANY:,} more in results.parquet"
    return table


def _in_short(run: dict[str, Any]) -> tuple[str, str, str, str, str, str]:
    """Status, opened panes, the median of rmse ÷ se, the effects of an attack, seconds."""
    from statistics import median

    summary = run["summary"] or {}
    views, errors = summary.get("views", {}), summary.get("error", {})
    ratios = [one["rmse_over_se"] for of in errors.values() for one in of.values() if one["rmse_over_se"] is not None]
    effects = {side: result["effect"]["estimate"] for side, result in (run["attack"] or {}).items()}
    return (
        run["status"],
        f"{sum(view['opened'] for view in views.values()):,}" if views else "",
        _number(median(ratios)) if ratios else "",
        _number(effects["on"]) if effects else "",
        _number(effects["off"]) if effects else "",
        _number(run["seconds"]),
    )


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if value == int(value) and abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:.3g}"
