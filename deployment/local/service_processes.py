"""The aggregators of a plan, and the provider of triples, as processes of one machine: who there is, and how each is started."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from federation.plan import Plan, Protection

SECOND: Final[dict[Protection, str]] = {"shares": "helper", "he": "keyholder"}
"""Who opens a plan with the leader, by its `covey start` command."""
AGGREGATORS: Final = ("leader", *SECOND.values())
SERVICES: Final = (*AGGREGATORS, "provider")


def services_of(plan: Plan) -> tuple[str, ...]:
    """The services that a plan needs, in the order in which they are started."""
    return (SECOND[plan.protection], *(("provider",) if plan.finish == "mpc" else ()), "leader")


def service_command(name: str, project: Path, ledgers: Path, ports: Mapping[str, int]) -> list[str]:
    """The command that starts a service of a project in the foreground.

    Args:
        ports: of all services of the plan, on the loopback.
    """
    at = ["--project", str(project), "--port", str(ports[name])]
    at += ["--ledgers", str(ledgers)] if name in AGGREGATORS else []
    if name == "leader":
        for other in (*SECOND.values(), "provider"):
            at += [f"--{other}", f"127.0.0.1:{ports[other]}"] if other in ports else []
    return [
        sys.executable,
        "-P",
        "-m",
        "covey",
        "start",
        name,
        *at,
    ]  # -P: nothing is imported from the folder it runs in
