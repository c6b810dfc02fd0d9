"""A connection to a peer, which is made again when a certificate or an authority changes, and which says why it fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import grpc

from aggregator.errors import AggregatorError, Unreachable
from aggregator.services.credentials import open_channel
from aggregator.services.rpc import error_of
from base.errors import TlsError
from base.times import from_us, wall_clock
from base.tls.explain import explain
from base.tls.hosts import split_address
from base.tls.links import ClearText, Links, Tls, require_private
from base.tls.roles import TlsRole

_Stub = TypeVar("_Stub")

_log = logging.getLogger(__name__)


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
        self._channels = [open_channel(links, peer, address)]
        self._stub = stub(self._channels[0])

    @property
    def stub(self) -> _Stub:
        """The peer's calls. Calls that run on an earlier connection end there.

        While a new file cannot be used, the connection stays, and the log says so.
        """
        with self._lock:
            if (stamp := self._stamp_now()) != self._stamp:
                try:
                    self._channels.append(open_channel(self._links, self._peer, self.address))
                    self._stub, self._stamp = self._make(self._channels[-1]), stamp
                except TlsError as error:  # a file that is being written, or is wrong: the next call looks again
                    if stamp != self._warned:
                        _log.warning("the connection to the %s keeps its former certificates: %s", self.name, error)
                    self._warned = stamp
            return self._stub

    def error_of(self, failure: grpc.RpcError) -> AggregatorError:
        """The error of a failed call: RemoteRefusal, or Unreachable with the reason if TLS is the reason."""
        error = error_of(failure, self.name, self.address)
        silent = not isinstance(failure, grpc.Call) or failure.code() is not grpc.StatusCode.UNAVAILABLE
        if silent or not isinstance(error, Unreachable):
            return error
        why = explain(self._links, self._peer, self.address, from_us(wall_clock()))
        return Unreachable(self.name, self.address, why)

    def close(self) -> None:
        """Close the connection."""
        for channel in self._channels:
            channel.close()

    def _stamp_now(self) -> object:
        match self._links:
            case Tls() as tls:
                return tls.stamp(self._peer)
            case ClearText():
                return None
