"""A TCP proxy between two machines, which delays, stalls, throttles and resets connections, or floods them.

A machine connects to the proxy's address instead of the other machine's. The parties see an ordinary network that behaves badly. TLS
passes through it unread.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

_PIECE: Final = 2**16
_TICK: Final = 0.01
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: close sends RST


@dataclass(frozen=True)
class Pass:
    """Every byte passes at once."""


@dataclass(frozen=True)
class Delay:
    """Every byte passes after so many seconds, in each direction."""

    seconds: float


@dataclass(frozen=True)
class Stall:
    """Connections are accepted, and no byte passes until the mode changes."""


@dataclass(frozen=True)
class Slow:
    """So many bytes a second pass, in each direction of each connection."""

    bytes_per_second: int


@dataclass(frozen=True)
class Reset:
    """Each connection is reset as soon as it is accepted."""


@dataclass(frozen=True)
class Flood:
    """The caller gets these bytes again and again, as quickly as it reads, and the other machine gets nothing."""

    data: bytes


Mode: TypeAlias = Pass | Delay | Stall | Slow | Reset | Flood


class Proxy:
    """A proxy that runs. `mode` may be changed at any time, and counts for every connection at once.

    Attributes:
        accepted: how many connections there were.
        held: how many pieces of data a stall has held up.
    """

    def __init__(self, address: str, target: str) -> None:
        self.address, self.mode = address, Pass()  # type: Mode
        self.accepted = self.held = 0
        self._target = target
        self._connections = set[_Connection]()

    @property
    def connected(self) -> int:
        """The number of open connections."""
        return len(self._connections)

    def reset(self) -> int:
        """Reset every connection that there is; new ones pass. Returns their number, which counts no connection twice."""
        there = list(self._connections)
        for one in there:
            self._connections.discard(one)
            one.loop.call_soon_threadsafe(one.reset)
        return len(there)

    def freeze(self) -> int:
        """Let every connection that there is pass no more bytes, and close none; new ones pass. Returns their number."""
        there = list(self._connections)
        for one in there:
            one.frozen = True
        return len(there)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        connection = _Connection(asyncio.get_running_loop(), [writer])
        self._connections.add(connection)
        try:
            await self._serve(connection, reader, writer)
        except (OSError, asyncio.CancelledError):  # a party has closed or reset its connection, or the proxy ends
            connection.reset()
        finally:
            self._connections.discard(connection)
            for each in connection.writers:
                each.close()

    async def _serve(self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match self.mode:
            case Reset():
                connection.reset()
            case Flood(data):
                drain = asyncio.create_task(_discard(reader))
                while not writer.is_closing():
                    writer.write(data)
                    await writer.drain()
                drain.cancel()
            case Pass() | Delay() | Stall() | Slow():
                await self._until_passing(connection)
                host, _, port = self._target.rpartition(":")
                there, back = await asyncio.open_connection(host, int(port))
                connection.writers.append(back)
                await asyncio.gather(self._pump(connection, reader, back), self._pump(connection, there, writer))
            case other:
                assert_never(other)

    async def _pump(self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one direction on. A piece that is delayed does not hold up the reading of the next one."""
        now = asyncio.get_running_loop().time
        pieces = asyncio.Queue[tuple[float, bytes]](256)

        async def write() -> None:
            while True:
                due, data = await pieces.get()
                await asyncio.sleep(due - now())
                self.held += bool(data) and isinstance(self.mode, Stall)
                await self._until_passing(connection)
                if not data:
                    if writer.can_write_eof():
                        writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()

        writing = asyncio.create_task(write())
        try:
            while not writing.done():
                data = await reader.read(_PIECE)
                mode = self.mode
                await pieces.put((now() + (mode.seconds if isinstance(mode, Delay) else 0.0), data))
                if not data:
                    break
                if isinstance(mode, Slow):
                    await asyncio.sleep(len(data) / mode.bytes_per_second)
            await writing
        finally:
            writing.cancel()

    async def _until_passing(self, connection: _Connection) -> None:
        while connection.frozen or isinstance(self.mode, Stall):
            await asyncio.sleep(_TICK)


class _Connection:
    """One accepted connection, and the one to the other machine that belongs to it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, writers: list[asyncio.StreamWriter]) -> None:
        self.loop, self.writers, self.frozen = loop, writers, False

    def reset(self) -> None:
        for writer in self.writers:
            made = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()


async def _discard(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(_PIECE):
            pass


@contextmanager
def proxy_to(
    target: str, host: str = "127.0.0.1", enter: Callable[[], None] = lambda: None, port: int = 0
) -> Iterator[Proxy]:
    """A proxy that passes connections on to `target`, an address `host:port`.

    Args:
        host: where it listens.
        enter: moves its thread to another machine.
    """
    made: list[Proxy] = []
    started, over = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        proxy = Proxy("", target)
        accept: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] = proxy._accept
        server = await asyncio.start_server(accept, host, port)
        proxy.address = f"{host}:{server.sockets[0].getsockname()[1]}"
        made.append(proxy)
        loops.append(asyncio.get_running_loop())
        started.set()
        await over.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def run() -> None:
        try:
            enter()
            asyncio.run(serve())
        finally:
            started.set()

    thread = threading.Thread(target=run, name=f"proxy to {target}")
    thread.start()
    started.wait()
    try:
        yield made[0]
    finally:
        loops[0].call_soon_threadsafe(over.set)
        thread.join()
