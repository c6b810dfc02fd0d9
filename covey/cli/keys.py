"""`covey keys`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .keys_rotate import accept, rotate
from .project_option import ProjectOption

if TYPE_CHECKING:
    from base.tls.roles import TlsRole

app = typer.Typer(help="Manage the keys of a project's roles.", no_args_is_help=True)


@app.command()
def init(
    role: Annotated[str, typer.Argument(help="coordinator, collector, leader, helper or site-ID.")],
    project: ProjectOption = Path(),
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A host name by which clients reach the role; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the public keys as JSON.")] = False,
) -> None:
    """Make the keys of one role and its certificates, and print what its operator sends to the other operators, ROLE.pub.

    Nothing is overwritten. The secret keys stay in keys/. `covey init` makes a whole project on one machine.
    """
    import os

    from base.private_files import private_folder
    from base.times import from_us, wall_clock
    from deployment.errors import UsageError
    from deployment.printing.console import talk_console
    from deployment.project.certificates import OPERATED, make_certificates
    from deployment.project.folders import KEYS
    from federation.errors import PartyInvalid
    from federation.keys import RoleKeys, public_as_dict, public_path, write_keys

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
    if tls_roles := OPERATED.get(role):
        make_certificates(folder, tls_roles, name or [], from_us(wall_clock()))
    if as_json:
        typer.echo(json.dumps(public_as_dict(role, keys.public)))
    else:
        typer.echo(public_path(folder, role).read_text(encoding="ascii"), nl=False)
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
        str | None,
        typer.Argument(help="Print this role's public keys as they are in ROLE.pub, for the other operators."),
    ] = None,
    project: ProjectOption = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show what operators compare with each other: the keys here and in covey.toml, and the authorities of certificates.

    It never shows a secret key. The same role must have the same ids and the same SHA-256 at every operator.
    """
    from deployment.printing.keys import ShownKeys
    from deployment.printing.output import Output
    from deployment.project.certificates import authority_of
    from deployment.project.folders import KEYS
    from federation.key_rotation import public_of
    from federation.keys import load_keys, public_as_dict
    from federation.public_file import public_file_of

    if role is None:
        shown = ShownKeys.read(project)
        if as_json:
            typer.echo(json.dumps(shown.to_json()))
        else:
            shown.print(Output())
        return
    folder = project / KEYS
    own = load_keys(folder, role)
    if as_json:
        typer.echo(json.dumps([public_as_dict(role, own.public)]))
    else:
        typer.echo(public_file_of(own, public_of(folder, role), authority_of(folder, role)).to_text(), nl=False)


@app.command()
def tls(
    project: ProjectOption = Path(),
    role: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE",
            help="coordinator, leader, helper, keyholder, provider, superlink or server; may be repeated. Default: the roles "
            "whose keys are here.",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A host name by which clients reach the roles; may be repeated."),
    ] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Replace existing certificates.")] = False,
    new_authority: Annotated[
        bool,
        typer.Option(
            "--new-authority",
            help="Replace the operator's authority. Certificates stay as they are until they are renewed.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificates as JSON.")] = False,
) -> None:
    """Make the certificates of the roles here, by a private authority of this operator, keys/tls/ca.crt.

    Peers trust the authority by `covey keys trust`, or find it in ROLE.pub. A certificate is valid for 90 days. Running
    roles use a new one without a restart.
    """
    from base.times import from_us, wall_clock
    from deployment.printing.certificates import certificates_to_json, print_certificates
    from deployment.project import certificates
    from deployment.project.folders import KEYS

    keys, now = _keys_folder(project), from_us(wall_clock())
    roles = [_tls_role(each) for each in role] if role else certificates.own_roles(keys)
    if new_authority:
        certificates.new_authority(keys, now)
    if roles and (renew or not new_authority):
        made = certificates.make_certificates(keys, roles, name or [], now, renew=renew)
    elif new_authority:
        made = certificates.MadeCertificates((), (), certificates.own_authority(keys))
    else:
        from deployment.errors import UsageError

        raise UsageError(
            f"{project / KEYS} has no keys of a role with a certificate; name the roles that run here",
            settings=("role",),
        )
    if as_json:
        typer.echo(json.dumps(certificates_to_json(made)))
    else:
        print_certificates(made, keys)


@app.command()
def trust(
    role: Annotated[str, typer.Argument(help="coordinator, leader, helper, keyholder, provider, superlink or server.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="ROLE.pub or ca.crt of the role's operator.")],
    project: ProjectOption = Path(),
    only: Annotated[
        bool, typer.Option("--only", help="Drop the authorities that were trusted for this role before.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the trusted authorities as JSON.")] = False,
) -> None:
    """Trust an operator's authority to issue the certificate of one role. Running roles need no restart.

    While an operator changes its authority, a role may trust the old one and the new one. --only ends the change.
    """
    from deployment.printing.certificates import print_trust, trust_to_json
    from deployment.project.certificates import take_trust

    found = take_trust(_keys_folder(project), _tls_role(role), file, only=only)
    if as_json:
        typer.echo(json.dumps(trust_to_json(role, found)))
    else:
        print_trust(role, found)


def _keys_folder(project: Path) -> Path:
    from deployment.errors import UsageError
    from deployment.project.folders import KEYS

    if not project.is_dir():
        raise UsageError(f"no directory {project}")
    return project / KEYS


def _tls_role(text: str) -> TlsRole:
    from base.tls.roles import TlsRole
    from deployment.errors import UsageError

    try:
        return TlsRole(text)
    except ValueError:
        raise UsageError(f"there is no role {text[:80]!r} with a certificate; there are {', '.join(TlsRole)}") from None


app.command()(rotate)
app.command()(accept)
