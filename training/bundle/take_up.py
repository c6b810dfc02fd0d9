"""Wait until a bundle's server answers with the versions that are in force."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

from base.tls.hosts import is_loopback, split_address
from training.errors import VersionNotServed

TAKE_UP_S: Final = 60.0
"""How long a server may take to load a version."""
_LOOK_S: Final = 0.1
_ANSWER_S: Final = 5.0
_MAX_BYTES: Final = 2**20


def wait_until_served(address: str, model: str, versions: Iterable[int]) -> str | None:
    """Wait until a server has loaded these versions; returns a line for people.

    A server on another address than loopback has TLS and API keys, so it is not asked: None.

    Raises:
        VersionNotServed: it cannot load a version, or needs too long.
    """
    host, port = split_address(address)
    if not is_loopback(host):
        return None
    wanted = [*versions]
    end = time.monotonic() + TAKE_UP_S
    while True:
        found = _index(host, port)
        states = {one.get("version"): one for one in found if one.get("name") == model}
        missing = [version for version in wanted if states.get(str(version), {}).get("state") != "READY"]
        if not missing:
            return f"{model} {', '.join(f'v{version}' for version in wanted)} answers at {address}"
        state = states.get(str(missing[0]), {})
        if state.get("state") == "UNAVAILABLE":
            raise VersionNotServed(f"{model}@v{missing[0]}", str(state.get("reason"))[:500])
        if time.monotonic() > end:
            raise VersionNotServed(f"{model}@v{missing[0]}", f"it is not loaded after {TAKE_UP_S:.0f} s")
        time.sleep(_LOOK_S)


def _index(host: str, port: int) -> list[dict[str, Any]]:
    """The models of a server and their states; [] if it does not say."""
    connection = HTTPConnection(host, port, timeout=_ANSWER_S)
    try:
        connection.request("POST", "/v2/repository/index", b"{}", {"Content-Type": "application/json"})
        answer = connection.getresponse()
        body = answer.read(_MAX_BYTES + 1)
        if answer.status != HTTPStatus.OK or len(body) > _MAX_BYTES:
            return []
        found = json.loads(body)
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    except (OSError, HTTPException, ValueError, RecursionError):
        return []
    finally:
        connection.close()
