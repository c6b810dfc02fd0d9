"""`covey init`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from deployment.project.init import NewProject


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
        typer.echo(json.dumps(_to_json(made)))
    else:
        _tell(made)


def _to_json(made: NewProject) -> dict[str, object]:
    project = made.project
    return {
        "project": project.name,
        "directory": str(made.folder),
        "sites": [entry.site for entry in project.roster.entries],
        "budget_micro_rho": project.budget.micro_rho,
        "keys": list(made.secrets),
        "kept": list(made.kept),
    }


def _tell(made: NewProject) -> None:
    from deployment.printing.console import talk_console
    from federation.rho import rho_text

    talk, folder, project = talk_console(), made.folder, made.project
    sites = [entry.site for entry in project.roster.entries]
    budget = rho_text(project.budget.micro_rho)
    rows = [
        ("covey.toml", f"who takes part: public keys, {len(sites)} site(s), a budget of rho = {budget} a client-day"),
        ("views.py", "what is collected: an example to change" if "views.py" not in made.kept else "yours, left alone"),
        ("policy.toml", "what the sites here take part in"),
        ("keys/", f"the secrets of {', '.join(made.secrets)}" if made.secrets else "yours: `covey keys init ROLE`"),
        ("ledgers/", "what each day has spent; roles/ and store/ for what runs and what is released"),
    ]
    for file, what in rows:
        talk.print(f"{folder / file}  {what}", soft_wrap=True)
    if made.secrets:
        talk.print(
            "this machine holds every secret, which is meant for a trial. In production each operator makes the keys of one role "
            "with `covey keys init ROLE`",
            style="yellow",
            soft_wrap=True,
        )
    talk.print("next:", soft_wrap=True)
    for command in (
        f"covey explain {folder / 'views.py'}",
        f"covey start superlink --project {folder}   (each in a terminal of its own)",
        f"covey start helper --project {folder}      (and `leader`)",
        f"covey start site {sites[0]} --project {folder} --events FILE --client-column NAME --time-column NAME",
        f"covey start coordinator {folder / 'views.py'} --project {folder} --from DAY --to DAY",
        f"covey ledger show --project {folder}",
    ):
        talk.print(f"  {command}", soft_wrap=True)
