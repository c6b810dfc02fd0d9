"""`covey consumers`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .store_option import store_directory

app = typer.Typer(help="The consumers of the feature server: API keys and limits.", no_args_is_help=True)

_Store = Annotated[
    Path, typer.Option("--store", metavar="DIR", callback=store_directory, help="The store's (or project's) directory.")
]
_Name = Annotated[str, typer.Argument(help="1 to 64 letters, digits, '.', '_', '-'.")]


class _Role(StrEnum):
    READER = "reader"
    AUTHOR = "author"
    OPERATOR = "operator"


_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def add(
    name: _Name,
    store: _Store,
    rate: Annotated[
        int | None,
        typer.Option(min=1, metavar="ROWS", help="The limit in rows a second. Default: the limit of `covey serve`."),
    ] = None,
    requests: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="The limit in requests a second. Default: the limit of `covey serve`."),
    ] = None,
    role: Annotated[
        _Role,
        typer.Option(help="What it may do in `covey console`: look; also write views.py; also collect and promote."),
    ] = _Role.READER,
    as_json: _Json = False,
) -> None:
    """Make an API key and print it once; the store keeps only its SHA-256. Running servers accept it immediately."""
    import os

    from base.times import wall_clock
    from deployment.printing.console import talk_console
    from featurestore.server.api_keys import Consumers
    from featurestore.server.roles import ROLES
    from featurestore.server.throttle import Limits

    consumers = Consumers(store)
    key = consumers.add(name, Limits(rate, requests), wall_clock(), os.urandom, ROLES[role])
    typer.echo(json.dumps({"name": name, "key": key}) if as_json else key)
    talk = talk_console()
    talk.print(f"this key of {name} is shown only once; send it as `Authorization: Bearer KEY`", soft_wrap=True)


@app.command("list")
def list_(store: _Store, as_json: _Json = False) -> None:
    """List the consumers and their limits, never their keys."""
    from base.times import from_us
    from deployment.printing.output import Output
    from deployment.printing.tables import Table
    from featurestore.server.api_keys import Consumers

    found = Consumers(store).read()
    if as_json:
        rows = [
            {
                "name": one.name,
                "key_id": one.key_id,
                "rows_per_s": one.limits.rows,
                "requests_per_s": one.limits.requests,
                "role": one.role.label,
                "added_at": f"{from_us(one.added_at):%Y-%m-%dT%H:%M:%SZ}",
            }
            for one in found
        ]
        typer.echo(json.dumps(rows))
        return
    table = Table("consumer", "role", "key", "rows a second", "requests a second", "added")
    for one in found:
        limits = ("default" if limit is None else f"{limit:,}" for limit in (one.limits.rows, one.limits.requests))
        table.add_row(
            one.name, one.role.label, f"covey_{one.key_id}_…", *limits, f"{from_us(one.added_at):%Y-%m-%dT%H:%M:%SZ}"
        )
    Output().table(table)


@app.command("role")
def set_role(
    name: _Name, role: Annotated[_Role, typer.Argument(help="What it may do from now on.")], store: _Store
) -> None:
    """Give a consumer another role in `covey console`. Its key stays, and its open sessions end."""
    from deployment.printing.console import talk_console
    from featurestore.server.api_keys import Consumers
    from featurestore.server.roles import ROLES

    Consumers(store).set_role(name, ROLES[role])
    talk_console().print(f"{name} has the role {role}", soft_wrap=True)


@app.command()
def remove(name: _Name, store: _Store) -> None:
    """Remove a consumer and its key; running servers refuse the key immediately."""
    from deployment.printing.console import talk_console
    from featurestore.server.api_keys import Consumers

    Consumers(store).remove(name)
    talk_console().print(f"{name} is removed", soft_wrap=True)
