"""Whether a peer can be reached: it accepts a connection, proves its role by TLS, and answers a ping of HTTP/2.

gRPC says only that a peer is unavailable, or that a call took too long. Here each reason has its name. A port that accepts
connections proves nothing: the kernel accepts them for a process that hangs.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar, assert_never

from base.errors import PeerAway, PeerError, PeerFloods, PeerSilent, PeerSlow, PeerSpeaksAnotherProtocol
from base.ports import reason_of

from .contexts import client_context
from .explain import explain
from .hosts import split_address
from .links import ClearText, Links, Tls
from .roles import TlsRole

REACH_S: Final = 2.0
"""Longest wait for a connection, and for the answer on it."""
MAX_BYTES: Final = 65_536
"""The most bytes that are read. Certificates, settings and the answer to a ping have about a tenth of it."""

_SETTINGS, _PING, _ACK = 4, 6, 1
_HEAD: Final = 9
"""The bytes of a frame before its payload: three of its length, one of its type, one of its flags, four of its stream."""
_GREETING: Final = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + bytes((0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0))
    + bytes((0, 0, 8, _PING, 0, 0, 0, 0, 0))
    + bytes(8)
)
"""What a client of HTTP/2 sends first, its preface and empty settings, and a ping. A server answers the ping at once."""

_T = TypeVar("_T")


def require_peer(links: Links, peer: TlsRole, address: str, now: datetime) -> None:
    """Return if a peer proves its role and answers. Waits for at most a few `REACH_S`.

    Raises:
        PeerAway, PeerSilent, PeerSlow, PeerFloods, PeerSpeaksAnotherProtocol: what the peer does instead. TlsError: a
            certificate, of this side or of the peer, is the reason. ValueError: not an address.
    """
    host = split_address(address)
    match links:
        case ClearText():
            context = None
        case Tls():
            context = client_context(links.trust(peer), links.require_usable(now))
            context.set_alpn_protocols(["h2"])
        case other:
            assert_never(other)
    try:
        plain = socket.create_connection(host, REACH_S)
    except OSError as error:
        raise PeerAway(peer, address, reason_of(error, REACH_S)) from None
    with plain:
        connection = _Connection(plain, time.monotonic() + REACH_S)
        try:
            _require_pong(connection if context is None else _TlsConnection(connection, context, peer.dns_name))
            return
        except _Flooded:
            raise PeerFloods(peer, address, MAX_BYTES) from None
        except TimeoutError:
            raise (PeerSlow if connection.received else PeerSilent)(peer, address, REACH_S) from None
        except _NotHttp2:
            failure: PeerError = PeerSpeaksAnotherProtocol(peer, address)
        except ssl.SSLError as error:
            failure = PeerAway(peer, address, error.reason or str(error))
        except OSError as error:
            failure = PeerAway(peer, address, reason_of(error, REACH_S))
    raise explain(links, peer, address, now) or failure


class _Flooded(Exception):
    """The peer has sent more than `MAX_BYTES`."""


class _NotHttp2(Exception):
    """The peer's first bytes are not the settings of HTTP/2."""


class _Connection:
    """A connection until a moment in time, and until the peer has sent `MAX_BYTES`.

    Args:
        until: on the monotonic clock, in seconds.

    Attributes:
        received: the bytes that the peer has sent; after a handshake those since then.
    """

    def __init__(self, plain: socket.socket, until: float) -> None:
        self._plain, self._until = plain, until
        self.received = 0

    def send(self, data: bytes) -> None:
        self._limit()
        self._plain.sendall(data)

    def receive(self) -> bytes:
        self._limit()
        data = self._plain.recv(MAX_BYTES)
        if not data:
            raise _ended()
        self.received += len(data)
        if self.received > MAX_BYTES:
            raise _Flooded
        return data

    def _limit(self) -> None:
        if (left := self._until - time.monotonic()) <= 0:
            raise TimeoutError
        self._plain.settimeout(left)


class _TlsConnection:
    """TLS on a connection, whose bytes are counted and limited below it."""

    def __init__(self, connection: _Connection, context: ssl.SSLContext, name: str) -> None:
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._step(self._tls.do_handshake)
        connection.received = 0  # a peer that ends here is silent, not slow

    def send(self, data: bytes) -> None:
        self._step(lambda: self._tls.write(data))

    def receive(self) -> bytes:
        if not (data := self._step(lambda: self._tls.read(MAX_BYTES))):
            raise _ended()
        return data

    def _step(self, call: Callable[[], _T]) -> _T:
        """Send what TLS wants to send, and receive until it has what it needs."""
        while True:
            try:
                result = call()
            except ssl.SSLWantReadError:
                self._flush()
                self._incoming.write(self._connection.receive())
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._connection.send(data)


def _ended() -> ConnectionResetError:
    return ConnectionResetError("it ended the connection")


def _require_pong(connection: _Connection | _TlsConnection) -> None:
    """Return when the peer has answered the ping. Raises _NotHttp2."""
    connection.send(_GREETING)
    data, is_first = b"", True
    while True:
        data += connection.receive()
        if is_first and len(data) >= _HEAD and data[3] != _SETTINGS:
            raise _NotHttp2
        while len(data) >= _HEAD and len(data) >= (end := _HEAD + int.from_bytes(data[:3], "big")):
            if data[3] == _PING and data[4] & _ACK:
                return
            data, is_first = data[end:], False
