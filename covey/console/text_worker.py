"""`python -m covey.console.text_worker`: the child process that answers what pages ask about texts; see `covey.console.text_pool`.

It has the routes of the composer that look at a text, one for the console itself, and nothing else: no session, no key, no store.
"""

from __future__ import annotations

import gc

from base.start_up import GC_THRESHOLD, hide_pandas

if __name__ == "__main__":
    gc.set_threshold(GC_THRESHOLD)
    hide_pandas()

import asyncio
import os
import resource
import sys
from typing import BinaryIO, Final

import psutil
from fastapi import FastAPI, Request, Response

from covey.errors import TextTooDemanding
from featurestore.server.answer import Message
from featurestore.server.roles import Role

from .api.composer import text_router
from .api.composer.reading import inner_router
from .gate import API
from .preparation import load_parsers, prepare
from .problems import answer_of, answer_with_problems
from .roles import CHANGE, USER, Change
from .sessions import User
from .text_pool import ANSWER, REQUEST, TOO_LARGE, TextAnswer, TextSettings

MAX_MEMORY: Final = 1_500 * 2**20
"""What a child may allocate for a text. The largest that is read takes 400 MB."""
MAX_GROWTH: Final = 300 * 2**20
"""A child that has grown by more is replaced: parsers do not give all of their memory back."""


def app_of(settings: TextSettings) -> FastAPI:
    """The routes, without a gate."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    for router in (text_router(settings), inner_router(settings)):
        app.include_router(router, prefix=f"{API}/composer")
    answer_with_problems(app)

    async def too_large(_: Request, __: Exception) -> Response:
        made = answer_of(TextTooDemanding(TOO_LARGE))
        return Response(made.body, made.status)

    app.add_exception_handler(MemoryError, too_large)
    return app


async def answer(app: FastAPI, path: str, body: bytes) -> TextAnswer:
    """The answer of the routes to a POST."""
    status, parts = 500, list[bytes]()
    scope: Message = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        USER: User("", Role.READER, ""),
        CHANGE: Change(),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    try:
        await app(scope, receive, send)
    except Exception as error:  # noqa: BLE001 - starlette answers a defect, and raises it again
        if not parts:
            made = answer_of(error)
            return TextAnswer(made.status, made.body)
    return TextAnswer(status, b"".join(parts))


def serve(app: FastAPI, source: BinaryIO, out: BinaryIO) -> None:
    """Answer requests until the console ends, or this process has grown."""
    own, ends = psutil.Process(), False
    most = own.memory_info().rss + MAX_GROWTH
    with asyncio.Runner() as runner:
        while not ends and len(head := source.read(REQUEST.size)) == REQUEST.size:
            path, body = (source.read(size) for size in REQUEST.unpack(head))
            found = runner.run(answer(app, path.decode(), body))
            ends = own.memory_info().rss > most
            out.write(ANSWER.pack(ends, found.status, len(found.body)) + found.body)
            out.flush()


def main(settings: str) -> None:
    """Serve on stdin and stdout."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer of ours
    app = app_of(TextSettings.from_json(settings))
    load_parsers()
    prepare()
    _bound_memory()
    gc.freeze()
    serve(app, sys.stdin.buffer, out)


def _bound_memory() -> None:
    """Make an allocation beyond `MAX_MEMORY` fail. The system counts address space, of which threads use only a part."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = psutil.Process().memory_info().vms + MAX_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    main(sys.argv[1])
