"""The routes of remote stores, in the FastAPI app behind the hot route; `featurestore.remote.http_transport` calls them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from featurestore.errors import FeatureStoreError, RequestTooLarge
from featurestore.read.messages import MAX_REQUEST
from featurestore.registry.watch import Published, published_to_json
from featurestore.remote.http_transport import ARROW, PROTOBUF, READ, VECTORS, WATCH

from .problems import problem_of
from .reads import Reads
from .tables import TAKES_TABLE

HEARTBEAT_S: Final = 15.0
"""How often an idle watch sends a comment, which reveals a disconnected client."""
Name = Literal["views", "view", "services", "key_types", "get", "history", "releases", "published", "clocks", "join"]


def add_routes(app: FastAPI, reads: Reads) -> None:
    """Add the routes to the app."""

    async def refused(_: Request, error: Exception) -> Response:
        return problem_of(error)

    async def gone(_: Request, __: Exception) -> Response:
        return _Nothing()

    app.add_exception_handler(FeatureStoreError, refused)
    app.add_exception_handler(ClientDisconnect, gone)

    @app.post(
        VECTORS,
        summary="The newest vectors of some keys",
        response_class=Response,
        responses={200: {"content": {PROTOBUF: {}}}},
        openapi_extra={"requestBody": {"required": True, "content": {PROTOBUF: {"schema": _BINARY}}}},
    )
    async def vectors(request: Request) -> Response:
        """Takes a `GetFeaturesRequest` and answers with a `GetFeaturesReply` (featurestore/read/features.proto)."""
        charge = request.scope.get("covey.charge", _no_charge)
        return Response(await reads.vectors(await _body(request, MAX_REQUEST), charge), media_type=PROTOBUF)

    @app.post(
        f"{READ}/{{name}}",
        summary="A whole table",
        response_class=Response,
        responses={200: {"content": {ARROW: {}}}},
        openapi_extra={"requestBody": {"content": {ARROW: {"schema": _BINARY}}}},
    )
    async def read(
        request: Request,
        name: Annotated[Name, Path(description="The name of the read; see featurestore/server/tables.py.")],
        arguments: Annotated[str, Query(description="A JSON object.")] = "{}",
    ) -> Response:
        """Answers with an Arrow IPC stream. `get` and `join` also take one, of keys or labels."""
        data = request.stream() if name in TAKES_TABLE else None
        charge = request.scope.get("covey.charge", _no_charge)
        return StreamingResponse(await reads.table(name, arguments, data, charge), media_type=ARROW)

    @app.get(
        WATCH,
        summary="The panes of a view, as they are published",
        response_class=Response,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def watch(
        view: Annotated[str, Query(description="The view.")],
        after: Annotated[
            int | None,
            Query(ge=0, le=2**62, description="The last publication that the client knows; default: the newest."),
        ] = None,
    ) -> Response:
        """Sends server-sent events without end, one a pane, each a JSON object."""
        published = await reads.published(view, after)
        return StreamingResponse(_events(published), media_type="text/event-stream")


class _Nothing(Response):
    """The answer to a client that disconnected while it sent its request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""


_BINARY: Final = {"type": "string", "format": "binary"}


def _no_charge(_: int) -> None:
    """Rows are free without a guard."""


async def _body(request: Request, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise RequestTooLarge(f"a body of more than {most:,} bytes; request fewer rows at once")
        parts.append(part)
    return b"".join(parts)


async def _events(published: AsyncIterator[Published]) -> AsyncIterator[str]:
    waiting: asyncio.Future[Published] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(published))
            with contextlib.suppress(TimeoutError):
                one = await asyncio.wait_for(asyncio.shield(waiting), HEARTBEAT_S)
                waiting = None
                yield f"data: {published_to_json(one)}\n\n"
                continue
            yield ": nothing new\n\n"
    finally:
        if waiting is not None:
            waiting.cancel()
