"""Counts the calls of a gRPC service: method, status code, reason of a refusal, and seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from aggregator.intake.counting import count_refusal
from aggregator.services import aggregator_pb2 as pb
from aggregator.services.handlers import Behaviour, Method
from aggregator.services.rpc import REFUSAL_KEY
from base.metrics import CALL, CALL_CODES, CALL_SECONDS, CALLS, OTHER, Meters


class CallCounts:
    """Counts every call of a service. It changes no call."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters

    def wrap(self, method: Method, behaviour: Behaviour) -> Behaviour:
        """The behaviour of a call, which counts its end."""
        count = self._streaming if method.has_streamed_answer else self._single
        return count(method.name if method.name in CALLS else OTHER, behaviour)

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
