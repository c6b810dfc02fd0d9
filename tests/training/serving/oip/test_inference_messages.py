"""Our messages are those of the published protocol: the fields that they share have the same numbers, types and names."""

from __future__ import annotations

from typing import Any

import pytest

from training.serving.oip import inference_pb2 as pb

pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed (extra: dev)")
from tritonclient.grpc import model_config_pb2, service_pb2

OURS = {
    "ModelRequest": ("ModelReadyRequest", "ModelMetadataRequest", "ModelConfigRequest", "ModelStatisticsRequest"),
    "TensorMetadata": ("ModelMetadataResponse.TensorMetadata",),
    "Parameter": ("InferParameter",),
    "TensorContents": ("InferTensorContents",),
    "Tensor": ("ModelInferRequest.InferInputTensor", "ModelInferResponse.InferOutputTensor"),
    "RequestedOutput": ("ModelInferRequest.InferRequestedOutputTensor",),
    "RepositoryChangeRequest": ("RepositoryModelLoadRequest", "RepositoryModelUnloadRequest"),
    "RepositoryChangeResponse": ("RepositoryModelLoadResponse", "RepositoryModelUnloadResponse"),
}


def theirs(path: str) -> Any:
    outer, _, inner = path.partition(".")
    found: Any = getattr(service_pb2, outer, None) or getattr(model_config_pb2, outer)
    return (getattr(found, inner) if inner else found).DESCRIPTOR


def differences(ours: Any, other: Any) -> list[str]:
    by_name = {field.name: field for field in other.fields}
    found = []
    for field in ours.fields:
        name = {"choice": "parameter_choice"}.get(field.name, field.name)
        peer = by_name.get(name)
        if peer is None or (peer.number, peer.type, peer.is_repeated) != (field.number, field.type, field.is_repeated):
            found.append(f"{ours.name}.{field.name}")
    for nested in ours.nested_types:
        if not nested.GetOptions().map_entry:
            found += differences(nested, other.nested_types_by_name[nested.name])
    return found


@pytest.mark.parametrize("name", sorted(pb.DESCRIPTOR.message_types_by_name))
def test_the_fields_of_a_message_are_the_published_ones(name: str) -> None:
    ours = pb.DESCRIPTOR.message_types_by_name[name]
    for path in OURS.get(name, (name,)):
        assert differences(ours, theirs(path)) == []


def test_so_are_the_datatypes() -> None:
    assert dict(pb.DataType.items()) == dict(model_config_pb2.DataType.items())


def test_both_sets_of_messages_are_loaded_in_one_process() -> None:
    sent = service_pb2.ModelInferRequest(model_name="late", raw_input_contents=[b"\0"])
    sent.parameters["timeout"].int64_param = 5
    read = pb.ModelInferRequest.FromString(sent.SerializeToString())
    assert (read.model_name, read.parameters["timeout"].int64_param) == ("late", 5)
