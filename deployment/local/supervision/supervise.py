"""The supervisor's process: it runs the roles of a deployment until SIGTERM or Ctrl-C, and then stops them in order."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from base.atomic_files import create_file
from base.disk import reason_of
from base.errors import LockHeld, NotPrivate
from base.locks import FileLock, lock_file
from base.private_files import private_folder
from base.times import wall_clock
from deployment.errors import AlreadyUp
from deployment.local.processes import Processes

from .deployment import Deployment, log_folder, up_folder
from .health import Health, Monitors
from .identity import ProcessIdentity
from .log_files import rotate
from .roles import STOP_ORDER, roles_of
from .state_file import StateWriter, read_state
from .supervisor import Supervisor, Surroundings

GRACE_S: Final = 10.0
"""How long the roles of one step may take to end after SIGTERM, before they are killed."""
SUPERVISOR: Final = "up"
"""The name of the supervisor's log."""
_LOOK_S: Final = 0.1
_log = logging.getLogger(__name__)


def processes_of(project: Path) -> Processes:
    """The processes of a project's deployment. Their mark is the project's, so that a later process finds them all.

    The mark follows from a secret in the project, because another container may have a project at the same path, and from the
    path, because a copy of the project has the same secret.
    """
    path = private_folder(up_folder(project)) / "mark"
    if not path.exists():
        create_file(path, secrets.token_hex(16), private=True)
    mark = hashlib.sha256(path.read_bytes() + str(project.resolve()).encode()).hexdigest()[:32]
    return Processes(log_folder(project), mark=mark, keeps_logs=True)


@contextmanager
def only_supervisor(project: Path) -> Iterator[FileLock]:
    """Be the only supervisor of a project. Raises AlreadyUp."""
    try:
        lock = lock_file(private_folder(up_folder(project)) / "lock", private=True, wait=False)
    except LockHeld:
        found = read_state(project)
        raise AlreadyUp(str(project), None if found is None else found.supervisor.pid) from None
    with lock:
        yield lock


def end_leftovers(project: Path) -> int:
    """End the roles whose supervisor was killed; returns their number. Call it inside `only_supervisor`."""
    processes = processes_of(project)
    if found := len(processes.marked()):
        processes.stop()
    return found


def supervise(deployment: Deployment) -> None:
    """Run a deployment until KeyboardInterrupt. Call it inside `only_supervisor`.

    Raises:
        OSError: the first state cannot be written.
    """
    project = deployment.project
    processes, monitors = processes_of(project), Monitors()
    health = Health(monitors, time.monotonic)
    supervisor = Supervisor(roles_of(deployment, monitors), Surroundings(processes, health.waits_for, time.monotonic))
    identity = ProcessIdentity.of(os.getpid())
    assert identity is not None  # this process runs
    writer = StateWriter(project, identity, wall_clock(), monitors)
    writer.write(supervisor, wall_clock())
    looking, keeping = RepeatedStep("look after the roles"), RepeatedStep("write the state or a log")
    try:
        while True:
            looking.run(supervisor.look)
            keeping.run(lambda: _keep(project, supervisor, writer))
            time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        _log.info("stopping the roles")
    finally:
        _stop(supervisor, processes)
        _log.info("stopped")


def _keep(project: Path, supervisor: Supervisor, writer: StateWriter) -> None:
    writer.write(supervisor, wall_clock())
    for role in supervisor.roles:
        rotate(log_folder(project) / f"{role.name}.log")
    rotate(log_folder(project) / f"{SUPERVISOR}.log")


class RepeatedStep:
    """A step of the supervisor that may fail on a full disk, or without free file descriptors. Supervision goes on.

    Args:
        what: what the step does.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._failed: str | None = None

    def run(self, step: Callable[[], None]) -> None:
        """Do the step. The reason of a failure is logged unless the last time failed for the same reason."""
        before, self._failed = self._failed, None
        try:
            step()
        except (OSError, NotPrivate) as error:
            self._failed = reason_of(error)
            if self._failed != before:
                with suppress(OSError):
                    _log.error("cannot %s: %s", self._what, self._failed)


def _stop(supervisor: Supervisor, processes: Processes) -> None:
    """End the roles in order, and then every process that they have started. Further signals are ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    names = [role.name for role in supervisor.roles]
    for step in STOP_ORDER:
        processes.end(
            [name for name in names if name == step or (step.endswith("-") and name.startswith(step))], GRACE_S
        )
    processes.stop()
