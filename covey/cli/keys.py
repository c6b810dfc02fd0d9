"""`covey keys`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Manage the keys of a project's roles.", no_args_is_help=True)

_PROJECT = typer.Option(metavar="DIR", help="The project's directory.")


@app.command()
def init(
    role: Annotated[str, typer.Argument(help="coordinator, collector, leader, helper or site-ID.")],
    project: Annotated[Path, _PROJECT] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the public keys as JSON.")] = False,
) -> None:
    """Make the keys of one role, and print the public line that its operator sends to the other operators.

    Nothing is overwritten. The secret keys stay in keys/. `covey init` makes a whole project on one machine.
    """
    import os

    from base.private_files import private_folder
    from deployment.errors import UsageError
    from deployment.printing.console import talk_console
    from deployment.project.project import KEYS
    from federation.errors import PartyInvalid
    from federation.keys import RoleKeys, public_as_dict, public_line, write_keys

    folder = project / KEYS
    if not project.absolute().parent.is_dir():
        raise UsageError(f"no directory {project.absolute().parent}")
    try:
        keys = RoleKeys.generate(role, os.urandom)
    except PartyInvalid as error:
        raise UsageError(str(error)) from None
    project.mkdir(exist_ok=True)
    private_folder(folder)
    write_keys(folder, keys)
    if as_json:
        typer.echo(json.dumps(public_as_dict(role, keys.public)))
    else:
        typer.echo(public_line(role, keys.public), nl=False)
    talk = talk_console()
    talk.print(
        f"{folder / role}.key is secret and stays here; give {folder / role}.pub to the other operators", soft_wrap=True
    )
    talk.print(
        "with the .pub of every role, each operator makes covey.toml: covey init DIR --public ROLE.pub …",
        soft_wrap=True,
    )


@app.command()
def show(
    role: Annotated[
        str | None, typer.Argument(help="Print this role's public keys as a line for the other operators.")
    ] = None,
    project: Annotated[Path, _PROJECT] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show the public keys of this project, never the secret ones."""
    from deployment.printing.output import Output
    from deployment.printing.tables import Table
    from deployment.project.project import KEYS
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
        table = Table("role", "signing key", "seal key", "node key")
        for each, keys in public.items():
            node = "" if keys.node is None else keys.node.key.id.hex()
            table.add_row(each, keys.sign.id.hex(), "" if keys.seal is None else keys.seal.id.hex(), node)
        Output().table(table)


@app.command()
def tls(
    project: Annotated[Path, _PROJECT] = Path(),
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A host name by which sites reach the SuperLink; may be repeated."),
    ] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Replace an existing certificate.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificate's terms as JSON.")] = False,
) -> None:
    """Make the SuperLink's certificate, keys/superlink.crt, which every site gets and pins; its key stays in keys/."""
    from base.private_files import private_folder
    from deployment.errors import UsageError
    from deployment.local.superlink_certificate import make_certificate, utc_now
    from deployment.printing.console import talk_console
    from deployment.project.project import KEYS

    folder = project / KEYS
    if not project.is_dir():
        raise UsageError(f"no directory {project}")
    private_folder(folder)
    made = make_certificate(folder, name or [], utc_now(), renew=renew)
    if as_json:
        terms = {
            "path": str(made.path),
            "names": made.names,
            "until": made.until.isoformat(),
            "sha256": made.fingerprint,
        }
        typer.echo(json.dumps(terms))
        return
    talk = talk_console()
    talk.print(
        f"{made.path} is for {', '.join(made.names)} until {made.until:%Y-%m-%d}; give it to every site", soft_wrap=True
    )
    talk.print(f"SHA-256 {made.fingerprint}; {made.key} is secret and stays here", soft_wrap=True)
