"""`covey doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .project_option import ProjectOption


def doctor(
    project: ProjectOption = Path(),
    address: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=HOST:PORT",
            help="The address of a role, instead of the one in [network] of covey.toml; may be repeated.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check keys, certificates, clocks, ports, versions, disk, ledgers, the store and every peer, and print each finding's mend.

    It changes nothing. The exit code is 1 if there is a problem. docs/doctor.md lists the checks.
    """
    from base.errors import FAILURE
    from base.times import wall_clock
    from deployment.doctor.doctor import examine
    from deployment.doctor.finding import Severity
    from deployment.doctor.network import addresses_of
    from deployment.printing.doctor import print_examination

    found = examine(project, addresses_of(address or []), wall_clock)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        print_examination(found)
    if found.count(Severity.PROBLEM):
        raise typer.Exit(FAILURE)
