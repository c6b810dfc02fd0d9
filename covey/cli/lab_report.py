"""`covey lab report`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .lab_options import AsJson

if TYPE_CHECKING:
    from rich.console import Console

    from simulations.reports.paper.report import Progress


def report(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A set of experiments: paper (the default), quick, or a .yaml file."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the report.")] = Path("covey-report"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Run the set `quick`: under a minute, and too small for conclusions.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Run a named set of experiments, and write a page with figures, tables and sentences.

    DIR gets report.html, one self-contained file, results.parquet, report.json, and each figure as a PNG. Finished
    experiments are kept in DIR/experiments, so the same command continues an interrupted one. Everything is simulated and
    offline; the paper takes some minutes.
    """
    from base.errors import DONE, FAILURE
    from deployment.errors import UsageError
    from deployment.printing.console import talk_console
    from simulations.reports.paper.config import read_report_config
    from simulations.reports.paper.report import make_report
    from simulations.shards.workers import Inline

    if quick and name not in (None, "quick"):
        raise UsageError(f"--quick runs the set quick, not {name!r}; leave out one of them")
    chosen = "quick" if quick else name or "paper"
    talk, config = talk_console(), read_report_config(chosen)
    with _bar(talk) as progress:
        made = make_report(chosen, config, out, Inline(), progress)
    if as_json:
        typer.echo(json.dumps({"report": str(made.page), "readings": made.readings, "failed": made.failed}))
    else:
        typer.echo(str(made.page))
        for reading in made.readings:
            talk.print(reading, soft_wrap=True)
    for failed in made.failed:
        talk.print(f"failed: {failed}; the report says why", style="red", soft_wrap=True)
    return FAILURE if made.failed else DONE


@contextmanager
def _bar(console: Console) -> Iterator[Progress]:
    """One bar over all experiments on stderr, with an estimate of the time that is left."""
    from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:36}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console) as bars:
        tasks: list[TaskID] = []  # show no bar before the first run

        def progress(what: str, done: float, total: float) -> None:
            if not tasks:
                tasks.append(bars.add_task("experiments"))
            bars.update(tasks[0], description=what, completed=done, total=total)

        yield progress
