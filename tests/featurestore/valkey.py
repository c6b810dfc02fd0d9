"""A real Valkey (or Redis) server for tests, on loopback and on a socket file. It keeps nothing on disk."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import redis

PROGRAM: Final = shutil.which("valkey-server") or shutil.which("redis-server")
NOT_HERE: Final = "neither valkey-server nor redis-server is installed (apt-get install valkey-server)"
_ATTEMPTS: Final = 5
"""Attempts, because another process may take the port before the server starts."""


class Valkey:
    """One server, stopped by its pid. Further arguments are added to its command line."""

    def __init__(self, *options: str) -> None:
        if PROGRAM is None:
            raise FileNotFoundError(NOT_HERE)
        self._options = options
        self.folder = Path(tempfile.mkdtemp(prefix="covey-valkey-"))  # a socket's path is 107 bytes at most
        self.socket = self.folder / "socket"
        self.port = _free_port()
        self.start()

    def start(self) -> None:
        """Start, or start again at the same socket file, and at the same port if it is still free."""
        for _ in range(_ATTEMPTS):
            command = [str(PROGRAM), "--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", str(self.socket)]
            command += ["--save", "", "--appendonly", "no", "--dir", str(self.folder), *self._options]
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            if self._answers():
                return
            self.port = _free_port()
        raise RuntimeError(f"{PROGRAM} does not start")

    def kill(self) -> None:
        """Kill it, like a power cut."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """It accepts connections and answers nothing."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It continues."""
        os.kill(self._process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Stop it for good."""
        self.kill()
        shutil.rmtree(self.folder)

    def client(self, number: int = 0) -> redis.Redis:
        """A client of one of its databases."""
        return redis.Redis(host="127.0.0.1", port=self.port, db=number)

    def toml(self, number: int = 0, **more: Any) -> str:
        """The settings of a store whose online rows it holds."""
        rest = "".join(f"{name} = {value}\n" for name, value in more.items())
        return f'[online]\nurl = "redis://127.0.0.1:{self.port}/{number}"\n{rest}'

    def _answers(self) -> bool:
        while self._process.poll() is None:
            try:
                with redis.Redis(unix_socket_path=str(self.socket)) as client:
                    return bool(client.ping())
            except redis.RedisError:
                time.sleep(0.01)
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
