"""The smallest ASGI application in the feature server's uvicorn: reads a body, and answers as many constant bytes as its path says.

    python -m benchmarks.load_bare

It prints its port.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from featurestore.server.listen import open_socket


async def app(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """Answer one request."""
    while (await receive()).get("more_body", False):
        pass
    body = _bytes(int(scope["path"][1:]))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@functools.cache
def _bytes(size: int) -> bytes:
    return b"x" * size


def main() -> None:
    """Serve until SIGTERM."""
    with open_socket("127.0.0.1", 0) as listening:
        print(listening.getsockname()[1], flush=True)
        config = uvicorn.Config(
            app, lifespan="off", ws="none", access_log=False, log_config=None, server_header=False, proxy_headers=False
        )
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
