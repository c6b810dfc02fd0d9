"""The trace's context across gRPC: clients add it to a call's metadata, and a service's span of the call continues it.

Without traces in this process both functions return nothing, and calls are as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc

from aggregator.services.handlers import Behaviour, Method, Wrap
from base.trace_parent import TRACEPARENT, TraceParent
from base.traces import here, is_tracing, span


def client_interceptors() -> tuple[_ClientContext, ...]:
    """The interceptors of a client's channel."""
    return (_ClientContext(),) if is_tracing() else ()


def spans() -> list[Wrap]:
    """Wraps each call of a service in a span, which has the name of the call, such as `Submit`."""
    return [_span] if is_tracing() else []


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


def _span(method: Method, behaviour: Behaviour) -> Behaviour:
    sender = _sender(method.metadata)

    def one(request: Any, context: grpc.ServicerContext) -> Any:
        with span(method.name, sender=sender):
            return behaviour(request, context)

    def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with span(method.name, sender=sender):
            yield from behaviour(request, context)

    return many if method.has_streamed_answer else one


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
