"""A machine of one operator: a namespace with a home folder, where commands are typed and roles run."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.machines.namespaces import Network

ROOT: Final = Path(__file__).resolve().parents[2]
COMMAND_S: Final = 180.0
START_S: Final = 90.0
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "TMPDIR", "NUMBA_CACHE_DIR", "OMP_NUM_THREADS", "PYTHONDONTWRITEBYTECODE")
"""Variables of the tests that a machine has, too. All others would be shared between operators."""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """What it printed for people, as one line."""
        return " ".join(self.err.split())


class Machine:
    """A machine of the network.

    Args:
        source: the tree of Covey that its next processes run.
    """

    def __init__(self, network: Network, name: str, folder: Path, source: Path = ROOT) -> None:
        self.name, self.home, self.source = name, folder, source
        self.address = network.join(name)
        self.typed: list[list[str]] = []
        self._network = network
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = {key: os.environ[key] for key in _KEPT if key in os.environ}
        self._environment |= {"HOME": str(folder), "COLUMNS": "300"}
        folder.mkdir(parents=True)

    def at(self, port: int) -> str:
        """An address of this machine."""
        return f"{self.address}:{port}"

    def covey(self, *words: Any, seconds: float = COMMAND_S, environment: Mapping[str, str] | None = None) -> Done:
        """Type a command and wait until it ends."""
        done = subprocess.run(
            self._command(words), cwd=self.home, env=self._environment_with(environment), text=True,
            capture_output=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def types(self, line: str, **values: Any) -> Done:
        """Type a command line, which must succeed. `{name}` in it stands for a value."""
        done = self.covey(*(word.format(**values) for word in shlex.split(line)[1:]))
        assert done.code == 0, f"{self.name}: {line}: {done.err}{done.out}"
        return done

    def start(self, role: str, *words: Any, environment: Mapping[str, str] | None = None) -> None:
        """Start a role in the background. Its log goes on where it was."""
        with self.log_file(role).open("ab") as log:
            self._running[role] = subprocess.Popen(
                self._command(words), cwd=self.home, env=self._environment_with(environment),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def stop(self, role: str, number: signal.Signals = signal.SIGTERM) -> int:
        """End a role; returns its exit status. It has ended when this returns, so its locks and ports are free."""
        process = self._running.pop(role)
        process.send_signal(number)
        return process.wait(30)

    def stop_all(self) -> None:
        """Kill every role that runs here."""
        for role in list(self._running):
            self.stop(role, signal.SIGKILL)

    def wait_until_ended(self, role: str, seconds: float = COMMAND_S) -> int:
        """Wait until a role has ended by itself; returns its exit status."""
        return self._running.pop(role).wait(seconds)

    def wait_until_says(self, role: str, text: str, seconds: float = START_S, times: int = 1) -> None:
        """Wait until a text stands in the log of a role, so many times."""
        end = time.monotonic() + seconds
        while self.log(role).count(text) < times:
            ended = self._running[role].poll()
            assert ended is None, f"{role} on {self.name} ended with {ended}: {self.log(role)}"
            assert time.monotonic() < end, f"{role} on {self.name} never said {text!r}: {self.log(role)}"
            time.sleep(0.05)

    def log(self, role: str) -> str:
        """What a role has printed."""
        file = self.log_file(role)
        return file.read_text(errors="replace") if file.exists() else ""

    def log_file(self, role: str) -> Path:
        """The file of a role's log."""
        return self.home / f"{role}.log"

    def connect(self, address: str, seconds: float = 5.0) -> socket.socket:
        """A TCP connection from this machine."""
        host, _, port = address.rpartition(":")
        return self._network.inside(self.name, lambda: socket.create_connection((host, int(port)), seconds))

    def listen(self, port: int = 0) -> socket.socket:
        """A socket that listens on this machine, and accepts nothing by itself."""
        return self._network.inside(self.name, lambda: socket.create_server((self.address, port)))

    def _environment_with(self, more: Mapping[str, str] | None) -> dict[str, str]:
        return {**self._environment, "PYTHONPATH": str(self.source), **(more or {})}

    def _command(self, words: Iterable[Any]) -> list[str]:
        typed = [str(word) for word in words]
        self.typed.append(typed)
        namespace = self._network.namespace(self.name)
        return ["ip", "netns", "exec", namespace, sys.executable, "-m", "covey", *typed]
