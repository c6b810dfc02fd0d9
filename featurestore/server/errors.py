"""Errors as Feast's clients expect them: a JSON string that contains JSON with module, class and message.

The client imports the class and raises it; any other body makes it fail in its own code. It retries 429 and 5xx for
seconds, so a caller's mistake is never one of those.
"""

from __future__ import annotations

from typing import Final

import orjson

from featurestore.errors import (
    BadReference,
    BadRequest,
    NameCollision,
    NotFoundError,
    RequestTooLarge,
    UnknownFeatureService,
    UnknownView,
)

NOT_FOUND: Final = 404
TOO_LARGE: Final = 413
UNPROCESSABLE: Final = 422
DEFECT: Final = 500

_TO_FEAST: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (UnknownView, NOT_FOUND, "FeatureViewNotFoundException"),
    (UnknownFeatureService, NOT_FOUND, "FeatureServiceNotFoundException"),
    (NotFoundError, NOT_FOUND, "FeastObjectNotFoundException"),
    (NameCollision, UNPROCESSABLE, "FeatureNameCollisionError"),
    (RequestTooLarge, TOO_LARGE, "FeastError"),
    (BadRequest, UNPROCESSABLE, "FeastError"),
    (BadReference, UNPROCESSABLE, "FeastError"),
)


def to_feast(error: Exception) -> tuple[int, bytes]:
    """(HTTP status, body) of an error; 500 without its text for anything that is not the caller's mistake."""
    for kind, status, name in _TO_FEAST:
        if isinstance(error, kind):
            return status, feast_body(name, str(error))
    return DEFECT, feast_body("FeastError", "a defect of the feature server; its log says more")


def feast_body(name: str, message: str) -> bytes:
    """The body of an error of a class of `feast.errors`."""
    detail = orjson.dumps({"module": "feast.errors", "class": name, "message": message})
    return orjson.dumps(detail.decode())
