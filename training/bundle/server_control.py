"""Start and stop the supervised server of a bundle, from a command that ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from base.errors import LockHeld
from base.locks import FileLock, lock_file
from base.private_files import open_private, private_folder
from deployment.errors import PortTaken
from deployment.local.supervision.addresses import require_free
from training.errors import ServeAddressTaken, ServerNotRunning, ServerNotStarted

from .server_files import SERVER, SUPERVISOR, ServerFolder, ServerSettings, ServerState

START_S: Final = 180.0
"""How long a server may take to load its models."""
STOP_S: Final = 60.0
"""How long a supervisor may take to stop the server, before both are killed."""
_LOOK_S: Final = 0.1
_supervisors: Final[list[subprocess.Popen[bytes]]] = []
"""Supervisors outlive this process. Python warns about a running process that it forgets, so they are kept here."""


def start_server(folder: ServerFolder, settings: ServerSettings) -> ServerState:
    """Start the server under a supervisor, and wait until it is ready. One that runs is stopped first.

    If the wait is interrupted, the server goes on.

    Raises:
        ServeAddressTaken. ServerNotStarted: it ended, or is not ready in time; it was stopped.
    """
    with suppress(ServerNotRunning):
        stop_server(folder)
    with _only_supervisor(folder) as lock:
        try:
            require_free({SERVER: settings.address})
        except PortTaken as error:
            raise ServeAddressTaken(settings.address, error.holder) from None
        settings.save(folder)
        process = _started(folder, lock)
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        state = ServerState.running(folder)
        if state is not None and state.supervisor.pid == process.pid:
            if state.is_ready:
                return state
            if state.why is not None:
                raise _given_up(folder, state.why)
        elif process.poll() is not None:
            raise _given_up(folder, "its supervisor ended")
        time.sleep(_LOOK_S)
    raise _given_up(folder, f"it is not ready within {START_S:.0f} s")


def stop_server(folder: ServerFolder) -> None:
    """Stop the server, gracefully, then by force; also one whose supervisor was killed. Raises ServerNotRunning."""
    state = ServerState.running(folder)
    if state is not None:
        state.supervisor.stop(STOP_S)
    with _only_supervisor(folder):
        processes = folder.processes()
        left = processes.marked()
        if left:
            processes.stop()
    if state is None and not left:
        raise ServerNotRunning(folder.name)


def _given_up(folder: ServerFolder, why: str) -> ServerNotStarted:
    """Stop the server; returns the error."""
    with suppress(ServerNotRunning):
        stop_server(folder)
    return ServerNotStarted(folder.name, why, str(folder.logs / f"{SERVER}.log"))


def _started(folder: ServerFolder, lock: FileLock) -> subprocess.Popen[bytes]:
    log = folder.logs / f"{SUPERVISOR}.log"
    private_folder(folder.logs)
    with os.fdopen(open_private(log, os.O_WRONLY | os.O_APPEND), "ab") as output:
        module = __name__.replace("server_control", "server_main")
        started = subprocess.Popen(  # noqa: S603 - this program itself
            # -P: do not import from the working directory
            [sys.executable, "-P", "-m", module, str(folder.directory.resolve()), folder.name, str(lock.descriptor)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock.descriptor,),
        )
    _supervisors.append(started)
    return started


@contextmanager
def _only_supervisor(folder: ServerFolder) -> Iterator[FileLock]:
    """Hold the lock of the folder, which a running supervisor has. Raises ServerNotStarted."""
    try:
        lock = lock_file(private_folder(folder.path) / "lock", private=True, wait=False)
    except LockHeld:
        raise ServerNotStarted(folder.name, "another supervisor starts or stops it", str(folder.logs)) from None
    with lock:
        yield lock
