"""The console for tests: in this process (`console_of`, `asking`), or as a process (`running_console`)."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import httpx
from fastapi import FastAPI

from base.times import wall_clock
from covey.console.console import Console, ConsoleInputs, EventSource
from covey.console.extension import ConsoleExtension
from covey.console.gate import HEADER
from covey.console.sessions import Sessions
from featurestore.publish.publish import Publisher
from featurestore.server.throttle import ServerLimits, Throttle
from featurestore.store import Store

with warnings.catch_warnings():  # starlette's client names a class that anyio deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    from starlette.testclient import TestClient

API = "/console/api"
TOKEN = "token-of-the-tests"


@contextmanager
def console_of(
    directory: Path,
    *,
    views_file: Path | None = None,
    source: EventSource | None = None,
    lab: Path | None = None,
    serving: str | None = None,
    now: int | None = None,
) -> Iterator[Console]:
    """The console of a directory. A store is made where there is none.

    Args:
        now: what its clock shows, µs since the epoch; None: the wall clock.
    """
    if not (directory / "store" / "registry.db").exists():
        with Publisher(directory, wall_clock):
            pass
    clock = wall_clock if now is None else lambda: now
    with Store.open(directory, clock=clock) as store:
        inputs = ConsoleInputs(views_file, False, source, lab, serving)
        yield Console(directory, store, inputs, clock, _zeros)


def trusting(console: Console) -> Console:
    """A console that may execute its views file."""
    return replace(console, inputs=replace(console.inputs, trust_views=True))


class Api:
    """A page that asks the API of a console in this process.

    Args:
        role: `operator`, or `reader`.
    """

    def __init__(self, console: Console, role: str = "operator") -> None:
        app = FastAPI()
        sessions = Sessions(None, TOKEN, lambda: 0.0, _counting())
        throttle = Throttle(ServerLimits())
        extension = ConsoleExtension(console, sessions, throttle, cookie="covey_console", secure=False)
        extension.add_routes(app)
        self.client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
        opened = self.client.post(f"{API}/session", json={"token": TOKEN} if role == "operator" else {})
        self.client.headers[HEADER] = opened.json()["csrf"]

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET of `/console/api{path}`, which must succeed."""
        return _json(self.client.get(f"{API}{path}", params=params))

    def post(self, path: str, body: Any) -> Any:
        """The JSON of a POST, which must succeed."""
        return _json(self.client.post(f"{API}{path}", json=body))

    def ask(self, method: str, path: str, **given: Any) -> Any:
        """(status, JSON) of any request."""
        answer = self.client.request(method, f"{API}{path}", **given)
        return answer.status_code, answer.json()


class Running(NamedTuple):
    """A console in a process of its own.

    Attributes:
        url: of the page, without the token; opened: with it.
    """

    process: subprocess.Popen[str]
    url: str
    opened: str
    stderr: IO[str]

    def end(self) -> str:
        """End the console as Ctrl-C does; returns its log."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(120)
        self.stderr.seek(0)
        return self.stderr.read()

    @property
    def token(self) -> str:
        """The token of the printed URL."""
        return self.opened.partition("#token=")[2]

    @contextmanager
    def client(self, **credentials: str) -> Iterator[httpx.Client]:
        """A client with a session; without credentials, that of the printed URL."""
        with httpx.Client(base_url=self.url.removesuffix("/console/"), timeout=30) as client:
            given = credentials or ({"token": self.token} if self.token else {})
            answer = client.post(f"{API}/session", json=given)
            assert answer.status_code == 200, answer.text
            client.headers[HEADER] = answer.json()["csrf"]
            yield client


@contextmanager
def running_console(directory: Path, *options: str) -> Iterator[Running]:
    """`covey console` of a directory, on a free port, until the end of the block."""
    with running("console", "--store", str(directory), "--port", "0", *options) as made:
        yield made


@contextmanager
def running(*arguments: str) -> Iterator[Running]:
    """A command that ends in a console, until the end of the block."""
    with tempfile.TemporaryFile("w+") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "covey", *arguments], stdout=subprocess.PIPE, stderr=stderr, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            if not line:
                stderr.seek(0)
                raise AssertionError(stderr.read())
            yield Running(process, line.partition("#")[0], line, stderr)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise


def _json(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
    return answer.json()


def _zeros(size: int) -> bytes:
    return bytes(size)


def _counting() -> Any:
    """Random bytes that differ at each call."""
    count = 0

    def draw(size: int) -> bytes:
        nonlocal count
        count += 1
        return count.to_bytes(size, "big")

    return draw
