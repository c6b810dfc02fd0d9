"""`covey lab`."""

from __future__ import annotations

import typer

from . import lab_compare, lab_list, lab_report, lab_run

app = typer.Typer(help="Experiments: simulated fleets, attacks, sweeps and their reports.", no_args_is_help=True)
app.command("run")(lab_run.run)
app.command("list")(lab_list.list_all)
app.command("report")(lab_report.report)
app.command("compare")(lab_compare.compare)
