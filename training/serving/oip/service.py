"""The protocol over gRPC: `inference.GRPCInferenceService`, on the server of the feature server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final, NoReturn, TypeAlias

import grpc
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from featurestore.remote.grpc_transport import ERROR_KEY, RETRY_KEY
from featurestore.server.grpc_service import admitted
from featurestore.server.guard import Gate
from featurestore.server.metrics import GONE
from featurestore.server.refusal import Refused
from training.serving.refusal_status import Refusal

from . import inference_pb2 as pb
from .errors import code_of, shown_refusal
from .infer_proto import mark_final, parse_infer, parse_message, render_infer
from .infer_request import version_of
from .infer_route import types_of
from .served_models import UNSUPPORTED, ServedModels
from .stream_order import in_order

SERVICE: Final = "inference.GRPCInferenceService"
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Charge: TypeAlias = Callable[[int], None]


class InferenceService:
    """The calls. Each gets the bytes of its message, so that bytes which are none are answered as a mistake of the client."""

    def __init__(self, models: ServedModels, gate: Gate) -> None:
        self._models, self._gate = models, gate

    def add_to(self, server: Any) -> None:
        """Add the calls to a server of gRPC (grpc.aio.Server)."""
        simple = {
            "ServerLive": _call(pb.ServerLiveRequest, lambda _: pb.ServerLiveResponse(live=True)),
            "ServerReady": _call(pb.ServerReadyRequest, lambda _: pb.ServerReadyResponse(ready=self._models.ready())),
            "ServerMetadata": _call(pb.ServerMetadataRequest, self._server_metadata),
            "ModelReady": _call(pb.ModelRequest, self._model_ready),
            "ModelMetadata": _call(pb.ModelRequest, self._model_metadata),
            "ModelConfig": _call(pb.ModelRequest, self._model_config),
            "ModelStatistics": _call(pb.ModelRequest, self._statistics),
            "RepositoryIndex": _call(pb.RepositoryIndexRequest, self._index),
            "RepositoryModelLoad": _call(pb.RepositoryChangeRequest, _refuse_change),
            "RepositoryModelUnload": _call(pb.RepositoryChangeRequest, _refuse_change),
        }
        handlers = {name: _unary(self._answering(name, call)) for name, call in simple.items()}
        handlers["ModelInfer"] = _unary(self._answering("ModelInfer", self._infer))
        handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
            self._stream, None, pb.ModelStreamInferResponse.SerializeToString
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    def _answering(self, name: str, call: _Call) -> Callable[[bytes, Context], Awaitable[Message]]:
        """The handler of a call: admits its caller, counts it, and ends it with a status if it fails."""

        async def handle(data: bytes, context: Context) -> Message:
            start, status = time.perf_counter(), GONE
            try:
                answer = await call(data, context, admitted(self._gate, context))
                status = HTTPStatus.OK
            except Exception as error:  # noqa: BLE001 - every error becomes a status
                found = shown_refusal(error)
                status = found.status
                await _end(context, error, found)
            finally:
                self._count(name, status, start)
            return answer

        return handle

    def _count(self, name: str, status: int, start: float) -> None:
        self._gate.counts.request(f"/{SERVICE}/{name}", status, time.perf_counter() - start)

    async def _infer(self, data: bytes, context: Context, charge: Charge) -> Message:
        return await self._inferred(parse_message(pb.ModelInferRequest, data), context, charge)

    async def _inferred(self, message: pb.ModelInferRequest, context: Context, charge: Charge) -> pb.ModelInferResponse:
        serving, name, version = self._models.serving, message.model_name, version_of(message.model_version)
        if (busy := serving.busy(name, version)) is not None:
            raise busy
        types = types_of(serving, name, version)
        request = parse_infer(message)
        ask = request.ask(name, version, types, context.time_remaining())
        charge(ask.rows)
        answer = render_infer(request, await serving.asked(ask), raw=bool(message.raw_input_contents))
        if request.parameters.marks_final:
            mark_final(answer)
        return answer

    async def _stream(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """One answer for each request of a stream, in their order. A request that fails does not end the stream."""
        start, status = time.perf_counter(), int(GONE)
        try:
            admitted(self._gate, context)
            one = partial(self._one_of_stream, context=context)
            async for answer in in_order(requests, one, pb.ModelStreamInferResponse.ByteSize):
                yield answer
            status = HTTPStatus.OK
        except Refused as error:
            status = error.status
            await _end(context, error, shown_refusal(error))
        finally:
            self._count("ModelStreamInfer", status, start)

    async def _one_of_stream(self, data: bytes, context: Context) -> pb.ModelStreamInferResponse:
        """The answer to a request, which is admitted like a call: a stream is no way round the limits of its client."""
        ident = ""
        try:
            charge = admitted(self._gate, context)
            message = parse_message(pb.ModelInferRequest, data)
            ident = message.id
            return pb.ModelStreamInferResponse(infer_response=await self._inferred(message, context, charge))
        except Exception as error:  # noqa: BLE001 - every error becomes an answer
            found = pb.ModelStreamInferResponse(error_message=shown_refusal(error).text)
            found.infer_response.id = ident
            return found

    def _server_metadata(self, _: Message) -> Message:
        return ParseDict(self._models.server_metadata(), pb.ServerMetadataResponse())

    def _model_ready(self, message: pb.ModelRequest) -> Message:
        return pb.ModelReadyResponse(ready=self._models.why_not(message.name, version_of(message.version)) is None)

    def _model_metadata(self, message: pb.ModelRequest) -> Message:
        found = self._models.metadata(message.name, version_of(message.version))
        return ParseDict(found, pb.ModelMetadataResponse())

    def _model_config(self, message: pb.ModelRequest) -> Message:
        found = self._models.config(message.name, version_of(message.version))
        return ParseDict({"config": found}, pb.ModelConfigResponse())

    def _statistics(self, message: pb.ModelRequest) -> Message:
        found = self._models.statistics(message.name or None, version_of(message.version))
        return ParseDict({"model_stats": found}, pb.ModelStatisticsResponse())

    def _index(self, message: pb.RepositoryIndexRequest) -> Message:
        return ParseDict({"models": self._models.index(only_ready=message.ready)}, pb.RepositoryIndexResponse())


_Call: TypeAlias = Callable[[bytes, Context, Charge], Awaitable[Message]]


def _call(kind: Any, answer: Callable[[Any], Message]) -> _Call:
    """A call whose answer is there at once."""

    async def call(data: bytes, _: Context, __: Charge) -> Message:
        return answer(parse_message(kind, data))

    return call


def _unary(handle: Callable[[bytes, Context], Awaitable[Message]]) -> Any:
    return grpc.unary_unary_rpc_method_handler(handle, None, _serialized)


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


def _refuse_change(_: Message) -> NoReturn:
    raise Refused(HTTPStatus.NOT_IMPLEMENTED, UNSUPPORTED)


async def _end(context: Context, error: Exception, found: Refusal) -> NoReturn:
    """End a call with the status of its error."""
    wait = tuple((key.decode(), value.decode()) for key, value in found.headers if key == RETRY_KEY.encode())
    await context.abort(code_of(found), found.text, ((ERROR_KEY, type(error).__name__), *wait))
    raise error  # abort raises
