"""Requests and answers as the protocol's gRPC messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.message import DecodeError

from featurestore.errors import BadRequest
from training.serving.ask import Predicted
from training.serving.request_limits import require_cells

from . import inference_pb2 as pb
from .infer_answer import answer_parameters, outputs_of
from .infer_request import InferRequest, Parameters, RequestedOutput, require_in_body
from .tensors import BYTES, MAX_TENSORS, Head, Tensor, bytes_of, head_of

FINAL_ANSWER: Final = "triton_final_response"


def parse_message(kind: Any, data: bytes) -> Any:
    """The message of a call, of a class of messages. Raises BadRequest: it is no such message."""
    try:
        return kind.FromString(data)
    except DecodeError:
        raise BadRequest(f"the message is no {kind.DESCRIPTOR.name}") from None


def parse_infer(message: pb.ModelInferRequest) -> InferRequest:
    """A request. Raises BadRequest."""
    raw = message.raw_input_contents
    if max(len(message.inputs), len(message.outputs)) > MAX_TENSORS:
        raise BadRequest(f"at most {MAX_TENSORS:,} inputs and as many outputs in a request")
    if raw and len(raw) != len(message.inputs):
        raise BadRequest(f"raw_input_contents has {len(raw):,} entries for {len(message.inputs):,} inputs")
    heads = [head_of(one.name, one.datatype, list(one.shape)) for one in message.inputs]
    require_cells(sum(head.size for head in heads if not raw or head.datatype is BYTES))
    tensors = [
        _tensor(head, one, raw[i] if raw else None)
        for i, (head, one) in enumerate(zip(heads, message.inputs, strict=True))
    ]
    outputs = [RequestedOutput.of(one.name, _parameters(one.parameters), False) for one in message.outputs]
    return InferRequest.of(message.id, tensors, Parameters.of(_parameters(message.parameters)), outputs)


def _parameters(given: Mapping[str, pb.Parameter]) -> dict[str, Any]:
    found = {}
    for name, one in given.items():
        choice = one.WhichOneof("choice")
        if choice is None:
            raise BadRequest(f"parameter {name[:60]!r} has no value")
        found[name] = getattr(one, choice)
    return found


def _tensor(head: Head, one: pb.Tensor, raw: bytes | None) -> Tensor:
    require_in_body(_parameters(one.parameters), f"input {head.name!r}")
    if raw is not None:
        if one.HasField("contents"):
            raise BadRequest(f"input {head.name!r}: send `contents` or raw_input_contents, not both")
        return head.of_bytes(raw)
    field = head.datatype.contents
    if field is None:
        raise BadRequest(f"input {head.name!r}: {head.datatype.name} is sent in raw_input_contents")
    for other, _ in one.contents.ListFields():
        if other.name != field:
            raise BadRequest(f"input {head.name!r}: {head.datatype.name} is sent in {field}, not in {other.name}")
    stored = getattr(one.contents, field)
    if len(stored) != head.size:
        raise head.wrong_number(len(stored))
    values = list(stored)
    return head.of_values(head.texts(values) if head.datatype is BYTES else values)


def render_infer(request: InferRequest, predicted: Predicted, *, raw: bool) -> pb.ModelInferResponse:
    """The answer to a request; `raw`: in the form of a request with raw contents, else in contents."""
    answer = pb.ModelInferResponse(model_name=predicted.model, model_version=str(predicted.version), id=request.ident)
    for name, value in answer_parameters(predicted).items():
        if isinstance(value, int):
            answer.parameters[name].int64_param = value
        else:
            answer.parameters[name].string_param = value
    for output in outputs_of(request, predicted):
        said = answer.outputs.add(name=output.name, datatype=output.datatype.name, shape=output.shape)
        if raw:
            answer.raw_output_contents.append(bytes_of(output.elements))
        else:
            _add_contents(said.contents, output)
    return answer


def _add_contents(contents: pb.TensorContents, output: Tensor) -> None:
    elements, field = output.elements, output.datatype.contents
    assert field is not None  # outputs are FP32, FP64 and BYTES
    values = [one.encode() for one in elements] if isinstance(elements, list) else elements.tolist()
    getattr(contents, field).extend(values)


def mark_final(answer: pb.ModelInferResponse) -> None:
    """Say in an answer of a stream that it is the only one of its request."""
    answer.parameters[FINAL_ANSWER].bool_param = True
