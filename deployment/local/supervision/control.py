"""Starts and stops a supervised deployment, from a command that ends: the supervisor is a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from base.logs import LogFormat
from base.private_files import open_private
from deployment.collecting import plan_folder
from deployment.errors import AlreadyUp, NotUp, ProcessFailed, RoleKeepsDying
from deployment.local.processes import Processes

from .addresses import require_free
from .deployment import Deployment, log_folder
from .roles import COORDINATOR, SERVER
from .state_file import DeploymentState, RoleState, read_state
from .supervise import SUPERVISOR, end_leftovers, only_supervisor, processes_of

START_S: Final = 180.0
"""How long the roles may take to become ready."""
STOP_S: Final = 90.0
"""How long a supervisor may take to stop all roles, before it and they are killed."""
_LOOK_S: Final = 0.1


@dataclass(frozen=True)
class Stopped:
    """What `take_down` has ended.

    Attributes:
        leftovers: the number of processes whose supervisor was killed earlier.
        is_unfinished: a collection was under way; the next `covey up` continues it.
    """

    roles: tuple[str, ...]
    leftovers: int
    is_unfinished: bool


def prepare(deployment: Deployment) -> int:
    """Save a deployment that can be started now; returns the number of leftover processes that were ended.

    Raises:
        AlreadyUp. PortTaken.
    """
    with only_supervisor(deployment.project):
        leftovers = end_leftovers(deployment.project)
        require_free(deployment.addresses)
        deployment.save()
    return leftovers


def start_detached(project: Path, form: LogFormat) -> None:
    """Start the supervisor of a prepared deployment in the background, and wait until it has the lock.

    Raises:
        ProcessFailed: it ended; the message has the last line of its log.
    """
    log = Processes(log_folder(project)).log(SUPERVISOR)
    with os.fdopen(open_private(log, os.O_WRONLY | os.O_APPEND), "ab") as output:
        begin = output.tell()
        process = subprocess.Popen(  # noqa: S603 - this program itself
            # -P: do not import from the working directory
            [sys.executable, "-P", "-m", __name__.replace("control", "main"), str(project), form.value],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while read_state(project) is None:
        if process.poll() is not None:
            said = log.read_bytes()[begin:].decode(errors="replace").strip().splitlines()
            raise ProcessFailed(f"the supervisor ended: {said[-1] if said else '(no output)'} (log: {log})")
        time.sleep(_LOOK_S)


def wait_until_up(project: Path, watch: Callable[[DeploymentState], None]) -> DeploymentState:
    """Wait until each role works and the collection, if there is one, has ended; returns the state.

    Args:
        watch: is called with each state.

    Raises:
        RoleKeepsDying: the deployment was stopped again. ProcessFailed: the supervisor ended, or a role is not ready in time.
    """
    end = time.monotonic() + START_S
    while True:
        state = read_state(project)
        if state is None:
            raise ProcessFailed(f"the supervisor has ended (log: {log_folder(project) / SUPERVISOR}.log)")
        watch(state)
        collects = state.role(COORDINATOR)
        for one in state.roles:
            if one.is_failing and one is not collects:
                take_down(project)
                raise RoleKeepsDying(one.name, one.why or "it ends", f"{log_folder(project) / one.name}.log")
        late = [one for one in state.roles if one is not collects and not _is_settled(one, collects)]
        if not late and (collects is None or collects.state == "ended"):
            return state
        if late and (collects is None or collects.state in ("waiting", "ended")) and time.monotonic() > end:
            waits = ", ".join(f"{one.name} waits for {one.waits_for or 'its start'}" for one in late)
            raise ProcessFailed(
                f"not every role is ready within {START_S:.0f} s: {waits}. They go on; see `covey status`"
            )
        time.sleep(_LOOK_S)


def take_down(project: Path) -> Stopped:
    """Stop a deployment: its roles in order, each gracefully, then by force. Its files stay.

    Raises:
        NotUp: none runs, and none has left a process.
    """
    state = read_state(project)
    try:
        with only_supervisor(project):
            leftovers = end_leftovers(project)
        if not leftovers:
            raise NotUp(str(project))
        return Stopped((), leftovers, plan_folder(project).exists())
    except AlreadyUp:
        pass
    if state is None:  # it has just taken the lock
        state = _state_soon(project)
    roles = tuple(one.name for one in state.roles)
    with suppress(ProcessLookupError):
        os.kill(state.supervisor.pid, signal.SIGTERM)
    if not _ends(state, STOP_S):
        with suppress(ProcessLookupError):
            os.kill(state.supervisor.pid, signal.SIGKILL)
        _ends(state, STOP_S)
    processes_of(project).stop()
    return Stopped(roles, 0, plan_folder(project).exists())


def _state_soon(project: Path) -> DeploymentState:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if (state := read_state(project)) is not None:
            return state
        time.sleep(_LOOK_S)
    raise ProcessFailed(f"a supervisor of {project} runs, but its state cannot be read; end it by its pid")


def _ends(state: DeploymentState, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not state.supervisor.runs:
            return True
        time.sleep(_LOOK_S)
    return False


def _is_settled(one: RoleState, collects: RoleState | None) -> bool:
    """Whether a role works. Without a collection, the server may wait for the first release."""
    if one.name == SERVER and one.state == "waiting" and (collects is None or collects.state == "ended"):
        return True
    return one.state == "ready"
