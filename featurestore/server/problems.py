"""Errors as RFC 9457 problem details, on every route but Feast's, whose clients read another form (see `errors`).

`type` is left out, which means about:blank: the status gives the kind of problem, and `detail` describes it. For an error of
the feature store, the member `error` holds its name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from featurestore.errors import FeatureStoreError, OnlineUnavailable

from .errors import DEFECT, DEFECT_TEXT, defect_text, status_of, text_of
from .refusal import MEDIA_TYPE

_SHOWN: Final = 400

_log = logging.getLogger(__name__)


def problem(status: int, detail: str, error: str | None = None) -> bytes:
    """The body of an error; `error` is the name of its class, if readers may see it."""
    named = {} if error is None else {"error": error}
    return orjson.dumps({"title": HTTPStatus(status).phrase, "status": status, "detail": detail[:_SHOWN], **named})


def problem_of(error: Exception) -> Response:
    """The answer to a failed request. A defect of the server is logged; the answer does not have its text."""
    status = status_of(error)
    if status == DEFECT:
        _log.error("a request failed", exc_info=error)
        named = type(error).__name__ if isinstance(error, FeatureStoreError) else None
        return Response(problem(DEFECT, defect_text(error), named), DEFECT, media_type=MEDIA_TYPE)
    wait = {"Retry-After": str(error.retry_after_s)} if isinstance(error, OnlineUnavailable) else None
    return Response(problem(status, text_of(error), type(error).__name__), status, wait, MEDIA_TYPE)


def answer_with_problems(app: FastAPI) -> None:
    """Make an app's own errors problems, too: an unknown path, a wrong method, invalid parameters, a defect."""

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _response(error.status_code, str(error.detail), error.headers)

    async def odd(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return _response(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(found))

    async def defect(_: Request, __: Exception) -> Response:
        return _response(DEFECT, DEFECT_TEXT)  # starlette raises the error again, so that it is logged

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, odd)
    app.add_exception_handler(Exception, defect)


def _response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(problem(status, detail), status, headers, MEDIA_TYPE)
