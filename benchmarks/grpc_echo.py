"""A bare gRPC service, the peer of `benchmarks.read_path`: it answers every request with the same bytes.

`python -m benchmarks.grpc_echo REPLY` takes the bytes in hex, and prints its port.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final

import grpc
import uvloop

SERVICE: Final = "covey.benchmarks.Echo"
METHOD: Final = "Echo"


async def serve(reply: bytes) -> None:
    """Answer on a free port of the loopback until the process ends."""

    async def echo(_request: bytes, _context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        return reply

    server = grpc.aio.server()
    method: Any = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    loop = uvloop.new_event_loop  # as in uvicorn, which runs our own service
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(serve(bytes.fromhex(sys.argv[1])))
