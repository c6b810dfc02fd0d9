"""A connection to a peer, which is made again when a certificate or an authority changes, and which says why it fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, assert_never

import grpc

from aggregator.errors import AggregatorError, Unreachable
from aggregator.services.credentials import open_channel
from aggregator.services.rpc import error_of
from base.errors import PeerError, PeerSlow, TlsError
from base.times import from_us, wall_clock
from base.tls.hosts import split_address
from base.tls.links import ClearText, Links, Tls, require_private
from base.tls.reach import require_peer
from base.tls.roles import TlsRole

_Stub = TypeVar("_Stub")
_T = TypeVar("_T")
_AWAY: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Channel(Generic[_Stub]):
    """A connection with one state of the certificates.

    Attributes:
        calls: the number of calls that run on it.
    """

    channel: grpc.Channel
    stub: _Stub
    calls: int = 0


class PeerConnection(Generic[_Stub]):
    """The connection to one peer.

    Args:
        name: the peer, in messages.
        stub: makes the calls of the peer's service.

    Raises:
        ClearTextRefused: the address is not on this machine, and there is no certificate. TlsError: a file cannot be used.
    """

    def __init__(
        self, links: Links, peer: TlsRole, address: str, name: str, stub: Callable[[grpc.Channel], _Stub]
    ) -> None:
        require_private(links, split_address(address)[0], address)
        self.address, self.name = address, name
        self._links, self._peer, self._make = links, peer, stub
        self._lock = threading.Lock()
        self._stamp = self._warned = self._stamp_now()
        self._current = self._open()
        self._former: set[_Channel[_Stub]] = set()

    def call(self, make: Callable[[_Stub], _T], limit_s: float) -> _T:
        """Make a call to the end of its answer, which may take `limit_s`. Raises RemoteRefusal, Unreachable."""
        try:
            with self._calling() as stub:
                return make(stub)
        except grpc.RpcError as failure:
            error = self.error_of(failure, limit_s)
            raise error from error.__cause__  # not from gRPC's error, which says less

    def begin(self, make: Callable[[_Stub], grpc.Future[_T]]) -> grpc.Future[_T]:
        """Begin a call that goes on when this returns; see `error_of` for its failure. Raises Unreachable."""
        used = self._take()
        call = make(used.stub)
        call.add_done_callback(lambda _: self._give_back(used))
        return call

    def error_of(self, failure: grpc.RpcError, limit_s: float) -> AggregatorError:
        """The error of a failed call that could take `limit_s`: RemoteRefusal, or Unreachable with its reason."""
        error = error_of(failure, self.name, self.address)
        if not isinstance(error, Unreachable) or not isinstance(failure, grpc.Call) or failure.code() not in _AWAY:
            return error
        try:
            require_peer(self._links, self._peer, self.address, from_us(wall_clock()))
        except (TlsError, PeerError) as why:
            return Unreachable(self.name, self.address, why)
        if failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return Unreachable(self.name, self.address, PeerSlow(self._peer, self.address, limit_s))
        return error

    def close(self) -> None:
        """Close the connection, and end the calls on it."""
        for each in (self._current, *self._former):
            each.channel.close()

    @contextmanager
    def _calling(self) -> Iterator[_Stub]:
        used = self._take()
        try:
            yield used.stub
        finally:
            self._give_back(used)

    def _take(self) -> _Channel[_Stub]:
        """The connection for a new call. Calls that run on a former one end there.

        Without the peer's authorities no call is made. While the own certificate cannot be used, such as one that is being copied
        to its place, the connection stays, and the log says so.

        Raises:
            Unreachable: the peer's authorities are missing or cannot be used.
        """
        with self._lock:
            if (stamp := self._stamp_now()) != self._stamp:
                self._require_trust()
                try:
                    former, self._current, self._stamp = self._current, self._open(), stamp
                    self._retire(former)
                except TlsError as error:
                    if stamp != self._warned:
                        _log.warning("the connection to the %s keeps its former certificate: %s", self.name, error)
                    self._warned = stamp
            self._current.calls += 1
            return self._current

    def _give_back(self, used: _Channel[_Stub]) -> None:
        """A call has ended."""
        with self._lock:
            used.calls -= 1
            if used is not self._current:
                self._retire(used)

    def _retire(self, former: _Channel[_Stub]) -> None:
        """Close a former connection, now or after the calls on it."""
        if former.calls:
            self._former.add(former)
        else:
            self._former.discard(former)
            former.channel.close()

    def _require_trust(self) -> None:
        match self._links:
            case Tls() as tls:
                try:
                    tls.trust(self._peer)
                except TlsError as why:
                    raise Unreachable(self.name, self.address, why) from why
            case ClearText():
                pass
            case other:
                assert_never(other)

    def _open(self) -> _Channel[_Stub]:
        channel = open_channel(self._links, self._peer, self.address)
        return _Channel(channel, self._make(channel))

    def _stamp_now(self) -> object:
        match self._links:
            case Tls() as tls:
                return tls.stamp(self._peer)
            case ClearText():
                return None
            case other:
                assert_never(other)
