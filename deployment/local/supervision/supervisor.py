"""Starts the roles of a deployment, and starts again what dies. Processes, clock and health come from outside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from base.disk import reason_of
from base.errors import NotPrivate

from .lives import BackingOff, Ended, Life, Running, State
from .roles import SupervisedRole

_log = logging.getLogger(__name__)


class RoleProcesses(Protocol):
    """The processes of the roles, by name: `deployment.local.processes.Processes`."""

    def start(self, name: str, command: Sequence[str]) -> int:
        """Start a process; returns its pid."""

    def exit_status(self, name: str) -> int | None:
        """Its exit status, None while it runs."""

    def last_line(self, name: str) -> str:
        """The last line of its log."""


@dataclass(frozen=True)
class Surroundings:
    """What a supervisor needs.

    Attributes:
        waits_for: what a running role waits for, by its name, address and pid; None: it works.
        clock: monotonic seconds.
    """

    processes: RoleProcesses
    waits_for: Callable[[str, str | None, int], str | None]
    clock: Callable[[], float]


class Supervisor:
    """The lives of the roles of a deployment, in the order of their start."""

    def __init__(self, roles: Sequence[SupervisedRole], around: Surroundings) -> None:
        self.roles, self._around = tuple(roles), around
        self.lives = {role.name: Life(role.is_task) for role in roles}

    def look(self) -> None:
        """Notice what died or became ready, and start what is due."""
        for role in self.roles:
            before = self.lives[role.name]
            after = self.lives[role.name] = self._next(role, before)
            self._report(role.name, before.state, after)

    def _next(self, role: SupervisedRole, life: Life) -> Life:
        processes, now = self._around.processes, self._around.clock()
        match life.state:
            case Running(pid):
                if (code := processes.exit_status(role.name)) is not None:
                    return life.died(code, processes.last_line(role.name), now)
                return life.looked_at(self._around.waits_for(role.name, role.address, pid))
            case _ if not life.is_due(now):
                return life
            case _ if (missing := self._missing(role)) is not None:
                return life.waiting(missing)
            case _:
                return self._start(role, life, now)

    def _start(self, role: SupervisedRole, life: Life, now: float) -> Life:
        try:
            return life.started(self._around.processes.start(role.name, role.command()), now)
        except (OSError, NotPrivate) as error:  # its log cannot be opened, or no process can be made
            return life.died(1, reason_of(error), now)

    def _missing(self, role: SupervisedRole) -> str | None:
        """What must be there before the role is started."""
        for name in role.needs:
            if not self.lives[name].is_ready:
                return name
        if role.after is not None and not isinstance(self.lives[role.after].state, Ended):
            return f"the end of the {role.after}"
        return None if role.needs_file is None or role.needs_file.exists() else "the first release"

    def _report(self, name: str, before: State, life: Life) -> None:
        match life.state:
            case Running(pid) if not isinstance(before, Running):
                _log.info("%s starts as process %d, start %d", name, pid, life.starts)
            case BackingOff(until, why) if before != life.state:
                pause = max(0.0, until - self._around.clock())
                _log.warning("%s %s; it is started again in %.1f s", name, why, pause)
            case Ended(code, why) if not isinstance(before, Ended):
                _log.info("%s has ended with status %d: %s", name, code, why)
            case _:
                pass
