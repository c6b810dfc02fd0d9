"""Reads texts in child processes, so that no text makes the console slow or large.

A reader may send any text, and parsers hold the interpreter's lock while they read one: in this process, they would stop all
other answers. A child has a bounded memory, is ended after a deadline, and is replaced once it has grown. The console's process
only passes bytes on, after its gate has checked session and page token.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Timer
from typing import Any, Final, NamedTuple, Self

from fastapi import Request, Response
from fastapi.routing import APIRoute

from covey.errors import TextTooDemanding
from featurestore.server.answer import JSON
from featurestore.server.refusal import MEDIA_TYPE

from .roles import USER
from .slots import Slots

CHILD: Final = (sys.executable, "-P", "-m", "covey.console.text_worker")
"""`-P`: the working folder is not on the import path, whatever files are there."""
MOST: Final = 2
"""Children. One user has one of them, so the pages of others go on beside a reader's hostile text."""
DEADLINE_S: Final = 60.0
"""A text of the greatest size takes about two seconds of an idle core."""
REQUEST: Final = struct.Struct(">HI")
"""The sizes of path and body, which follow."""
TOO_LARGE: Final = "it takes too much memory"
ANSWER: Final = struct.Struct(">?HI")
"""Whether the child ends after it, the status, and the size of the body, which follows."""

_log = logging.getLogger(__name__)


class TextSettings(NamedTuple):
    """What the routes of texts need of the outside; see `Console`."""

    directory: Path
    views_file: Path | None
    trust_views: bool

    def to_json(self) -> str:
        """For a child's command line."""
        return json.dumps([str(self.directory), self.views_file and str(self.views_file), self.trust_views])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        directory, views_file, trust_views = json.loads(text)
        return cls(Path(directory), views_file and Path(views_file), trust_views)


class TextAnswer(NamedTuple):
    """A status and a body in JSON."""

    status: int
    body: bytes


class TextPool:
    """The children of one console.

    Args:
        child: their command line.
        deadline_s: a child that computes for longer is killed.
    """

    def __init__(self, child: Sequence[str], deadline_s: float = DEADLINE_S) -> None:
        self._child, self._deadline_s = child, deadline_s
        self._slots, self._lock = Slots(MOST, 1), Lock()
        self._all: set[subprocess.Popen[bytes]] = set()
        self._idle: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        """Start the first child, which loads its modules meanwhile."""
        self._idle.append(self._begin())
        return self

    def __exit__(self, *_: object) -> None:
        """End all children. An answer that is computed is not sent."""
        for child in tuple(self._all):
            self._end(child)
        self._idle.clear()

    async def ask(self, user: str, path: str, body: bytes) -> TextAnswer:
        """The answer of a route of the composer.

        Raises:
            ConsoleBusy: the user's other requests take too long. TextTooDemanding: the child has ended.
        """
        async with self._slots.of(user):
            child = self._take()
            try:
                ends, answer = await asyncio.to_thread(self._ask, child, path, body)
            except BaseException:
                self._end(child)
                raise
            if ends:
                self._end(child)
                child = self._begin()
            self._idle.append(child)
            return answer

    def _take(self) -> subprocess.Popen[bytes]:
        while self._idle:
            child = self._idle.pop()
            if child.poll() is None:
                return child
            self._end(child)
        return self._begin()

    def _begin(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(  # noqa: S603 - this program itself; texts are data on its stdin
            self._child,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches the console only, which ends its children
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        with self._lock:
            self._all.add(child)
        return child

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # a part of a request is left in the buffer
                pipe.close()
        with self._lock:
            self._all.discard(child)

    def _ask(self, child: subprocess.Popen[bytes], path: str, body: bytes) -> tuple[bool, TextAnswer]:
        """Send a request to a child and read its answer, in a thread. Raises TextTooDemanding."""
        assert child.stdin is not None
        assert child.stdout is not None
        timer, name = Timer(self._deadline_s, child.kill), path.encode()
        timer.start()
        try:
            child.stdin.write(REQUEST.pack(len(name), len(body)) + name + body)
            child.stdin.flush()
            ends, status, size = ANSWER.unpack(child.stdout.read(ANSWER.size))
            found = child.stdout.read(size)
        except (BrokenPipeError, struct.error):
            found, size = b"", -1
        finally:
            timed_out = timer.finished.is_set()
            timer.cancel()
        if len(found) != size:
            why = f"it takes longer than {self._deadline_s:.0f} s" if timed_out else TOO_LARGE
            _log.warning("a text ended the process that reads it (%s): %s", path, why)
            raise TextTooDemanding(why)
        return ends, TextAnswer(status, found)


def text_route(pool: TextPool | None) -> type[APIRoute]:
    """The class of the routes that a pool answers; None: they are answered in this process."""
    if pool is None:
        return APIRoute
    answering = pool

    class TextRoute(APIRoute):
        """A route whose body is passed on as it is."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            async def answered(request: Request) -> Response:
                body, path = await request.body(), request.url.path
                found = await answering.ask(request.scope[USER].ident, path, body)
                kind = JSON.decode() if found.status == 200 else MEDIA_TYPE
                return Response(found.body, found.status, media_type=kind)

            return answered

    return TextRoute
