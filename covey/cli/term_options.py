"""The options that choose the terms of a plan, in the words of `federation.terms`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeAlias

import typer

from federation.terms import Finish, Participation, Protection, ReportPer, Validity


class NoiseSwitch(StrEnum):
    """Whether the aggregators add noise."""

    ON = "on"
    OFF = "off"


NoiseOption: TypeAlias = Annotated[
    NoiseSwitch,
    typer.Option(help="off: for tests and labs; every party must allow it, and releases are marked noise=none."),
]
ParticipationOption: TypeAlias = Annotated[
    Participation | None,
    typer.Option(
        help="Which clients report: all of them, or those with an event in the pane. Default: all where a site has one client at "
        "most, else active."
    ),
]
ProtectionOption: TypeAlias = Annotated[
    Protection,
    typer.Option(help="he: reports are encrypted (BFV) for a key holder, and the leader adds them: docs/he.md."),
]
ValidityOption: TypeAlias = Annotated[
    Validity,
    typer.Option(help="prio3: every report proves that it lies within the view's bounds; the others are rejected."),
]
FinishOption: TypeAlias = Annotated[
    Finish,
    typer.Option(
        help="mpc (experimental): cells below suppress_below are never opened; the leader needs a provider: docs/mpc.md."
    ),
]
ReportPerOption: TypeAlias = Annotated[
    ReportPer,
    typer.Option(
        help="site: each site bounds its clients one by one and sends one report a pane, their sum: docs/cross-silo.md."
    ),
]
