"""`covey lab run`."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .lab_options import AsJson, require_hydra
from .table_options import CsvOption, PlainOption, output_of

if TYPE_CHECKING:
    from simulations.experiments.running import FinishedRuns, PlannedRuns


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
    plain: PlainOption = False,
    csv: CsvOption = False,
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

    from .lab_tables import print_runs

    output = output_of(plain=plain, csv=csv, as_json=as_json)
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
        print_runs(finished, output, talk)
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
