"""The JSON body of a request. It is parsed on the event loop, and all clients wait meanwhile."""

from __future__ import annotations

from typing import Any, Final

import orjson

from featurestore.errors import BadRequest, RequestTooLarge

MAX_LISTS: Final = 250_000
"""The most lists and objects of a body. A body may have ten times as many, which take some seconds."""


def parsed_object(body: bytes) -> dict[str, Any]:
    """The object of a JSON text. Raises BadRequest, RequestTooLarge."""
    if (lists := body.count(b"[") + body.count(b"{")) > MAX_LISTS:
        raise RequestTooLarge(f"{lists:,} lists and objects; at most {MAX_LISTS:,}. Send fewer rows at once")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadRequest("the body must be a JSON object")
    return found
