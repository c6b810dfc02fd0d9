"""A supervised deployment, for people: its roles, the result of its collection, and where its releases are served."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, assert_never

from rich.console import Console

from base.errors import DONE
from base.times import utc_text
from base.tls.hosts import is_loopback, split_address
from deployment.inspect.deployment_status import roles_to_json
from deployment.local.supervision.control import Stopped
from deployment.local.supervision.roles import BACKFILL, SERVER
from deployment.local.supervision.state_file import DeploymentState, RoleCondition, RoleStatus

from .console import talk_console
from .output import Output
from .tables import Table

_NEWS: Final = (RoleCondition.READY, RoleCondition.RESTARTING, RoleCondition.ENDED)


class RoleTalk:
    """Prints each change of a role while a deployment starts."""

    def __init__(self, talk: Console) -> None:
        self._talk, self._said = talk, dict[str, str]()

    def show(self, state: DeploymentState) -> None:
        """Print what has changed since the last call."""
        for one in state.roles:
            text = in_words(one)
            is_news = one.state in _NEWS or one.is_failing
            if is_news and self._said.get(one.name) != text:
                self._talk.print(f"{one.name}: {text}", soft_wrap=True)
            self._said[one.name] = text


def in_words(one: RoleStatus) -> str:
    """The state of a role as a text."""
    match one.state:
        case RoleCondition.WAITING:
            return f"waits for {one.waits_for}"
        case RoleCondition.RUNNING:
            return f"starts, and waits for {one.waits_for}"
        case RoleCondition.RESTARTING:
            return f"{'keeps dying' if one.is_failing else 'is started again'}: {one.why}"
        case RoleCondition.ENDED:
            return "done" if one.code == DONE else f"ended with status {one.code}: {one.why}"
        case RoleCondition.READY:
            return "ready"
        case other:
            assert_never(other)


def role_table(state: DeploymentState) -> Table:
    """The roles with their states."""
    table = Table("role", "state", "since", "restarts", "address")
    for one in state.roles:
        table.add_row(one.name, in_words(one), utc_text(one.since_us // 10**6 * 10**6), one.restarts, one.address)
    return table


def print_up(state: DeploymentState, directory: Path) -> None:
    """Print the roles on stdout, and the next commands on stderr."""
    Output().table(role_table(state))
    talk = talk_console()
    collects = state.role(BACKFILL)
    if collects is not None and collects.code != DONE:
        talk.print(f"the backfill ended with status {collects.code}: {collects.why}", style="yellow", soft_wrap=True)
        talk.print(f"`covey logs {BACKFILL} --project {directory}` says more", soft_wrap=True)
    for step in _next_steps(state, directory):
        talk.print(step, soft_wrap=True)


def up_to_json(state: DeploymentState) -> dict[str, Any]:
    """The result of `covey up` as JSON."""
    collects, server = state.role(BACKFILL), state.role(SERVER)
    return {
        **roles_to_json(state),
        "backfill": None if collects is None else {"code": collects.code, "said": collects.why},
        "served_at": None if server is None or server.state is not RoleCondition.READY else url_of(server),
    }


def print_down(stopped: Stopped, directory: Path) -> None:
    """Print what `covey down` has stopped."""
    talk = talk_console()
    if stopped.leftovers:
        talk.print(f"ended {stopped.leftovers} process(es) whose supervisor was killed", soft_wrap=True)
    else:
        talk.print(f"stopped: {', '.join(stopped.roles)}", soft_wrap=True)
    if stopped.is_unfinished:
        talk.print(
            f"a collection is under way: its plan is kept, and `covey up --project {directory}` continues it",
            style="yellow",
            soft_wrap=True,
        )


def url_of(server: RoleStatus) -> str:
    """Where the releases are served: off the loopback the server has TLS."""
    address = server.address or ""
    return f"{'http' if is_loopback(split_address(address)[0]) else 'https'}://{address}"


def down_to_json(stopped: Stopped) -> dict[str, Any]:
    """The result of `covey down` as JSON."""
    return {
        "stopped": list(stopped.roles),
        "leftovers": stopped.leftovers,
        "unfinished_collection": stopped.is_unfinished,
    }


def _next_steps(state: DeploymentState, directory: Path) -> Iterator[str]:
    at = f"--project {shlex.quote(str(directory))}"
    server = state.role(SERVER)
    if server is not None and server.state is RoleCondition.READY:
        yield f"the releases are served at {url_of(server)}: docs at {url_of(server)}/docs"
        yield f"covey views --store {shlex.quote(str(directory))}   (what can be read)"
    else:
        yield "the feature server starts with the first release"
    yield f"covey status {at}   covey logs ROLE {at}   covey down {at}"
