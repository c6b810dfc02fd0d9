"""`tritonclient.grpc`, unmodified, against `covey serve --models`."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from tests.training.serving.conftest import ModelServer
from training.serving.oip import inference_pb2 as pb

from .clients import DISTANCE, keyed, outputs, raw_of

triton = pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed (extra: dev)")
aio = pytest.importorskip("tritonclient.grpc.aio", reason="tritonclient is not installed (extra: dev)")
utils = pytest.importorskip("tritonclient.utils", reason="tritonclient is not installed (extra: dev)")
CALL = "/inference.GRPCInferenceService/"


@pytest.fixture(scope="module")
def client(model_server: ModelServer) -> Iterator[Any]:
    with triton.InferenceServerClient(model_server.grpc) as made:
        yield made


@pytest.fixture(scope="module")
def channel(model_server: ModelServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(model_server.grpc) as made:
        yield made


def refused(call: Any, *given: Any, **named: Any) -> tuple[str, str]:
    """(status, text) of the client's error."""
    with pytest.raises(utils.InferenceServerException) as caught:
        call(*given, **named)
    return caught.value.status().removeprefix("StatusCode."), caught.value.message()


def test_the_server_lives_and_its_models_are_ready(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("late")
    assert client.is_model_ready("trees", "1")
    assert refused(client.is_model_ready, "nothing")[0] == "NOT_FOUND"


def test_metadata_and_configuration_are_those_of_http(client: Any, model_server: ModelServer) -> None:
    http = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed (extra: dev)")
    with http.InferenceServerClient(f"{model_server.host}:{model_server.port}") as other:
        server, model, config = (
            other.get_server_metadata(),
            other.get_model_metadata("late"),
            other.get_model_config("late"),
        )
        index = other.get_model_repository_index()
    assert client.get_server_metadata(as_json=True) == server
    found = client.get_model_metadata("late", as_json=True)
    for one in (*found["inputs"], *found["outputs"]):
        one["shape"] = [int(size) for size in one["shape"]]
    assert found == model
    configured = client.get_model_config("late", "1").config
    assert configured.max_batch_size == config["max_batch_size"]
    assert configured.dynamic_batching.max_queue_delay_microseconds == 100
    assert {name: one.string_value for name, one in configured.parameters.items()} == {
        name: one["string_value"] for name, one in config["parameters"].items()
    }
    assert [one.name for one in configured.input] == [one["name"] for one in config["input"]]
    assert [(one.name, one.version, one.state) for one in client.get_model_repository_index().models] == [
        (one["name"], one["version"], one["state"]) for one in index
    ]


@pytest.mark.parametrize("model", ["late", "trees"])
def test_rows_by_key_and_their_features_as_raw_tensors_give_the_same_predictions(client: Any, model: str) -> None:
    names = ("prediction", "features", "se", "status")
    found = client.infer(model, keyed(triton), "1", outputs=outputs(triton, *names), request_id="7")
    predictions = found.as_numpy("prediction")
    assert predictions.dtype == np.float32
    assert found.as_numpy("features")[:, -1].tolist() == DISTANCE
    assert found.as_numpy("status")[2, 0] == b"NOT_FOUND"
    said = found.get_response()
    assert (said.model_name, said.model_version, said.id) == (model, "1", "7")
    assert said.parameters["epoch"].int64_param >= 1
    assert {"traffic"} <= {one["view"] for one in json.loads(said.parameters["releases"].string_param)}
    assert client.infer(model, raw_of(triton, found)).as_numpy("prediction").tolist() == predictions.tolist()


def test_contents_that_are_not_raw_are_answered_in_kind(channel: grpc.Channel, client: Any) -> None:
    request = pb.ModelInferRequest(model_name="late")
    request.inputs.add(name="dest", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"ATL")
    request.inputs.add(name="distance", datatype="INT32", shape=[1, 1]).contents.int_contents.append(100)
    call = channel.unary_unary(
        f"{CALL}ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
    )
    found = call(request)
    assert not found.raw_output_contents
    assert (
        list(found.outputs[0].contents.fp32_contents)
        == client.infer("late", keyed(triton)).as_numpy("prediction")[:1].tolist()
    )


def test_an_interval_is_a_parameter(client: Any) -> None:
    found = client.infer("late", keyed(triton), parameters={"interval": 0.8})
    assert [one.name for one in found.get_response().outputs] == ["prediction", "lo", "hi"]
    code, why = refused(client.infer, "late", keyed(triton), parameters={"interval": 0.2})
    assert (code, "a level must be above 0.5" in why) == ("INVALID_ARGUMENT", True), why


def test_statistics_are_those_of_http(client: Any) -> None:
    client.infer("trees", keyed(triton))
    (found,) = client.get_inference_statistics("trees").model_stats
    assert (found.name, found.version) == ("trees", "1")
    assert found.inference_count >= 3
    assert found.inference_stats.compute_infer.count >= 1


def test_a_compressed_call_is_read(client: Any) -> None:
    found = client.infer("late", keyed(triton), compression_algorithm="gzip", priority=2, timeout=10_000_000)
    assert len(found.as_numpy("prediction")) == 3


def test_what_cannot_be_done_in_time_is_refused(client: Any) -> None:
    code, text = refused(client.infer, "late", keyed(triton), timeout=1)
    assert (code, "its timeout is 0.001 ms" in text) == ("DEADLINE_EXCEEDED", True), text
    assert len(client.infer("late", keyed(triton), client_timeout=20).as_numpy("prediction")) == 3


@pytest.mark.parametrize(
    ("model", "version", "code", "text"),
    [
        ("nothing", "", "NOT_FOUND", "no model 'nothing'"),
        ("late", "9", "NOT_FOUND", "no model 'late@v9'"),
        ("late", "one", "INVALID_ARGUMENT", "the version 'one' must be a whole number"),
        ("", "", "NOT_FOUND", "no model ''"),
    ],
)
def test_an_unknown_model_or_version_is_named(client: Any, model: str, version: str, code: str, text: str) -> None:
    for call, given in (
        (client.infer, (model, keyed(triton), version)),
        (client.get_model_metadata, (model, version)),
        (client.get_model_config, (model, version)),
    ):
        found, why = refused(call, *given)
        assert (found, text in why) == (code, True), why


def test_inputs_that_do_not_fit_are_refused(client: Any) -> None:
    code, why = refused(client.infer, "late", keyed(triton)[:1])
    assert (code, "needs 'distance'" in why) == ("INVALID_ARGUMENT", True), why
    code, why = refused(client.infer, "late", keyed(triton), outputs=outputs(triton, "logits"))
    assert (code, "no output 'logits'" in why) == ("INVALID_ARGUMENT", True), why
    code, why = refused(client.infer, "late", keyed(triton, ["ATL"] * 10_001, [1.0] * 10_001))
    assert (code, "at most 10,000" in why) == ("INVALID_ARGUMENT", True), why


def test_what_is_not_supported_says_so(client: Any) -> None:
    code, why = refused(client.load_model, "late")
    assert (code, "covey models promote" in why) == ("UNIMPLEMENTED", True), why
    assert refused(client.unload_model, "late")[0] == "UNIMPLEMENTED"
    assert refused(client.get_system_shared_memory_status)[0] == "UNIMPLEMENTED"


@pytest.mark.parametrize("call", ["ModelInfer", "ModelMetadata", "RepositoryIndex", "ServerLive"])
def test_bytes_that_are_no_message_are_the_clients_mistake(channel: grpc.Channel, call: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(CALL + call)(b"\xff\xff\xff")
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "the message is no " in (caught.value.details() or "")


def test_a_stream_has_one_answer_for_each_request_in_their_order(client: Any) -> None:
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(callback=lambda result, error: answers.put((result, error)))
    try:
        for number in range(150):
            wrong = number % 10 == 3
            model = "nothing" if wrong else ("late", "trees")[number % 2]
            client.async_stream_infer(
                model, keyed(triton), request_id=str(number), enable_empty_final_response=number == 0
            )
        found = [answers.get(timeout=30) for _ in range(150)]
    finally:
        client.stop_stream()
    good = [number for number in range(150) if number % 10 != 3]
    assert [int(result.get_response().id) for result, error in found if error is None] == good
    failed = [number for number, (_, error) in enumerate(found) if error is not None]
    assert failed == [number for number in range(150) if number % 10 == 3]
    assert all("no model 'nothing'" in error.message() for _, error in found if error is not None)
    assert found[0][0].get_response().parameters["triton_final_response"].bool_param
    assert answers.empty()


def test_a_client_that_ends_a_stream_early_leaves_the_server_well(client: Any, model_server: ModelServer) -> None:
    with triton.InferenceServerClient(model_server.grpc) as other:
        other.start_stream(callback=lambda result, error: None)
        for _ in range(100):
            other.async_stream_infer("late", keyed(triton))
        other.stop_stream(cancel_requests=True)
    assert len(client.infer("late", keyed(triton)).as_numpy("prediction")) == 3


def test_the_client_of_asyncio_is_answered(model_server: ModelServer) -> None:
    async def ask() -> tuple[list[Any], list[int]]:
        async def requests() -> AsyncIterator[dict[str, Any]]:
            for number in range(5):
                yield {"model_name": "late", "inputs": keyed(triton), "request_id": str(number)}

        async with aio.InferenceServerClient(model_server.grpc) as made:
            found = await asyncio.gather(*(made.infer("late", keyed(triton)) for _ in range(20)))
            streamed = [int(result.get_response().id) async for result, _ in made.stream_infer(requests())]
        return [one.as_numpy("prediction") for one in found], streamed

    (first, *others), streamed = asyncio.run(ask())
    assert all(np.allclose(first, other, rtol=1e-6) for other in others), (
        "but for the last bit, which depends on the batch"
    )
    assert streamed == list(range(5))
