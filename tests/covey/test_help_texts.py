"""`--help` of every command shows every word of its docstring, and of the help of its options and arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

import click
import pytest
import typer
from typer.utils import get_params_from_function

from covey.cli import app
from covey.cli.help_texts import command_tree

Covey = Callable[..., tuple[int, str, str]]


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _commands(child, (*path, name))


COMMANDS = dict(_commands(typer.main.get_command(app)))


def _words(text: str) -> str:
    return " ".join(text.replace("│", " ").replace("\b", " ").split())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_help_text_loses_a_word(covey: Covey, monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]) -> None:
    monkeypatch.setenv("COLUMNS", "2000")
    code, out, _ = covey(*path, "--help")
    assert code == 0
    shown, command = _words(out), COMMANDS[path]
    written = [command.help or ""]
    if isinstance(command, click.Group):
        written += [(child.help or "").split("\n\n")[0] for child in command.commands.values()]
    if command.callback is not None:
        declared = get_params_from_function(inspect.unwrap(command.callback)).values()
        written += [one.default.help or "" for one in declared if not getattr(one.default, "hidden", False)]
    assert [text for text in written if _words(text) not in shown] == []


def test_every_command_option_and_argument_has_a_help_text() -> None:
    without = [path for path, command in COMMANDS.items() if not command.help]
    for path, command in COMMANDS.items():
        if command.callback is not None:
            declared = get_params_from_function(inspect.unwrap(command.callback)).values()
            without += [(*path, one.name) for one in declared if not one.default.help]
    assert without == []


def test_only_the_named_command_is_made() -> None:
    def names(*arguments: str) -> dict[str, list[str]]:
        root = command_tree(app, arguments)
        assert isinstance(root, click.Group)
        return {
            name: list(made.commands) if isinstance(made, click.Group) else [one.name or "" for one in made.params]
            for name, made in root.commands.items()
        }

    assert names("--debug", "release", "list", "--json") == {"release": ["list"]}
    assert names("release", "nothing") == {"release": ["list", "show", "verify", "retract", "void"]}
    assert list(names("get", "release")) == ["get"]
    (every,) = [
        list(command.commands) for path, command in COMMANDS.items() if not path and isinstance(command, click.Group)
    ]
    assert list(names("nothing", "get")) == every
    assert names("--help") == {name: [] for name in every}
