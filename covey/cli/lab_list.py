"""`covey lab list`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .lab_options import AsJson, require_hydra

if TYPE_CHECKING:
    from collections.abc import Sequence
    from dataclasses import Field

    from rich.console import Console


def list_all(
    group: Annotated[
        str | None, typer.Argument(metavar="GROUP", help="Only this one, such as fleet. Default: everything.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show the arguments of `covey lab run`: groups with their choices, sweeps, and every setting, with one line each."""
    from base.errors import DONE
    from deployment.errors import ItemMissing

    require_hydra()
    from deployment.printing.console import data_console
    from simulations.experiments.config import choices, nearest
    from simulations.experiments.schema import GROUPS, LabConfig, nodes

    groups: dict[str, dict[str, Any]] = {
        name: {"choices": choices(name), "kinds": [_of_kind(name, kind) for kind in nodes(name)]} for name in GROUPS
    }
    groups["sweep"] = {"choices": choices("sweep"), "kinds": []}
    groups["settings"] = {"choices": {}, "kinds": [_of_kind("", LabConfig)]}
    if group is not None and group not in groups:
        raise ItemMissing(f"no group {group!r}{nearest(group, list(groups))} There are {', '.join(groups)}")
    chosen = groups if group is None else {group: groups[group]}
    if as_json:
        typer.echo(json.dumps(chosen, ensure_ascii=False))
    else:
        for name, parts in chosen.items():
            _print(name, parts, data_console())
    return DONE


def _of_kind(group: str, kind: type[Any]) -> dict[str, Any]:
    """The description of a choice, and its settings by dotted name."""
    from simulations.experiments.schema import settings

    prefix = f"{group.replace('/', '.')}." if group else ""
    return {"what": kind.__doc__, "settings": {f"{prefix}{one.name}": _description(one) for one in settings(kind)}}


def _description(one: Field[Any]) -> dict[str, Any]:
    from simulations.experiments.schema import CHOICES, HELP

    default = None if one.default == "???" else one.default
    return {"default": default, "one_of": list(one.metadata[CHOICES]), "help": one.metadata[HELP]}


def _print(name: str, parts: dict[str, Any], out: Console) -> None:
    how = {"sweep": "--sweep NAME", "settings": "NAME=VALUE"}.get(name, f"{name}=CHOICE")
    out.print(how, style="bold")
    _print_rows([(choice, line) for choice, line in parts["choices"].items()], out)
    for kind in parts["kinds"]:
        if kind["settings"]:
            out.print(f"  {kind['what']}", style="italic")
            _print_rows([(setting, *_cells(described)) for setting, described in kind["settings"].items()], out)
    out.print()


def _print_rows(rows: Sequence[tuple[str, ...]], out: Console) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 1))
    for row in rows:
        table.add_row(*row)
    out.print(table)


def _cells(described: dict[str, Any]) -> tuple[str, str]:
    default = "" if described["default"] is None else f"{described['default']}"
    one_of = f" ({', '.join(described['one_of'])})" if described["one_of"] else ""
    return default, f"{described['help']}{one_of}"
