"""`roles/up/state.json`: what the supervisor knows of its roles, for `covey status`, `covey up` and `covey down`.

The file is replaced as a whole. It names its writer by pid and start, so a file from before a power cut counts for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, assert_never

from base.atomic_files import replace_file

from .deployment import up_folder
from .health import Monitors
from .identity import ProcessIdentity
from .lives import BackingOff, Ended, Life, Running, Waiting
from .supervisor import Supervisor

_FILE: Final = "state.json"


class RoleCondition(StrEnum):
    """The state of a role in one word."""

    WAITING = "waiting"
    """It is not started yet."""
    RUNNING = "running"
    """Its process runs, and waits for something."""
    READY = "ready"
    """Its process runs and works."""
    RESTARTING = "restarting"
    """Its process died, and is started again."""
    ENDED = "ended"
    """It is done, and is not started again."""


@dataclass(frozen=True)
class RoleStatus:
    """A role of a running deployment.

    Attributes:
        since_us: of this state, µs since the epoch.
        restarts: how often its process was started again.
        monitor: the address of its `/metrics`; None: it has none of its own.
        waits_for: what it waits for; None: nothing.
        why: how the last process ended, while no other one runs.
        code: the exit code of a task that has ended.
        is_failing: it keeps dying.
    """

    name: str
    state: RoleCondition
    since_us: int
    restarts: int
    address: str | None
    monitor: str | None
    pid: int | None
    waits_for: str | None
    why: str | None
    code: int | None
    is_failing: bool


@dataclass(frozen=True)
class DeploymentState:
    """A deployment as its supervisor wrote it down.

    Attributes:
        started_us: the start of the supervisor, µs since the epoch.
    """

    supervisor: ProcessIdentity
    started_us: int
    roles: tuple[RoleStatus, ...]

    def role(self, name: str) -> RoleStatus | None:
        """The state of a role; None: it is not part of the deployment."""
        return next((one for one in self.roles if one.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self)


class StateWriter:
    """Writes the state of a supervisor's roles when it changes."""

    def __init__(self, project: Path, supervisor: ProcessIdentity, started_us: int, monitors: Monitors) -> None:
        self._monitors = monitors
        self._path, self._supervisor, self._started_us = up_folder(project) / _FILE, supervisor, started_us
        self._since: dict[str, tuple[str, int]] = {}
        self._written: DeploymentState | None = None

    def write(self, supervisor: Supervisor, now_us: int) -> None:
        """Write the state if it is another one. Raises OSError: it is written by the next call that can."""
        roles = tuple(
            self._role(role.name, role.address, supervisor.lives[role.name], now_us) for role in supervisor.roles
        )
        state = DeploymentState(self._supervisor, self._started_us, roles)
        if state != self._written:
            replace_file(self._path, json.dumps(state.to_json()), private=True, durable=False)
            self._written = state

    def _role(self, name: str, address: str | None, life: Life, now_us: int) -> RoleStatus:
        word, pid, waits_for, why, code = _described(life)
        if self._since.get(name, ("", 0))[0] != word:
            self._since[name] = word, now_us
        since = self._since[name][1]
        monitor = None if pid is None else self._monitors.addresses.get(name)
        return RoleStatus(
            name, word, since, life.restarts, address, monitor, pid, waits_for, why, code, life.is_failing
        )


def read_state(project: Path) -> DeploymentState | None:
    """The state of the deployment that runs now; None: none runs, whatever file an earlier one left."""
    try:
        read = json.loads((up_folder(project) / _FILE).read_text(encoding="utf-8"))
        state = _state_of(read)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if state.supervisor.runs else None


def _state_of(read: Mapping[str, Any]) -> DeploymentState:
    roles = tuple(RoleStatus(**one | {"state": RoleCondition(one["state"])}) for one in read["roles"])
    return DeploymentState(ProcessIdentity(**read["supervisor"]), int(read["started_us"]), roles)


def _described(life: Life) -> tuple[RoleCondition, int | None, str | None, str | None, int | None]:
    """The word of a state, and its pid, what it waits for, why the last process ended, and a task's exit code."""
    match life.state:
        case Waiting(what):
            return RoleCondition.WAITING, None, what, None, None
        case Running(pid, _, None):
            return RoleCondition.READY, pid, None, None, None
        case Running(pid, _, what):
            return RoleCondition.RUNNING, pid, what, None, None
        case BackingOff(_, why):
            return RoleCondition.RESTARTING, None, None, why, None
        case Ended(code, why):
            return RoleCondition.ENDED, None, None, why, code
        case state:
            assert_never(state)
