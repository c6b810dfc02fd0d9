"""`covey keys rotate` and `covey keys accept`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from .project_option import ProjectOption

_CHANGE_OVER_HOURS: Final = 168
"""The longest life of a plan that a site's policy allows by default."""


def rotate(
    role: Annotated[str, typer.Argument(help="coordinator, collector, leader, helper or site-ID.")],
    project: ProjectOption = Path(),
    hours: Annotated[
        int,
        typer.Option(
            min=0,
            max=8760,
            help="The time until the change-over, in which the other operators take the new key. It is longer if a plan under way "
            "ends later.",
        ),
    ] = _CHANGE_OVER_HOURS,
    lost: Annotated[
        bool,
        typer.Option("--lost", help="The key is lost or stolen: it ends now, and plans under way cannot go on."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the new key and the change-over as JSON.")] = False,
) -> None:
    """Replace the keys of a role. Restart the role once before the change-over; no collection under way is lost.

    Plans with a deadline before the change-over keep the former key, and later plans use the new key. The former key signs the new
    one in keys/ROLE.pub. The other operators take that file with `covey keys accept ROLE.pub`.
    """
    import os

    from base.times import utc_text, wall_clock
    from deployment.errors import UsageError
    from deployment.printing.console import talk_console
    from deployment.project.folders import KEYS
    from deployment.project.rotation import rotate_role
    from federation.errors import PartyInvalid

    try:
        made = rotate_role(project, role, hours, wall_clock(), os.urandom, lost=lost)
    except PartyInvalid as error:
        raise UsageError(str(error)) from None
    public = project / KEYS / f"{role}.pub"
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "role": role,
                    "sign_id": made.key.id.hex(),
                    "change_over": utc_text(made.until_us),
                    "new": made.new,
                    "public": str(public),
                    "changed": [str(path) for path in made.changed],
                }
            )
        )
        return
    talk = talk_console()
    what = "has new keys" if made.new else "has the keys of an earlier rotation, which is complete now"
    talk.print(f"the {role} {what}: {made.key.id.hex()}; edited: {_list(made.changed)}", soft_wrap=True)
    if lost:
        talk.print(
            f"the former key ended now. Give {public} to the other operators; they compare the key with you, and run "
            f"covey keys accept {role}.pub --force",
            soft_wrap=True,
        )
        return
    talk.print(
        f"the change-over is {utc_text(made.until_us)}. Before it, restart the {role} once, and have every other operator run "
        f"covey keys accept {role}.pub (with {public})",
        soft_wrap=True,
    )


def accept(
    file: Annotated[Path, typer.Argument(metavar="ROLE.pub", help="The public file of the role, from its operator.")],
    project: ProjectOption = Path(),
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Take keys that the pinned key has not signed, because it is lost or stolen. Compare the new key first, over a "
            "channel that you trust.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the pinned key and the edited files as JSON.")] = False,
) -> None:
    """Take the new keys of another operator's role into covey.toml and policy.toml, if the pinned key has signed them.

    Running roles use the new keys from their next plan on.
    """
    from base.times import utc_text, wall_clock
    from deployment.printing.console import talk_console
    from deployment.project.rotation import accept_role

    taken = accept_role(project, file, wall_clock(), force=force)
    if as_json:
        former = [{"sign_id": one.key.id.hex(), "change_over": utc_text(one.until_us)} for one in taken.former]
        found = {"role": taken.role, "sign_id": taken.key.id.hex(), "former": former}
        typer.echo(json.dumps(found | {"changed": [str(path) for path in taken.changed]}))
        return
    talk = talk_console()
    if not taken.changed:
        talk.print(
            f"the {taken.role}'s key {taken.key.id.hex()} is pinned already; nothing was changed", soft_wrap=True
        )
        return
    last = taken.former[-1]
    talk.print(
        f"the {taken.role}'s key is {taken.key.id.hex()} for plans whose deadline is after {utc_text(last.until_us)}; edited: "
        f"{_list(taken.changed)}",
        soft_wrap=True,
    )


def _list(paths: tuple[Path, ...]) -> str:
    return ", ".join(map(str, paths)) or "nothing here"
