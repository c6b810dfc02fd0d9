"""Errors in the protocol's form: `{"error": …}` over HTTP, a status over gRPC."""

from __future__ import annotations

import logging
from typing import Final

import grpc
import orjson

from featurestore.server.answer import Answer
from featurestore.server.errors import DEFECT, UNPROCESSABLE
from featurestore.server.refusal import Refused
from training.serving.refusal_status import Refusal, refusal_of

INVALID: Final = 400
_SHOWN: Final = 400
_CODES: Final = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}

_log = logging.getLogger(__name__)


def shown_refusal(error: Exception) -> Refusal:
    """How an error is answered. The protocol's status for a mistake in the inputs is 400. A defect is logged."""
    if isinstance(error, Refused):
        return Refusal(error.status, error.detail, error.headers)
    found = refusal_of(error)
    if found.status == DEFECT:
        _log.error("a request failed", exc_info=error)
    status = INVALID if found.status == UNPROCESSABLE else found.status
    return found._replace(status=status, text=found.text[:_SHOWN])


def failed(error: Exception) -> Answer:
    """The answer to a request that failed, or that the guard refused."""
    found = shown_refusal(error)
    return Answer(found.status, error_body(found.text), more=found.headers, pause_s=found.pause_s)


def code_of(refusal: Refusal) -> grpc.StatusCode:
    """The status of gRPC."""
    return _CODES.get(refusal.status, grpc.StatusCode.INTERNAL)


def error_body(text: str) -> bytes:
    """The body of an error."""
    return orjson.dumps({"error": text})
