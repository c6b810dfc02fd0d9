"""The trace's context across gRPC: clients add it to a call's metadata, and a service's span of the call continues it.

Without traces in this process both functions return nothing, and calls are as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import grpc

from base.trace_parent import TRACEPARENT, TraceParent
from base.traces import here, is_tracing, span

_Behaviour: TypeAlias = Callable[[Any, grpc.ServicerContext], Any]


def client_interceptors() -> tuple[_ClientContext, ...]:
    """The interceptors of a client's channel."""
    return (_ClientContext(),) if is_tracing() else ()


def server_interceptors() -> list[grpc.ServerInterceptor]:
    """The interceptors of a service. A span has the name of its call, such as `Submit`."""
    return [_ServerSpans()] if is_tracing() else []


class _ClientContext(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds the running span to the metadata of each call."""

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(_with_context(client_call_details), request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(_with_context(client_call_details), request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(_with_context(client_call_details), request_iterator)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(_with_context(client_call_details), request_iterator)


class _ServerSpans(grpc.ServerInterceptor):
    """Wraps each call of a service in a span."""

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = continuation(handler_call_details)
        if handler is None:  # no call of this service
            return None
        name = handler_call_details.method.rpartition("/")[2]
        sender = _sender(handler_call_details.invocation_metadata)
        codecs = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        match (handler.request_streaming, handler.response_streaming):
            case False, False:
                return grpc.unary_unary_rpc_method_handler(_one(handler.unary_unary, name, sender), **codecs)
            case False, True:
                return grpc.unary_stream_rpc_method_handler(_many(handler.unary_stream, name, sender), **codecs)
            case True, False:
                return grpc.stream_unary_rpc_method_handler(_one(handler.stream_unary, name, sender), **codecs)
            case _:
                return grpc.stream_stream_rpc_method_handler(_many(handler.stream_stream, name, sender), **codecs)


def _one(behaviour: _Behaviour, name: str, sender: TraceParent | None) -> _Behaviour:
    def call(request: Any, context: grpc.ServicerContext) -> Any:
        with span(name, sender=sender):
            return behaviour(request, context)

    return call


def _many(behaviour: _Behaviour, name: str, sender: TraceParent | None) -> _Behaviour:
    def call(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with span(name, sender=sender):
            yield from behaviour(request, context)

    return call


class _Details(grpc.ClientCallDetails):
    """The details of a call, with other metadata."""

    def __init__(self, call: Any, metadata: tuple[tuple[str, str | bytes], ...]) -> None:
        self.method, self.timeout, self.metadata = call.method, call.timeout, metadata
        self.credentials, self.wait_for_ready = call.credentials, call.wait_for_ready
        self.compression = call.compression


def _with_context(call: Any) -> Any:
    current = here()
    return call if current is None else _Details(call, (*(call.metadata or ()), (TRACEPARENT, str(current))))


def _sender(metadata: Any) -> TraceParent | None:
    """The caller's span, if it names one. Metadata comes from outside."""
    return next((TraceParent.parse(value) for key, value in metadata or () if key == TRACEPARENT), None)
