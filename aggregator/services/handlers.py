"""Wraps the calls of a gRPC service, whichever of its four kinds each is."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import grpc

from aggregator.errors import MessageMalformed
from aggregator.intake.refusals import refusal_of
from aggregator.services.rpc import refuse

STALL_S: Final = 30.0
"""Longest wait of a thread for the next piece of a stream."""
REQUEST_S: Final = 60.0
"""Longest wait of a thread for the one message of a request: a caller's own patience (`peer_channels.CALL_S`) ends with it."""
UNREAD: Final = 4
"""The most requests of one connection that a service waits for at a time. A caller that sends halves of requests cannot hold all
threads."""

Behaviour: TypeAlias = Callable[[Any, Any], Any]
"""(request or requests, context) → answer or answers."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Method:
    """What a call is.

    Attributes:
        name: such as `Submit`.
        has_streamed_answer: whether its behaviour yields the answer in pieces.
        metadata: what the caller sent with it, pairs of a key and a value.
    """

    name: str
    has_streamed_answer: bool
    metadata: Any


Wrap: TypeAlias = Callable[[Method, Behaviour], Behaviour]
"""Makes the behaviour of a call from what it would do otherwise."""


class Wrapped(grpc.ServerInterceptor):
    """Wraps every call of a service whose method exists."""

    def __init__(self, wrap: Wrap) -> None:
        self._wrap = wrap

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler of a call, wrapped."""
        handler: Any = continuation(handler_call_details)
        if handler is None:
            return None
        name = str(handler_call_details.method).rpartition("/")[2]
        method = Method(name, handler.response_streaming, handler_call_details.invocation_metadata)
        return _maker(handler, handler.request_streaming)(
            self._wrap(method, _behaviour_of(handler)), handler.request_deserializer, handler.response_serializer
        )


class WholeRequests(grpc.ServerInterceptor):
    """Limits the time in which a service reads the one message of a request.

    By default, a thread of gRPC waits for the message before the call begins, without a limit. A caller that sends half of it holds
    the thread. Here the wrapping interceptors run first, so a caller that may not make the call is refused before its message is
    read.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unread = Counter[str]()

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler of a call, as one of a stream of requests."""
        handler: Any = continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        behaviour = _behaviour_of(handler)

        def read(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            return behaviour(self._request(requests, context), context)

        return _maker(handler, True)(read, handler.request_deserializer, handler.response_serializer)

    def _request(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        caller = context.peer()  # one connection
        with self._lock:
            is_welcome = self._unread[caller] < UNREAD
            self._unread[caller] += is_welcome
        if not is_welcome:  # the caller keeps what it wanted to send, as if the service were away
            context.abort(
                grpc.StatusCode.UNAVAILABLE, f"this connection has {UNREAD} calls already whose requests are not whole"
            )
        try:
            request = next(without_stalls(requests, context, REQUEST_S), None)
        finally:
            with self._lock:
                self._unread[caller] -= 1
                if not self._unread[caller]:
                    del self._unread[caller]
        if request is None:
            refuse(context, refusal_of(MessageMalformed("the call has no request")))
        return request


def without_stalls(parts: Iterator[_T], context: grpc.ServicerContext, limit_s: float) -> Iterator[_T]:
    """The pieces of a stream. The call is cancelled if a piece does not arrive in time."""
    while True:
        timer = threading.Timer(limit_s, context.cancel)
        timer.daemon = True
        timer.start()
        try:
            part = next(parts)
        except StopIteration:
            return
        finally:
            timer.cancel()
        yield part


def _behaviour_of(handler: Any) -> Behaviour:
    found: Behaviour = (
        (handler.stream_stream if handler.response_streaming else handler.stream_unary)
        if handler.request_streaming
        else (handler.unary_stream if handler.response_streaming else handler.unary_unary)
    )
    return found


def _maker(handler: Any, has_streamed_request: bool) -> Callable[..., Any]:
    """Makes a handler with the answers of another one."""
    if has_streamed_request:
        return (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
    return grpc.unary_stream_rpc_method_handler if handler.response_streaming else grpc.unary_unary_rpc_method_handler
