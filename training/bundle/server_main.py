"""The supervisor of a bundle's server, as `covey deploy` starts it: `python -m training.bundle.server_main DIR NAME LOCK`.

It starts the server again when it dies, with growing pauses, until SIGTERM. LOCK is the descriptor of the folder's lock.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from base.errors import DONE, FAILURE, CoveyError
from base.locks import FileLock
from base.logs import LogFormat, logging_as
from base.ports import why_closed
from base.probes import MAX_PROBE_BYTES, Probe
from base.start_up import end_quickly
from base.tls.hosts import is_loopback, split_address
from deployment.local.supervision.identity import ProcessIdentity
from deployment.local.supervision.lives import BackingOff, Ended, Life, Running, Waiting
from deployment.local.supervision.log_files import rotate
from deployment.local.supervision.roles import SupervisedRole
from deployment.local.supervision.supervise import GRACE_S, RepeatedStep
from deployment.local.supervision.supervisor import Supervisor, Surroundings

from .server_files import SERVER, SUPERVISOR, ServerFolder, ServerSettings, ServerState

_LOOK_S = 0.1
_PROBE_S = 1.0
_log = logging.getLogger(__name__)


def main(folder: ServerFolder, lock: FileLock) -> int:
    """Supervise until SIGTERM; returns the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with lock, logging_as(SUPERVISOR, LogFormat.TEXT):
        try:
            _supervise(folder, ServerSettings.load(folder))
        except (CoveyError, OSError) as error:
            _log.error("%s", error)
            return error.exit_code if isinstance(error, CoveyError) else FAILURE
    return DONE


def _supervise(folder: ServerFolder, settings: ServerSettings) -> None:
    processes = folder.processes()
    identity = ProcessIdentity.of(os.getpid())
    assert identity is not None  # this process runs
    role = SupervisedRole(SERVER, lambda: settings.command, settings.address)
    supervisor = Supervisor((role,), Surroundings(processes, lambda _, address, __: waits_for(address), time.monotonic))
    written: ServerState | None = None
    looking, keeping = RepeatedStep("look after the server"), RepeatedStep("write the state or a log")

    def keep() -> None:
        nonlocal written
        state = _state_of(supervisor.lives[SERVER], identity, settings.address)
        if state != written:
            state.save(folder)
            written = state
        for name in (SERVER, SUPERVISOR):
            rotate(folder.logs / f"{name}.log")

    try:
        while True:
            looking.run(supervisor.look)
            keeping.run(keep)
            time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        _log.info("stopping the server")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        processes.end([SERVER], GRACE_S)
        processes.stop()
        _log.info("stopped")


def _state_of(life: Life, supervisor: ProcessIdentity, address: str) -> ServerState:
    match life.state:
        case Running(pid, _, waits):
            return ServerState(supervisor, address, pid, waits, None, life.restarts)
        case BackingOff(_, why) | Ended(_, why):
            return ServerState(supervisor, address, None, None, why, life.restarts)
        case Waiting(what):
            return ServerState(supervisor, address, None, what, None, life.restarts)


def waits_for(address: str | None) -> str | None:
    """What a server waits for; None: it works. On loopback `/readyz` says it; elsewhere, where it has TLS, its port does."""
    host, port = split_address(address or "")
    if not is_loopback(host):
        return None if why_closed(host, port, _PROBE_S) is None else f"its port {address}"
    connection = HTTPConnection(host, port, timeout=_PROBE_S)
    try:
        connection.request("GET", "/readyz")
        return Probe.from_json(connection.getresponse().read(MAX_PROBE_BYTES + 1)).waits_for
    except (OSError, HTTPException, ValueError):
        return f"its port {address}" if why_closed(host, port, _PROBE_S) is not None else "an answer of its probe"
    finally:
        connection.close()


if __name__ == "__main__":
    code = main(ServerFolder(Path(sys.argv[1]), sys.argv[2]), FileLock.inherited(int(sys.argv[3])))
    end_quickly()
    sys.exit(code)
