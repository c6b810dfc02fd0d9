"""The commands with each help text as it is written. Typer and rich would drop some of the words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Final

import click
import typer
from rich.markup import escape
from typer.main import get_command_name
from typer.models import ArgumentInfo, CommandInfo
from typer.utils import get_params_from_function

_SHOWN_BY_RICH: Final = ("help", "short_help", "epilog")


def command_tree(app: typer.Typer, arguments: Sequence[str]) -> click.Command:
    """The commands of an application, ready to run.

    Args:
        arguments: the command line. Only the command that it names is made, because it takes a fifth of a second to make
            all of them. Without a name, all commands have their names and help texts, and no options.

    This mends two faults. Rich reads text in square brackets as markup and drops it. Typer below 0.21, which flwr requires, does
    not pass the help of an argument to click, and click 8.5 and later then clears it.
    """
    words = [word for word in arguments if not word.startswith("-")]
    root = typer.main.get_command(_named(app, words) if words else _without_options(app))
    _mend(root)
    return root


def _named(app: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """The application with the command that the words name; with all commands if they name none."""
    commands = [one for one in app.registered_commands if words and _name(one) == words[0]]
    groups = [copy(one) for one in app.registered_groups if words and one.name == words[0]]
    if not commands and not groups:
        return app
    for group in groups:
        if group.typer_instance is not None:
            group.typer_instance = _named(group.typer_instance, words[1:])
    named = copy(app)
    named.registered_commands, named.registered_groups = commands, groups
    return named


def _without_options(app: typer.Typer) -> typer.Typer:
    """The application with what its own help shows: the names and help texts of commands and groups."""
    listed = copy(app)
    listed.registered_commands = [copy(one) for one in app.registered_commands]
    for command in listed.registered_commands:
        command.callback = _described_as(command.callback)
    listed.registered_groups = [copy(one) for one in app.registered_groups]
    for group in listed.registered_groups:
        group.typer_instance = copy(group.typer_instance)
        if group.typer_instance is not None:
            group.typer_instance.registered_commands = []
    return listed


def _described_as(function: Callable[..., Any] | None) -> Callable[[], None]:
    """A function without parameters that has the name and the help text of a command."""

    def described() -> None:
        """See the command."""

    described.__name__ = getattr(function, "__name__", "")
    described.__doc__ = function.__doc__
    return described


def _name(command: CommandInfo) -> str:
    return command.name or get_command_name(getattr(command.callback, "__name__", ""))


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
