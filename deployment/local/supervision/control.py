"""Starts and stops a supervised deployment, from a command that ends: the supervisor is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from base.locks import FileLock
from base.logs import LogFormat
from base.private_files import open_private
from deployment.collecting import plan_folder
from deployment.errors import AlreadyUp, NotUp, ProcessFailed, RoleKeepsDying
from deployment.local.processes import Processes

from .addresses import require_free
from .deployment import Deployment, log_folder
from .identity import ProcessIdentity
from .roles import BACKFILL, COORDINATOR, SERVER
from .state_file import DeploymentState, RoleCondition, RoleStatus, read_state
from .supervise import SUPERVISOR, end_leftovers, only_supervisor

START_S: Final = 180.0
"""How long the roles may take to become ready."""
STOP_S: Final = 90.0
"""How long a supervisor may take to stop all roles, before it and they are killed."""
_LOOK_S: Final = 0.1


@dataclass(frozen=True)
class Prepared:
    """A deployment that is saved and can be started.

    Attributes:
        lock: its holder is the project's only supervisor.
        leftovers: the number of processes of an earlier deployment that were ended.
    """

    deployment: Deployment
    lock: FileLock
    leftovers: int


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


@contextmanager
def prepared(deployment: Deployment) -> Iterator[Prepared]:
    """Save a deployment that can be started now. No other one of the project can start before the end of the `with`.

    Raises:
        AlreadyUp. PortTaken.
    """
    with only_supervisor(deployment.project) as lock:
        leftovers = end_leftovers(deployment.project)
        require_free(deployment.addresses)
        deployment.save()
        yield Prepared(deployment, lock, leftovers)


def start_detached(prepared: Prepared, form: LogFormat) -> ProcessIdentity:
    """Start the supervisor of a prepared deployment in the background, and wait for its state; returns its identity.

    The supervisor inherits the lock, so no other `covey up` can start in between.

    Raises:
        ProcessFailed: it ended; the message has the last line of its log.
    """
    project, lock = prepared.deployment.project, prepared.lock.descriptor
    log = Processes(log_folder(project)).log(SUPERVISOR)
    with os.fdopen(open_private(log, os.O_WRONLY | os.O_APPEND), "ab") as output:
        begin = output.tell()
        process = subprocess.Popen(  # noqa: S603 - this program itself
            # -P: do not import from the working directory
            [sys.executable, "-P", "-m", __name__.replace("control", "main"), str(project), form.value, str(lock)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,),
        )
    while (state := read_state(project)) is None or state.supervisor.pid != process.pid:
        if process.poll() is not None:
            said = log.read_bytes()[begin:].decode(errors="replace").strip().splitlines()
            raise ProcessFailed(f"the supervisor ended: {said[-1] if said else '(no output)'} (log: {log})")
        time.sleep(_LOOK_S)
    return state.supervisor


def wait_until_up(
    project: Path, supervisor: ProcessIdentity, watch: Callable[[DeploymentState], None]
) -> DeploymentState:
    """Wait until each role works and the backfill, if there is one, has ended; returns the state.

    Args:
        supervisor: of the deployment that is waited for.
        watch: is called with each state.

    Raises:
        RoleKeepsDying: the deployment was stopped again. ProcessFailed: the supervisor ended, or a role is not ready in time.
    """
    end = time.monotonic() + START_S
    while True:
        state = read_state(project)
        if state is None or state.supervisor != supervisor:
            raise ProcessFailed(f"the supervisor has ended (log: {log_folder(project) / SUPERVISOR}.log)")
        watch(state)
        collects = state.role(BACKFILL)
        for one in state.roles:
            if one.is_failing and one is not collects:
                take_down(project)
                raise RoleKeepsDying(one.name, one.why or "it ends", f"{log_folder(project) / one.name}.log")
        late = [one for one in state.roles if one is not collects and not _is_settled(one, collects)]
        if not late and (collects is None or collects.state is RoleCondition.ENDED):
            return state
        if (
            late
            and (collects is None or collects.state in (RoleCondition.WAITING, RoleCondition.ENDED))
            and time.monotonic() > end
        ):
            waits = ", ".join(f"{one.name} waits for {one.waits_for or 'its start'}" for one in late)
            raise ProcessFailed(
                f"not every role is ready within {START_S:.0f} s: {waits}. They go on; see `covey status`"
            )
        time.sleep(_LOOK_S)


def take_down(project: Path) -> Stopped:
    """Stop a deployment: its roles in order, each gracefully, then by force. Its files stay.

    Raises:
        NotUp: none runs, and none has left a process. ProcessFailed: the state of the one that runs cannot be read.
    """
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        try:
            with only_supervisor(project):
                leftovers = end_leftovers(project)
            if not leftovers:
                raise NotUp(str(project))
            return Stopped((), leftovers, plan_folder(project).exists())
        except AlreadyUp:
            if (state := read_state(project)) is not None:
                return _stop(project, state)
        time.sleep(_LOOK_S)  # a `covey up` prepares it
    raise ProcessFailed(f"a supervisor of {project} runs, but its state cannot be read; end it by its pid")


def _stop(project: Path, state: DeploymentState) -> Stopped:
    state.supervisor.stop(STOP_S)
    with suppress(AlreadyUp), only_supervisor(project):  # a deployment that has started since then keeps its roles
        end_leftovers(project)
    return Stopped(tuple(one.name for one in state.roles), 0, plan_folder(project).exists())


def _is_settled(one: RoleStatus, collects: RoleStatus | None) -> bool:
    """Whether a role works. Without a backfill, the server may wait for the first release, and a coordinator for its sites."""
    over = collects is None or collects.state is RoleCondition.ENDED
    if one.name == COORDINATOR:
        return one.state in (RoleCondition.RUNNING, RoleCondition.READY)
    return one.state is RoleCondition.READY or (one.name == SERVER and one.state is RoleCondition.WAITING and over)
