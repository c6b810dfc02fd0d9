"""The protocol's HTTP routes beside `infer`: metadata, states, configurations and statistics."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request, Response

from base.metrics import OTHER
from featurestore.errors import BadRequest
from featurestore.server.answer import Answer
from featurestore.server.json_body import parsed_object
from featurestore.server.refusal import Refused
from featurestore.server.whole_routes import WholeRequest

from .errors import failed
from .infer_request import version_of
from .infer_route import URL as INFER
from .served_models import UNSUPPORTED, ServedModels

LIVE, READY = "/v2/health/live", "/v2/health/ready"
INDEX: Final = b"/v2/repository/index"
_CHANGE: Final = re.compile(rb"/v2/repository/models/[^/?]+/(?:load|unload)")
MAX_BODY: Final = 2**16


def add_routes(app: FastAPI, models: ServedModels) -> None:
    """Add the routes of GET to the app. They are described in `openapi`, with those of POST."""

    def add(path: str, answer: Callable[[str, int | None], Any]) -> None:
        async def respond(request: Request) -> Response:
            given = request.path_params
            try:
                return _json(answer(given.get("name", ""), version_of(given.get("version", ""))))
            except Exception as error:  # noqa: BLE001 - every error becomes an answer in the protocol's form, defects too
                return _response(failed(error))

        app.add_api_route(path, respond, methods=["GET"], include_in_schema=False)

    add("/v2", lambda _, __: models.server_metadata())
    add("/v2/", lambda _, __: models.server_metadata())
    add(LIVE, lambda _, __: {"live": True})
    add(READY, lambda _, __: _when(models.ready(), {"live": True, "ready": True}, "a model does not answer yet"))
    add("/v2/models/stats", lambda _, __: {"model_stats": models.latencies(None, None)})
    for place in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        add(place, models.metadata)
        add(f"{place}/config", models.config)
        add(f"{place}/stats", lambda name, version: {"model_stats": models.latencies(name, version)})
        add(f"{place}/ready", lambda name, version: _ready(models, name, version))

    async def unknown(request: Request) -> Response:
        path = request.url.path
        if INFER.fullmatch(path.encode()):
            return _response(
                failed(Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"{path[:80]} takes POST", (b"allow", b"POST")))
            )
        known = request.method == "GET"
        why = f"no route {path[:80]}" if known else f"{request.method} is not answered here; send GET or POST"
        return _response(failed(Refused(HTTPStatus.NOT_FOUND if known else HTTPStatus.METHOD_NOT_ALLOWED, why)))

    methods = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
    app.add_api_route("/v2/{rest:path}", unknown, methods=methods, include_in_schema=False)


def _ready(models: ServedModels, name: str, version: int | None) -> dict[str, Any]:
    why = models.why_not(name, version)
    return _when(why is None, {"name": name, "ready": True}, why or "")


def _when(ready: bool, said: dict[str, Any], why: str) -> dict[str, Any]:
    if not ready:
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, why)
    return said


def _json(found: Any) -> Response:
    return Response(orjson.dumps(found), media_type="application/json")


def _response(answer: Answer) -> Response:
    headers = {name.decode(): value.decode() for name, value in answer.more}
    return Response(answer.body, answer.status, headers, answer.kind.decode())


class RepositoryRoute:
    """The routes of POST beside `infer`: the index of the repository, and its changes, which are refused. A `WholeRoute`."""

    name = OTHER
    max_body = MAX_BODY

    def __init__(self, models: ServedModels) -> None:
        self._models = models

    def turned_away(self, url: bytes) -> Answer | None:
        """The body of no request is needed but that of the index."""
        path = url.partition(b"?")[0]
        return None if path == INDEX else failed(_no_such(path))

    def answer(self, request: WholeRequest, _: Callable[[int], None]) -> Answer:
        """The answer to a request, or to its mistakes."""
        path = request.url.partition(b"?")[0]
        try:
            if path != INDEX:
                raise _no_such(path)
            found = self._models.index(only_ready=_only_ready(request.body))
        except Exception as error:  # noqa: BLE001 - every error becomes an answer in the protocol's form, defects too
            return failed(error)
        return Answer(200, orjson.dumps(found))

    def refusal(self, refused: Refused) -> Answer:
        """A refusal of the guard."""
        return failed(refused)


def _no_such(path: bytes) -> Refused:
    if _CHANGE.fullmatch(path):
        return Refused(HTTPStatus.NOT_IMPLEMENTED, UNSUPPORTED)
    return Refused(HTTPStatus.NOT_FOUND, f"no route {path[:80].decode('latin-1')} for POST")


def _only_ready(body: bytes) -> bool:
    ready = parsed_object(body).get("ready", False) if body else False
    if not isinstance(ready, bool):
        raise BadRequest("`ready` must be true or false")
    return ready
