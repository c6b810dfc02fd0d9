"""`covey init`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project's directory; made if it does not exist.")],
    name: Annotated[str | None, typer.Option(help="The project's name. Default: that of its directory.")] = None,
    sites: Annotated[
        int | None, typer.Option(min=1, help="The number of sites; they are named 1, 2, … Default: 2.")
    ] = None,
    site: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="The id of a site; repeat it for each site.")
    ] = None,
    public: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="ROLE.pub",
            help="Make no keys: build covey.toml from the operators' public keys, one file for each role.",
        ),
    ] = None,
    max_clients: Annotated[
        int, typer.Option(min=1, help="The most clients of a site that count in one collection, for the roster.")
    ] = 100_000,
    budget: Annotated[
        str, typer.Option(metavar="RHO", help="The most that a client-day may cost over all views, as rho.")
    ] = "0.1",
    as_json: Annotated[bool, typer.Option("--json", help="Print the created files and keys as JSON.")] = False,
) -> None:
    """Make a project: covey.toml, views.py, policy.toml, keys, and folders for ledgers, roles and the store.

    Without --public the project has the keys of all roles, on one machine: its operator holds every secret.
    Nothing is overwritten.
    """
    from deployment.errors import UsageError
    from deployment.printing.new_project import new_project_to_json, print_new_project
    from deployment.project.budgets import budget_of_text
    from deployment.project.init import assemble, make

    if (sites is not None) + bool(site) + bool(public) > 1:
        raise UsageError("give one of --sites N, --site ID … and --public ROLE.pub …")
    allowed = budget_of_text(budget)
    if public:
        made = assemble(folder, name, public, max_clients, allowed)
    else:
        ids = site or [str(number) for number in range(1, (sites or 2) + 1)]
        made = make(folder, name, ids, max_clients, allowed)
    if as_json:
        typer.echo(json.dumps(new_project_to_json(made)))
    else:
        print_new_project(made)
