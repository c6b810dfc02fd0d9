"""`covey keys`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(help="The keys of a project's roles.", no_args_is_help=True)

_PROJECT = typer.Option(metavar="DIR", help="The project's directory.")


@app.command()
def init(
    project: Annotated[Path, _PROJECT] = Path(),
    name: Annotated[str | None, typer.Option(help="The project's name. Default: that of its directory.")] = None,
    sites: Annotated[int | None, typer.Option(min=1, help="Number of sites, named 1, 2, … Default: 2.")] = None,
    site: Annotated[list[str] | None, typer.Option(help="A site's id; give one for each site.")] = None,
    max_clients: Annotated[
        int, typer.Option(min=1, help="Roster: the most clients of a site that count in one collection.")
    ] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the public keys as JSON.")] = False,
) -> None:
    """Make the keys of all roles of a one-machine project, and a covey.toml with their public halves.

    Nothing is overwritten. Whoever runs this holds every secret: it is for one machine.
    """
    import os

    from covey.errors import UsageError
    from covey.project import FILE, KEYS, Project
    from federation.errors import PartyInvalid
    from federation.keys import ROLES, RoleKeys, create_folder, public_as_dict, site_role
    from federation.parties import Roster, RosterEntry

    if sites is not None and site:
        raise UsageError("give either --sites N or --site ID …")
    ids = site or [str(number) for number in range(1, (sites or 2) + 1)]
    toml, folder = project / FILE, project / KEYS
    for path in (toml, folder):
        if os.path.lexists(path):
            raise UsageError(f"{path} exists; keys are never overwritten (move it away if you mean it)")
    if not project.absolute().parent.is_dir():
        raise UsageError(f"no directory {project.absolute().parent}")
    try:
        made = {role: RoleKeys.generate(role, os.urandom) for role in (*ROLES, *map(site_role, ids))}
        roster = Roster(RosterEntry(each, made[site_role(each)].public.sign, max_clients) for each in ids)
    except PartyInvalid as error:
        raise UsageError(str(error)) from None
    public = {role: keys.public for role, keys in made.items()}
    text = Project(
        name if name is not None else _name_of(project),
        public["coordinator"].sign,
        public["collector"],
        public["leader"],
        public["helper"],
        roster,
    ).to_toml()
    project.mkdir(exist_ok=True)
    create_folder(folder, made.values())
    with toml.open("x", encoding="utf-8") as file:
        file.write(text)
    if as_json:
        typer.echo(json.dumps([public_as_dict(role, keys) for role, keys in public.items()]))
    else:
        talk = Console(stderr=True, highlight=False)
        talk.print(f"{folder}: the keys of {', '.join(made)}", markup=False)
        talk.print(f"{toml}: their public halves, and the roster of {len(ids)} site(s)", markup=False)


@app.command()
def show(
    role: Annotated[str | None, typer.Argument(help="Print this role's public keys as a line to hand out.")] = None,
    project: Annotated[Path, _PROJECT] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show the public halves of the keys in this project, never the secrets."""
    from rich.table import Column, Table

    from covey.project import KEYS
    from federation.errors import KeyFileMissing
    from federation.keys import load_keys, public_as_dict, public_line, roles_in

    folder = project / KEYS
    roles = (role,) if role is not None else roles_in(folder)
    if not roles:
        raise KeyFileMissing(str(folder))
    public = {each: load_keys(folder, each).public for each in roles}
    if as_json:
        typer.echo(json.dumps([public_as_dict(each, keys) for each, keys in public.items()]))
    elif role is not None:
        typer.echo(public_line(role, public[role]), nl=False)
    else:
        table = Table("role", Column("signing key", overflow="fold"), Column("seal key", overflow="fold"))
        for each, keys in public.items():
            table.add_row(each, keys.sign.id.hex(), keys.seal.id.hex())
        Console().print(table)


def _name_of(project: Path) -> str:
    import re

    name = re.sub(r"[^A-Za-z0-9._-]+", "-", project.resolve().name).strip("-._")
    return name[:64] or "covey"
