"""The option for the format of a role's log, in the commands that start a role. The environment says where its traces go."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import typer

from base.logs import FORMAT, LogFormat

_ROLES: Final = {"serve": "server", "collect": "coordinator"}
"""The role of a command that does not have the role's name."""


def _begin(context: typer.Context, form: LogFormat) -> LogFormat:
    """Log and trace as the role that the command starts, until the command ends."""
    from base.role_process import working_as

    command = context.info_name or "covey"
    if not context.resilient_parsing:
        context.with_resource(working_as(_ROLES.get(command, command), form))
    return form


LogFormatOption: TypeAlias = Annotated[
    LogFormat,
    typer.Option(
        "--log-format",
        envvar=FORMAT,
        callback=_begin,
        help="How the lines on stderr are written: text, or json with one object a line.",
    ),
]
