"""The services of a plan as processes of one machine: which services a plan needs, and the command of each."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from federation.plan import Plan
from federation.terms import Encrypted, Finish, Shares, Terms

SECONDS: Final = ("helper", "keyholder")
"""The roles that may open a plan with the leader, by their `covey start` command."""
AGGREGATORS: Final = ("leader", *SECONDS)
SERVICES: Final = (*AGGREGATORS, "provider")


def second_of(terms: Terms) -> str:
    """The role that opens a plan with the leader."""
    match terms:
        case Shares():
            return "helper"
        case Encrypted():
            return "keyholder"


def services_of(plan: Plan) -> tuple[str, ...]:
    """The services that a plan needs, in the order in which they are started."""
    return (second_of(plan.terms), *(("provider",) if plan.terms.finish is Finish.MPC else ()), "leader")


def service_command(name: str, project: Path, ledgers: Path, ports: Mapping[str, int]) -> list[str]:
    """The command that starts a service of a project in the foreground.

    Args:
        ports: the loopback ports of all services of the plan.
    """
    at = ["--project", str(project), "--port", str(ports[name])]
    at += ["--ledgers", str(ledgers)] if name in AGGREGATORS else []
    if name == "leader":
        for other in (*SECONDS, "provider"):
            at += [f"--{other}", f"127.0.0.1:{ports[other]}"] if other in ports else []
    return [
        sys.executable,
        "-P",
        "-m",
        "covey",
        "start",
        name,
        *at,
    ]  # -P: do not import from the working directory
