"""Errors as Feast's clients expect them: a JSON string that contains JSON with module, class and message.

The client imports the class and raises it; any other body makes the client itself fail. It retries 429 and 5xx for seconds,
so a caller's mistake never gets one of them. After a 429 or 503 it waits for the time in `Retry-After`.
"""

from __future__ import annotations

from typing import Final

import orjson

from featurestore.errors import (
    BadReference,
    BadRequest,
    NameCollision,
    NoEpoch,
    NotFoundError,
    OnDemandFailed,
    OnlineUnavailable,
    RequestTooLarge,
    UnknownFeatureService,
    UnknownVersion,
    UnknownView,
)

NOT_FOUND: Final = 404
TOO_LARGE: Final = 413
UNPROCESSABLE: Final = 422
DEFECT: Final = 500
UNAVAILABLE: Final = 503
DEFECT_TEXT: Final = "the feature server has a defect; its log has the details"

_TO_FEAST: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (UnknownView, NOT_FOUND, "FeatureViewNotFoundException"),
    (UnknownVersion, NOT_FOUND, "FeatureViewNotFoundException"),
    (UnknownFeatureService, NOT_FOUND, "FeatureServiceNotFoundException"),
    (NotFoundError, NOT_FOUND, "FeastObjectNotFoundException"),
    (NameCollision, UNPROCESSABLE, "FeatureNameCollisionError"),
    (RequestTooLarge, TOO_LARGE, "FeastError"),
    (BadRequest, UNPROCESSABLE, "FeastError"),
    (BadReference, UNPROCESSABLE, "FeastError"),
    (OnlineUnavailable, UNAVAILABLE, "FeastError"),
)


def to_feast(error: Exception) -> tuple[int, bytes]:
    """(HTTP status, body) of an error; 500 without its text if it is neither the caller's mistake nor a server away."""
    for kind, status, name in _TO_FEAST:
        if isinstance(error, kind):
            return status, feast_body(name, text_of(error))
    return DEFECT, feast_body("FeastError", defect_text(error))


def defect_text(error: Exception) -> str:
    """The text for a caller of an error that is a defect of the server, or of an on-demand function."""
    if isinstance(error, OnDemandFailed):
        return f"the function of on-demand view {error.view!r} failed; the server's log has the details"
    return DEFECT_TEXT


def text_of(error: Exception) -> str:
    """The text of an error for its caller. The online store's address is in the log only."""
    if isinstance(error, OnlineUnavailable) and not isinstance(error, NoEpoch):
        return f"the online store is away; retry in {error.retry_after_s} s"
    return str(error)


def status_of(error: Exception) -> int:
    """The HTTP status of an error; 500 for one that is neither the caller's mistake nor a server away."""
    return next((status for kind, status, _ in _TO_FEAST if isinstance(error, kind)), DEFECT)


def feast_body(name: str, message: str) -> bytes:
    """The body of an error of a class of `feast.errors`."""
    detail = orjson.dumps({"module": "feast.errors", "class": name, "message": message})
    return orjson.dumps(detail.decode())
