"""Counts the calls of a gRPC service: method, status code, reason of a refusal, and seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from aggregator.intake.counting import count_refusal
from aggregator.services import aggregator_pb2 as pb
from aggregator.services.handlers import Behaviour, behaviour_of, with_behaviour
from aggregator.services.rpc import REFUSAL_KEY
from base.metrics import CALL, CALL_CODES, CALL_SECONDS, CALLS, OTHER, Meters


class CallCounts(grpc.ServerInterceptor):
    """Counts every call of a service whose method exists. It changes no call."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler of a call, which counts its end."""
        handler: Any = continuation(handler_call_details)
        if handler is None:
            return None
        name = str(handler_call_details.method).rpartition("/")[2]
        method = name if name in CALLS else OTHER
        count = self._streaming if handler.response_streaming else self._single
        return with_behaviour(handler, count(method, behaviour_of(handler)))

    def _single(self, method: str, behaviour: Behaviour) -> Behaviour:
        def answer(request: Any, context: Any) -> Any:
            start, code = time.perf_counter(), "UNKNOWN"
            try:
                reply = behaviour(request, context)
                code = "OK"
                return reply
            finally:
                self._count(method, code, start, context)

        return answer

    def _streaming(self, method: str, behaviour: Behaviour) -> Behaviour:
        def answer(request: Any, context: Any) -> Iterator[Any]:
            start, code = time.perf_counter(), "UNKNOWN"
            try:
                yield from behaviour(request, context)
                code = "OK"
            except GeneratorExit:  # the caller has ended the call
                code = "CANCELLED"
                raise
            finally:
                self._count(method, code, start, context)

        return answer

    def _count(self, method: str, code: str, start: float, context: Any) -> None:
        aborted = context.code()
        if isinstance(aborted, grpc.StatusCode) and aborted.name in CALL_CODES:
            code = aborted.name
        self._meters.add(CALL, method, code)
        self._meters.observe(CALL_SECONDS, method, seconds=time.perf_counter() - start)
        if (reason := _reason(context.trailing_metadata())) is not None:
            count_refusal(self._meters, method, reason)


def _reason(metadata: Any) -> str | None:
    """The reason of a refusal in the trailing metadata, if there is one."""
    for key, value in metadata or ():
        if key == REFUSAL_KEY:
            try:
                return str(pb.Refusal.FromString(value).reason)
            except DecodeError:
                return None
    return None
