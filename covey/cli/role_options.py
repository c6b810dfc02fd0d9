"""The options of commands that start roles: where they listen, where their peers are, and how long they wait."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

HostOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="The address to listen on, such as 0.0.0.0 for all of this machine. Off the loopback, the role needs its "
        "certificate. Default: the role's address in covey.toml, or the loopback.",
    ),
]
MonitorOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="Serve /metrics, /healthz and /readyz at this address. Default: they are not served."
    ),
]
LedgersOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The folder of the role's ledger. Default: the project's ledgers/."),
]
HelperOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="The address of the helper. Default: that of covey.toml, or 127.0.0.1:7302."
    ),
]
LeaderOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="The address of the leader. Default: that of covey.toml, or 127.0.0.1:7301."
    ),
]
KeyHolderOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="With --protection he: the address of the key holder. Default: that of covey.toml, or 127.0.0.1:7303.",
    ),
]
SecondsOption: TypeAlias = Annotated[
    float, typer.Option(min=1, help="The time that the sites have to answer, in seconds.")
]
SECONDS: Final = 300.0
"""The default of `SecondsOption`."""
