"""A remote store over gRPC. This module only translates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import grpc

from base.errors import CoveyError
from base.tls.hosts import split_address
from featurestore.define.release import PaneState
from featurestore.errors import RemoteFailed, Throttled, error_named, retry_after
from featurestore.read import features_pb2 as pb
from featurestore.read import features_pb2_grpc as pb_grpc
from featurestore.read.messages import MAX_REPLY, request_of, vectors_of
from featurestore.read.request import Entities
from featurestore.read.vectors import Vectors
from featurestore.registry.watch import Published

from .tls import ReaderTls, refusal_of_clear_text

ERROR_KEY: Final = "covey-error"
"""The trailing metadata's key for an error's class in `featurestore.errors`."""
RETRY_KEY: Final = "retry-after"
KEY: Final = "authorization"
OPTIONS: Final = [("grpc.max_receive_message_length", MAX_REPLY), ("grpc.use_local_subchannel_pool", 1)]

_TIMEOUT_S: Final = 60.0
_STATES: Final[Mapping[str, PaneState]] = {"opened": "opened", "void": "void", "retracted": "retracted"}


class GrpcTransport:
    """See `featurestore.remote.store.Transport`.

    Args:
        target: `host:port`.
        key: an API key of the server.
        tls: None: clear text.

    Raises:
        TlsError: a file of `tls` cannot be used.
    """

    def __init__(self, target: str, key: str | None, tls: ReaderTls | None) -> None:
        self._target, self._tls = target, tls
        self._metadata = [(KEY, f"Bearer {key}")] if key else []
        if tls is None:
            self._channel = grpc.insecure_channel(target, options=OPTIONS)
        else:
            trust, own = tls.trust, tls.own
            credentials = grpc.ssl_channel_credentials(
                None if trust is None else trust.pem,
                None if own is None else own.key,
                None if own is None else own.chain,
            )
            self._channel = grpc.secure_channel(target, credentials, options=OPTIONS)
        self._stub: Any = pb_grpc.FeaturesStub(self._channel)

    def vectors(self, refs: Sequence[str], entities: Entities, *, intervals: bool) -> Vectors:
        """See `Transport`."""
        with self._reached():
            request = request_of(refs, entities, intervals=intervals)
            reply = self._stub.GetFeatures(request, timeout=_TIMEOUT_S, metadata=self._metadata)
        return vectors_of(reply)

    def read(self, name: str, arguments: Mapping[str, Any], data: Iterable[bytes] | None) -> Iterator[bytes]:
        """See `Transport`."""

        def parts() -> Iterator[pb.ReadPart]:
            yield pb.ReadPart(call=pb.ReadCall(name=name, arguments=json.dumps(arguments)))
            for part in data or ():
                yield from (pb.ReadPart(data=part[at : at + 2**20]) for at in range(0, len(part), 2**20))

        return self._each(self._stub.Read(parts(), metadata=self._metadata), lambda reply: bytes(reply.data))

    def subscribe(self, view: str, after: int | None) -> Iterator[Published]:
        """See `Transport`."""
        request = pb.SubscribeRequest(view=view, after=after)
        return self._watched(self._stub.Subscribe(request, metadata=self._metadata))

    def close(self) -> None:
        """See `Transport`."""
        self._channel.close()

    def _each(self, call: Any, of: Any) -> Iterator[Any]:
        with self._reached():
            try:
                for reply in call:
                    yield of(reply)
            finally:
                call.cancel()

    def _watched(self, call: Any) -> Iterator[Published]:
        yield from self._each(call, _published)
        raise RemoteFailed(f"{self._target} ended the watch")

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise self._named(error) from None

    def _why(self) -> CoveyError | None:
        """The error of TLS that a failed call may have; None if TLS is not the reason."""
        try:
            host, port = split_address(self._target)
        except ValueError:
            return None
        return refusal_of_clear_text(host, port) if self._tls is None else self._tls.why(host, port)

    def _named(self, error: Any) -> Exception:
        """The error that the server names; every error of a call has these methods."""
        details, code = str(error.details() or error.code().name), error.code()
        metadata = {str(name): str(value) for name, value in error.trailing_metadata() or ()}
        named = metadata.get(ERROR_KEY, "")
        if not named and code is grpc.StatusCode.UNAVAILABLE and (why := self._why()) is not None:
            return why
        if not named and code is grpc.StatusCode.RESOURCE_EXHAUSTED:  # gRPC's own limit of calls
            named = Throttled.__name__
        return error_named(
            named, details if named else f"{self._target}: {details}", retry_after(metadata.get(RETRY_KEY))
        )


def _published(message: pb.Published) -> Published:
    state = _STATES.get(message.state)
    if state is None:
        raise RemoteFailed("the server sent a state that this version of covey does not know")
    return Published(
        message.view,
        message.version,
        message.seq,
        message.release_id,
        message.pane_start,
        message.pane_end,
        message.released_at,
        message.published_at,
        state,
        message.reason or None,
    )


def published_message(one: Published) -> pb.Published:
    """The message of one published pane."""
    return pb.Published(
        view=one.view,
        version=one.version,
        seq=one.seq,
        release_id=one.release_id,
        pane_start=one.pane_start,
        pane_end=one.pane_end,
        released_at=one.released_at,
        published_at=one.published_at,
        state=one.state,
        reason=one.reason or "",
    )
