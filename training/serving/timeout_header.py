"""The header `Timeout` of a request over HTTP: how long the client waits."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from featurestore.errors import BadRequest
from featurestore.server.refusal import Header

_SHOWN: Final = 60


def timeout_of(headers: Iterable[Header]) -> float | None:
    """The seconds of the header `Timeout`; None: there is none. Raises BadRequest: it is no time, or comes twice."""
    found = [value for name, value in headers if name == b"timeout"]
    if len(found) > 1:
        raise BadRequest("the header Timeout comes twice")
    return _seconds(found[0].decode("latin-1")) if found else None


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise BadRequest(f"the header Timeout: {text[:_SHOWN]!r} must be seconds above 0, such as 0.05")
    return found
