"""`covey logs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .project_option import ProjectOption


def logs(
    role: Annotated[
        str,
        typer.Argument(
            help="leader, helper, superlink, coordinator, server, site-ID …; or up, for the supervisor's own log."
        ),
    ],
    project: ProjectOption = Path(),
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines as well, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines to print.")] = 50,
) -> None:
    """Print the log of a role that `covey up` has started: its last lines, and new ones with -f."""
    from deployment.local.supervision.deployment import log_folder
    from deployment.local.supervision.log_files import follow as follow_log
    from deployment.local.supervision.log_files import last_lines, log_of
    from deployment.project.project import Project

    Project.load(project)
    path = log_of(log_folder(project), role)
    found, end = last_lines(path, lines)
    for line in found:
        typer.echo(line)
    if follow:
        for line in follow_log(path, end):
            typer.echo(line)
