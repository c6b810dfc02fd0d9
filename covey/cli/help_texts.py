"""The commands with each help text as it is written. Typer and rich would drop some of the words."""

from __future__ import annotations

import inspect
from typing import Final

import click
import typer
from rich.markup import escape
from typer.models import ArgumentInfo
from typer.utils import get_params_from_function

_SHOWN_BY_RICH: Final = ("help", "short_help", "epilog")


def command_tree(app: typer.Typer) -> click.Command:
    """The commands of an application, ready to run.

    This mends two faults. Rich reads text in square brackets as markup and drops it. Typer below 0.21, which flwr requires, does
    not pass the help of an argument to click, and click 8.5 and later then clears it.
    """
    root = typer.main.get_command(app)
    _mend(root)
    return root


def _mend(command: click.Command) -> None:
    if isinstance(command, click.Group):
        for child in command.commands.values():
            _mend(child)
    arguments = [one for one in command.params if isinstance(one, typer.core.TyperArgument)]
    if command.callback is not None and arguments:
        declared = get_params_from_function(inspect.unwrap(command.callback))
        for argument in arguments:
            info = declared[str(argument.name)].default
            argument.help = info.help if isinstance(info, ArgumentInfo) else None
    for shown in (command, *command.params):
        for name in _SHOWN_BY_RICH:
            text = getattr(shown, name, None)
            if text is not None:
                setattr(shown, name, escape(text))
