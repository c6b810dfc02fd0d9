"""The behaviour of a gRPC handler, whichever of its four kinds it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import grpc

Behaviour: TypeAlias = Callable[[Any, Any], Any]
"""(request or requests, context) → answer or answers."""
_MAKERS: Final = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
"""By whether the request and the answer are streams."""


def behaviour_of(handler: Any) -> Behaviour:
    """What a handler does."""
    found: Behaviour = (
        (handler.stream_stream if handler.response_streaming else handler.stream_unary)
        if handler.request_streaming
        else (handler.unary_stream if handler.response_streaming else handler.unary_unary)
    )
    return found


def with_behaviour(handler: Any, behaviour: Behaviour) -> Any:
    """The same handler, which does something else."""
    make = _MAKERS[handler.request_streaming, handler.response_streaming]
    return make(behaviour, handler.request_deserializer, handler.response_serializer)
