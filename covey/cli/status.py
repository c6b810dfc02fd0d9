"""`covey status`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .project_option import ProjectOption
from .table_options import CsvOption, PlainOption, output_of


def status(
    project: ProjectOption = Path(),
    plain: PlainOption = False,
    csv: CsvOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the state of a project: panes opened, void and due, an unfinished plan, budgets, and what to do next.

    Of the roles that `covey up` started, it shows which run, how healthy they are, and what they wait for. The exit code is 1
    if one of them keeps dying.
    """
    from base.errors import FAILURE
    from deployment.inspect.status import read_status
    from deployment.printing.status import print_status

    out = output_of(plain=plain, csv=csv, as_json=as_json)
    found = read_status(project)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        print_status(found, project, out)
    if found.deployment is not None and any(one.is_failing for one in found.deployment.roles):
        raise typer.Exit(FAILURE)
