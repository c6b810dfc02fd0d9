"""Requests and answers as JSON, with raw bytes of tensors after it (Triton's binary tensor data extension)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from featurestore.errors import BadRequest
from featurestore.server.answer import JSON, Answer
from featurestore.server.json_body import parsed_object
from featurestore.server.refusal import Header
from training.serving.ask import Predicted
from training.serving.request_limits import require_cells

from .infer_answer import answer_parameters, outputs_of
from .infer_body import JSON_LENGTH, BodyHeaders
from .infer_request import InferRequest, Parameters, RequestedOutput, require_in_body
from .tensors import BYTES, MAX_TENSORS, Head, Tensor, bytes_of, head_of

BINARY: Final = b"application/octet-stream"
_SIZE: Final = "binary_data_size"


def parse_infer(headers: Sequence[Header], body: bytes) -> tuple[InferRequest, float | None]:
    """(a request, how long its headers say that the client waits). Raises BadRequest, RequestTooLarge."""
    read = BodyHeaders.of(headers)
    text, raw = read.divide(body)
    return _request(parsed_object(text), raw), read.timeout_s


def _request(data: dict[str, Any], raw: memoryview) -> InferRequest:
    parameters = Parameters.of(_object(data, "parameters", "the request"))
    inputs = _objects(data, "inputs")
    heads = [head_of(one.get("name"), one.get("datatype"), one.get("shape")) for one in inputs]
    require_cells(
        sum(head.size for head, one in zip(heads, inputs, strict=True) if "data" in one or head.datatype is BYTES)
    )
    tensors, at = [], 0
    for head, one in zip(heads, inputs, strict=True):
        tensor, took = _tensor(head, one, raw[at:])
        tensors.append(tensor)
        at += took
    if at != len(raw):
        raise BadRequest(f"{len(raw) - at:,} bytes follow the last tensor")
    outputs = [
        RequestedOutput.of(one.get("name"), _object(one, "parameters", "an output"), parameters.binary)
        for one in _objects(data, "outputs")
    ]
    return InferRequest.of(data.get("id", ""), tensors, parameters, outputs)


def _tensor(head: Head, data: dict[str, Any], raw: memoryview) -> tuple[Tensor, int]:
    """(a tensor, how many of the raw bytes it has)."""
    what = f"input {head.name!r}"
    parameters = _object(data, "parameters", what)
    require_in_body(parameters, what)
    if _SIZE not in parameters:
        return head.of_json(data.get("data")), 0
    size = parameters[_SIZE]
    if "data" in data:
        raise BadRequest(f"{what}: send `data` or {_SIZE}, not both")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(raw):
        raise BadRequest(f"{what}: {_SIZE} is {str(size)[:20]}, but {len(raw):,} bytes are left in the body")
    return head.of_bytes(raw[:size]), size


def _objects(data: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = data.get(name, [])
    if not isinstance(found, list) or set(map(type, found)) - {dict}:
        raise BadRequest(f"`{name}` must be a list of objects")
    if len(found) > MAX_TENSORS:
        raise BadRequest(f"`{name}` has {len(found):,} entries; at most {MAX_TENSORS:,}")
    return found


def _object(data: Mapping[str, Any], name: str, what: str) -> dict[str, Any]:
    found = data.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadRequest(f"{what}: `{name}` must be an object")
    return found


def render_infer(request: InferRequest, predicted: Predicted) -> Answer:
    """The answer to a request."""
    raw: list[bytes] = []
    outputs: list[dict[str, Any]] = []
    for wanted, output in zip(request.outputs, outputs_of(request, predicted), strict=True):
        said: dict[str, Any] = {"name": output.name, "datatype": output.datatype.name, "shape": output.shape}
        if wanted.binary:
            raw.append(bytes_of(output.elements))
            outputs.append(said | {"parameters": {_SIZE: len(raw[-1])}})
        else:
            outputs.append(said | {"data": output.elements})
    head = orjson.dumps(
        {
            "model_name": predicted.model,
            "model_version": str(predicted.version),
            **({"id": request.ident} if request.ident else {}),
            "parameters": answer_parameters(predicted),
            "outputs": outputs,
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )
    if not raw:
        return Answer(200, head, JSON)
    return Answer(200, b"".join((head, *raw)), BINARY, ((JSON_LENGTH, b"%d" % len(head)),))
