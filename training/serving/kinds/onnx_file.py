"""Check an ONNX file before onnxruntime reads it: standard operators only, no files beside it, and what it takes and gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import DecodeError

from training.errors import ArchiveRefused

from . import onnx_model_pb2 as onnx
from .ports import Port, Ports, Shape

MAX_BYTES: Final = 256 * 2**20
MAX_NODES: Final = 2**16
DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""The domains of operators that the ONNX standard defines: none of them reads files or runs code of the model."""
IR_VERSIONS: Final = range(3, 15)
_ORT_FORMAT: Final = b"ORTM"
_TYPES: Final = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
}  # fmt: skip


def read_onnx(data: bytes) -> Ports:
    """Check the bytes of a `model.onnx`; return what it takes and gives. Raises ArchiveRefused."""
    if len(data) > MAX_BYTES:
        raise ArchiveRefused(f"it has {len(data):,} bytes; the limit is {MAX_BYTES:,}")
    if data[4:8] == _ORT_FORMAT:
        raise ArchiveRefused("it is in the format of onnxruntime, which is not checked; save the model as ONNX")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        raise ArchiveRefused("it is no ONNX file") from None
    if model.ir_version not in IR_VERSIONS or not model.graph.node:
        raise ArchiveRefused(
            f"it is no ONNX model of IR version {IR_VERSIONS.start} to {IR_VERSIONS.stop - 1}, which are supported: it has "
            f"version {model.ir_version} and {len(model.graph.node):,} nodes"
        )
    if model.functions or model.training_info or model.configuration:
        raise ArchiveRefused("it has functions, training steps or device settings of its own, which are not supported")
    for used in model.opset_import:
        _require_standard(used.domain, "operators")
    nodes = 0
    for graph in _graphs(model.graph):
        nodes += len(graph.node)
        if nodes > MAX_NODES:
            raise ArchiveRefused(f"it has more than {MAX_NODES:,} nodes")
        for node in graph.node:
            _require_standard(node.domain, node.op_type)
        for tensor in _tensors(graph):
            if tensor.data_location or tensor.external_data:
                raise ArchiveRefused(
                    f"its tensor {tensor.name[:80]!r} is in another file; save the model with its data inside"
                )
    initialized = {one.name for one in model.graph.initializer}
    inputs = tuple(_port(one) for one in model.graph.input if one.name not in initialized)
    return Ports(inputs, tuple(map(_port, model.graph.output)))


def _require_standard(domain: str, operator: str) -> None:
    if domain not in DOMAINS:
        raise ArchiveRefused(
            f"it uses {operator[:80]} of the domain {domain[:80]!r}; only the standard domains ai.onnx and ai.onnx.ml are allowed"
        )


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph and the graphs inside it. protobuf bounds their depth."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(inner)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Yield all tensors of a graph, without those of graphs inside it."""
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    yield from graph.initializer
    sparse = [*graph.sparse_initializer, *(one for of in attributes for one in (of.sparse_tensor, *of.sparse_tensors))]
    for one in sparse:
        yield from (one.values, one.indices)
    for attribute in attributes:
        yield from (attribute.t, *attribute.tensors)


def _port(one: onnx.ValueInfoProto) -> Port:
    if one.type.WhichOneof("value") != "tensor_type":
        return Port(one.name, (one.type.WhichOneof("value") or "unknown").removesuffix("_type"), None)
    tensor = one.type.tensor_type
    shape: Shape | None = None
    if tensor.HasField("shape"):
        shape = tuple(dim.dim_value if dim.WhichOneof("value") == "dim_value" else None for dim in tensor.shape.dim)
    return Port(one.name, _TYPES.get(tensor.elem_type, f"type {tensor.elem_type}"), shape)
