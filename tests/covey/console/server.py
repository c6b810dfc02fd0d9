"""`covey console` as a process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.waiting import wait_until

from .world import World


@dataclass(frozen=True)
class ConsoleServer:
    """A running console.

    Attributes:
        url: `http://127.0.0.1:PORT/console/`; opened without the token, a page is a reader's.
        token: of the printed URL; a page that is opened with it is an operator's.
        log: what the process has written.
    """

    url: str
    token: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:PORT`."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def operator_url(self) -> str:
        """The printed URL."""
        return f"{self.url}#token={self.token}"


@contextmanager
def serving_console(world: World, log: Path, *options: str) -> Iterator[ConsoleServer]:
    """`covey console` on a world, until the block ends."""
    with running_console([*world.options(), *options], log) as server:
        yield server


@contextmanager
def running_console(options: list[str], log: Path) -> Iterator[ConsoleServer]:
    """`covey console` with some options on a free port, until the block ends."""
    command = [sys.executable, "-m", "covey", "console", *options, "--port", "0", "--no-open"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)

    def found() -> re.Match[bytes] | None:
        return re.search(rb"(https?://\S+/console/)#token=([\w-]+)\s", log.read_bytes())

    try:
        wait_until(lambda: found() is not None or process.poll() is not None)
        printed = found()
        assert printed is not None, log.read_text()
        yield ConsoleServer(printed[1].decode(), printed[2].decode(), process, log)
    finally:
        process.terminate()
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
